// SPDX-License-Identifier: MPL-2.0

package main

// #include "zlink.h"
import "C"

import (
	"math"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/sockets"
)

// duration converts a time-out in ms (negative: none), and cuts one of centuries.
func duration(ms int64) time.Duration {
	return time.Duration(max(-1, min(ms, math.MaxInt64/int64(time.Millisecond)))) * time.Millisecond
}

//export zgo_poll
func zgo_poll(first unsafe.Pointer, count C.int, timeoutMs C.long) C.int {
	items := unsafe.Slice((*C.zlink_pollitem_t)(first), count)
	poll := make([]sockets.PollItem, len(items))
	for i := range items {
		poll[i] = sockets.PollItem{Fd: int(items[i].fd), Events: int16(items[i].events)}
		// Read as a number: what is no address must not lie in a pointer that Go's collector could meet.
		handle := *(*uintptr)(unsafe.Pointer(&items[i].socket))
		if handle == 0 {
			continue
		}
		c, err := closerOf(handle)
		if err != nil {
			return result(err)
		}
		poll[i].Socket = c
	}
	ready, err := sockets.Poll(poll, duration(int64(timeoutMs)))
	if err != nil {
		return result(err)
	}
	for i := range items {
		items[i].revents = C.short(poll[i].Revents)
	}
	return C.int(ready)
}

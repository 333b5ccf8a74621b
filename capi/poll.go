// SPDX-License-Identifier: MPL-2.0

package main

// #include "poll.h"
import "C"

import (
	"math"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/sockets/stream"
)

// duration is a time-out in ms (negative: none); one of centuries is cut.
func duration(ms int64) time.Duration {
	return time.Duration(max(-1, min(ms, math.MaxInt64/int64(time.Millisecond)))) * time.Millisecond
}

//export zgo_poll
func zgo_poll(first unsafe.Pointer, count C.int, timeoutMs C.long) C.int {
	items := unsafe.Slice((*C.zl_pollitem)(first), count)
	poll := make([]stream.PollItem, len(items))
	for i := range items {
		poll[i] = stream.PollItem{Fd: int(items[i].fd), Events: int16(items[i].events)}
		if items[i].socket == 0 {
			continue
		}
		c, err := closerOf(uintptr(items[i].socket))
		if err != nil {
			return result(err)
		}
		poll[i].Socket = c
	}
	ready, err := stream.Poll(poll, duration(int64(timeoutMs)))
	if err != nil {
		return result(err)
	}
	for i := range items {
		items[i].revents = C.short(poll[i].Revents)
	}
	return C.int(ready)
}

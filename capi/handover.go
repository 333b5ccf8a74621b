// SPDX-License-Identifier: MPL-2.0

package main

// #include "internal.h"
import "C"

import (
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

//export zgo_handover
func zgo_handover(handle C.uintptr_t, path *C.char, fd, timeoutMs C.int) C.int {
	return exchange(handle, path, fd, timeoutMs, (*stream.Socket).Handover, (*stream.Socket).HandoverTo)
}

//export zgo_takeover
func zgo_takeover(handle C.uintptr_t, path *C.char, fd, timeoutMs C.int) C.int {
	return exchange(handle, path, fd, timeoutMs, (*stream.Socket).Takeover, (*stream.Socket).TakeoverFrom)
}

// exchange makes one of two calls: over a path, or over a descriptor.
func exchange(handle C.uintptr_t, path *C.char, fd, timeoutMs C.int,
	at func(*stream.Socket, string, time.Duration) error, over func(*stream.Socket, int, time.Duration) error) C.int {
	k, err := socketOf(uintptr(handle))
	timeout := time.Duration(timeoutMs) * time.Millisecond
	switch {
	case err != nil:
	case timeoutMs < -1:
		err = errno.New(errno.EINVAL, "a time of %d ms is none; -1: no limit", timeoutMs)
	case path != nil && fd != -1, path == nil && fd < 0:
		err = errno.New(errno.EINVAL, "a handover needs a path and -1, or NULL and a descriptor")
	case path != nil:
		err = at(k, C.GoString(path), timeout)
	default:
		err = over(k, int(fd), timeout)
	}
	return result(err)
}

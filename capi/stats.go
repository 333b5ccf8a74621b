// SPDX-License-Identifier: MPL-2.0

package main

// #include "types.h"
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// zgo_stats stores the counters. size is the size of the caller's struct.
//
//export zgo_stats
func zgo_stats(handle C.uintptr_t, size C.size_t, out *C.zl_stats) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	if size < C.size_t(unsafe.Sizeof(size)+unsafe.Sizeof(stream.Stats{}.Connections)) {
		return result(errno.New(errno.EINVAL, "the size of the struct is %d, too small for any counter", uint64(size)))
	}
	stats, err := k.Stats()
	if err != nil {
		return result(err)
	}
	*(*stream.Stats)(unsafe.Pointer(out)) = stats
	return 0
}

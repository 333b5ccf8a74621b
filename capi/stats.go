// SPDX-License-Identifier: MPL-2.0

package main

// #include <stddef.h>
// #include <stdint.h>
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// statsFields are the counters of zlink_stream_stats_t, in its order.
func statsFields(s stream.Stats) []uint64 {
	return []uint64{s.Connections, s.Accepted, s.Dialled, s.Closed, s.MsgsIn, s.MsgsOut, s.BytesIn, s.BytesOut,
		s.MsgsQueued, s.BytesQueued, s.Refused, s.Oversize, s.Memory, s.Abandoned}
}

// zgo_stats stores the counters, of which there is room for so many; size is what
// the caller's struct has.
//
//export zgo_stats
func zgo_stats(handle C.uintptr_t, size C.size_t, first *C.uint64_t, room C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	if size < C.size_t(unsafe.Sizeof(size)+unsafe.Sizeof(*first)) {
		return result(errno.New(errno.EINVAL, "the size of the struct is %d, too small for any counter", uint64(size)))
	}
	stats, err := k.Stats()
	if err != nil {
		return result(err)
	}
	fields := statsFields(stats)
	to := unsafe.Slice(first, room)
	for i := range min(len(to), len(fields)) {
		to[i] = C.uint64_t(fields[i])
	}
	return 0
}

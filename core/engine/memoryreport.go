// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"

	"github.com/zlink/zlink/core/admin"
	"github.com/zlink/zlink/core/shm"
)

// MemoryReport returns the memory of the process. It does not stop Go.
func MemoryReport() admin.Memory {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	m := admin.Memory{Resident: resident(), Slabs: shm.Pools[shm.ClassSlab].Out.Load()}
	if heap[0].Value.Kind() == metrics.KindUint64 {
		m.GoHeap = heap[0].Value.Uint64()
	}
	return m
}

// resident returns the resident memory of the process, or 0 where the system does not tell.
func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if fields := bytes.Fields(text); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
		return pages * uint64(os.Getpagesize())
	}
	return 0
}

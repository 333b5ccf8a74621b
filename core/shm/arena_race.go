// SPDX-License-Identifier: MPL-2.0

//go:build race

package shm

import (
	"sync"
	"unsafe"
)

// The race detector sees only Go's heap, so race builds take the memory from there. They
// never free a block but keep it for the next request of its size. The reason are stale
// pointers in memory that the collector does not scan. They are harmless outside Go's
// heap, but the collector must not meet one after its block has been freed.
var blocks struct {
	sync.Mutex
	all  map[unsafe.Pointer][]byte
	free map[uintptr][]unsafe.Pointer // by size
}

func mapPages(size uintptr) unsafe.Pointer {
	blocks.Lock()
	defer blocks.Unlock()
	if free := blocks.free[size]; len(free) > 0 {
		p := free[len(free)-1]
		blocks.free[size] = free[:len(free)-1]
		clear(unsafe.Slice((*byte)(p), size))
		return p
	}
	block := make([]byte, size+PageSize)
	p := unsafe.Pointer(&block[0])
	if rest := uintptr(p) % PageSize; rest != 0 {
		p = unsafe.Add(p, PageSize-rest)
	}
	if blocks.all == nil {
		blocks.all = map[unsafe.Pointer][]byte{}
		blocks.free = map[uintptr][]unsafe.Pointer{}
	}
	blocks.all[p] = block
	return p
}

func unmapPages(p unsafe.Pointer, size uintptr) {
	blocks.Lock()
	defer blocks.Unlock()
	blocks.free[size] = append(blocks.free[size], p)
}

func growPages(p unsafe.Pointer, oldSize, newSize uintptr) unsafe.Pointer {
	q := mapPages(newSize)
	copy(unsafe.Slice((*byte)(q), newSize), unsafe.Slice((*byte)(p), oldSize))
	unmapPages(p, oldSize)
	return q
}

func dropPages(unsafe.Pointer, uintptr) {}

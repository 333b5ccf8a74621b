// SPDX-License-Identifier: MPL-2.0

//go:build race

package shm

import (
	"sync"
	"unsafe"
)

// The race detector sees only Go's heap, so race builds take the memory from
// there. A block given back is kept for the next of its size: a stale pointer
// in memory that is not scanned is harmless outside Go's heap, but must not be
// met by the collector when the block is gone.
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

// SPDX-License-Identifier: MPL-2.0

//go:build race

package shm

import (
	"sync"
	"unsafe"
)

// The race detector sees only Go's heap, so race builds take the memory from
// there; live keeps it from the collector. The last freed blocks stay as well:
// pointers to them that nobody follows any more (a shard's iovec, RxPos) are
// harmless to pages of our own, and a bad pointer to the collector in its heap.
var live struct {
	sync.Mutex
	blocks map[unsafe.Pointer][]byte
	freed  [64][]byte
	next   int
}

func mapPages(size uintptr) unsafe.Pointer {
	block := make([]byte, size+PageSize)
	p := unsafe.Pointer(&block[0])
	if rest := uintptr(p) % PageSize; rest != 0 {
		p = unsafe.Add(p, PageSize-rest)
	}
	live.Lock()
	defer live.Unlock()
	if live.blocks == nil {
		live.blocks = map[unsafe.Pointer][]byte{}
	}
	live.blocks[p] = block
	return p
}

func unmapPages(p unsafe.Pointer, _ uintptr) {
	live.Lock()
	defer live.Unlock()
	live.freed[live.next%len(live.freed)] = live.blocks[p]
	live.next++
	delete(live.blocks, p)
}

func growPages(p unsafe.Pointer, oldSize, newSize uintptr) unsafe.Pointer {
	q := mapPages(newSize)
	copy(unsafe.Slice((*byte)(q), newSize), unsafe.Slice((*byte)(p), oldSize))
	unmapPages(p, oldSize)
	return q
}

func dropPages(unsafe.Pointer, uintptr) {}

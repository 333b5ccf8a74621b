// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// Pool is a last-in-first-out list of free blocks of one class: the newest
// free block is the one that is still in the cache. Any thread, Go or C, pops
// and pushes without a lock.
//
// The head packs the address of the first block and a 26-bit tag that changes
// with every operation. Blocks lie at multiples of 1 KiB below 2^48, so the tag
// has the low 10 and the high 16 bits. Invariant: a compare-and-swap
// succeeds only when no operation came between its load and itself, so the
// next word it read is still true (the tag would have to wrap exactly in
// between). Blocks are type-stable, so that read is always of a link word.
//
//capi:struct zl_pool
type Pool struct {
	head atomic.Uint64
	Out  atomic.Int64 // slabs only: blocks in use
	_    [48]byte
}

// The parts of a head.
//
//capi:const ZL
const (
	lowBits  = 10
	lowTag   = 1<<lowBits - 1
	addrMask = 1<<48 - 1 - lowTag
)

// refBits is lowBits of the pool of ClassRef, whose blocks are smaller. Only Go uses that pool.
const refBits = 6

func (p *Pool) lowBits() uint64 {
	if p == &Pools[ClassRef] {
		return refBits
	}
	return lowBits
}

// unpack returns the address in a head of the pool.
func (p *Pool) unpack(head uint64) unsafe.Pointer {
	return pointer(uintptr(head & (1<<48 - 1<<p.lowBits())))
}

// repack returns a head with the address of block and the next tag.
func (p *Pool) repack(head uint64, block unsafe.Pointer) uint64 {
	bits := p.lowBits()
	low := uint64(1)<<bits - 1
	tag := (head&low | head>>48<<bits) + 1
	return uint64(uintptr(block)) | tag&low | tag>>bits<<48
}

// pop returns a free block or nil.
func (p *Pool) pop() unsafe.Pointer {
	for {
		head, next := p.look()
		if block := p.unpack(head); block == nil || p.replace(head, next) {
			return block
		}
	}
}

// takeAll empties the pool and returns its newest block, which links to the others.
func (p *Pool) takeAll() unsafe.Pointer {
	for {
		head := p.head.Load()
		if block := p.unpack(head); block == nil || p.replace(head, nil) {
			return block
		}
	}
}

// push puts a block on top of the pool.
func (p *Pool) push(block unsafe.Pointer) {
	for {
		head := p.head.Load()
		atomic.StorePointer((*unsafe.Pointer)(block), p.unpack(head))
		if p.replace(head, block) {
			return
		}
	}
}

// look returns the head and the block behind it. Other threads may take both before
// replace runs; tests put such operations in between.
func (p *Pool) look() (head uint64, next unsafe.Pointer) {
	head = p.head.Load()
	if block := p.unpack(head); block != nil {
		next = atomic.LoadPointer((*unsafe.Pointer)(block))
	}
	return head, next
}

// replace makes block the first one if the pool's head still equals head.
func (p *Pool) replace(head uint64, block unsafe.Pointer) bool {
	return p.head.CompareAndSwap(head, p.repack(head, block))
}

// Pools are the process's free blocks, by class. They lie in mapped memory because C pops
// and pushes, too.
var Pools = (*[ClassDedicated]Pool)(mapPages(PageSize))

var blockSize = [ClassDedicated]uintptr{RefSize, TinyChunkSize, SmallChunkSize, MidChunkSize,
	LargeChunkSize, SlabSize, Slab64Size, Slab128Size, Slab256Size, Slab512Size, BigSlabSize}

// growStep is how many bytes a pool takes from the system at a time.
var growStep = [ClassDedicated]uintptr{64 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, SlabSize,
	4 * Slab64Size, 2 * Slab128Size, Slab256Size, Slab512Size, BigSlabSize}

// give puts a block into its pool.
func give(class uint32, block unsafe.Pointer) {
	if check.On {
		check.That(class < ClassDedicated && uintptr(block)&^(1<<48-1<<Pools[class].lowBits()) == 0, "a block of a pool lies where its head can tell")
	}
	poison(unsafe.Add(block, linkSize), blockSize[class]-linkSize)
	Pools[class].push(block)
}

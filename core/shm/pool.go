// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"
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
type Pool struct {
	head uint64
	Out  int64 // slabs only: blocks in use; atomic
	_    [48]byte
}

// MaxViewSlabs is how many slabs may be in use while messages that are handed
// to the application still lie in them. Above it they are copied, so messages
// that are kept for long pin at most this many slabs.
const MaxViewSlabs = 32

const (
	lowBits  = 10
	lowTag   = 1<<lowBits - 1
	addrMask = 1<<48 - 1 - lowTag
)

func unpack(head uint64) unsafe.Pointer {
	addr := uintptr(head & addrMask)
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr))
}

// repack returns head with another address and the next tag.
func repack(head uint64, p unsafe.Pointer) uint64 {
	tag := (head&lowTag | head>>48<<lowBits) + 1
	return uint64(uintptr(p)) | tag&lowTag | tag>>lowBits<<48
}

// pop returns a free block or nil.
func (p *Pool) pop() unsafe.Pointer {
	for {
		head, next := p.look()
		if block := unpack(head); block == nil || p.replace(head, next) {
			return block
		}
	}
}

// takeAll empties the pool and returns its newest block, which leads to the others.
func (p *Pool) takeAll() unsafe.Pointer {
	for {
		head := atomic.LoadUint64(&p.head)
		if block := unpack(head); block == nil || p.replace(head, nil) {
			return block
		}
	}
}

// push gives a block back.
func (p *Pool) push(block unsafe.Pointer) {
	for {
		head := atomic.LoadUint64(&p.head)
		atomic.StorePointer((*unsafe.Pointer)(block), unpack(head))
		if p.replace(head, block) {
			return
		}
	}
}

// look returns the head and what follows its block. Until replace, which tests
// put other operations in front of, others may take both away.
func (p *Pool) look() (head uint64, next unsafe.Pointer) {
	head = atomic.LoadUint64(&p.head)
	if block := unpack(head); block != nil {
		next = atomic.LoadPointer((*unsafe.Pointer)(block))
	}
	return head, next
}

// replace makes block the first one if head is still what the pool has.
func (p *Pool) replace(head uint64, block unsafe.Pointer) bool {
	return atomic.CompareAndSwapUint64(&p.head, head, repack(head, block))
}

// Pools are the process's free blocks, by class. They are in mapped memory
// because C pops and pushes as well.
var Pools = (*[ClassDedicated]Pool)(mapPages(PageSize))

var blockSize = [ClassDedicated]uintptr{TinyChunkSize, SmallChunkSize, MidChunkSize,
	LargeChunkSize, SlabSize, BigSlabSize}

// growStep is how many bytes a pool takes from the system at a time.
var growStep = [ClassDedicated]uintptr{64 << 10, 128 << 10, 256 << 10, 512 << 10, SlabSize, BigSlabSize}

func initBlock(class uint32, block unsafe.Pointer, size uintptr) {
	if class <= ClassLarge {
		c := (*Chunk)(block)
		c.Class, c.Cap, c.Size = class, uint32(size-HeaderSize), uint64(size)
		return
	}
	s := (*Slab)(block)
	s.Class, s.Size = class, uint64(size)
}

// freeChunk is NewChunk from the pools only; nil: none is there.
func freeChunk(need uint64, class uint32) *Chunk {
	for ; class <= ClassLarge; class++ {
		if need <= uint64(blockSize[class]-HeaderSize) {
			c := Pools[class].pop()
			if c != nil {
				unpoison(c, blockSize[class])
			}
			return resetChunk((*Chunk)(c))
		}
	}
	return nil
}

// NewChunk returns an empty chunk of at least this class and with room for need
// bytes, or nil when there is no memory.
func NewChunk(need uint64, class uint32) *Chunk {
	for ; class <= ClassLarge; class++ {
		if need <= uint64(blockSize[class]-HeaderSize) {
			return resetChunk((*Chunk)(get(class)))
		}
	}
	size := roundUp(need+HeaderSize, PageSize)
	c := (*Chunk)(mapPages(uintptr(size)))
	if c != nil {
		*c = Chunk{Class: ClassDedicated, Cap: uint32(min(size-HeaderSize, 1<<32-1)), Size: size}
	}
	return c
}

// fittingClass is the smallest class of a chunk for size bytes.
func fittingClass(size uint32) uint32 {
	for class := uint32(ClassTiny); class < ClassLarge; class++ {
		if uintptr(size) <= blockSize[class]-HeaderSize {
			return class
		}
	}
	return ClassLarge
}

// TakeMain removes and returns a session's main queue, which is held no longer;
// TxLock is held. The next one starts with a chunk that this one would have fitted.
func (s *Session) TakeMain() (head, tail *Chunk) {
	head, tail = (*Chunk)(s.TxHead), (*Chunk)(s.TxTail)
	s.TxHead, s.TxTail = nil, nil
	s.TxDirty &^= DirtyHeld
	if head != nil {
		s.TxHint = ClassLarge
		if head == tail || tail.Ext != 0 {
			s.TxHint = uint8(fittingClass(tail.End))
		}
	}
	return head, tail
}

func resetChunk(c *Chunk) *Chunk {
	if c != nil {
		c.Link(nil)
		c.Start, c.End, c.Msgs, c.Open = 0, 0, 0, 0
		c.Ext, c.ExtLen, c.ExtAll, c.Owner = 0, 0, 0, 0
	}
	return c
}

// pointer is the address of something that is alive.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// ExtPointer returns where the bytes of Ext begin; ExtLen is not 0.
func (c *Chunk) ExtPointer() unsafe.Pointer { return pointer(c.Ext) }

// ExtBytes returns the bytes of Ext; ExtLen is not 0.
func (c *Chunk) ExtBytes() []byte { return unsafe.Slice((*byte)(c.ExtPointer()), c.ExtLen) }

// OwnerPointer returns the owner of Ext, or nil.
func (c *Chunk) OwnerPointer() unsafe.Pointer { return pointer(c.Owner) }

// Link sets the chunk behind c. Atomic, as a thread that popped c late may still
// read it, in vain.
func (c *Chunk) Link(next *Chunk) { atomic.StorePointer(&c.Next, unsafe.Pointer(next)) }

// FreeChunk gives a chunk back; its Owner has been released.
func FreeChunk(c *Chunk) {
	if c.Class == ClassDedicated {
		unmapPages(unsafe.Pointer(c), uintptr(c.Size))
		return
	}
	give(c.Class, unsafe.Pointer(c))
}

// give puts a block into its pool.
func give(class uint32, block unsafe.Pointer) {
	poison(unsafe.Add(block, linkSize), blockSize[class]-linkSize)
	Pools[class].push(block)
}

// Bytes returns the chunk's data, all Cap bytes of it.
func (c *Chunk) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), HeaderSize)), c.Cap)
}

// NewSlab returns a slab with one reference and at least need bytes behind its
// header, or nil. Above the largest class it is a mapping of its own.
func NewSlab(need uint64) *Slab {
	var s *Slab
	switch {
	case need <= SlabSize-HeaderSize:
		s = (*Slab)(get(ClassSlab))
	case need <= BigSlabSize-HeaderSize:
		s = (*Slab)(get(ClassBigSlab))
	default:
		size := roundUp(need+HeaderSize, PageSize)
		if s = (*Slab)(mapPages(uintptr(size))); s != nil {
			s.Class, s.Size = ClassDedicated, size
		}
	}
	if s != nil {
		if s.Class == ClassSlab {
			atomic.AddInt64(&Pools[ClassSlab].Out, 1)
		}
		atomic.StorePointer(&s.Next, nil)
		atomic.StoreInt32(&s.Refs, 1)
	}
	return s
}

// GrowSlab makes a dedicated slab with one reference longer, moving it; nil
// when there is no memory, and the old one is as before.
func GrowSlab(s *Slab, need uint64) *Slab {
	size := roundUp(need+HeaderSize, PageSize)
	grown := (*Slab)(growPages(unsafe.Pointer(s), uintptr(s.Size), uintptr(size)))
	if grown != nil {
		grown.Size = size
	}
	return grown
}

// MayView tells whether messages may stay in the slab while the application has
// them. A slab of a long frame holds nothing else.
func (s *Slab) MayView() bool {
	return s.Class != ClassSlab || atomic.LoadInt64(&Pools[ClassSlab].Out) <= MaxViewSlabs
}

// Bytes returns all bytes behind the slab's header.
func (s *Slab) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), HeaderSize)), s.Size-HeaderSize)
}

// Retain adds a reference. The caller holds one already.
func (s *Slab) Retain() { atomic.AddInt32(&s.Refs, 1) }

// Release gives a reference back; the last one frees the slab. Any thread.
func (s *Slab) Release() {
	if atomic.AddInt32(&s.Refs, -1) != 0 {
		return
	}
	if s.Class == ClassDedicated {
		unmapPages(unsafe.Pointer(s), uintptr(s.Size))
		return
	}
	if s.Class == ClassSlab {
		atomic.AddInt64(&Pools[ClassSlab].Out, -1)
	}
	give(s.Class, unsafe.Pointer(s))
}

func roundUp(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }

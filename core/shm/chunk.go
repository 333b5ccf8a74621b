// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

func initBlock(class uint32, block unsafe.Pointer, size uintptr) {
	if class <= ClassLarge {
		c := (*Chunk)(block)
		c.Class, c.Cap, c.Size = class, uint32(size-HeaderSize), uint64(size)
		return
	}
	s := (*Slab)(block)
	s.Class, s.Size = class, uint64(size)
}

// freeChunk is NewChunk that uses only the pools. It returns nil if they have no chunk.
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

// NewChunk returns an empty chunk of at least this class with room for need bytes, or
// nil when there is no memory.
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

// fittingClass returns the smallest chunk class that holds size bytes.
func fittingClass(size uint32) uint32 {
	for class := uint32(ClassTiny); class < ClassLarge; class++ {
		if uintptr(size) <= blockSize[class]-HeaderSize {
			return class
		}
	}
	return ClassLarge
}

func resetChunk(c *Chunk) *Chunk {
	if c != nil {
		c.Link(nil)
		c.Start, c.End, c.Msgs, c.Open = 0, 0, 0, 0
		c.Ext, c.ExtLen, c.ExtAll, c.Owner = 0, 0, 0, 0
	}
	return c
}

// pointer turns the address of a living object into a pointer.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// ExtPointer returns the address of the bytes of Ext. ExtLen must not be 0.
func (c *Chunk) ExtPointer() unsafe.Pointer { return pointer(c.Ext) }

// ExtBytes returns the bytes of Ext. ExtLen must not be 0.
func (c *Chunk) ExtBytes() []byte { return unsafe.Slice((*byte)(c.ExtPointer()), c.ExtLen) }

// OwnerPointer returns the owner of Ext, or nil.
func (c *Chunk) OwnerPointer() unsafe.Pointer { return pointer(c.Owner) }

// Link sets the chunk behind c. The store is atomic because a thread that pops too late
// may still read the word; its compare-and-swap then fails.
func (c *Chunk) Link(next *Chunk) { atomic.StorePointer(&c.Next, unsafe.Pointer(next)) }

// FreeChunk frees a chunk. The caller has released its Owner.
func FreeChunk(c *Chunk) {
	if c.Class == ClassDedicated {
		unmapPages(unsafe.Pointer(c), uintptr(c.Size))
		return
	}
	give(c.Class, unsafe.Pointer(c))
}

// Bytes returns the chunk's data, all Cap bytes of it.
func (c *Chunk) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), HeaderSize)), c.Cap)
}

// HeadMost is the longest header for Headed.
const HeadMost = int(unsafe.Sizeof(Chunk{}.Owner))

// Headed returns size bytes of data with a header of a protocol in front of them, where they
// lie: the header takes the place of Owner, which a chunk without Ext does not have. Nothing of
// the data is written yet. Unhead must follow before anything else is done with the chunk.
func (c *Chunk) Headed(header []byte, size int) []byte {
	if check.On {
		check.That(c.Start == 0 && c.Ext == 0 && c.Owner == 0, "a chunk with a header in front has no other use for that place")
	}
	first := unsafe.Add(unsafe.Pointer(c), HeaderSize-len(header))
	all := unsafe.Slice((*byte)(first), len(header)+size)
	copy(all, header)
	return all
}

// Unhead ends Headed.
func (c *Chunk) Unhead() { c.Owner = 0 }

// room returns the number of bytes that the chunk still takes.
func (c *Chunk) room() uint32 {
	if c.Ext != 0 {
		return 0
	}
	return c.Cap - c.End
}

// CopyStart copies the first bytes that are not written, and returns their number.
func (c *Chunk) CopyStart(to []byte) (n int) {
	n = copy(to, c.Bytes()[c.Start:c.End])
	if c.ExtLen > 0 {
		n += copy(to[n:], c.ExtBytes())
	}
	return n
}

// ChainLen returns the number of data bytes in c and the chunks behind it.
func (c *Chunk) ChainLen() (n int) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		n += int(c.End - c.Start)
	}
	return n
}

// ChainSize returns the memory that c and the chunks behind it take, in bytes.
func (c *Chunk) ChainSize() (n int64) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		n += int64(c.Size)
	}
	return n
}

// CopyChain copies the data of c and of the chunks behind it. to must be large enough.
func (c *Chunk) CopyChain(to []byte) (n int) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		n += copy(to[n:], c.Bytes()[c.Start:c.End])
	}
	return n
}

// FreeChain frees c and the chunks behind it.
func FreeChain(c *Chunk) {
	for c != nil {
		next := (*Chunk)(c.Next)
		FreeChunk(c)
		c = next
	}
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// MaxViewSlabs is the number of slabs in use up to which messages stay in them while the
// application has them. Above it messages are copied: messages that an application keeps
// for long pin at most this many slabs.
//
//capi:const ZL
const MaxViewSlabs = 25

// NewSlab returns a slab for the frames of many reads, with one reference, or nil.
func NewSlab() *Slab {
	s := resetSlab((*Slab)(get(ClassSlab)))
	if s != nil {
		Pools[ClassSlab].Out.Add(1)
	}
	return s
}

// NewLongSlab returns a slab for one long frame, with one reference and at least need bytes
// behind its header, or nil. Above the largest class it has a mapping of its own.
func NewLongSlab(need uint64) *Slab {
	for class := uint32(ClassSlab64); class < ClassDedicated; class++ {
		if need <= uint64(blockSize[class]-HeaderSize) {
			return resetSlab((*Slab)(get(class)))
		}
	}
	size := roundUp(need+HeaderSize, PageSize)
	s := (*Slab)(mapPages(uintptr(size)))
	if s != nil {
		s.Class, s.Size = ClassDedicated, size
	}
	return resetSlab(s)
}

func resetSlab(s *Slab) *Slab {
	if s != nil {
		atomic.StorePointer(&s.Next, nil)
		s.Need = 0
		s.Account.Store(nil)
		s.Charged.Store(0)
		s.Refs.Store(1)
	}
	return s
}

// GrowSlab enlarges a dedicated slab with one reference, and may move it. Without memory
// it returns nil and leaves the slab as before.
func GrowSlab(s *Slab, need uint64) *Slab {
	size := roundUp(need+HeaderSize, PageSize)
	if check.On {
		check.That(s.Class == ClassDedicated && s.Refs.Load() == 1, "a slab that grows has a mapping and a user of its own")
	}
	grown := (*Slab)(growPages(unsafe.Pointer(s), uintptr(s.Size), uintptr(size)))
	if grown != nil {
		grown.Size = size
	}
	return grown
}

// MayView reports whether messages may stay in the slab while the application has
// them. A slab of a long frame holds nothing else.
func (s *Slab) MayView() bool {
	return s.Class != ClassSlab || Pools[ClassSlab].Out.Load() <= MaxViewSlabs
}

// Bytes returns all bytes behind the slab's header.
func (s *Slab) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), HeaderSize)), s.Size-HeaderSize)
}

// Retain adds a reference. The caller holds one already.
func (s *Slab) Retain() {
	refs := s.Refs.Add(1)
	if check.On {
		check.That(refs > 1, "a slab is retained by one who has a reference")
	}
}

// Release drops a reference; the last one frees the slab. Any thread.
func (s *Slab) Release() { s.ReleaseMany(1) }

// ReleaseMany is as many calls of Release in one step. Any thread.
func (s *Slab) ReleaseMany(count int32) {
	refs := s.Refs.Add(-count)
	if check.On {
		check.That(refs >= 0, "a slab is released no more often than it is retained")
	}
	if refs != 0 {
		return
	}
	s.credit(s.Charged.Load())
	if s.Class == ClassCopied {
		return
	}
	if s.Class == ClassDedicated {
		unmapPages(unsafe.Pointer(s), uintptr(s.Size))
		return
	}
	if s.Class == ClassSlab {
		out := Pools[ClassSlab].Out.Add(-1)
		if check.On {
			check.That(out >= 0, "no more slabs come back than went out")
		}
	}
	give(s.Class, unsafe.Pointer(s))
}

func roundUp(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }

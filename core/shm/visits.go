// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// Visits names sessions that a shard has to look at (MarkVisit), in order. The list lies in
// chunks of the pools: what the collector finds later would grow with each message for many. They
// are addresses, because the collector must not meet what else a chunk has held. The sessions
// are type-stable, and may be stale. One thread at a time has a list.
type Visits struct {
	first, last *Chunk
}

const visitSize = uint32(unsafe.Sizeof(uintptr(0)))

// NewVisits returns a block of a list, for about so many sessions, or nil when there is no memory.
func NewVisits(sessions int) *Chunk {
	room := min(uint32(min(sessions, 1<<16))*visitSize, MidChunkSize-HeaderSize)
	return NewChunk(uint64(room), fittingClass(room))
}

// Add puts a session behind the others. If it needs *spare, a block of NewVisits, for that, it takes it
// and leaves nil.
func (v *Visits) Add(s *Session, spare **Chunk) {
	c := v.last
	if c == nil || c.Cap-c.End < visitSize {
		c = *spare
		*spare = nil
		v.Append(&Visits{c, c})
	}
	*(*uintptr)(unsafe.Pointer(&c.Bytes()[c.End])) = uintptr(unsafe.Pointer(s))
	c.End += visitSize
}

// Append moves the sessions of another list behind the others.
func (v *Visits) Append(more *Visits) {
	switch {
	case more.first == nil:
		return
	case v.first == nil:
		v.first = more.first
	default:
		v.last.Link(more.first)
	}
	v.last = more.last
	*more = Visits{}
}

// Empty reports whether the list has no session.
func (v *Visits) Empty() bool { return v.first == nil }

// Take takes the first session. The list is not empty.
func (v *Visits) Take() *Session {
	c := v.first
	if check.On {
		check.That(c.Start < c.End, "a block of a list has a session")
	}
	s := c.visitAt(c.Start)
	if c.Start += visitSize; c.Start < c.End {
		_ = c.visitAt(c.Start).TxLimit.Load() // the next one's memory is on its way when its turn comes
	} else {
		if v.first = (*Chunk)(c.Next); v.first == nil {
			v.last = nil
		}
		FreeChunk(c)
	}
	return s
}

func (c *Chunk) visitAt(at uint32) *Session {
	return (*Session)(pointer(*(*uintptr)(unsafe.Pointer(&c.Bytes()[at]))))
}

// Drop empties the list.
func (v *Visits) Drop() {
	FreeChain(v.first)
	*v = Visits{}
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// Dropped are messages that left a queue unsent.
type Dropped struct {
	Msgs, Bytes uint64
	head        *Chunk
}

// Free frees the chunks of dropped messages of q. release gets the owners of their bodies.
func (d *Dropped) Free(q *Queues, release func(owner unsafe.Pointer)) {
	for d.head != nil {
		c := d.head
		d.head = (*Chunk)(c.Next)
		c.ReleaseExt(q, release)
		FreeChunk(c)
	}
}

// DropOldest drops messages from the start of the main queue until a new one has room. It
// leaves the messages that the driver has, and the one that it has begun to write. It
// returns what Judge does, and what it dropped, which the caller has to free. Any thread.
func (s *Session) DropOldest(q *Queues, rid uint32, body int, owned bool) (d Dropped, result AppendResult) {
	p := parcelOf(body, owned)
	s.Lock()
	defer s.Unlock()
	for {
		result = s.judge(q, rid, p)
		if result != AppendFull && result != AppendStarved || !s.dropFirst(q, &d) {
			return d, result
		}
	}
}

// MarkBegun stores how many bytes at the start of a held queue belong to what is partly
// written, and how many of them to the first message. TxLock is held, by the driver.
func (s *Session) MarkBegun(first, all uint64) {
	s.mustHold()
	if all > math.MaxUint32 { // nothing of the queue may go
		first, all = math.MaxUint32, math.MaxUint32
	}
	s.TxFirst, s.TxBegun = uint32(first), uint32(all)
}

// place is a place in a queue.
type place struct {
	c  *Chunk
	at uint64 // of the bytes of c that are not written
}

func (c *Chunk) left() uint64 { return uint64(c.End-c.Start) + uint64(c.ExtLen) }

// from returns bytes that are not written, from an offset on: those of the data, or of Ext.
func (c *Chunk) from(at uint64) []byte {
	if inline := uint64(c.End - c.Start); at >= inline {
		return c.ExtBytes()[at-inline:]
	}
	return c.Bytes()[uint64(c.Start)+at : c.End]
}

// forget drops the first n bytes that are not written. The chunk has more.
func (c *Chunk) forget(n uint64) {
	inline := uint32(min(n, uint64(c.End-c.Start)))
	c.Start += inline
	if ext := uint32(n) - inline; ext > 0 { // of several messages in a Cast
		c.Ext, c.ExtLen = c.Ext+uintptr(ext), c.ExtLen-ext
	}
}

// skip moves on. A place at the end of a chunk is the start of the next one.
func (p *place) skip(n uint64) {
	for p.at += n; p.c != nil && p.at >= p.c.left(); p.c = (*Chunk)(p.c.Next) {
		p.at -= p.c.left()
	}
}

// frame returns the size of the frame that begins here.
func (p place) frame(q *Queues) uint64 {
	var front [FrontSize]byte
	size := lengthSize
	if q.TxHeaders != 0 {
		size = FrontSize
	}
	for n := 0; n < size; p.skip(0) {
		got := copy(front[n:size], p.c.from(p.at))
		n, p.at = n+got, p.at+uint64(got)
	}
	if q.TxHeaders != 0 {
		return Framed(front[:])
	}
	return lengthSize + uint64(binary.BigEndian.Uint32(front[:])&q.TxMask)
}

// dropFirst drops the first message that is not begun. It returns false if there is none.
func (s *Session) dropFirst(q *Queues, d *Dropped) bool {
	s.mustHold()
	prev, c, ok := s.afterBegun(q)
	if !ok {
		return false
	}
	size, freed := place{c: c}.frame(q), int64(0)
	for rest := size; rest > 0; {
		part := min(rest, c.left())
		rest -= part
		if part < c.left() { // it ends in front of the next message
			c.forget(part)
			c.Msgs--
			break
		}
		if rest == 0 {
			c.Msgs--
		}
		s.TxDone.Add(c.Msgs) // of a chunk that is partly written: they were
		next := (*Chunk)(c.Next)
		freed += s.unlink(q, prev, c)
		c.Link(d.head)
		d.head, c = c, next
	}
	if check.On {
		check.That(s.TxQueued.Load() != s.TxDone.Load(), "a message that is dropped was queued")
	}
	s.TxQueued.Store(s.TxQueued.Load() - 1)
	s.TxBytes -= size
	d.Msgs++
	d.Bytes += size
	if s.TxDirty&DirtyHeld != 0 {
		s.allow(int64(s.TxRoom) - 2*int64(size) + freed)
	}
	return true
}

// unlink takes c, behind prev, out of the main queue, and returns the memory that it has.
func (s *Session) unlink(q *Queues, prev, c *Chunk) int64 {
	next := (*Chunk)(c.Next)
	if prev == nil {
		s.TxHead = next
	} else {
		prev.Link(next)
	}
	if next == nil {
		s.TxTail = prev
	}
	size := int64(c.Size) + int64(c.lent())
	s.Memory.Add(-size)
	q.Charge(-c.charge())
	return size
}

// afterBegun returns the chunk that begins with the first message that may be dropped, and
// the one in front of it. It splits the chunk in which that message begins.
func (s *Session) afterBegun(q *Queues) (prev, c *Chunk, ok bool) {
	rest, before := uint64(s.TxBegun), uint64(0)
	for c = s.TxHead; c != nil && rest >= c.left(); c = (*Chunk)(c.Next) {
		rest -= c.left()
		before += c.left()
		prev = c
	}
	if c == nil || rest == 0 {
		return prev, c, c != nil
	}
	front := NewChunk(rest, ClassTiny)
	if front == nil || front.Class == ClassDedicated {
		return nil, nil, false
	}
	front.End = uint32(c.CopyStart(front.Bytes()[:rest]))
	front.Msgs = s.endsBehind(q, before)
	c.forget(rest)
	c.Msgs -= front.Msgs
	front.Link(c)
	if prev == nil {
		s.TxHead = front
	} else {
		prev.Link(front)
	}
	s.Memory.Add(int64(front.Size))
	q.Charge(front.charge())
	return front, c, true
}

// endsBehind counts the messages of the begun part of the queue that end behind an offset.
func (s *Session) endsBehind(q *Queues, offset uint64) (n uint32) {
	at := place{c: s.TxHead}
	for end := uint64(0); end < uint64(s.TxBegun); {
		size := uint64(s.TxFirst)
		if end > 0 || size == 0 {
			size = at.frame(q)
		}
		at.skip(size)
		if end += size; end > offset {
			n++
		}
	}
	return n
}

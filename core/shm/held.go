// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// A held queue
//
// While the kernel takes nothing of a session, all that is queued lies in its
// main queue, the driver leaves it there (DirtyHeld), and senders add to it
// sparingly. Invariant, for every size and pace of messages:
//
//	blocks <= 2*bytes + TinyChunkSize
//
// A body that is sent from where it is counts itself, whole until the driver gives it
// back (core/engine/hold.go).
//
// TxRoom is then how many bytes of blocks the queue may take on, to the letter of
// that, once its last chunk is full: a byte that is added allows two more, and the
// room of the last chunk is counted as added. So it changes only with a chunk.
// Messages are split where a chunk ends.

// sparing is the largest class of chunks that take at most room bytes, or the
// smallest one.
func sparing(room uint64) uint32 {
	class := uint32(ClassLarge)
	for class > ClassTiny && uint64(blockSize[class]) > room {
		class--
	}
	return class
}

// TakeBack begins to hold the main queue, of which the driver takes what is there,
// to put it back with what it could not write. TxLock is held.
func (s *Session) TakeBack() (head, tail *Chunk) {
	head, tail = (*Chunk)(s.TxHead), (*Chunk)(s.TxTail)
	s.TxHead, s.TxTail = nil, nil
	s.TxDirty |= DirtyHeld
	s.TxRoom = 0
	return head, tail
}

// PutBack puts a queue in front of the held main queue. queued are the bytes of
// both, blocks those of their blocks. TxLock is held.
func (s *Session) PutBack(head, tail *Chunk, queued, blocks int64) {
	for next := (*Chunk)(s.TxHead); next != nil && tail != nil && tail.takes(next); next = (*Chunk)(s.TxHead) {
		// Both are not full: what senders put there meanwhile is not much.
		tail.merge(next)
		if s.TxHead = next.Next; s.TxHead == nil {
			s.TxTail = nil
		}
		blocks -= int64(next.Size)
		atomic.AddInt64(&s.Memory, -int64(next.Size))
		FreeChunk(next)
	}
	if head != nil {
		tail.Link((*Chunk)(s.TxHead))
		s.TxHead = unsafe.Pointer(head)
		if s.TxTail == nil {
			s.TxTail = unsafe.Pointer(tail)
		}
	}
	allowed := 2*queued + TinyChunkSize - blocks
	if tail = (*Chunk)(s.TxTail); tail != nil {
		allowed += 2 * int64(tail.room())
	}
	s.allow(allowed)
}

// allow stores how many bytes of blocks a held queue may take on.
func (s *Session) allow(room int64) { s.TxRoom = uint32(min(max(room, 0), 1<<30)) }

// Sparse tells whether a queue takes more than a held one may.
func Sparse(queued, blocks int64, tail *Chunk) bool {
	over := blocks - 2*queued
	return over > TinyChunkSize || tail != nil && over > 2*int64(tail.room())
}

// room is how many bytes the chunk still takes.
func (c *Chunk) room() uint32 {
	if c.Ext != 0 {
		return 0
	}
	return c.Cap - c.End
}

// takes tells whether all of next fits into c.
func (c *Chunk) takes(next *Chunk) bool {
	return c.Ext == 0 && next.End-next.Start <= c.Cap-c.End
}

// merge moves what is in next, which fits, to the end of c.
func (c *Chunk) merge(next *Chunk) {
	data := next.Bytes()[next.Start:next.End]
	c.End += uint32(copy(c.Bytes()[c.End:], data))
	c.finish(next, uint32(len(data)))
}

// finish gives c what belongs to the end of from, whose last bytes c has got.
func (c *Chunk) finish(from *Chunk, bytes uint32) {
	if from.Msgs > 0 {
		c.Open = from.Open
	} else {
		c.Open += bytes
	}
	c.Msgs += from.Msgs
	c.Ext, c.ExtLen, c.ExtAll, c.Owner = from.Ext, from.ExtLen, from.ExtAll, from.Owner
}

// Pack copies what lies in chunks that are less than three quarters full together,
// and returns the new queue and how many bytes of blocks more it takes. The queue
// is the caller's own.
func Pack(head *Chunk) (first, last *Chunk, more int64) {
	var q packed
	for c := head; c != nil; {
		next := (*Chunk)(c.Next)
		used := uint64(c.End - c.Start)
		full := c.Class == ClassTiny && c.Ext != 0 || 4*used >= 3*c.Size
		if full || !q.add(c) {
			q.link(c)
		} else {
			q.more -= int64(c.Size)
			FreeChunk(c)
		}
		c = next
	}
	return q.head, q.tail, q.more
}

// packed is a queue that Pack makes.
type packed struct {
	head, tail *Chunk
	more       int64
}

func (q *packed) link(c *Chunk) {
	c.Link(nil)
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.Link(c)
	}
	q.tail = c
}

// add copies what is in c to the end of the queue; false: there is no memory, and
// the queue is as before.
func (q *packed) add(c *Chunk) bool {
	data := c.Bytes()[c.Start:c.End]
	if q.tail != nil && q.tail.takes(c) {
		q.tail.merge(c)
		return true
	}
	part := uint32(0)
	if q.tail != nil {
		part = q.tail.room()
	}
	rest := NewPacked(data[part:])
	if rest == nil && uint32(len(data)) == part { // only Ext is left
		rest = NewChunk(0, ClassTiny)
	}
	if rest == nil {
		return false
	}
	if part > 0 {
		q.tail.End += uint32(copy(q.tail.Bytes()[q.tail.End:], data[:part]))
		q.tail.Open += part
	}
	for rest != nil {
		next := (*Chunk)(rest.Next)
		q.link(rest)
		q.more += int64(rest.Size)
		rest = next
	}
	q.tail.finish(c, 0)
	return true
}

// NewPacked returns a copy of data in chunks that take at most twice its bytes
// and TinyChunkSize; nil: no data, or no memory.
func NewPacked(data []byte) *Chunk {
	var head, tail *Chunk
	for len(data) > 0 {
		c := NewChunk(0, sparing(2*uint64(len(data))))
		if c == nil {
			FreeChain(head)
			return nil
		}
		c.End = uint32(copy(c.Bytes(), data))
		data = data[c.End:]
		if tail == nil {
			head = c
		} else {
			tail.Link(c)
		}
		tail = c
	}
	return head
}

// ChainLen returns how many bytes of data the chunks from c on hold, and ChainSize
// what they take.
func (c *Chunk) ChainLen() (n int) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		n += int(c.End - c.Start)
	}
	return n
}

// ChainSize is the memory of the chunks from c on.
func (c *Chunk) ChainSize() (n int64) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		n += int64(c.Size)
	}
	return n
}

// CopyChain copies the data of the chunks from c on, which fits.
func (c *Chunk) CopyChain(to []byte) (n int) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		n += copy(to[n:], c.Bytes()[c.Start:c.End])
	}
	return n
}

// FreeChain gives the chunks from c on back.
func FreeChain(c *Chunk) {
	for c != nil {
		next := (*Chunk)(c.Next)
		FreeChunk(c)
		c = next
	}
}

// spares are chunks that a sender got while it did not hold the lock.
type spares struct{ head *Chunk }

func (sp *spares) add(c *Chunk) {
	c.Link(sp.head)
	sp.head = c
}

func (sp *spares) take() *Chunk {
	c := sp.head
	if c != nil {
		sp.head = (*Chunk)(c.Next)
		c.Link(nil)
	}
	return c
}

func (sp *spares) free() {
	FreeChain(sp.head)
	sp.head = nil
}

// appendHeld is append for a held queue whose last chunk has not room for all of
// the frame: it is filled, and the rest goes into others. TxLock is held.
func (s *Session) appendHeld(body []byte, sp *spares) (result AppendResult, class uint32) {
	tail := (*Chunk)(s.TxTail)
	part := uint64(0)
	if tail != nil {
		part = uint64(tail.room())
	}
	var chain, last *Chunk
	room, blocks := int64(s.TxRoom), int64(0)
	for rest := lengthSize + uint64(len(body)) - part; ; {
		class = sparing(uint64(max(room, 0)) + 2*rest)
		c := sp.take()
		if c == nil {
			c = freeChunk(0, class)
		}
		if c == nil {
			for chain != nil { // they are there for the next try
				next := (*Chunk)(chain.Next)
				sp.add(chain)
				chain = next
			}
			return appendNeedsChunk, class
		}
		if last == nil {
			chain = c
		} else {
			last.Link(c)
		}
		last = c
		room += 2*int64(c.Cap) - int64(c.Size)
		blocks += int64(c.Size)
		if rest <= uint64(c.Cap) {
			break
		}
		rest -= uint64(c.Cap)
	}
	if tail == nil {
		s.TxHead = unsafe.Pointer(chain)
	} else {
		tail.Link(chain)
		tail.Open = uint32(part)
	}
	s.TxTail = unsafe.Pointer(last)
	s.allow(room)
	atomic.AddInt64(&s.Memory, blocks)
	if part == 0 {
		tail = chain
	}
	var length [lengthSize]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(body)))
	for _, data := range [][]byte{length[:], body} {
		for len(data) > 0 {
			if tail.End == tail.Cap {
				tail = (*Chunk)(tail.Next)
			}
			n := copy(tail.Bytes()[tail.End:], data)
			tail.End += uint32(n)
			data = data[n:]
		}
	}
	s.appended(last, len(body))
	return Appended, 0
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"github.com/zlink/zlink/core/check"
)

// A held queue
//
// While the kernel takes nothing of a session, all queued bytes lie in its main
// queue. The driver leaves them there (DirtyHeld), and senders add to them
// sparingly. Invariant, for every size and pace of messages:
//
//	blocks <= 2*bytes + TinyChunkSize
//
// A body that is sent from its own place counts as a block, whole until the driver
// releases it (core/engine/hold.go).
//
// TxRoom says how many bytes of blocks the queue may add under this invariant once its
// last chunk is full. Every added byte allows two more, and the room of the last chunk
// counts as added already. TxRoom therefore changes only with a chunk. A message is
// split where a chunk ends.

// TakeBack begins to hold the main queue. It returns the queued chunks to the driver,
// which puts them back together with what it could not write. TxLock is held.
func (s *Session) TakeBack() (head, tail *Chunk) {
	s.mustHold()
	head, tail = s.TxHead, s.TxTail
	s.TxHead, s.TxTail = nil, nil
	s.TxDirty |= DirtyHeld
	s.TxRoom, s.TxBegun, s.TxFirst = 0, 0, 0
	return head, tail
}

// PutBack puts a queue in front of the held main queue. queued is the number of bytes in
// both, blocks the size of their blocks. TxLock is held.
func (s *Session) PutBack(q *Queues, head, tail *Chunk, queued, blocks int64) {
	for next := s.TxHead; next != nil && tail != nil && tail.takes(next); next = s.TxHead {
		// Neither is full: senders have added little meanwhile.
		tail.merge(next)
		if s.TxHead = (*Chunk)(next.Next); s.TxHead == nil {
			s.TxTail = nil
		}
		blocks -= int64(next.Size)
		s.Memory.Add(-int64(next.Size))
		q.Charge(-(next.charge() - int64(next.lent())))
		FreeChunk(next)
	}
	if head != nil {
		tail.Link(s.TxHead)
		s.TxHead = head
		s.TxMarks |= MarkTwins // senders have not seen it
		if s.TxTail == nil {
			s.TxTail = tail
		}
	}
	s.mustHold()
	if check.On {
		check.That(s.TxDirty&DirtyHeld != 0, "a queue is put back that is held")
	}
	allowed := 2*queued + TinyChunkSize - blocks
	if tail = s.TxTail; tail != nil {
		allowed += 2 * int64(tail.room())
	}
	s.allow(allowed)
}

// allow stores how many bytes of blocks a held queue may add.
func (s *Session) allow(room int64) { s.TxRoom = uint32(min(max(room, 0), 1<<30)) }

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

// appendHeld is append for a held queue whose last chunk is too small for the frame. It
// fills that chunk and puts the rest into others. TxLock is held.
func (s *Session) appendHeld(q *Queues, header, body []byte, p parcel, sp *spares) (result AppendResult, class uint32) {
	tail := s.TxTail
	part := uint64(0)
	if tail != nil {
		part = uint64(tail.room())
	}
	var chain, last *Chunk
	room, blocks := int64(s.TxRoom), int64(0)
	for rest := p.bytes - part; ; {
		class = sparing(uint64(max(room, 0)) + 2*rest)
		c := sp.take()
		if c == nil {
			c = freeChunk(0, class)
		}
		if c == nil {
			for chain != nil { // the next try uses them
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
		s.TxHead = chain
	} else {
		tail.Link(chain)
		tail.Open = uint32(part)
	}
	s.TxTail = last
	s.allow(room)
	s.count(q, chain, blocks)
	if part == 0 {
		tail = chain
	}
	var front [FrontSize]byte
	for _, data := range q.piecesOf(&front, header, body, p.mark) {
		for len(data) > 0 {
			if tail.End == tail.Cap {
				tail = (*Chunk)(tail.Next)
			}
			n := copy(tail.Bytes()[tail.End:], data)
			tail.End += uint32(n)
			data = data[n:]
		}
	}
	s.appended(last, p.bytes)
	return Appended, 0
}

// sparing returns the largest class whose chunks take at most room bytes, or else the
// smallest class.
func sparing(room uint64) uint32 {
	class := uint32(ClassLarge)
	for class > ClassTiny && uint64(blockSize[class]) > room {
		class--
	}
	return class
}

// Sparse reports whether a queue takes more memory than a held one may.
func Sparse(queued, blocks int64, tail *Chunk) bool {
	over := blocks - 2*queued
	return over > TinyChunkSize || tail != nil && over > 2*int64(tail.room())
}

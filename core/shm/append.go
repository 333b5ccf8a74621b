// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// AppendResult says what became of a message.
type AppendResult int

const (
	Appended     AppendResult = iota
	AppendedWake              // appended, and the shard, which slept, was woken
	AppendGone                // the peer is no longer there
	AppendFull                // the peer's queue is at SNDHWM
	AppendNoMemory

	appendNeedsChunk // none is free: the system has to be asked, without the lock
)

// lengthSize is the length field in front of every body.
const lengthSize = 4

// Senders hold a session's lock and no more. What they found before (socket,
// table, session) may have been freed and become another's, so under the lock
// they compare socket's serial and routing id, of which no two are ever the same. From there
// until they give the lock back the connection is there, and so are its socket
// and shard, as a connection ends (Detach) under this lock. So all that a send does
// to a shard is done under the lock: what comes after it belongs to nobody.

// Append queues one message to the peer that rid named in the socket with this
// serial when the caller found s, and wakes the shard if it sleeps. With owner the
// bytes at body are not copied: they stay until the host's ReleaseOwner gets owner. Any
// thread. capi/path.h has the copying path once more in C.
func (s *Session) Append(serial uint64, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	need := uint64(lengthSize)
	if owner == nil {
		need += uint64(len(body))
	}
	if need > LargeChunkSize-HeaderSize {
		return s.appendLong(serial, rid, body)
	}
	var spare spares
	s.Lock()
	result, class := s.append(serial, rid, body, owner, need, &spare)
	for result == appendNeedsChunk {
		s.Unlock() // the system may have to be asked for memory
		c := NewChunk(0, class)
		if c == nil {
			spare.free()
			return AppendNoMemory
		}
		spare.add(c)
		s.Lock()
		result, class = s.append(serial, rid, body, owner, need, &spare)
	}
	if result == Appended {
		result = s.owe()
	}
	s.Unlock()
	spare.free() // room came up meanwhile, or the peer went
	return result
}

// owe puts the session, whose main queue is not empty, on its shard's list, and
// wakes the shard if it sleeps. TxLock is held, and the session is open.
func (s *Session) owe() AppendResult {
	s.mustHold()
	if check.On {
		check.That(s.TxHead != nil && s.TxState == TxOpen, "what is owed to the shard is there, and of an open session")
	}
	if s.TxDirty != 0 {
		return Appended
	}
	s.TxDirty = DirtyListed
	if s.Shard.PushDirty(s) != MustWake {
		return Appended
	}
	s.Shard.Wake()
	return AppendedWake
}

// judge says whether a message for rid may be queued now; TxLock is held.
func (s *Session) judge(serial uint64, rid uint32) AppendResult {
	switch {
	case !s.names(serial, rid):
		return AppendGone
	case !s.HasRoom():
		return AppendFull
	}
	return Appended
}

// nextClass is the class of the next chunk of a main queue that is not held, for
// need bytes; TxLock is held.
func (s *Session) nextClass(need uint64) uint32 {
	tail := s.TxTail
	switch {
	case tail != nil && tail.Ext != 0:
		return fittingClass(uint32(need))
	case tail != nil:
		return max(min(tail.Class+1, ClassLarge), fittingClass(uint32(need)))
	}
	return max(uint32(s.TxHint), fittingClass(uint32(need)))
}

// chunkFor returns the chunk that takes need more bytes of the main queue: the
// last one, a spare, or a free one; nil: none of that class is at hand. TxLock is
// held.
func (s *Session) chunkFor(need uint64, owned bool, sp *spares) (c *Chunk, class uint32) {
	tail := s.TxTail
	if tail != nil && uint64(tail.room()) >= need {
		return tail, 0
	}
	if class = ClassTiny; !owned { // else nothing goes behind the length
		class = s.nextClass(need)
	}
	if c = sp.take(); c != nil && uint64(c.Cap) < need {
		FreeChunk(c) // of a time when the queue was held
		c = nil
	}
	if c == nil {
		c = freeChunk(need, class)
	}
	if c != nil {
		s.link(c, c, int64(c.Size))
	}
	return c, class
}

// link puts chunks of so many bytes behind the main queue. TxLock is held.
func (s *Session) link(head, tail *Chunk, blocks int64) {
	s.mustHold()
	if check.On {
		check.That(blocks > 0 && tail.Next == nil, "what is linked has blocks and an end")
	}
	lost := uint32(0)
	if last := s.TxTail; last == nil {
		s.TxHead = head
	} else {
		lost = last.room()
		last.Link(head)
	}
	if s.TxDirty&DirtyHeld != 0 {
		added := int64(tail.room()) - int64(lost)
		for c := head; c != nil; c = (*Chunk)(c.Next) {
			added += int64(c.End)
		}
		s.allow(int64(s.TxRoom) + 2*added - blocks)
	}
	s.TxTail = tail
	s.Memory.Add(blocks)
}

// appended counts a message whose last byte is in c. TxLock is held.
func (s *Session) appended(c *Chunk, body int) {
	s.mustHold()
	if check.On {
		check.That(c.Start <= c.End && c.End <= c.Cap, "a chunk ends within its block")
	}
	c.Msgs++
	s.TxQueued.Store(s.TxQueued.Load() + 1) // HasRoom looks without the lock
	s.TxBytes += lengthSize + uint64(body)
}

// appendLong is Append for a body that no single chunk can hold. It is copied
// into chunks of its own without the lock.
func (s *Session) appendLong(serial uint64, rid uint32, body []byte) AppendResult {
	s.Lock()
	result := s.judge(serial, rid)
	s.Unlock()
	if result != Appended {
		return result
	}
	head, tail, blocks := newChain(body)
	if head == nil {
		return AppendNoMemory
	}
	s.Lock()
	defer s.Unlock()
	if result = s.judge(serial, rid); result != Appended {
		FreeChain(head)
		return result
	}
	s.link(head, tail, blocks)
	s.appended(tail, len(body))
	return s.owe()
}

// newChain copies a frame into large chunks, but for what is left at its end; nil
// when there is no memory. blocks is what they take.
func newChain(body []byte) (head, tail *Chunk, blocks int64) {
	var length [lengthSize]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(body)))
	for part := length[:]; len(part) > 0; {
		class := uint32(ClassLarge)
		if tail != nil {
			class = fittingClass(uint32(min(len(part), LargeChunkSize)))
		}
		c := NewChunk(0, class)
		if c == nil {
			FreeChain(head)
			return nil, nil, 0
		}
		if tail == nil {
			head = c
			c.End = uint32(copy(c.Bytes(), part))
			part = body
		} else {
			tail.Link(c)
		}
		n := copy(c.Bytes()[c.End:], part)
		c.End += uint32(n)
		part, tail = part[n:], c
		blocks += int64(c.Size)
	}
	return head, tail, blocks
}

// AppendMany queues the messages that next yields, under one lock and copied,
// until it has no more (false) or one does not go in at once. It returns how
// many it queued, and what Append would have. Any thread.
func (s *Session) AppendMany(serial uint64, rid uint32, next func(i int) (body []byte, ok bool)) (n int, result AppendResult) {
	var spare spares
	defer func() { spare.free() }()
	s.Lock()
	defer s.Unlock()
	for ; ; n++ {
		body, ok := next(n)
		need := lengthSize + uint64(len(body))
		if !ok || need > LargeChunkSize-HeaderSize {
			break
		}
		if result, _ = s.append(serial, rid, body, nil, need, &spare); result != Appended {
			break
		}
	}
	if n > 0 {
		result = s.owe()
	}
	return n, result
}

// Is reports whether s is now the session that the socket with this serial calls
// rid, and open.
func (s *Session) Is(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.names(serial, rid)
}

// BeginClose ends what senders may queue for the session that the socket with
// this serial calls rid. false: it is not open. Any thread.
func (s *Session) BeginClose(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	if !s.names(serial, rid) {
		return false
	}
	s.TxState = TxClosing
	return true
}

// Open reports whether senders may queue messages.
func (s *Session) Open() bool {
	s.Lock()
	defer s.Unlock()
	return s.TxState == TxOpen
}

// BeginAbort is BeginClose, also for a session that is told to close.
func (s *Session) BeginAbort(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	if s.Rid != rid || s.Owner != serial || s.TxState == TxClosed {
		return false
	}
	s.TxState = TxClosing
	return true
}

// Closing reports whether s is still the session that BeginClose was called for.
func (s *Session) Closing(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.Rid == rid && s.Owner == serial && s.TxState == TxClosing
}

func (s *Session) names(serial uint64, rid uint32) bool {
	return s.Rid == rid && s.Owner == serial && s.TxState == TxOpen
}

// HasRoom reports whether SNDHWM lets one more message through. Any thread; with
// TxLock held it stays true until the caller appends.
func (s *Session) HasRoom() bool {
	return s.TxHwm == 0 || s.TxQueued.Load()-s.TxDone.Load() < s.TxHwm
}

// append is Append with the lock, and with the chunks that are at hand.
// appendNeedsChunk: one of that class is missing.
func (s *Session) append(serial uint64, rid uint32, body []byte, owner unsafe.Pointer, need uint64, sp *spares) (AppendResult, uint32) {
	if result := s.judge(serial, rid); result != Appended {
		return result, 0
	}
	tail := s.TxTail
	if owner == nil && s.TxDirty&DirtyHeld != 0 && (tail == nil || uint64(tail.room()) < need) {
		return s.appendHeld(body, sp)
	}
	c, class := s.chunkFor(need, owner != nil, sp)
	if c == nil {
		return appendNeedsChunk, class
	}
	if check.On {
		check.That(uint64(c.room()) >= need, "a chunk that was chosen has room")
	}
	free := c.Bytes()[c.End:]
	binary.BigEndian.PutUint32(free, uint32(len(body)))
	c.End += uint32(need)
	if owner == nil {
		copy(free[lengthSize:], body)
	} else {
		s.own(c, body, owner)
	}
	s.appended(c, len(body))
	return Appended, 0
}

// own puts a body that is not copied behind what is in c, which is full then.
func (s *Session) own(c *Chunk, body []byte, owner unsafe.Pointer) {
	size := uint32(len(body))
	if s.TxDirty&DirtyHeld != 0 { // its own memory, and twice that allowed
		s.allow(int64(s.TxRoom) + int64(size) - 2*int64(c.room()))
	}
	c.Ext, c.ExtLen, c.ExtAll, c.Owner = uintptr(unsafe.Pointer(&body[0])), size, size, uintptr(owner)
	s.Memory.Add(int64(size))
}

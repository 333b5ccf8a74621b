// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
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
// bytes at body are not copied: they stay until ReleaseOwner gets owner. Any
// thread. capi/queue.h has the copying path once more in C.
func (s *Session) Append(serial uint64, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	need := uint64(lengthSize)
	if owner == nil {
		need += uint64(len(body))
	}
	if need > LargeChunkSize-HeaderSize {
		return s.appendLong(serial, rid, body)
	}
	var spare *Chunk
	s.Lock()
	result := s.append(serial, rid, body, owner, need, &spare)
	if result == appendNeedsChunk {
		class := s.nextClass()
		s.Unlock() // the system may have to be asked for memory
		if spare = NewChunk(need, class); spare == nil {
			return AppendNoMemory
		}
		s.Lock()
		result = s.append(serial, rid, body, owner, need, &spare)
	}
	if result == Appended {
		result = s.owe()
	}
	s.Unlock()
	if spare != nil { // room came up meanwhile, or the peer went
		FreeChunk(spare)
	}
	return result
}

// owe puts the session, whose main queue is not empty, on its shard's list, and
// wakes the shard if it sleeps. TxLock is held, and the session is open.
func (s *Session) owe() AppendResult {
	if s.TxDirty != 0 {
		return Appended
	}
	s.TxDirty = 1
	if s.Shard.PushDirty(s) != MustWake {
		return Appended
	}
	s.Shard.Wake()
	return AppendedWake
}

// Wake ends the sleep of the shard's driver. The caller knows that the shard is
// not stopped.
func (sh *Shard) Wake() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(sh.WakeFd), uintptr(unsafe.Pointer(&one)), 8)
}

// check says whether a message for rid may be queued now; TxLock is held.
func (s *Session) check(serial uint64, rid uint32) AppendResult {
	switch {
	case !s.names(serial, rid):
		return AppendGone
	case !s.HasRoom():
		return AppendFull
	}
	return Appended
}

// nextClass is the class of the next chunk of the main queue; TxLock is held.
func (s *Session) nextClass() uint32 {
	if tail := (*Chunk)(s.TxTail); tail != nil {
		return min(tail.Class+1, ClassLarge)
	}
	return uint32(s.TxHint)
}

// chunkFor returns the chunk that takes need more bytes of the main queue: the
// last one, spare, or a free one; nil: none is at hand. TxLock is held.
func (s *Session) chunkFor(need uint64, spare **Chunk) *Chunk {
	tail := (*Chunk)(s.TxTail)
	if tail != nil && tail.Ext == 0 && uint64(tail.Cap-tail.End) >= need {
		return tail
	}
	c := *spare
	if *spare = nil; c == nil {
		if c = freeChunk(need, s.nextClass()); c == nil {
			return nil
		}
	}
	if tail == nil {
		s.TxHead = unsafe.Pointer(c)
	} else {
		tail.Link(c)
	}
	s.TxTail = unsafe.Pointer(c)
	atomic.AddInt64(&s.Held, int64(c.Size))
	return c
}

// appendLong is Append for a body that no single chunk can hold. It is copied
// into chunks of its own without the lock.
func (s *Session) appendLong(serial uint64, rid uint32, body []byte) AppendResult {
	s.Lock()
	result := s.check(serial, rid)
	s.Unlock()
	if result != Appended {
		return result
	}
	head, tail, held := newChain(body)
	if head == nil {
		return AppendNoMemory
	}
	s.Lock()
	defer s.Unlock()
	if result = s.check(serial, rid); result != Appended {
		freeChain(head)
		return result
	}
	if s.TxTail == nil {
		s.TxHead = unsafe.Pointer(head)
	} else {
		(*Chunk)(s.TxTail).Link(head)
	}
	s.TxTail = unsafe.Pointer(tail)
	atomic.StoreUint32(&s.TxQueued, s.TxQueued+1)
	s.TxBytes += lengthSize + uint64(len(body))
	atomic.AddInt64(&s.Held, held)
	return s.owe()
}

// newChain copies a frame into large chunks, of which the last one has the
// message; nil when there is no memory. held is what they take.
func newChain(body []byte) (head, tail *Chunk, held int64) {
	var length [lengthSize]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(body)))
	for part := length[:]; len(part) > 0; {
		c := NewChunk(lengthSize, ClassLarge)
		if c == nil {
			freeChain(head)
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
		held += int64(c.Size)
	}
	tail.Msgs = 1
	return head, tail, held
}

func freeChain(c *Chunk) {
	for c != nil {
		next := (*Chunk)(c.Next)
		FreeChunk(c)
		c = next
	}
}

// AppendMany queues the messages that next yields, under one lock and copied,
// until it has no more (false) or one does not go in at once. It returns how
// many it queued, and what Append would have. Any thread.
func (s *Session) AppendMany(serial uint64, rid uint32, next func(i int) (body []byte, ok bool)) (n int, result AppendResult) {
	s.Lock()
	defer s.Unlock()
	for ; ; n++ {
		body, ok := next(n)
		if !ok || uint64(len(body)) > LargeChunkSize {
			break
		}
		var spare *Chunk
		if result = s.append(serial, rid, body, nil, lengthSize+uint64(len(body)), &spare); result != Appended {
			break
		}
	}
	if n > 0 {
		result = s.owe()
	}
	return n, result
}

// Is tells whether s is now the session that the socket with this serial calls
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

// Closing tells whether s is still the session that BeginClose was called for.
func (s *Session) Closing(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.Rid == rid && s.Owner == serial && s.TxState == TxClosing
}

func (s *Session) names(serial uint64, rid uint32) bool {
	return s.Rid == rid && s.Owner == serial && s.TxState == TxOpen
}

// HasRoom tells whether SNDHWM lets one more message through. Any thread; with
// TxLock held it stays true until the caller appends.
func (s *Session) HasRoom() bool {
	return s.TxHwm == 0 || atomic.LoadUint32(&s.TxQueued)-atomic.LoadUint32(&s.TxDone) < s.TxHwm
}

func (s *Session) append(serial uint64, rid uint32, body []byte, owner unsafe.Pointer, need uint64, spare **Chunk) AppendResult {
	if result := s.check(serial, rid); result != Appended {
		return result
	}
	c := s.chunkFor(need, spare)
	if c == nil {
		return appendNeedsChunk
	}
	free := c.Bytes()[c.End:]
	binary.BigEndian.PutUint32(free, uint32(len(body)))
	if owner == nil {
		copy(free[lengthSize:], body)
	} else {
		c.Ext, c.ExtLen, c.Owner = uintptr(unsafe.Pointer(&body[0])), uint64(len(body)), uintptr(owner)
	}
	c.End += uint32(need)
	c.Msgs++
	atomic.StoreUint32(&s.TxQueued, s.TxQueued+1) // HasRoom looks without the lock
	s.TxBytes += lengthSize + uint64(len(body))
	return Appended
}

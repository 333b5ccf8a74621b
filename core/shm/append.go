// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// AppendResult says what became of a message.
type AppendResult int

const (
	Appended     AppendResult = iota
	AppendedWake              // appended; the caller must wake the shard
	AppendGone                // the peer is no longer there
	AppendFull                // the peer's queue is at SNDHWM
	AppendNoMemory

	appendNeedsChunk // none is free: the system has to be asked, without the lock
)

// lengthSize is the length field in front of every body.
const lengthSize = 4

// Append queues one message to the peer that rid named when the caller found
// s, which may have become another socket's session since. With owner the
// bytes at body are not copied: they stay until ReleaseOwner gets owner. Any
// thread. capi/queue.h has the copying path once more in C.
func (s *Session) Append(k *Socket, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	need := uint64(lengthSize)
	if owner == nil {
		need += uint64(len(body))
	}
	if need > LargeChunkSize-HeaderSize {
		return s.appendLong(k, rid, body)
	}
	var spare *Chunk
	s.Lock()
	result := s.append(k, rid, body, owner, need, &spare)
	if result == appendNeedsChunk {
		class := s.nextClass()
		s.Unlock() // the system may have to be asked for memory
		if spare = NewChunk(need, class); spare == nil {
			return AppendNoMemory
		}
		s.Lock()
		result = s.append(k, rid, body, owner, need, &spare)
	}
	first := result == Appended && s.TxDirty == 0
	if first {
		s.TxDirty = 1
	}
	shard := s.Shard
	s.Unlock()
	if spare != nil { // room came up meanwhile, or the peer went
		FreeChunk(spare)
	}
	if first && shard.PushDirty(s) == MustWake {
		return AppendedWake
	}
	return result
}

// check says whether a message for rid may be queued now; TxLock is held.
func (s *Session) check(k *Socket, rid uint32) AppendResult {
	switch {
	case !s.names(k, rid):
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
	return s.TxHint
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
func (s *Session) appendLong(k *Socket, rid uint32, body []byte) AppendResult {
	s.Lock()
	result := s.check(k, rid)
	s.Unlock()
	if result != Appended {
		return result
	}
	head, tail, held := newChain(body)
	if head == nil {
		return AppendNoMemory
	}
	s.Lock()
	if result = s.check(k, rid); result != Appended {
		s.Unlock()
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
	first := s.TxDirty == 0
	s.TxDirty = 1
	shard := s.Shard
	s.Unlock()
	if first && shard.PushDirty(s) == MustWake {
		return AppendedWake
	}
	return Appended
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
// many it queued, and whether the caller must wake the shard. Any thread.
func (s *Session) AppendMany(k *Socket, rid uint32, next func(i int) (body []byte, ok bool)) (n int, wake bool) {
	s.Lock()
	for ; ; n++ {
		body, ok := next(n)
		if !ok || uint64(len(body)) > LargeChunkSize {
			break
		}
		var spare *Chunk
		if s.append(k, rid, body, nil, lengthSize+uint64(len(body)), &spare) != Appended {
			break
		}
	}
	first := n > 0 && s.TxDirty == 0
	if first {
		s.TxDirty = 1
	}
	shard := s.Shard
	s.Unlock()
	return n, first && shard.PushDirty(s) == MustWake
}

// Is tells whether s is now the session that the socket k calls rid, and open.
func (s *Session) Is(k *Socket, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.names(k, rid)
}

// BeginClose ends what senders may queue for the session that k calls rid.
// false: it is not open. Any thread.
func (s *Session) BeginClose(k *Socket, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	if !s.names(k, rid) {
		return false
	}
	s.TxState = TxClosing
	return true
}

// Closing tells whether s is still the session that BeginClose was called for.
func (s *Session) Closing(k *Socket, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.Rid == rid && s.Sock == k && s.TxState == TxClosing
}

func (s *Session) names(k *Socket, rid uint32) bool {
	return s.Rid == rid && s.Sock == k && s.TxState == TxOpen
}

// HasRoom tells whether SNDHWM lets one more message through. Any thread; with
// TxLock held it stays true until the caller appends.
func (s *Session) HasRoom() bool {
	return s.TxHwm == 0 || atomic.LoadUint32(&s.TxQueued)-atomic.LoadUint32(&s.TxDone) < s.TxHwm
}

func (s *Session) append(k *Socket, rid uint32, body []byte, owner unsafe.Pointer, need uint64, spare **Chunk) AppendResult {
	if result := s.check(k, rid); result != Appended {
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

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
)

// lengthSize is the length field in front of every body.
const lengthSize = 4

// Append queues one message to the peer that rid named when the caller found
// s, which may have become another socket's session since. With owner the
// bytes at body are not copied: they stay until ReleaseOwner gets owner. Any
// thread. capi/hot.c has the copying path once more in C.
func (s *Session) Append(k *Socket, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	s.Lock()
	result := s.append(k, rid, body, owner)
	first := result == Appended && s.TxDirty == 0
	if first {
		s.TxDirty = 1
	}
	shard := s.Shard
	s.Unlock()
	if first && shard.PushDirty(s) == MustWake {
		return AppendedWake
	}
	return result
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

// HasRoom tells whether SNDHWM lets one more message through.
func (s *Session) HasRoom() bool {
	return s.TxHwm == 0 || s.TxQueued-atomic.LoadUint32(&s.TxDone) < s.TxHwm
}

func (s *Session) append(k *Socket, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	if !s.names(k, rid) {
		return AppendGone
	}
	if !s.HasRoom() {
		return AppendFull
	}
	need := uint64(lengthSize)
	if owner == nil {
		need += uint64(len(body))
	}
	c := (*Chunk)(s.TxTail)
	if c == nil || c.Ext != nil || uint64(c.Cap-c.End) < need {
		class := s.TxHint
		if c != nil {
			class = min(c.Class+1, ClassLarge)
		}
		if c = NewChunk(need, class); c == nil {
			return AppendNoMemory
		}
		if s.TxTail == nil {
			s.TxHead = unsafe.Pointer(c)
		} else {
			(*Chunk)(s.TxTail).Link(c)
		}
		s.TxTail = unsafe.Pointer(c)
	}
	free := c.Bytes()[c.End:]
	binary.BigEndian.PutUint32(free, uint32(len(body)))
	if owner == nil {
		copy(free[lengthSize:], body)
	} else {
		c.Ext, c.ExtLen, c.Owner = unsafe.Pointer(&body[0]), uint64(len(body)), owner
	}
	c.End += uint32(need)
	c.Msgs++
	s.TxQueued++
	return Appended
}

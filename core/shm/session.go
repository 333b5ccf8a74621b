// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// NewSession returns a new slot for a session of q, with one reference. It has no id yet
// and is closed for senders. NewSession returns nil when there is no memory.
func NewSession(q *Queues, w *Wakeup) *Session {
	s := (*Session)(sessionSlots.get())
	if s == nil {
		return nil
	}
	s.Lock() // a sender with a stale pointer may be looking
	s.Rid.Store(0)
	s.TxState, s.TxHwm = TxClosed, 0
	s.TxDone.Store(0)
	s.TxQueued.Store(0)
	s.TxDirty, s.TxHint, s.TxMarks = 0, ClassTiny, MarkUp
	s.TxBegun, s.TxFirst = 0, 0
	s.TxHead, s.TxTail, s.TxBytes = nil, nil, 0
	s.SetBound(0)
	s.Memory.Store(0)
	s.Shard, s.Owner = w, q.Serial
	s.Unlock()
	s.RxQueued.Store(0)
	s.RxStalled.Store(0)
	s.ID, s.IDLen, s.IPKind = nil, 0, 0
	s.Up = RunHead{Kind: RunConnected}
	s.Down = RunHead{Kind: RunDisconnected}
	s.Refs.Store(1)
	return s
}

// Retain adds a reference to the slot.
func (s *Session) Retain() {
	refs := s.Refs.Add(1)
	if check.On {
		check.That(refs > 1, "a session is retained by one who has a reference")
	}
}

// Release drops a reference; the last one frees the slot. Any thread.
func (s *Session) Release() {
	refs := s.Refs.Add(-1)
	if check.On {
		check.That(refs >= 0, "a session is released no more often than it is retained")
	}
	if refs == 0 {
		FreeSession(s)
	}
}

// FreeSession frees a slot whose last reference is gone. It is closed for senders.
func FreeSession(s *Session) {
	if check.On {
		check.That(s.Refs.Load() == 0, "a free session has no references")
		check.That(s.TxState == TxClosed, "a free session is closed for senders")
		check.That(s.RxQueued.Load() == 0, "a free session has no messages in the socket")
	}
	s.dropReason()
	s.dropCard()
	if s.ID != nil && s.ID != &s.ID4[0] {
		aliasSlots.put(unsafe.Pointer(s.ID))
	}
	sessionSlots.put(unsafe.Pointer(s))
}

// MaxID is the longest id frame in bytes.
const MaxID = 255

// SetID sets the id frame: a copy of the alias, or the four bytes of rid if there is no
// alias. It returns false when there is no memory.
func (s *Session) SetID(rid uint32, alias []byte) bool {
	s.ID4 = [4]byte{byte(rid >> 24), byte(rid >> 16), byte(rid >> 8), byte(rid)}
	s.ID, s.IDLen = &s.ID4[0], 4
	if len(alias) > 0 {
		place := (*byte)(aliasSlots.get())
		if place == nil {
			return false
		}
		s.ID, s.IDLen = place, uint8(copy(unsafe.Slice(place, MaxID), alias))
	}
	return true
}

// Rid4 returns the routing id that the connection had when it came up. It stays valid
// after the connection's end.
func (s *Session) Rid4() uint32 { return binary.BigEndian.Uint32(s.ID4[:]) }

// IDFrame returns the id frame. It must not be kept or changed.
func (s *Session) IDFrame() []byte { return unsafe.Slice(s.ID, s.IDLen) }

// TakeMain removes and returns a session's main queue and ends its hold. The next queue
// starts with a chunk that would have fitted this one. TxLock is held.
func (s *Session) TakeMain() (head, tail *Chunk) {
	s.mustHold()
	head, tail = s.TxHead, s.TxTail
	if check.On {
		check.That((head == nil) == (tail == nil), "a main queue has both ends, or neither")
	}
	s.TxHead, s.TxTail = nil, nil
	s.TxDirty &^= DirtyHeld
	s.TxBegun, s.TxFirst = 0, 0
	if head != nil {
		s.TxHint = ClassLarge
		if head == tail || tail.Ext != 0 {
			s.TxHint = uint8(fittingClass(tail.End))
		}
	}
	return head, tail
}

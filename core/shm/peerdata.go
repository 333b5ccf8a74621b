// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"
)

// PeerData is what the application has given for a peer. It lies behind the texts of the
// peer's card, if the socket has asked for that, so that all messages of the peer lead to the
// same one. These are numbers here: Go does not look at addresses of C. The lock of cards guards
// changes; messages read Data without it.
//
//capi:struct zl_peer_data
type PeerData struct {
	Data atomic.Uint64 // an address of C
	Free uint64        // a function of C that gets Data and Hint; 0: none
	Hint uint64
}

// Given is a PeerData at one moment.
type Given struct{ Data, Free, Hint uintptr }

// FreePeerData frees what C has given: the host sets it.
var FreePeerData func(Given)

// free is called without locks: the application's function may do as it likes.
func (g Given) free() {
	if g.Free != 0 {
		FreePeerData(g)
	}
}

// Box is what a Go program has given for a peer. The messages of the peer refer to it as well,
// and the collector frees it.
type Box struct{ value atomic.Pointer[any] }

// Value returns what was given last, or nil. b may be nil.
func (b *Box) Value() any {
	if b != nil {
		if v := b.value.Load(); v != nil {
			return *v
		}
	}
	return nil
}

// Set replaces what was given.
func (b *Box) Set(v any) { b.value.Store(&v) }

// data returns the place behind the texts, or nil. capi/msg.c has the same in C.
func (c *Card) data() *PeerData {
	if c.HasData == 0 {
		return nil
	}
	return (*PeerData)(unsafe.Add(unsafe.Pointer(c), (unsafe.Sizeof(*c)+uintptr(c.Size)+7)&^7))
}

func (d *PeerData) given() Given {
	return Given{uintptr(d.Data.Load()), uintptr(d.Free), uintptr(d.Hint)}
}

// takeData takes out what was given. The lock of cards is held.
func (c *Card) takeData() (last Given) {
	if d := c.data(); d != nil {
		last = d.given()
		d.Data.Store(0)
		d.Free, d.Hint = 0, 0
		if cards.all[c] != nil {
			cards.all[c] = nil // messages have the box
		}
	}
	return last
}

// EndData says that no more messages of the session's peer come: the receiver has its disconnect
// event, or will never get it. From then on nothing can be given for the peer. The caller calls
// what EndData returns, without locks; it frees what was given if no message has it. The caller
// has a reference to the session, or keeps its last one from going.
func (s *Session) EndData() (free func()) {
	given := Given{}
	if s.TakesData() {
		cards.Lock()
		defer cards.Unlock()
		c := s.Card()
		if !s.dataOver() {
			s.IP[overAt] = 1
			if c.Refs.Add(CardOver-1) == CardOver {
				given = c.takeData()
			}
		}
	}
	return given.free
}

// dataOver reports whether EndData was called. The lock of cards is held, or the session is free.
func (s *Session) dataOver() bool { return s.IP[overAt] != 0 }

// TakesData reports whether the application may give data for the session's peer. The caller
// has a reference to the session.
func (s *Session) TakesData() bool {
	c := s.Card()
	return c != nil && c.HasData != 0
}

// GiveData replaces what C has given for the peer, and returns what frees the last one, or nil
// after EndData. The caller calls that without locks. It has a reference to the session, which
// takes data.
func (s *Session) GiveData(g Given) (freeLast func()) {
	d := s.Card().data()
	cards.Lock()
	defer cards.Unlock()
	if s.dataOver() {
		return nil
	}
	last := d.given()
	d.Data.Store(uint64(g.Data))
	d.Free, d.Hint = uint64(g.Free), uint64(g.Hint)
	return last.free
}

// Box returns where a Go program gives data for the peer, or nil if it may not, also after EndData.
// The caller has a reference to the session.
func (s *Session) Box() *Box {
	c := s.Card()
	if c == nil || c.HasData == 0 {
		return nil
	}
	cards.Lock()
	defer cards.Unlock()
	if s.dataOver() {
		return nil
	}
	b := cards.all[c]
	if b == nil {
		b = &Box{}
		cards.all[c] = b
	}
	return b
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// Card is what is kept of a peer, for sockets that ask for it. It does not change. A session
// that has one has it in the place of the peer's address (IPCard), and so does each message of
// the mode FAST or of zlink_msg_recv, so that a message has its own peer's properties whatever
// became of the session. Size bytes of text follow: names and values in turn, each with a NUL.
//
//capi:struct zl_card
type Card struct {
	Refs    atomic.Int32 // the session and messages; CardOver
	Size    uint32       // bytes of text
	Account *Account     // counts the card's memory; that of the socket
	IP      [16]byte     // the peer's
	Zone    uint32
	Port    uint16
	IPKind  uint8
	HasData uint8 // not 0: a PeerData follows the texts, at a multiple of 8 bytes
}

// CardOver is what a session counts in Refs, instead of 1, once no more messages of its peer can
// come (EndData). The rest are messages then, and the last of them frees what was given for the
// peer. The session, of a connection that may still close, keeps the card itself.
//
//capi:const ZL
const CardOver = 1 << 30

// overAt is a byte of the place of the address that the pointer to a card leaves free. Not 0: the
// session counts CardOver.
const overAt = 8

// cards keeps the cards alive: they are in Go's heap, but sessions and C's messages, which the
// collector does not see, lead to them.
var cards struct {
	sync.Mutex
	all map[*Card]*Box
}

// cardEntry is about what a card takes in that map.
const cardEntry = 16

func (c *Card) memory() int64 {
	bytes := int64(unsafe.Sizeof(*c)) + int64(c.Size) + cardEntry
	if c.HasData != 0 {
		bytes += int64(unsafe.Sizeof(PeerData{}))
	}
	return bytes
}

// SetCard gives a new session an address and a card with the texts, which lives until nobody
// refers to it. data: the application may give data for the peer.
func (s *Session) SetCard(account *Account, a Peer, texts []byte, data bool) {
	words := (int(unsafe.Sizeof(Card{})) + len(texts) + 7) / 8
	if data {
		words += int(unsafe.Sizeof(PeerData{}) / 8)
	}
	c := (*Card)(unsafe.Pointer(&make([]uint64, words)[0]))
	c.Size, c.Account = uint32(len(texts)), account
	if data {
		c.HasData = 1
	}
	c.IP, c.IPKind, c.Port, c.Zone = a.IP, a.Kind, a.Port, a.Zone
	copy(c.texts(), texts)
	c.Refs.Store(1)
	account.Cards.Add(c.memory())
	cards.Lock()
	defer cards.Unlock()
	if cards.all == nil {
		cards.all = map[*Card]*Box{}
	}
	cards.all[c] = nil
	// A number: before a pointer is written, the collector may look at what was there, as at a
	// pointer, and that is an address, or a card that is free.
	*(*uintptr)(unsafe.Pointer(s.cardPlace())) = uintptr(unsafe.Pointer(c))
	s.IPKind, s.Port, s.Zone = IPCard, 0, 0
	s.IP[overAt] = 0
}

// ShareCard gives a new session the address, or the card, of another, to which the caller has a
// reference.
func (s *Session) ShareCard(with *Session) {
	s.IP, s.IPKind, s.Port, s.Zone = with.IP, with.IPKind, with.Port, with.Zone
	if c := s.Card(); c != nil {
		refs := c.Refs.Add(1)
		if check.On {
			check.That(refs > 1, "a card is shared by a session that has it")
		}
	}
}

func (s *Session) cardPlace() **Card { return (**Card)(unsafe.Pointer(&s.IP)) }

// Card returns the session's card, or nil. The caller has a reference to the session.
func (s *Session) Card() *Card {
	if s.IPKind != IPCard {
		return nil
	}
	return *s.cardPlace()
}

// Release drops a reference; the last one frees the card, and the last but that of a session that
// counts CardOver what was given. Any thread. capi/msg.c has in C what needs no lock.
func (c *Card) Release() { c.release(1) }

func (c *Card) release(weight int32) {
	cards.Lock()
	left := c.Refs.Add(-weight)
	if check.On {
		check.That(left >= 0, "a card is released no more often than it is retained")
	}
	given := Given{}
	if left == 0 || left == CardOver {
		given = c.takeData()
	}
	if left == 0 {
		c.drop()
	}
	cards.Unlock()
	given.free()
}

// drop forgets a card whose last reference is gone. The lock of cards is held.
func (c *Card) drop() {
	held := c.Account.Cards.Add(-c.memory())
	if check.On {
		check.That(held >= 0, "no more cards go than came")
	}
	if delete(cards.all, c); len(cards.all) == 0 {
		cards.all = nil // after a crowd has gone
	}
}

func (c *Card) texts() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), unsafe.Sizeof(*c))), c.Size)
}

// Texts returns a copy of the card's texts. c may be nil.
func (c *Card) Texts() []byte {
	if c == nil {
		return nil
	}
	return bytes.Clone(c.texts())
}

// Property returns a value of the card's texts. c may be nil.
func (c *Card) Property(name string) (value string, has bool) {
	if c == nil {
		return "", false
	}
	return Property(c.texts(), name)
}

// Property returns a value of a card's texts. has: it is there.
func Property(texts []byte, name string) (value string, has bool) {
	for len(texts) > 0 {
		is, rest, _ := bytes.Cut(texts, []byte{0})
		found, behind, _ := bytes.Cut(rest, []byte{0})
		if sameName(string(is), name) {
			return string(found), true
		}
		texts = behind
	}
	return "", false
}

// HeaderPrefix begins the names of properties that are fields of HTTP. The rest of such a
// name is compared without case.
const HeaderPrefix = "WS-Header:"

func sameName(a, b string) bool {
	return a == b || strings.HasPrefix(a, HeaderPrefix) && strings.HasPrefix(b, HeaderPrefix) && strings.EqualFold(a, b)
}

// Peer is the address of a session's peer.
type Peer struct {
	IP   [16]byte
	Kind uint8 // IPNone, IP4 or IP6
	Port uint16
	Zone uint32 // of a link-local address
}

// SetPeer gives a new session an address.
func (s *Session) SetPeer(a Peer) { s.IP, s.IPKind, s.Port, s.Zone = a.IP, a.Kind, a.Port, a.Zone }

// Peer returns the address. The caller has a reference to the session.
func (s *Session) Peer() Peer {
	if c := s.Card(); c != nil {
		return Peer{c.IP, c.IPKind, c.Port, c.Zone}
	}
	return Peer{s.IP, s.IPKind, s.Port, s.Zone}
}

// dropCard gives the card up when the slot becomes free.
func (s *Session) dropCard() {
	if c := s.Card(); c != nil {
		weight := int32(1)
		if s.dataOver() {
			weight = CardOver
		}
		s.IPKind = IPNone
		c.release(weight)
	}
}

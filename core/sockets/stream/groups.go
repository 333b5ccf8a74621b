// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Groups
//
// A group has the routing ids of its members in one array, so that a publish copies them and
// lets go of the lock before it queues anything. Where a peer is in each group is a chain of
// seats, whose first one the peer's session names. A seat takes 12 bytes, and its place in the
// group 8 more, at most doubled by the growth of arrays.
//
// Whoever joins looks under TxLock whether the session is open, and holds mu until the seat is
// there. The end of a connection closes the session under TxLock, and then takes its seats under
// mu. So no seat outlives its connection, and none is of an earlier user of the session.

// groupMost is the longest name of a group in bytes.
//
//capi:const ZL
const groupMost = 255

// groups are the groups of a socket.
type groups struct {
	any    atomic.Bool // there ever was a group: else nobody takes mu
	mu     sync.Mutex
	byName map[string]uint32 // number of a group
	all    []*group          // by number; nil: free
	free   []uint32          // numbers
	seats  seats
	bytes  int // of the groups, without seats
}

// group is a set of peers.
type group struct {
	name  string
	peers []uint32 // routing ids
	seats []uint32 // of each
}

// seat is the place of a peer in a group.
type seat struct {
	group uint32 // its number
	at    uint32 // index in peers
	next  uint32 // the peer's next one; 0: none
}

// seatPage is the number of seats that are allocated at a time.
const seatPage = 256

// seats has all seats of a socket, numbered from 1.
type seats struct {
	pages []*[seatPage]seat
	free  uint32 // the first of those that are free, linked by next
	used  int
}

func (s *seats) get(n uint32) *seat { return &s.pages[(n-1)/seatPage][(n-1)%seatPage] }

func (s *seats) take() uint32 {
	if s.free == 0 {
		first := uint32(len(s.pages))*seatPage + 1
		s.pages = append(s.pages, new([seatPage]seat))
		for n := first; n < first+seatPage; n++ {
			s.give(n)
		}
	}
	n := s.free
	s.free = s.get(n).next
	s.used++
	return n
}

func (s *seats) give(n uint32) {
	*s.get(n) = seat{next: s.free}
	s.free = n
}

// Join makes a peer a member of a group, which exists while it has members. A member that joins
// once more stays one. A peer leaves all groups when its connection ends; its routing id
// is not given again soon, and never to a member. Any number of goroutines, in both modes.
// EINVAL: peer is 0, or the name is empty or longer than 255 bytes. EHOSTUNREACH: the peer does
// not exist, or is going. ENOMEM, ETERM, ENOTSOCK.
func (k *Socket) Join(peer uint32, group string) error {
	if err := k.enterGroup(peer, group); err != nil {
		return err
	}
	defer k.leave()
	g := &k.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	g.any.Store(true)
	s, err := k.sessionOf(peer)
	if err != nil {
		return err
	}
	g.join(s, peer, group)
	return nil
}

// Leave ends the membership of a peer in a group, if it is a member. The errors are those of
// Join.
func (k *Socket) Leave(peer uint32, group string) error {
	if err := k.enterGroup(peer, group); err != nil {
		return err
	}
	defer k.leave()
	g := &k.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	s, err := k.sessionOf(peer)
	if err != nil {
		return err
	}
	if number, exists := g.byName[group]; exists {
		g.quit(s, peer, number)
	}
	return nil
}

// sessionOf returns the session of an open peer, or EHOSTUNREACH.
func (k *Socket) sessionOf(peer uint32) (*shm.Session, error) {
	s := k.shared.InSlot(peer)
	if s == nil || !s.Is(k.serial, peer) {
		return nil, errno.New(errno.EHOSTUNREACH, "no peer has the routing id %d", peer)
	}
	return s, nil
}

// Publish is Multicast to the members of a group. Those that join or leave while it runs may
// get it or not. A group without members takes 0. EINVAL also: the name is empty or longer
// than 255 bytes.
func (k *Socket) Publish(group string, body []byte, options ...CastOption) (took int, err error) {
	if err := checkGroup(group); err != nil {
		return 0, err
	}
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	members := scratch.Get().(*[]uint32)
	defer scratch.Put(members)
	*members = k.groups.members((*members)[:0], group)
	return k.cast(*members, body, true, options)
}

// scratch are arrays for the members of a group.
var scratch = sync.Pool{New: func() any { return new([]uint32) }}

func checkGroup(name string) error {
	if name == "" || len(name) > groupMost {
		return errno.New(errno.EINVAL, "the name of a group has 1 to %d bytes, not %d", groupMost, len(name))
	}
	return nil
}

// enterGroup is enter for a call about a peer and a group.
func (k *Socket) enterGroup(peer uint32, name string) error {
	if peer == 0 {
		return errno.New(errno.EINVAL, "0 is no routing id")
	}
	if err := checkGroup(name); err != nil {
		return err
	}
	return k.enter()
}

// members appends the routing ids of a group's members.
func (g *groups) members(to []uint32, name string) []uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if number, exists := g.byName[name]; exists {
		to = append(to, g.all[number].peers...)
	}
	return to
}

// number returns that of a group, which it makes if need be. mu is held.
func (g *groups) number(name string) uint32 {
	if number, exists := g.byName[name]; exists {
		return number
	}
	if g.byName == nil {
		g.byName = map[string]uint32{}
	}
	number := uint32(len(g.all))
	if last := len(g.free) - 1; last >= 0 {
		number, g.free = g.free[last], g.free[:last]
	} else {
		g.all = append(g.all, nil)
	}
	g.all[number] = &group{name: name}
	g.bytes += g.all[number].size()
	g.byName[name] = number
	return number
}

// join adds a peer to a group, unless it is there. mu is held.
func (g *groups) join(s *shm.Session, peer uint32, name string) {
	number := g.number(name)
	if g.has(s, peer, number) {
		return
	}
	n, in := g.seats.take(), g.all[number]
	*g.seats.get(n) = seat{group: number, at: uint32(len(in.peers)), next: s.Groups()}
	s.SetGroups(n)
	g.bytes -= in.size()
	in.peers, in.seats = append(in.peers, peer), append(in.seats, n)
	g.bytes += in.size()
}

// has reports whether a peer is in a group. Where the group is small it looks there: the peer may
// be in very many. mu is held.
func (g *groups) has(s *shm.Session, peer, number uint32) bool {
	if in := g.all[number]; len(in.peers) <= smallGroup {
		return slices.Contains(in.peers, peer)
	}
	_, n := g.find(s, number)
	return n != 0
}

// smallGroup is how many members are looked through.
const smallGroup = 32

// find returns the seat of a session in a group, and the one before it in the chain; 0: there is
// none. mu is held.
func (g *groups) find(s *shm.Session, number uint32) (before, n uint32) {
	for n = s.Groups(); n != 0 && g.seats.get(n).group != number; n = g.seats.get(n).next {
		before = n
	}
	return before, n
}

// quit removes a peer from a group, if it is there. mu is held.
func (g *groups) quit(s *shm.Session, peer, number uint32) {
	before, n := g.find(s, number)
	switch {
	case n == 0:
		return
	case before == 0:
		s.SetGroups(g.seats.get(n).next)
	default:
		g.seats.get(before).next = g.seats.get(n).next
	}
	g.vacate(n, peer)
}

// vacate frees a seat that is in no chain any more. mu is held.
func (g *groups) vacate(n, peer uint32) {
	was := *g.seats.get(n)
	in, last := g.all[was.group], len(g.all[was.group].peers)-1
	if check.On {
		check.That(in.peers[was.at] == peer && in.seats[was.at] == n, "a seat knows its place")
	}
	in.peers[was.at], in.seats[was.at] = in.peers[last], in.seats[last]
	g.seats.get(in.seats[was.at]).at = was.at
	g.bytes -= in.size()
	in.peers, in.seats = shorter(in.peers), shorter(in.seats)
	g.bytes += in.size()
	g.seats.give(n)
	if g.seats.used--; g.seats.used == 0 {
		g.seats = seats{}
	}
	if last == 0 {
		g.bytes -= in.size()
		delete(g.byName, in.name)
		g.all[was.group] = nil
		g.free = append(g.free, was.group)
	}
	if len(g.byName) == 0 {
		g.byName, g.all, g.free = nil, nil, nil
	}
}

// shorter drops the last entry, and memory that was for more than four times as many.
func shorter(all []uint32) []uint32 {
	all = all[:len(all)-1]
	if n := len(all); cap(all) > max(16, 4*n) {
		return append(make([]uint32, 0, 2*n), all...)
	}
	return all
}

// leaveAll ends all memberships of a session that is closed for senders.
func (g *groups) leaveAll(s *shm.Session, peer uint32) {
	if !g.any.Load() { // a join that comes now finds the session closed
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for n := s.Groups(); n != 0; {
		next := g.seats.get(n).next
		g.vacate(n, peer)
		n = next
	}
	s.SetGroups(0)
}

// memory returns the bytes of the groups, about.
func (g *groups) memory() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return uint64(len(g.seats.pages))*uint64(unsafe.Sizeof([seatPage]seat{})) + uint64(g.bytes)
}

// size returns the bytes of a group, about.
func (g *group) size() int {
	return (cap(g.peers)+cap(g.seats))*int(unsafe.Sizeof(uint32(0))) + len(g.name) + groupSize
}

// groupSize is the memory of a group without its members, about: the struct and its places in
// the map and the list.
const groupSize = int(unsafe.Sizeof(group{})) + 48

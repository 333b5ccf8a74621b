// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
)

// Admission decides which accepted connections a socket keeps, before anything is spent on
// them: a refused peer costs neither a handshake nor a Conn. All listeners of the socket
// share it. A connection that is kept has a place, which it gives back when its descriptor
// is closed, however it ends. Any thread.
type Admission struct {
	rules atomic.Pointer[Rules]

	entrance entrance // the gate's

	mu     sync.Mutex
	places int // that are taken
	rate   rateBucket
	blocks addressBlocks
}

// Rules are the limits of an Admission; 0: no limit. They do not change: new ones replace
// them. They hold for connections that are accepted from then on.
type Rules struct {
	Connections        int // accepted ones at a time, with those in their handshakes
	AddressConnections int // of one block of addresses
	Prefix4, Prefix6   int // bits of an address that say which block it is in
	Rate               int // new connections of the socket in a second
	AddressRate        int // of one block of addresses
	Handshakes         int // that are begun at a time

	Allow *AddressList // empty: all addresses
	Deny  *AddressList
}

var noRules Rules

// SetRules replaces the rules. Connections that were accepted before keep their places,
// and those without a block, accepted while no rule asked for one, count in none.
func (a *Admission) SetRules(r *Rules) { a.rules.Store(r) }

func (a *Admission) current() *Rules {
	if r := a.rules.Load(); r != nil {
		return r
	}
	return &noRules
}

// Memory returns the size of the tables.
func (a *Admission) Memory() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.blocks.memory()
}

// Idle reports whether no connection has a place.
func (a *Admission) Idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.places == 0 && a.blocks.held == 0
}

// place is what a connection has of an Admission: the number of its block of addresses, or
// one of these.
type place int32

const (
	noPlace    place = 0 // it was not accepted, or has given its place back
	plainPlace place = -1
)

// verdict says why a connection is refused; admitted: it is not.
type verdict uint8

const (
	admitted verdict = iota
	notAllowed
	denied
	tooMany
	tooManyOfAddress
	tooFastOfAddress
	notProxy
)

// verdicts are the numbers and sentences of refusals.
var verdicts = [...]error{
	notAllowed:       errno.New(errno.EACCES, "the address is not in STREAM_ALLOW"),
	denied:           errno.New(errno.EACCES, "the address is in STREAM_DENY"),
	tooMany:          errno.New(errno.ECONNREFUSED, "the socket has all its connections (STREAM_MAX_CONNECTIONS)"),
	tooManyOfAddress: errno.New(errno.ECONNREFUSED, "the address has all its connections (STREAM_ADDRESS_CONNECTIONS)"),
	tooFastOfAddress: errno.New(errno.ECONNREFUSED, "the address connects too often (STREAM_ADDRESS_ACCEPT_RATE)"),
	notProxy:         errno.New(errno.EACCES, "the address is not in STREAM_PROXY_FROM"),
}

// clockStart is the beginning of an Admission's time.
var clockStart = time.Now()

func clock(now time.Time) int64 { return int64(now.Sub(clockStart)) }

// wait takes one of the connections that the socket may accept in a second, or returns how
// long it has to wait for that.
func (a *Admission) wait(now time.Time) time.Duration {
	rate := a.current().Rate
	if rate == 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rate.take(rate, clock(now)) {
		return 0
	}
	return max(a.rate.wait(rate), 1)
}

// unwait undoes a successful wait: nobody was accepted, or kept.
func (a *Admission) unwait() {
	if a.current().Rate == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rate.giveBack()
}

// enter takes a place for a connection from an address, or says why there is none. A peer of
// the local system has no address; the lists and the limits of addresses do not
// concern it.
func (a *Admission) enter(from netip.Addr, now time.Time) (place, verdict) {
	r := a.current()
	if why := r.listed(from); why != admitted {
		return noPlace, why
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Connections > 0 && a.places >= r.Connections {
		return noPlace, tooMany
	}
	in, why := a.enterBlock(from, r, now)
	if why == admitted {
		a.places++
	}
	return in, why
}

// listed says what the lists have to say of an address.
func (r *Rules) listed(from netip.Addr) verdict {
	switch {
	case !from.IsValid():
	case r.Deny.Contains(from):
		return denied
	case !r.Allow.Empty() && !r.Allow.Contains(from):
		return notAllowed
	}
	return admitted
}

// enterBlock counts a connection in the block of its address, if those count. mu is held.
func (a *Admission) enterBlock(from netip.Addr, r *Rules, now time.Time) (place, verdict) {
	if !from.IsValid() || r.AddressConnections == 0 && r.AddressRate == 0 {
		return plainPlace, admitted
	}
	return a.blocks.enter(from, r, clock(now))
}

// move is enter for a connection that has a place, of which another address has turned out to
// be its peer's. If that is refused, it keeps its place.
func (a *Admission) move(from place, to netip.Addr, now time.Time) (place, verdict) {
	r := a.current()
	if why := r.listed(to); why != admitted {
		return from, why
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	in, why := a.enterBlock(to, r, now)
	if why != admitted {
		return from, why
	}
	if from > 0 {
		a.blocks.leave(from, r)
	}
	return in, admitted
}

// leave gives a place back.
func (a *Admission) leave(p place) {
	if p == noPlace {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.places--
	if check.On {
		check.That(a.places >= 0, "no more accepted connections give a place back than have one")
	}
	if p > 0 {
		a.blocks.leave(p, a.current())
	}
}

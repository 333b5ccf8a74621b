// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// Conn is one connection. Driver only, except Shared. A process may have very many, so a
// Conn is kept small: 152 bytes, in the allocator's class of 160. TestConnIsSmall holds it there.
type Conn struct {
	*origin
	Shared *shm.Session
	shard  *Shard
	link   *link // layers between descriptor and frames; nil: none

	Received      atomic.Uint64 // messages that arrived completely; any thread
	ReceivedBytes atomic.Uint64 // of those, length fields included; any thread
	sent          atomic.Uint64 // messages taken from the main queue, comparable with TxQueued modulo 2^32
	moved         atomic.Uint64 // bytes ever passed to the kernel
	Index         int32         // the owner's
	fd            int32         // -1: closed
	parkedAt      int32         // its position in the socket's list while it is parked
	heardAt       tick          // when something last came; only with deadlines
	place         place         // of the socket's Admission
	sinceLow      uint32        // when it came up: Since

	// Receiving.
	stash *shm.Chunk // bytes received and not yet passed on
	begun int64      // counted for both in the account
	rates *rates     // nil: it has no rate, or nothing came

	// Sending.
	flushHead, flushTail *shm.Chunk // being written; senders see the main queue only
	ledger               *ledger    // of the written messages; nil: none

	rare *rare // nil: it has none of that

	pending   bool  // on the shard's ready list
	parked    bool  // waits for the receiver; parking.go
	hangup    bool  // the kernel reported the end: keep reading until it shows
	failed    bool  // the kernel reported an error or a gone peer; after the peer's end a read does not show it
	backlog   bool  // stash holds whole frames that RCVHWM holds back
	blocked   bool  // the kernel takes no more until it reports Writable
	unwritten bool  // on the shard's list of connections whose turn to write ended too early
	broken    bool  // the kernel takes nothing any more
	detached  bool  // senders no longer find it; stored by the owner's Detach
	announced bool  // the disconnect event is pushed
	finishing bool  // close when everything is written; what comes is dropped
	ordered   bool  // the application closed it without waiting for the peer
	cause     Cause // the first one: because
	sinceHigh uint8
	spending  spending // ready.go
}

// rare is what few connections need at a time. The others have one pointer for all of it.
type rare struct {
	big      bigFrame
	end      *ending // nil: not begun
	expected uint32  // length of the next frame, length field included; 0: nothing is known
}

// needRare returns the connection's rare, and creates it on the first call.
func (c *Conn) needRare() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}

// Remote is the peer's endpoint.
func (c *Conn) Remote() string {
	return c.transport.remoteText(AddressOf(c.Shared))
}

// Since returns when the connection came up.
func (c *Conn) Since() time.Time {
	return time.UnixMilli(sinceBase + int64(c.sinceHigh)<<32 + int64(c.sinceLow))
}

// sinceBase is the year 2020. 40 bits of milliseconds reach to 2054 from there.
const sinceBase = 1_577_836_800_000

func (c *Conn) beginAt(now time.Time) {
	ms := now.UnixMilli() - sinceBase
	c.sinceLow, c.sinceHigh = uint32(ms), uint8(ms>>32)
}

// adopt turns an arrival into a Conn, which then owns the descriptor, and announces it. If
// the Conn is refused, adopt closes the descriptor and returns nil. The handshakes of a
// link's layers are over. The caller has counted the connection in sh.conns.
func (sh *Shard) adopt(a arrival, l *link) *Conn {
	l = a.framed(l)
	c := sh.newConn(a, l.worth())
	if c == nil {
		sh.conns.Add(-1)
		a.admission.leave(a.place)
		return nil
	}
	sh.warm = true
	c.startDeadlines()
	c.Shared.Retain() // released when the receiver has read the disconnect event
	if c.owner.Observed() {
		if !a.announced {
			c.observe(a.cameUp(), uint64(a.fd))
		}
		c.observeDetail(EventReady, uint64(a.fd), l.subject())
	}
	if probe.On(probe.Accept) {
		dialled := uint64(0)
		if c.Dialled() {
			dialled = 1
		}
		probe.Fire(probe.Accept, c.queues.Serial, c.Shared.Rid4(), dialled, 0, c.Remote())
	}
	c.pushEvent(&c.Shared.Up)
	if c.link == nil && l != nil {
		c.receiveUnread(l.unread)
	}
	return c
}

// newConn registers a descriptor and attaches its Conn to the owner. If that fails, it
// closes the descriptor and returns nil.
func (sh *Shard) newConn(a arrival, l *link) *Conn {
	c := &Conn{origin: a.origin, fd: int32(a.fd), shard: sh, link: l, place: a.place}
	c.beginAt(time.Now())
	c.Shared = shm.NewSession(a.queues, sh.Shared)
	if c.Shared == nil {
		a.noRoom()
		sys.Close(a.fd)
		return nil
	}
	c.Shared.Fd = int32(a.fd)
	c.Shared.TxHwm = a.limits.SndHwm
	c.Shared.SetBound(a.limits.SendBytes)
	a.identify(c.Shared)
	if a.reserved != nil {
		c.Shared.Rid.Store(a.reserved.Rid.Load())
	}
	if err := sh.register(a.fd, c); err != nil {
		c.Shared.Release()
		a.noRoom()
		sys.Close(a.fd)
		return nil
	}
	if err := a.owner.Attach(c, a.alias); err != nil {
		c.Shared.Release()
		a.notTaken(err)
		sh.closeFd(a.fd)
		return nil
	}
	if l != nil {
		l.conn = c
		c.countLink()
	}
	return c
}

// observe reports an event of this connection to the owner.
func (c *Conn) observe(kind EventKind, value uint64) { c.observeDetail(kind, value, "") }

func (c *Conn) observeDetail(kind EventKind, value uint64, detail string) {
	c.owner.Observe(c.event(kind, value, detail))
}

func (c *Conn) event(kind EventKind, value uint64, detail string) Event {
	return Event{Kind: kind, Value: value, RoutingID: append([]byte(nil), c.Shared.IDFrame()...),
		Local: c.transport.localText(int(c.fd)), Remote: c.Remote(), Detail: detail}
}

// observeEnd reports the end, together with what TLS or WebSocket objected to or what a
// WebSocket peer said. In TLS 1.3 a client's handshake is over before the server can
// refuse the client's certificate.
func (c *Conn) observeEnd() {
	why, fault := c.cause.String(), c.link.fault()
	switch said := c.farewellText(); {
	case c.cause.ofLink() && fault != nil:
		why = fault.Error()
	case c.cause == CausePeerClosed && said != "":
		why = said
	case c.cause.ordered() && said != "":
		why += ", " + said
	}
	e := c.event(EventDisconnected, uint64(c.reason()), why)
	e.Cause = c.cause
	c.owner.Observe(e)
}

// ready reacts to a report of the kernel.
func (c *Conn) ready(what sys.Readiness) {
	if what&(sys.Ended|sys.Gone|sys.Failed) != 0 {
		c.hangup = true
	}
	if what&sys.Failed != 0 || what&sys.Gone != 0 && !c.shut() {
		c.failed = true
	}
	if what&sys.Writable != 0 && c.blocked {
		c.unblock()
	}
	if c.fd >= 0 && what&^sys.Writable != 0 {
		if c.link != nil {
			c.link.wire.drained = false
		}
		c.wantRead()
		switch {
		case c.parked && c.hangup:
			c.overWhileParked()
		case c.saving() && c.hangup:
			c.saved() // the pause may be too long now
		}
	}
	c.checkArrived() // the kernel also reports that its last byte was acknowledged
}

// wantRead puts the connection on the ready list.
func (c *Conn) wantRead() {
	if !c.pending && !c.parked && !c.saving() && c.fd >= 0 {
		c.pending = true
		if c.shard.reading != c { // else it will be
			c.shard.ready.push(c)
		}
	}
}

// push passes a run to the socket and wakes the socket's receiver if it sleeps.
func (c *Conn) push(r *shm.Run) {
	switch c.queues.PushRun(r) {
	case shm.Refused:
		c.dropRun(r)
	case shm.MustWake:
		if c.owner.WakeReaders() && c.shard.Users.Load() == 1 {
			c.shard.handOver = c.queues
		}
	}
}

// pushEvent passes an event to the socket.
func (c *Conn) pushEvent(e *shm.RunHead) {
	c.queues.RxEvents.Add(1)
	c.push(e.Run())
}

// dropRun releases a run that a closed socket refused.
func (c *Conn) dropRun(r *shm.Run) {
	if r.Kind != shm.RunData {
		events := c.queues.RxEvents.Add(-1)
		if check.On {
			check.That(events >= 0, "no more events are dropped than were pushed")
		}
	}
	switch {
	case r.Kind == shm.RunData:
		c.Shared.RxTake(r)
		waiting := c.queues.RxWaiting.Add(-int64(r.Size))
		if check.On {
			check.That(waiting >= 0, "no more is dropped than was pushed")
		}
		r.Slab.Release()
	case r.Kind == shm.RunDisconnected:
		c.owner.Unreceived(c.Shared)
	}
}

// Detached records that senders no longer find the connection. The owner's Detach calls it.
func (c *Conn) Detached() { c.detached = true }

// Dialled reports whether this side made the connection.
func (c *Conn) Dialled() bool { return c.dialer != nil }

// Dialer returns the dialer that made the connection, or nil if it was accepted.
func (c *Conn) Dialer() *Dialer { return c.dialer }

// Last reports whether this side made the connection and will not replace it. Driver
// only.
func (c *Conn) Last() bool { return c.dialer != nil && c.dialer.once() }

// Connected reports whether senders find the connection. The caller holds the lock that
// the owner holds in Attach and Detach.
func (c *Conn) Connected() bool { return !c.detached }

// detach hides the connection from senders and takes their queued messages over.
func (c *Conn) detach() {
	if c.detached {
		return
	}
	c.stopDeadlines()
	c.owner.Detach(c)
	shared := c.Shared
	shared.Lock()
	shared.TxState = shm.TxClosed
	shared.EndRefusal(c.queues)
	c.takeMain()
	if shared.TxDirty&shm.DirtyListed != 0 {
		shared.Retain() // the list of connections to flush still has it
	}
	shared.Unlock()
	c.owner.LeaveGroups(c)
	c.owner.WakeSenders()
}

// close ends the connection for good. The disconnect event is the last that the
// application sees of it. From then on the connection counts nowhere.
func (c *Conn) close() {
	if c.fd < 0 {
		return
	}
	c.shard.mustDrive()
	c.deliverLast()
	c.abandon()
	if check.On {
		check.That(c.cause != CauseUnknown, "a connection ends for a reason")
	}
	if c.owner.Observed() {
		c.observeEnd()
	}
	if probe.On(probe.Close) {
		probe.Fire(probe.Close, c.queues.Serial, c.Shared.Rid4(), uint64(c.cause), c.Abandoned(), c.Remote())
	}
	c.shard.closeFd(int(c.fd))
	c.fd = -1
	c.shard.roundRead += closePrice
	c.setBlocked(false)
	conns := c.shard.conns.Add(-1)
	if check.On {
		check.That(conns >= 0, "no more connections end than came up")
	}
	c.admission.leave(c.place)
	c.place = noPlace
	c.ending().cancel(&c.shard.timers)
	if c.parked {
		c.unpark()
	}
	c.stopSaving()
	if c.link != nil {
		leaves(leftLink)
	}
	leaves(leftConn)
	c.freeStash()
	c.dropBig()
	c.dropFragments()
	c.countBegun()
	c.dropFlush()
	c.dropLink()
	c.giveRoom()
	c.owner.Forget(c) // reads what the connection counted
	c.announceEnd()
	if c.dialer != nil {
		c.dialer.lost()
	}
	c.Shared.Release()
	c.owner.Gone(c)
}

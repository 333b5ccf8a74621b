// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// Session is one connection. Driver only, except Shared. There are many, so it
// is kept small: 160 bytes.
type Session struct {
	*origin
	Shared *shm.Session
	shard  *Shard
	link   *link // between descriptor and frames; nil: nothing

	Received      atomic.Uint64 // messages that arrived whole; any thread
	ReceivedBytes atomic.Uint64 // of those, length fields included; any thread
	sent          atomic.Uint64 // messages taken from the main queue, modulo 2^32 TxQueued at that time
	moved         atomic.Uint64 // bytes ever given to the kernel
	sinceMs       int64         // since 1970
	Index         int32         // the owner's
	fd            int32         // -1: closed
	parkedAt      int32         // its place on the socket's list, while it is parked

	// Receiving.
	stash *shm.Chunk // bytes received and not yet handed on
	big   bigFrame

	// Sending.
	flushHead, flushTail *shm.Chunk // being written; senders see the main queue only
	ledger               *ledger    // of what was written; nil: nothing

	end *ending // nil: not begun

	Oversize  bool // it is cut for a message above MaxMsgSize; before Detach
	pending   bool // on the shard's ready list
	parked    bool // waits for the receiver; parking.go
	hangup    bool // the kernel reported the end: read until it shows
	failed    bool // the kernel reported an error, or that nobody is there; after the peer's end a read does not tell it
	backlog   bool // stash holds whole frames that RCVHWM keeps back
	blocked   bool // the kernel takes no more until EPOLLOUT
	unwritten bool // on the shard's list of sessions whose turn to write ended early
	broken    bool // the kernel takes nothing any more
	detached  bool // senders no longer find it; stored by the owner's Detach
	announced bool // the disconnect event is pushed
	finishing bool // close when everything is written; what comes is dropped
	ordered   bool // the application had it closed without waiting for the peer
	reason    Reason
}

// Remote is the peer's endpoint.
func (s *Session) Remote() string {
	return s.transport.remoteText(addressOfIP(s.Shared.IP, s.Shared.IPKind, s.Shared.Port, s.Shared.Zone))
}

// Since is when the connection came up.
func (s *Session) Since() time.Time { return time.UnixMilli(s.sinceMs) }

// adopt makes a session of a connection, whose descriptor it then owns, and
// announces it. nil: refused, and the descriptor is closed. With a link the
// handshake has been made, and its beginning was observed.
// The caller has counted it in sh.sessions.
func (sh *Shard) adopt(c connection, l *link) *Session {
	s := sh.newSession(c, l)
	if s == nil {
		sh.sessions.Add(-1)
		return nil
	}
	sh.warm = true
	s.startHeartbeat()
	s.Shared.Hold() // until the receiver has read the disconnect event
	if s.owner.Observed() {
		if l == nil {
			s.observe(c.cameUp(), uint64(c.fd))
		}
		s.observeDetail(EventReady, uint64(c.fd), l.subject())
	}
	s.pushEvent(&s.Shared.Up)
	return s
}

// newSession registers a descriptor and attaches its session to the owner; nil:
// that failed, and the descriptor is closed.
func (sh *Shard) newSession(c connection, l *link) *Session {
	s := &Session{origin: c.origin, fd: int32(c.fd), shard: sh, link: l, sinceMs: time.Now().UnixMilli()}
	s.Shared = shm.NewSession(c.queues, sh.Shared)
	if s.Shared == nil {
		_ = unix.Close(c.fd)
		return nil
	}
	s.Shared.Fd = int32(c.fd)
	s.Shared.TxHwm = c.limits.SndHwm
	s.Shared.RxLow = int32(c.limits.RcvHwm / 2)
	s.Shared.IP, s.Shared.IPKind, s.Shared.Port, s.Shared.Zone = c.remote.ip()
	if err := sh.register(c.fd, s); err != nil {
		s.Shared.Release()
		_ = unix.Close(c.fd)
		return nil
	}
	if err := c.owner.Attach(s, c.alias); err != nil {
		s.Shared.Release()
		sh.closeFd(c.fd)
		return nil
	}
	if l != nil {
		s.countLink()
	}
	return s
}

// observe tells the owner of an event of this connection.
func (s *Session) observe(kind EventKind, value uint64) { s.observeDetail(kind, value, "") }

func (s *Session) observeDetail(kind EventKind, value uint64, detail string) {
	s.owner.Observe(Event{Kind: kind, Value: value, RoutingID: append([]byte(nil), s.Shared.IDFrame()...),
		Local: s.transport.localText(int(s.fd)), Remote: s.Remote(), Detail: detail})
}

// observeEnd tells of the end, and what TLS or WebSocket objected to, or a peer of
// WebSocket said. In TLS 1.3 a server that refuses its client's certificate says so when
// the client's handshake is over.
func (s *Session) observeEnd() {
	why := s.farewellText()
	if s.reason == ReasonTransport && s.link != nil && s.link.err != nil {
		why = s.link.err.Error()
	}
	s.observeDetail(EventDisconnected, uint64(s.reason), why)
}

// ready reacts to the kernel's report.
func (s *Session) ready(events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.hangup = true
	}
	if events&unix.EPOLLERR != 0 || events&unix.EPOLLHUP != 0 && !s.shut() {
		s.failed = true
	}
	if events&unix.EPOLLOUT != 0 && s.blocked {
		s.unblock()
	}
	if s.fd >= 0 && events&^unix.EPOLLOUT != 0 {
		if s.link != nil {
			s.link.conn.drained = false
		}
		s.wantRead()
		if s.parked && s.hangup {
			s.overWhileParked()
		}
	}
	s.checkArrived() // the kernel also reports that its last byte was acknowledged
}

// wantRead puts the session on the ready list.
func (s *Session) wantRead() {
	if !s.pending && !s.parked && s.fd >= 0 {
		s.pending = true
		s.shard.pending.push(s)
	}
}

// push hands a run to the socket and wakes its receiver if that sleeps.
func (s *Session) push(r *shm.Run) {
	switch s.queues.PushRun(r) {
	case shm.Refused:
		s.drop(r)
	case shm.MustWake:
		if s.owner.WakeReaders() && s.shard.Users.Load() == 1 {
			s.shard.handOver = s.queues
		}
	}
}

// pushEvent hands an event to the socket.
func (s *Session) pushEvent(e *shm.Event) {
	atomic.AddInt32(&s.queues.RxEvents, 1)
	s.push(e.Run())
}

// drop releases a run that a closed socket does not take.
func (s *Session) drop(r *shm.Run) {
	if r.Kind != shm.RunData {
		atomic.AddInt32(&s.queues.RxEvents, -1)
	}
	switch {
	case r.Kind == shm.RunData:
		atomic.AddInt32(&s.Shared.RxQueued, -int32(r.Msgs))
		atomic.AddInt64(&s.queues.RxWaiting, -int64(r.Size))
		r.Slab.Release()
	case r.Kind == shm.RunDisconnected:
		s.owner.Unreceived(s.Shared)
	}
}

// Detached notes that senders no longer find the session. The owner's Detach.
func (s *Session) Detached() { s.detached = true }

// Dialled tells whether this side made the connection.
func (s *Session) Dialled() bool { return s.dialer != nil }

// Dialer returns what made the connection; nil: it was accepted.
func (s *Session) Dialer() *Dialer { return s.dialer }

// Last tells whether this side made the connection and makes no other in its
// place. Driver only.
func (s *Session) Last() bool { return s.dialer != nil && s.dialer.once() }

// Connected tells whether senders find the session. Under the lock that the
// owner holds in Attach and Detach.
func (s *Session) Connected() bool { return !s.detached }

// detach hides the session from senders and takes over what they queued.
func (s *Session) detach(reason Reason) {
	if s.detached {
		return
	}
	s.reason = reason
	s.stopHeartbeat()
	s.owner.Detach(s)
	shared := s.Shared
	shared.Lock()
	shared.TxState = shm.TxClosed
	s.takeMain()
	if shared.TxDirty&shm.DirtyListed != 0 {
		shared.Hold() // the list of sessions to flush still has it
	}
	shared.Unlock()
	s.owner.WakeSenders()
}

// close ends the session for good. The event is the last that the application
// sees of it: from then on nothing counts it any more.
func (s *Session) close() {
	if s.fd < 0 {
		return
	}
	s.deliverLast()
	if s.abandon() > 0 && !s.ordered {
		s.reason = ReasonTransport
	}
	if s.owner.Observed() {
		s.observeEnd()
	}
	s.shard.closeFd(int(s.fd))
	s.fd = -1
	s.shard.roundRead += closePrice
	s.setBlocked(false)
	s.shard.sessions.Add(-1)
	s.end.cancel(&s.shard.timers)
	if s.parked {
		s.unpark()
	}
	if s.link != nil {
		leaves(leftLink)
	}
	leaves(leftSession)
	s.freeStash()
	s.dropBig()
	s.dropFlush()
	s.dropLink()
	s.owner.Forget(s) // reads what the session counted
	s.announceEnd()
	if s.dialer != nil {
		s.dialer.lost()
	}
	s.Shared.Release()
	s.owner.Gone(s)
}

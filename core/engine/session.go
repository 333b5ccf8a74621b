// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

const (
	// farewellTime is how long a connection that is over may make no progress
	// with what is still under way to the peer.
	farewellTime = time.Second
	// halfClosedTime is how long a peer that has closed its side, and may read on,
	// may take nothing of what is queued for it.
	halfClosedTime = 30 * time.Second
	// farewellPoll is how often that is looked at, at first.
	farewellPoll = time.Millisecond
)

// Session is one connection. Driver only, except Shared. There are many, so it
// is kept small: 144 bytes.
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

	end *ending // nil: not begun

	Oversize  bool // it is cut for a message above MaxMsgSize; before Detach
	pending   bool // on the shard's ready list
	parked    bool // waits for the receiver; parking.go
	hangup    bool // the kernel reported the end: read until it shows
	failed    bool // the kernel reported an error; after the peer's end a read does not tell it
	backlog   bool // stash holds whole frames that RCVHWM keeps back
	blocked   bool // the kernel takes no more until EPOLLOUT
	unwritten bool // on the shard's list of sessions whose turn to write ended early
	broken    bool // the kernel takes nothing any more
	detached  bool // senders no longer find it; stored by the owner's Detach
	announced bool // the disconnect event is pushed
	finishing bool // close when everything is written
	reason    Reason
}

// ending is what a session needs only towards its end.
type ending struct {
	deadline  *timer        // of finishing
	farewell  time.Duration // until the next look at what is under way; 0: not there yet
	stallTime time.Duration // between looks for a stall
	progress  [2]uint64     // moved and unsent at the last one
	watched   bool          // such looks are made
}

// ends returns the session's ending, which begins.
func (s *Session) ends() *ending {
	if s.end == nil {
		s.end = new(ending)
	}
	return s.end
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
	s.Shared.Hold() // until the receiver has read the disconnect event
	if s.owner.Observed() {
		if l == nil {
			s.observe(c.cameUp(), uint64(c.fd))
		}
		s.observe(EventReady, uint64(c.fd))
	}
	s.push(s.Shared.Up.Run())
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
	return s
}

// observe tells the owner of an event of this connection.
func (s *Session) observe(kind EventKind, value uint64) {
	s.owner.Observe(Event{Kind: kind, Value: value, RoutingID: append([]byte(nil), s.Shared.IDFrame()...),
		Local: s.transport.localText(int(s.fd)), Remote: s.Remote()})
}

// ready reacts to the kernel's report.
func (s *Session) ready(events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.hangup = true
	}
	if events&unix.EPOLLERR != 0 {
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

// drop releases a run that a closed socket does not take.
func (s *Session) drop(r *shm.Run) {
	switch {
	case r.Kind == shm.RunData:
		atomic.AddInt32(&s.Shared.RxQueued, -int32(r.Msgs))
		atomic.AddInt64(&s.queues.RxWaiting, -int64(r.Size))
		r.Slab.Release()
	case r.Kind == shm.RunDisconnected:
		s.Shared.Release()
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

// Finish closes the connection when everything queued for it is written, or at
// the deadline (zero: none).
func (s *Session) Finish(reason Reason, deadline time.Time) {
	if s.fd < 0 {
		return
	}
	s.detach(reason)
	s.finishing = true
	s.closeBy(deadline)
	switch {
	case s.broken:
		s.close()
	case !s.blocked:
		s.write()
	}
}

// closeBy closes the session at the deadline, unless an earlier one is set.
func (s *Session) closeBy(deadline time.Time) {
	end := s.ends()
	if deadline.IsZero() || end.deadline != nil && !end.deadline.at.After(deadline) {
		return
	}
	s.shard.timers.cancel(end.deadline)
	end.deadline = s.shard.timers.after(time.Until(deadline), s.close)
}

// FinishSession is Finish, without a deadline, for the session that the socket
// with this serial calls rid if it still does; it is not dialled again. Driver only.
func (sh *Shard) FinishSession(shared *shm.Session, serial uint64, rid uint32) {
	if !shared.Closing(serial, rid) {
		return
	}
	s := sh.byFd[shared.Fd].handler.(*Session)
	if s.dialer != nil {
		s.dialer.ended = true
	}
	s.Finish(ReasonLocal, time.Time{})
}

// Abort closes the connection at once; what is not written is lost.
func (s *Session) Abort(reason Reason) {
	if s.fd >= 0 {
		s.detach(reason)
		s.close()
	}
}

// remoteEnded reacts to the peer's end of the stream: the application hears of
// it at once, and what it had queued still goes out, as the peer may read on.
func (s *Session) remoteEnded() {
	if s.failed { // reset as well: nothing more reaches the peer
		s.Abort(ReasonRemote)
		return
	}
	s.detach(ReasonRemote)
	s.announceEnd()
	if s.fd >= 0 {
		s.Finish(ReasonRemote, time.Time{})
		s.watchStall(halfClosedTime)
	}
}

// watchStall closes a connection that is over when a time passes in which
// nothing moved.
func (s *Session) watchStall(limit time.Duration) {
	end := s.ends()
	end.stallTime = limit
	if s.fd < 0 || end.watched {
		return
	}
	end.watched = true
	end.progress = [2]uint64{s.moved.Load(), uint64(s.unsent())}
	s.shard.timers.after(limit, s.stalled)
}

func (s *Session) stalled() {
	if s.fd < 0 {
		return
	}
	if s.end.progress == [2]uint64{s.moved.Load(), uint64(s.unsent())} {
		s.close()
		return
	}
	s.end.watched = false
	s.watchStall(s.end.stallTime)
}

// detach hides the session from senders and takes over what they queued.
func (s *Session) detach(reason Reason) {
	if s.detached {
		return
	}
	s.reason = reason
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

// announceEnd delivers what is left of whole frames, then the event.
func (s *Session) announceEnd() {
	if s.announced {
		return
	}
	s.announced = true
	if s.backlog {
		s.deliverBacklog()
	}
	s.push(s.Shared.Down.Run())
}

// written is called when a finishing session has nothing left to write. The
// descriptor stays open until the peer's kernel has everything: closing earlier
// could reset the connection and with it destroy what is under way.
func (s *Session) written() {
	end := s.ends()
	if s.announced && s.hangup && end.farewell == 0 {
		s.close() // both sides are done
		return
	}
	if end.farewell == 0 {
		if s.unsent() == 0 && !s.awaitsPeer() {
			s.close()
			return
		}
		_ = unix.Shutdown(int(s.fd), unix.SHUT_WR)
		end.farewell = farewellPoll
		s.shard.timers.after(end.farewell, s.lookFarewell)
		s.watchStall(farewellTime)
	}
}

// lookFarewell closes the connection once the peer's kernel has everything.
func (s *Session) lookFarewell() {
	if s.fd < 0 {
		return
	}
	if s.unsent() <= 1 && !s.awaitsPeer() { // the end of the stream itself counts as one byte
		s.close()
		return
	}
	s.end.farewell = min(2*s.end.farewell, 64*farewellPoll)
	s.shard.timers.after(s.end.farewell, s.lookFarewell)
}

// unsent returns how many bytes, as they go over the wire, the peer's kernel has
// not acknowledged.
func (s *Session) unsent() int {
	var n int32
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(s.fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if s.link != nil && s.link.rest != nil {
		n += int32(s.link.rest.ChainLen())
	}
	return int(n)
}

// close ends the session for good.
func (s *Session) close() {
	if s.fd < 0 {
		return
	}
	s.announceEnd()
	if s.owner.Observed() {
		s.observe(EventDisconnected, uint64(s.reason))
	}
	s.shard.closeFd(int(s.fd))
	s.fd = -1
	s.shard.roundRead += closePrice
	s.setBlocked(false)
	s.shard.sessions.Add(-1)
	if s.end != nil {
		s.shard.timers.cancel(s.end.deadline)
	}
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
	if s.dialer != nil {
		s.dialer.lost()
	}
	s.owner.Gone(s) // reads what the session counted
	s.Shared.Release()
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"
	"unsafe"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
)

// How a connection ends
//
// Finish writes what is queued and sends the end of the stream behind it. The
// descriptor stays open until the peer's system has acknowledged all of it, and
// what the peer sends meanwhile is read and dropped: a descriptor that is closed
// with unread input, or gets more, resets the connection, which destroys what is
// under way. A peer of which no byte is acknowledged for a whole CloseTimeout is
// reset. That is the only limit, but for the deadline, which is LINGER's.
//
// The kernel reports when its last byte was acknowledged. The timer is there for
// the peers that take nothing: few looks for each, so that ten thousand of them
// cost next to nothing.

const (
	// lookFirst is the pause before the first look at what the peer has taken; it
	// doubles up to lookMost, or a quarter of the limit.
	lookFirst = time.Millisecond
	lookMost  = time.Second

	// goodbyeTime is how long a peer that has everything may take to say so, in
	// WebSocket.
	goodbyeTime = time.Second
	// refusedTime is how long a peer that broke the rules may take to take what tells
	// it so.
	refusedTime = 5 * time.Second

	// unreadReads is how often, at most, input is read before a descriptor is closed.
	unreadReads = 16
)

// ending is what a session needs only towards its end.
type ending struct {
	deadline  *timer        // of LINGER; nil: none
	next      *timer        // the next look
	limit     time.Duration // that the peer may take nothing; negative: none
	pause     time.Duration // before the next look
	taken     int64         // at the last look
	takenAt   time.Time     // the look at which that had changed
	shut      bool          // the end of the stream is given to the kernel
	counted   bool          // abandoned is
	abandoned uint64        // messages that did not arrive
}

// ends returns the session's ending, which begins.
func (s *Session) ends() *ending {
	if s.end == nil {
		s.end = new(ending)
	}
	return s.end
}

// cancel forgets the timers.
func (end *ending) cancel(t *timers) {
	if end != nil {
		t.cancel(end.deadline)
		t.cancel(end.next)
	}
}

// shut tells whether this side's end of the stream is given to the kernel.
func (s *Session) shut() bool { return s.end != nil && s.end.shut }

// Finish closes the connection when everything queued for it has arrived, or at
// the deadline (zero: none).
func (s *Session) Finish(reason Reason, deadline time.Time) {
	if s.fd < 0 {
		return
	}
	if s.owner.Closed() {
		s.say(ws.StatusGoingAway, "")
	}
	s.detach(reason)
	s.finish(s.owner.CloseTimeout(), deadline)
}

// finish is Finish for a detached session, whose peer may take nothing for as long
// as limit says.
func (s *Session) finish(limit time.Duration, deadline time.Time) {
	s.closeBy(deadline)
	if !s.finishing {
		s.finishing = true
		s.deliverLast()
		s.freeStash()
		s.dropBig()
		if s.parked {
			s.unpark()
		}
		s.wantRead() // from here on to drop it
	}
	switch {
	case s.broken:
		s.reset()
		return
	case !s.blocked:
		s.write() // may end the session
	}
	if s.fd >= 0 {
		s.watch(limit)
	}
}

// watch ends the connection when its peer takes nothing for as long as limit says,
// while it ends or has answers to take.
func (s *Session) watch(limit time.Duration) {
	end := s.ends()
	end.limit, end.pause = limit, lookFirst
	end.taken, end.takenAt = s.taken(), time.Now()
	s.shard.timers.cancel(end.next)
	s.look()
}

// watched tells whether watch is at work.
func (s *Session) watched() bool { return s.end != nil && s.end.next != nil }

// closeBy closes the session at the deadline, unless an earlier one is set.
func (s *Session) closeBy(deadline time.Time) {
	end := s.ends()
	if deadline.IsZero() || end.deadline != nil && !end.deadline.at.After(deadline) {
		return
	}
	s.shard.timers.cancel(end.deadline)
	end.deadline = s.shard.timers.after(time.Until(deadline), func() {
		s.ordered = true
		s.close()
	})
}

// FinishSession is Finish, without a deadline, for the session that the socket with
// this serial calls rid if it still does; code and why are what WebSocket says. A
// connection that this side ends is not dialled again. Driver only.
func (sh *Shard) FinishSession(shared *shm.Session, serial uint64, rid uint32, code uint16, why string) {
	if !shared.Closing(serial, rid) {
		return
	}
	s := sh.byFd[shared.Fd].handler.(*Session)
	s.say(ws.StatusCode(code), why)
	if s.announced { // the peer did
		s.Finish(ReasonRemote, time.Time{})
		return
	}
	if s.dialer != nil {
		s.dialer.ended = true
	}
	s.Finish(ReasonLocal, time.Time{})
}

// SessionOf returns the session that the socket with this serial calls rid, and that
// is told to close, or nil. Driver only.
func (sh *Shard) SessionOf(shared *shm.Session, serial uint64, rid uint32) *Session {
	if !shared.Closing(serial, rid) {
		return nil
	}
	return sh.byFd[shared.Fd].handler.(*Session)
}

// OnDriver runs call on the driver of the session's shard, soon. Any thread.
func (s *Session) OnDriver(call func()) { s.shard.Post(call) }

// Abort closes the connection at once; what is not written is lost.
func (s *Session) Abort(reason Reason) {
	if s.fd >= 0 {
		s.ordered = s.ordered || reason == ReasonLocal || reason == ReasonCtxTerm
		s.detach(reason)
		s.close()
	}
}

// Reset is Abort that also takes back what the kernel has not delivered. It is
// the application's order: a dialled connection is not dialled again.
func (s *Session) Reset() {
	if s.fd < 0 {
		return
	}
	if s.dialer != nil {
		s.dialer.ended = true
	}
	s.ordered = true
	s.detach(ReasonLocal)
	s.reset()
}

// reset closes a detached session and tells the peer that something is missing.
func (s *Session) reset() {
	_ = unix.SetsockoptLinger(int(s.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	s.close()
}

// remoteEnded reacts to the peer's end of the stream. The application hears of
// it at once, and what it had queued still goes out, as the peer may read on. A
// client that asks, ends its side and reads the answers gets them: until the
// application has received the event, it may also send.
func (s *Session) remoteEnded() {
	switch {
	case s.failed, s.broken: // reset as well: nothing more reaches the peer
		s.Abort(ReasonRemote)
	case s.finishing:
		s.hangup = true
		s.checkArrived()
	case s.announced:
	case s.mayBeAnswered():
		s.announceEnd() // what follows is FinishSession
	default:
		s.Finish(ReasonRemote, time.Time{})
		if s.fd >= 0 {
			s.announceEnd()
		}
	}
}

// mayBeAnswered tells whether a peer that ended its side may wait for answers: it
// came to this side and has sent something. The Close frame of WebSocket says that
// it does not.
func (s *Session) mayBeAnswered() bool {
	return !s.detached && s.dialer == nil && s.Received.Load() > 0 && (s.link == nil || s.link.web == nil)
}

// deliverLast hands on whole frames that RCVHWM kept back.
func (s *Session) deliverLast() {
	if s.backlog {
		s.deliverBacklog()
	}
}

// announceEnd delivers what is left of whole frames, then the event.
func (s *Session) announceEnd() {
	if s.announced {
		return
	}
	s.announced = true
	s.keepFarewell()
	s.deliverLast()
	s.pushEvent(&s.Shared.Down)
}

// discard reads what the peer of a session that ends still sends, and drops it.
func (s *Session) discard() {
	buf := s.shard.space(0)
	if buf == nil {
		s.reset()
		return
	}
	_, more, ok := s.read(buf[:readMin])
	if ok && (more || s.hangup) {
		s.wantRead()
	}
}

// written is called when a finishing session has nothing left to write.
func (s *Session) written() {
	if s.arrived() {
		s.dropUnread()
		s.close()
		return
	}
	if end := s.ends(); !end.shut {
		end.shut = true
		_ = unix.Shutdown(int(s.fd), unix.SHUT_WR)
	}
}

// checkArrived closes a session that ends once the peer has everything.
func (s *Session) checkArrived() {
	if s.fd >= 0 && s.shut() && s.arrived() {
		s.dropUnread()
		s.close()
	}
}

// dropUnread reads what has come and nobody wants, as far as one turn goes: a
// descriptor that is closed without that resets the connection.
func (s *Session) dropUnread() {
	buf := s.shard.space(0)
	for i := 0; i < unreadReads && buf != nil; i++ {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(&buf[0])), readMin, 0, 0, 0)
		if e != 0 && e != unix.EINTR || e == 0 && n < readMin {
			return
		}
	}
}

// arrived tells whether the peer's system has everything that was written, and, of
// WebSocket, its Close frame has come, or the end was read without one.
func (s *Session) arrived() bool {
	waits := s.link != nil && s.link.web != nil && !s.link.web.peerClosed && !(s.hangup && s.link.err != nil)
	return !waits && s.underWay() == 0
}

// look sees whether the peer has taken something since the last look.
func (s *Session) look() {
	s.end.next = nil
	if s.checkArrived(); s.fd < 0 || !s.finishing && !s.link.paused {
		return
	}
	end, now := s.end, time.Now()
	if taken := s.taken(); taken != end.taken {
		end.taken, end.takenAt = taken, now
	}
	limit, most := end.limit, lookMost
	if s.shut() && s.underWay() == 0 && (limit < 0 || limit > goodbyeTime) {
		limit = goodbyeTime
	}
	if limit >= 0 {
		left := limit - now.Sub(end.takenAt)
		if left <= 0 {
			s.stalled()
			return
		}
		most = min(most, max(limit/4, lookFirst), left)
	}
	end.next = s.shard.timers.after(min(end.pause, most), s.look)
	end.pause = min(2*end.pause, lookMost)
}

// stalled ends a connection whose peer has taken nothing for too long.
func (s *Session) stalled() {
	switch {
	case !s.finishing:
		s.Abort(ReasonTransport)
	case s.shut() && s.underWay() == 0: // it has only to say goodbye
		s.close()
	default:
		s.reset()
	}
}

// taken counts the bytes, as they go over the wire, that left the kernel. Of a
// local connection it is only good to see whether there were any.
func (s *Session) taken() int64 {
	wire := s.moved.Load()
	if s.link != nil {
		wire = s.link.wire
	}
	return int64(wire) - int64(s.underWay())
}

// underWay returns how many bytes that the kernel has, as they go over the wire,
// the peer's system has not acknowledged; of a local connection, the memory that
// holds what the peer has not read.
func (s *Session) underWay() int {
	var n int32
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(s.fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if s.shut() && n > 0 && s.transport.Endpoint.Transport != endpoint.IPC {
		n-- // the end of the stream counts as one
	}
	return int(n)
}

// unacknowledged returns how many bytes of the stream that were taken off the
// flush queue the peer's system may not have. Behind a link it may be fewer, by
// the bytes that the link adds. What the kernel has of a local connection is the
// peer's, whatever happens to this end.
func (s *Session) unacknowledged() uint64 {
	n := 0
	if s.transport.Endpoint.Transport != endpoint.IPC {
		n = s.underWay()
	}
	if s.link != nil && s.link.rest != nil {
		n += s.link.rest.ChainLen()
	}
	return uint64(n)
}

// abandon counts the messages that were accepted from senders and, as far as is
// known, did not arrive whole at the peer's system: once, when it is certain that
// no more will.
func (s *Session) abandon() uint64 {
	if s.end != nil && s.end.counted {
		return s.end.abandoned
	}
	written, moved := uint64(0), s.moved.Load()
	if s.ledger != nil {
		written = s.ledger.frames
	}
	lost := s.sent.Load() - written
	if lost == 0 && (s.ledger == nil || s.unacknowledged() == 0) {
		return 0
	}
	if s.ledger != nil {
		lost += s.ledger.beyond(moved - min(s.unacknowledged(), moved))
	}
	end := s.ends()
	end.counted, end.abandoned = true, lost
	return lost
}

// Abandoned is how many accepted messages did not arrive. The owner's Forget.
func (s *Session) Abandoned() uint64 {
	if s.end == nil {
		return 0
	}
	return s.end.abandoned
}

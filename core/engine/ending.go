// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/gobwas/ws"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
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

// ending is what a connection needs only towards its end.
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

// ends returns the connection's ending, which begins.
func (c *Conn) ends() *ending {
	if c.end == nil {
		c.end = new(ending)
	}
	return c.end
}

// cancel forgets the timers.
func (end *ending) cancel(t *timers) {
	if end != nil {
		t.cancel(end.deadline)
		t.cancel(end.next)
	}
}

// shut reports whether this side's end of the stream is given to the kernel.
func (c *Conn) shut() bool { return c.end != nil && c.end.shut }

// Finish closes the connection when everything queued for it has arrived, or at
// the deadline (zero: none).
func (c *Conn) Finish(reason Reason, deadline time.Time) {
	if c.fd < 0 {
		return
	}
	if c.owner.Closed() {
		c.say(ws.StatusGoingAway, "")
	}
	c.detach(reason)
	c.finish(c.owner.CloseTimeout(), deadline)
}

// finish is Finish for a detached connection, whose peer may take nothing for as long
// as limit says.
func (c *Conn) finish(limit time.Duration, deadline time.Time) {
	c.closeBy(deadline)
	if !c.finishing {
		c.finishing = true
		c.deliverLast()
		c.freeStash()
		c.dropBig()
		if c.parked {
			c.unpark()
		}
		c.wantRead() // from here on to drop it
	}
	switch {
	case c.broken:
		c.reset()
		return
	case !c.blocked:
		c.write() // may end the connection
	}
	if c.fd >= 0 {
		c.watch(limit)
	}
}

// watch ends the connection when its peer takes nothing for as long as limit says,
// while it ends or has answers to take.
func (c *Conn) watch(limit time.Duration) {
	end := c.ends()
	end.limit, end.pause = limit, lookFirst
	end.taken, end.takenAt = c.taken(), time.Now()
	c.shard.timers.cancel(end.next)
	c.look()
}

// watched reports whether watch is at work.
func (c *Conn) watched() bool { return c.end != nil && c.end.next != nil }

// closeBy closes the connection at the deadline, unless an earlier one is set.
func (c *Conn) closeBy(deadline time.Time) {
	end := c.ends()
	if deadline.IsZero() || end.deadline != nil && !end.deadline.at.After(deadline) {
		return
	}
	c.shard.timers.cancel(end.deadline)
	end.deadline = c.shard.timers.after(time.Until(deadline), func() {
		c.ordered = true
		c.close()
	})
}

// FinishConn is Finish, without a deadline, for the connection that the socket with
// this serial calls rid if it still does; code and why are what WebSocket says. A
// connection that this side ends is not dialled again. Driver only.
func (sh *Shard) FinishConn(shared *shm.Session, serial uint64, rid uint32, code uint16, why string) {
	if !shared.Closing(serial, rid) {
		return
	}
	c := sh.byFd[shared.Fd].handler.(*Conn)
	c.say(ws.StatusCode(code), why)
	if c.announced { // the peer did
		c.Finish(ReasonRemote, time.Time{})
		return
	}
	if c.dialer != nil {
		c.dialer.ended = true
	}
	c.Finish(ReasonLocal, time.Time{})
}

// ConnOf returns the connection that the socket with this serial calls rid, and that
// is told to close, or nil. Driver only.
func (sh *Shard) ConnOf(shared *shm.Session, serial uint64, rid uint32) *Conn {
	if !shared.Closing(serial, rid) {
		return nil
	}
	return sh.byFd[shared.Fd].handler.(*Conn)
}

// OnDriver runs call on the driver of the connection's shard, soon. Any thread.
func (c *Conn) OnDriver(call func()) { c.shard.Post(call) }

// Abort closes the connection at once; what is not written is lost.
func (c *Conn) Abort(reason Reason) {
	if c.fd >= 0 {
		c.ordered = c.ordered || reason == ReasonLocal || reason == ReasonCtxTerm
		c.detach(reason)
		c.close()
	}
}

// Reset is Abort that also takes back what the kernel has not delivered. It is
// the application's order: a dialled connection is not dialled again.
func (c *Conn) Reset() {
	if c.fd < 0 {
		return
	}
	if c.dialer != nil {
		c.dialer.ended = true
	}
	c.ordered = true
	c.detach(ReasonLocal)
	c.reset()
}

// reset closes a detached connection and tells the peer that something is missing.
func (c *Conn) reset() {
	sys.ResetOnClose(int(c.fd))
	c.close()
}

// remoteEnded reacts to the peer's end of the stream. The application hears of
// it at once, and what it had queued still goes out, as the peer may read on. A
// client that asks, ends its side and reads the answers gets them: until the
// application has received the event, it may also send.
func (c *Conn) remoteEnded() {
	switch {
	case c.failed, c.broken: // reset as well: nothing more reaches the peer
		c.Abort(ReasonRemote)
	case c.finishing:
		c.hangup = true
		c.checkArrived()
	case c.announced:
	case c.mayBeAnswered():
		c.announceEnd() // what follows is FinishConn
	default:
		c.Finish(ReasonRemote, time.Time{})
		if c.fd >= 0 {
			c.announceEnd()
		}
	}
}

// mayBeAnswered reports whether a peer that ended its side may wait for answers: it
// came to this side and has sent something. The Close frame of WebSocket says that
// it does not.
func (c *Conn) mayBeAnswered() bool {
	return !c.detached && c.dialer == nil && c.Received.Load() > 0 && c.manners() == nil
}

// deliverLast hands on whole frames that RCVHWM kept back.
func (c *Conn) deliverLast() {
	if c.backlog {
		c.deliverBacklog()
	}
}

// announceEnd delivers what is left of whole frames, then the event.
func (c *Conn) announceEnd() {
	if c.announced {
		return
	}
	c.announced = true
	c.keepFarewell()
	c.deliverLast()
	c.pushEvent(&c.Shared.Down)
}

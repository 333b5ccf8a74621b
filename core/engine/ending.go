// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// How a connection ends
//
// Finish writes what is queued, followed by the end of the stream. The descriptor stays
// open until the peer's system has acknowledged everything. What the peer sends meanwhile
// is read and dropped: a descriptor that is closed with unread input, or gets input
// later, resets the connection and destroys what is under way. A peer is reset if none of
// its bytes is acknowledged for a whole CloseTimeout. There is no other limit except the
// deadline, which is that of LINGER.
//
// The end of a WebSocket connection's stream waits for the peer's Close frame (RFC 6455,
// 7.1.1). Of a peer that broke the rules the frames are followed, and dropped, up to that
// one.
//
// The kernel reports when its last byte was acknowledged. The timer serves the peers that
// take nothing. It looks at each of them only a few times, so ten thousand of them cost
// next to nothing.

const (
	// lookFirst is the pause before the first check of what the peer has taken. The pause
	// doubles up to lookMost, or up to a quarter of the limit.
	lookFirst = time.Millisecond
	lookMost  = time.Second

	// goodbyeTime limits how long a peer that has everything may send nothing before its
	// goodbye. It may take twice that in all: the rest of a long message may come first.
	goodbyeTime = 5 * time.Second
	// lastTime limits how long such a peer may take to end its stream when that time is over,
	// and this side's stream ends without its goodbye.
	lastTime = time.Second
	// refusedTime limits how long a peer that broke the rules may take to receive the
	// explanation.
	refusedTime = 5 * time.Second

	// unreadReads is the highest number of reads before a descriptor is closed.
	unreadReads = 16
)

// ending is the state that a connection needs only towards its end.
type ending struct {
	deadline  *timer        // of LINGER; nil: none
	next      *timer        // the next look
	limit     time.Duration // longest time without progress of the peer; negative: none
	pause     time.Duration // before the next look
	taken     int64         // at the last look
	takenAt   time.Time     // the look at which that had changed
	told      bool          // everything is given to the kernel, with what tells the peer of the end
	toldAt    time.Time     // the look at which that had arrived; zero: not yet
	late      bool          // the peer's goodbye did not come in time
	shut      bool          // the end of the stream is given to the kernel
	counted   bool          // abandoned has its value
	abandoned uint64        // messages that did not arrive
}

// ends returns the connection's ending, and creates it on the first call.
func (c *Conn) ends() *ending {
	r := c.needRare()
	if r.end == nil {
		r.end = new(ending)
	}
	return r.end
}

// ending returns the connection's ending, or nil if it has not begun.
func (c *Conn) ending() *ending {
	if c.rare == nil {
		return nil
	}
	return c.rare.end
}

// cancel forgets the timers.
func (end *ending) cancel(t *timers) {
	if end != nil {
		t.cancel(end.deadline)
		t.cancel(end.next)
	}
}

// shut reports whether the kernel has got the end of this side's stream.
func (c *Conn) shut() bool {
	end := c.ending()
	return end != nil && end.shut
}

// Finish closes the connection once everything queued for it has arrived, or at
// the deadline (zero: none).
func (c *Conn) Finish(why Cause, deadline time.Time) {
	if c.fd < 0 {
		return
	}
	if c.owner.Closed() {
		c.say(webGoingAway, "")
	}
	c.because(why)
	c.detach()
	c.finish(c.owner.CloseTimeout(), deadline)
}

// finish is Finish for a detached connection. limit is how long its peer may take
// nothing.
func (c *Conn) finish(limit time.Duration, deadline time.Time) {
	c.closeBy(deadline)
	if !c.finishing {
		c.finishing = true
		c.deliverLast()
		c.freeStash()
		c.dropBig()
		c.dropFragments()
		c.countBegun()
		if c.parked {
			c.unpark()
		}
		c.stopSaving()
		c.wantRead() // from here on only to drop it
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

// watch ends the connection if its peer takes nothing for as long as limit. It works while
// the connection ends, or while the peer has answers to take.
func (c *Conn) watch(limit time.Duration) {
	end := c.ends()
	end.limit, end.pause = limit, lookFirst
	end.taken, end.takenAt = c.taken(), time.Now()
	c.shard.timers.cancel(end.next)
	c.look()
}

// watched reports whether watch is active.
func (c *Conn) watched() bool {
	end := c.ending()
	return end != nil && end.next != nil
}

// closeBy closes the connection at the deadline, unless an earlier one is set.
func (c *Conn) closeBy(deadline time.Time) {
	end := c.ends()
	if deadline.IsZero() || end.deadline != nil && !end.deadline.at.After(deadline) {
		return
	}
	c.shard.timers.cancel(end.deadline)
	end.deadline = c.shard.timers.after(time.Until(deadline), func() {
		c.ordered = true
		c.dropUnread()
		c.close()
	})
}

// FinishConn is Finish, without a deadline, for the connection that the socket with
// this serial still calls rid. code and why go into the WebSocket Close frame. A
// connection that this side ends is not dialled again. Driver only.
func (sh *Shard) FinishConn(shared *shm.Session, serial uint64, rid uint32, code uint16, why string) {
	if shared.Closing(serial, rid) {
		c := sh.byFd[shared.Fd].handler.(*Conn)
		c.say(webCode(code), why)
		c.finishHere(CauseClosedHere)
	}
}

// FinishDrained is FinishConn for a connection of a socket that drains. Driver only.
func (c *Conn) FinishDrained(code uint16) {
	if c.fd >= 0 && !c.detached {
		c.say(webCode(code), "")
		c.finishHere(CauseDrained)
	}
}

func (c *Conn) finishHere(why Cause) {
	if c.announced { // the peer ended it before
		c.Finish(CausePeerClosed, time.Time{})
		return
	}
	if c.dialer != nil {
		c.dialer.ended = true
	}
	c.Finish(why, time.Time{})
}

// ConnOf returns the closing connection that the socket with this serial calls rid, or
// nil. Driver only.
func (sh *Shard) ConnOf(shared *shm.Session, serial uint64, rid uint32) *Conn {
	if !shared.Closing(serial, rid) {
		return nil
	}
	return sh.byFd[shared.Fd].handler.(*Conn)
}

// OnDriver runs call on the driver of the connection's shard, soon. Any thread.
func (c *Conn) OnDriver(call func()) { c.shard.Post(call) }

// Abort closes the connection at once; unwritten data is lost.
func (c *Conn) Abort(why Cause) {
	if c.fd >= 0 {
		c.ordered = c.ordered || why.ordered()
		c.because(why)
		c.detach()
		c.close()
	}
}

// Reset is Abort that also discards what the kernel has not delivered. The application
// ordered it, so a dialled connection is not dialled again.
func (c *Conn) Reset(why Cause) {
	if c.fd < 0 {
		return
	}
	if c.dialer != nil {
		c.dialer.ended = true
	}
	c.ordered = true
	c.because(why)
	c.detach()
	c.reset()
}

// reset closes a detached connection so that the peer notices that something is missing.
func (c *Conn) reset() {
	sys.ResetOnClose(int(c.fd))
	c.close()
}

// remoteEnded reacts to the end of the peer's stream. The application gets the event at
// once. What it has queued is still sent, because the peer may still read. A client may
// send a request, end its side and read the answers: the application may even send until
// it has received the event.
func (c *Conn) remoteEnded() {
	switch {
	case c.failed, c.broken: // after a reset, too: nothing more reaches the peer
		c.Abort(CausePeerClosed)
	case c.finishing:
		c.hangup = true
		c.endTold()
		c.checkArrived()
	case c.announced:
	case c.mayBeAnswered():
		c.because(CausePeerClosed)
		c.announceEnd() // FinishConn does the rest
	default:
		c.Finish(CausePeerClosed, time.Time{})
		if c.fd >= 0 {
			c.announceEnd()
		}
	}
}

// mayBeAnswered reports whether a peer that ended its side may wait for answers. Such a
// peer was accepted and has sent something. A WebSocket peer that sent a Close frame does
// not wait.
func (c *Conn) mayBeAnswered() bool {
	return !c.detached && c.dialer == nil && c.Received.Load() > 0 && c.manners() == nil
}

// deliverLast passes on whole frames that RCVHWM held back.
func (c *Conn) deliverLast() {
	if c.backlog {
		c.deliverBacklog()
	}
}

// announceEnd delivers the remaining whole frames, then the event.
func (c *Conn) announceEnd() {
	if c.announced {
		return
	}
	c.announced = true
	c.keepFarewell()
	c.Shared.SetCause(uint8(c.cause))
	c.deliverLast()
	c.pushEvent(&c.Shared.Down)
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"

	"github.com/zlink/zlink/core/sys"
)

// Heartbeat says how the accepting side of a WebSocket transport pings its peers.
type Heartbeat struct {
	Interval time.Duration // 0: never
	Timeout  time.Duration // longest time without an answer; 0: no limit
}

// rest returns the part of the timeout beyond whole intervals.
func (b Heartbeat) rest() time.Duration { return b.Timeout % b.Interval }

// heartbeat holds the pings of one connection. It is due for the next ping, and when the
// time for an answer is over. Anything that came from the peer counts as an answer,
// because a pong may be stuck behind a long message. Driver only.
type heartbeat struct {
	conn       *Conn
	delay      time.Duration // it is due this long after begun
	pingAt     int64         // bytes passed to the kernel at the end of the oldest unanswered ping; math.MaxInt64: not yet sealed
	taken      int64         // Conn.taken at that ping, or when the peer was last excused
	begun      tick
	unanswered int32 // pings since the peer was last heard
	last       bool  // the next look is the one at the end of the timeout
	late       bool  // that ping reached the peer only after a timeout, so it gets another one
}

// beats reports whether the connection is to have pings.
func (c *Conn) beats() bool {
	return c.manners() != nil && c.dialer == nil && c.transport.Heartbeat.Interval > 0
}

// await makes the heartbeat due after a delay.
func (h *heartbeat) await(delay time.Duration) { h.begun, h.delay = h.conn.shard.now, delay }

// beatLeft does what is due for the connection's pings, and returns the time until the next
// look.
func (c *Conn) beatLeft() time.Duration {
	if c.link == nil || c.link.beat == nil {
		return unlimited
	}
	h := c.link.beat
	left := h.delay - c.shard.now.since(h.begun)
	if left <= 0 {
		h.look() // may end the connection
		left = h.delay
	}
	return left
}

// look does what is due: a ping, or the end of a peer that has not answered earlier
// pings. Take a timeout of k intervals and a rest: the last look follows ping k+1 by the
// rest, and the next ping is due an interval after ping k+1.
func (h *heartbeat) look() {
	c := h.conn
	beat := c.transport.Heartbeat
	if c.link.wire.heard {
		c.link.wire.heard = false
		h.unanswered, h.late = 0, false
	}
	switch {
	case h.last && h.unanswered > 0, h.over(0):
		h.judge()
		return
	case h.last && beat.rest() > 0:
		h.last = false
		h.await(beat.Interval - beat.rest())
		return
	}
	h.last = false
	h.ping()
	if c.link.beat == nil {
		return // the write has ended the connection
	}
	delay := beat.Interval
	if h.over(1) {
		h.last, delay = true, beat.rest()
	}
	h.await(delay)
}

// over reports whether only the rest of the timeout is left after its whole intervals
// (pings 1), or whether nothing is left (pings 0).
func (h *heartbeat) over(pings int32) bool {
	beat := h.conn.transport.Heartbeat
	if beat.Timeout == 0 || h.unanswered == 0 {
		return false
	}
	return time.Duration(h.unanswered-pings) == beat.Timeout/beat.Interval && (pings == 0) == (beat.rest() == 0)
}

// ping writes a ping, or lets it be written behind what is queued.
func (h *heartbeat) ping() {
	c := h.conn
	h.unanswered++
	c.link.manners().ask(true)
	if h.unanswered == 1 {
		h.pingAt, h.taken = math.MaxInt64, c.taken()
	}
	if !c.blocked && !c.broken {
		c.write()
	}
	h.place()
}

// judge ends the connection of a peer that was not heard in time.
func (h *heartbeat) judge() {
	c := h.conn
	h.place()
	if h.excused() {
		h.last = true
		h.await(c.transport.Heartbeat.Timeout)
		return
	}
	c.because(CauseNoPong)
	c.link.err = webBreach(webInternalServerError, "no answer to a ping")
	c.linkEnded(c.link.err)
}

// excused reports whether the peer gets another timeout. A peer that is not read cannot be
// heard. A peer that has not got the ping cannot answer it; it is excused as long as it
// takes what is in front of the ping, or its turn to be written to is still to come.
func (h *heartbeat) excused() bool {
	c := h.conn
	taken := c.taken()
	moved := taken > h.taken
	h.taken = taken
	switch {
	case c.link.paused: // it is not read, because it does not take its answers
		return moved
	case c.withheld() || c.pending || c.unread() > 0:
		return true
	case taken >= h.pingAt:
		late := h.late
		h.late = false
		return late
	}
	h.late = moved || c.unwritten
	return h.late
}

// place records where the first unanswered ping ends, once the ping is sealed.
func (h *heartbeat) place() {
	l := h.conn.link
	if h.pingAt == math.MaxInt64 && !l.manners().asks() {
		h.pingAt = int64(l.sent)
		if l.rest != nil {
			h.pingAt += int64(l.rest.ChainLen())
		}
	}
}

// unread returns how many of the peer's bytes wait in the kernel.
func (c *Conn) unread() int {
	n, _ := sys.Unread(int(c.fd))
	return n
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"

	"github.com/gobwas/ws"

	"github.com/zlink/zlink/core/sys"
)

// beatsAtOnce is the number of connections that are handled before the shard turns to
// others: connections that came together are due together.
const beatsAtOnce = 64

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
//
// The connections of a shard that wait for the same time are in one list, in the order in
// which they are due. A waiting connection therefore needs no timer of its own.
type heartbeat struct {
	conn       *Conn
	list       *beatList
	prev, next *heartbeat
	due        time.Time
	pingAt     int64 // bytes passed to the kernel at the end of the oldest unanswered ping; math.MaxInt64: not yet sealed
	taken      int64 // Conn.taken at that ping, or when the peer was last excused
	unanswered int32 // pings since the peer was last heard
	last       bool  // the next look is the one at the end of the timeout
	late       bool  // that ping reached the peer only after a timeout, so it gets another one
}

// beatList holds connections that wait for the same time, the next one first.
type beatList struct {
	delay       time.Duration
	first, last *heartbeat
	timer       *timer
}

// startHeartbeat starts the pings of a new connection, if it is to have any.
func (c *Conn) startHeartbeat() {
	if c.manners() == nil || c.dialer != nil || c.transport.Heartbeat.Interval <= 0 {
		return
	}
	h := &heartbeat{conn: c}
	c.link.beat = h
	c.shard.await(h, c.transport.Heartbeat.Interval)
}

// stopHeartbeat ends the pings.
func (c *Conn) stopHeartbeat() {
	if c.link == nil || c.link.beat == nil {
		return
	}
	c.shard.forget(c.link.beat)
	c.link.beat = nil
	c.link.manners.ask(false)
}

// await makes a heartbeat due after a delay.
func (sh *Shard) await(h *heartbeat, delay time.Duration) {
	if sh.beats == nil {
		sh.beats = map[time.Duration]*beatList{}
	}
	l := sh.beats[delay]
	if l == nil {
		l = &beatList{delay: delay}
		sh.beats[delay] = l
	}
	h.list, h.prev, h.next = l, l.last, nil
	h.due = time.Now().Add(delay)
	if l.last != nil {
		l.last.next = h
	} else {
		l.first = h
		l.timer = sh.timers.after(delay, func() { sh.beat(l) })
	}
	l.last = h
}

// forget removes a heartbeat from its list.
func (sh *Shard) forget(h *heartbeat) {
	l := h.list
	if l == nil {
		return
	}
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		l.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		l.last = h.prev
	}
	h.list, h.prev, h.next = nil, nil, nil
	if l.first == nil {
		sh.timers.cancel(l.timer)
		delete(sh.beats, l.delay)
	}
}

// beat handles the due heartbeats of a list, and waits for the next one.
func (sh *Shard) beat(l *beatList) {
	now := time.Now()
	for n := 0; n < beatsAtOnce && l.first != nil && !l.first.due.After(now); n++ {
		h := l.first
		sh.forget(h)
		h.look()
	}
	// A handled heartbeat may wait in this list again, or in a new list of its kind.
	if l.first != nil && l.timer.index < 0 {
		// Never before now, because that would run in this turn as well.
		l.timer = sh.timers.after(max(0, l.first.due.Sub(now)), func() { sh.beat(l) })
	}
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
		c.shard.await(h, beat.Interval-beat.rest())
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
	c.shard.await(h, delay)
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
	c.link.manners.ask(true)
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
		c.shard.await(h, c.transport.Heartbeat.Timeout)
		return
	}
	c.link.err = webBreach(ws.StatusInternalServerError, "no answer to a ping")
	c.linkEnded(c.link.err)
}

// excused reports whether the peer gets another timeout. A peer that is not read cannot be
// heard. A peer that has not got the ping cannot answer it; it is excused as long as it
// takes what is in front of the ping.
func (h *heartbeat) excused() bool {
	c := h.conn
	taken := c.taken()
	moved := taken > h.taken
	h.taken = taken
	switch {
	case c.link.paused: // it is not read, because it does not take its answers
		return moved
	case c.parked || c.pending || c.link.resting != nil || c.unread() > 0:
		return true
	case taken >= h.pingAt:
		late := h.late
		h.late = false
		return late
	}
	h.late = moved
	return moved
}

// place records where the first unanswered ping ends, once the ping is sealed.
func (h *heartbeat) place() {
	l := h.conn.link
	if h.pingAt == math.MaxInt64 && !l.manners.asks() {
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

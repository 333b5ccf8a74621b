// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"

	"github.com/gobwas/ws"

	"github.com/zlink/zlink/core/sys"
)

// beatsAtOnce is how many connections are looked at before the shard sees to others: a
// crowd that came together is due together.
const beatsAtOnce = 64

// Heartbeat says how the accepting side of a WebSocket transport pings its peers.
type Heartbeat struct {
	Interval time.Duration // 0: never
	Timeout  time.Duration // that a ping may be unanswered; 0: for ever
}

// rest is what the timeout has beyond whole intervals.
func (b Heartbeat) rest() time.Duration { return b.Timeout % b.Interval }

// heartbeat is the pings of one connection. It is looked at when the next ping is due,
// and when the time for an answer is over; whatever came from the peer until then
// counts as an answer, as a pong may be stuck behind a long message. Driver only.
//
// The connections of a shard that wait for the same time are in one list, in the order
// in which they are due, so to wait costs no timer.
type heartbeat struct {
	conn       *Conn
	list       *beatList
	prev, next *heartbeat
	due        time.Time
	pingAt     int64 // bytes that the kernel is given up to the end of the first of these; math.MaxInt64: it is not sealed
	taken      int64 // Conn.taken at that ping, or when the peer was last excused
	unanswered int32 // pings since the peer was last heard
	last       bool  // the next look is the one at the end of the timeout
	late       bool  // that ping got to the peer only after a timeout: it has another one
}

// beatList is connections that wait for the same time, the next one first.
type beatList struct {
	delay       time.Duration
	first, last *heartbeat
	timer       *timer
}

// startHeartbeat begins with the pings of a new connection, if there are to be any.
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

// await has a heartbeat looked at after a time.
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

// forget takes a heartbeat off its list.
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

// beat looks at those of a list that are due, and waits for the next one.
func (sh *Shard) beat(l *beatList) {
	now := time.Now()
	for n := 0; n < beatsAtOnce && l.first != nil && !l.first.due.After(now); n++ {
		h := l.first
		sh.forget(h)
		h.look()
	}
	// What was looked at may wait in this list again, or in a new one of its kind.
	if l.first != nil && l.timer.index < 0 {
		// Never before now: these would be run in this turn as well.
		l.timer = sh.timers.after(max(0, l.first.due.Sub(now)), func() { sh.beat(l) })
	}
}

// look does what is due: a ping, or the end of a peer that did not answer the ones
// before. With a timeout of k intervals and a rest, the last look is the rest after
// the ping number k+1; the next ping is due an interval after that one.
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
		return // writing has ended the connection
	}
	delay := beat.Interval
	if h.over(1) {
		h.last, delay = true, beat.rest()
	}
	c.shard.await(h, delay)
}

// over reports whether all of the timeout but what is left of it after whole intervals
// has passed; pings 0: and nothing is left.
func (h *heartbeat) over(pings int32) bool {
	beat := h.conn.transport.Heartbeat
	if beat.Timeout == 0 || h.unanswered == 0 {
		return false
	}
	return time.Duration(h.unanswered-pings) == beat.Timeout/beat.Interval && (pings == 0) == (beat.rest() == 0)
}

// ping writes one, or has it written with what is queued before it.
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

// excused reports whether the peer has another timeout: who is not read cannot be heard,
// and who has not got the ping yet cannot answer it, as long as it takes what is in
// front of it.
func (h *heartbeat) excused() bool {
	c := h.conn
	taken := c.taken()
	moved := taken > h.taken
	h.taken = taken
	switch {
	case c.link.paused: // it is not read because it does not take what it asked for
		return moved
	case c.parked || c.pending || c.link.resting || c.unread() > 0:
		return true
	case taken >= h.pingAt:
		late := h.late
		h.late = false
		return late
	}
	h.late = moved
	return moved
}

// place notes where the first unanswered ping ends, once it is sealed.
func (h *heartbeat) place() {
	l := h.conn.link
	if h.pingAt == math.MaxInt64 && !l.manners.asks() {
		h.pingAt = int64(l.sent)
		if l.rest != nil {
			h.pingAt += int64(l.rest.ChainLen())
		}
	}
}

// unread returns how many bytes of the peer wait in the kernel.
func (c *Conn) unread() int {
	n, _ := sys.Unread(int(c.fd))
	return n
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"
)

// looksAtOnce is the number of connections that are looked at before the shard turns to
// others: connections that came together are due together.
const looksAtOnce = 64

// Deadlines end a connection that has lived long enough, that says too little, or whose
// peer is gone. 0: never.
type Deadlines struct {
	Idle         time.Duration // longest time in which nothing comes from the peer
	FirstMessage time.Duration // longest time until its first message is there; accepted only
	Age          time.Duration // longest life; accepted only
}

// unlimited is how long a connection waits for a deadline that it does not have.
const unlimited = time.Duration(math.MaxInt64)

// startDeadlines lets the time of a new connection begin. Without deadlines and pings it has
// no place on the wheel.
func (c *Conn) startDeadlines() {
	limits := &c.limits.Deadlines
	listened := limits.FirstMessage > 0 || limits.Age > 0
	beats := c.beats()
	if limits.Idle <= 0 && !beats && (c.dialer != nil || !listened) {
		return
	}
	sh := c.shard
	now := sh.useClock()
	if sh.wheel == nil {
		sh.wheel = new(wheel)
	}
	sh.wheel.node(c.fd).born = now
	c.heardAt = now
	if beats {
		c.link.beat = &heartbeat{conn: c, begun: now, delay: c.transport.Heartbeat.Interval}
	}
	c.awaitDeadline()
}

// stopDeadlines ends them.
func (c *Conn) stopDeadlines() {
	if c.shard.wheel == nil {
		return
	}
	c.shard.wheel.forget(c.fd)
	if c.link != nil && c.link.beat != nil {
		c.link.beat = nil
		c.link.manners().ask(false)
	}
}

// runWheel looks at connections that are due, at most at looksAtOnce. It reports whether
// there were any.
func (sh *Shard) runWheel() bool {
	w := sh.wheel
	if w == nil || !w.due(sh.now) {
		return false
	}
	w.run(sh.now, looksAtOnce, func(fd int32) { sh.byFd[fd].handler.(*Conn).awaitDeadline() })
	return true
}

// awaitDeadline does what is due and waits for what comes next.
func (c *Conn) awaitDeadline() {
	if c.announced { // the peer has ended its side, and the application knows
		return
	}
	next := unlimited
	for _, rule := range deadlineRules {
		left := rule.left(c)
		switch {
		case c.fd < 0 || c.detached:
			return
		case left <= 0:
			c.expire(rule.cause)
			return
		}
		next = min(next, left)
	}
	left := c.beatLeft()
	if c.fd >= 0 && !c.detached {
		c.shard.wheel.await(c.fd, c.shard.now, min(next, left))
	}
}

// deadlineRules are the deadlines. left returns how much time is left.
var deadlineRules = [...]struct {
	left  func(*Conn) time.Duration
	cause Cause
}{
	{(*Conn).ageLeft, CauseAge},
	{(*Conn).firstLeft, CauseFirstMessage},
	{(*Conn).idleLeft, CauseIdle},
}

func (c *Conn) age() time.Duration { return c.shard.now.since(c.shard.wheel.node(c.fd).born) }

func (c *Conn) ageLeft() time.Duration {
	if limit := c.limits.Age; limit > 0 && c.dialer == nil {
		return limit - c.age()
	}
	return unlimited
}

// firstLeft reads what has come before it says that no message has.
func (c *Conn) firstLeft() time.Duration {
	limit := c.limits.FirstMessage
	if limit <= 0 || c.dialer != nil || c.Received.Load() > 0 {
		return unlimited
	}
	left := limit - c.age()
	if left > 0 {
		return left
	}
	if c.withheld() {
		return limit
	}
	if c.unread() > 0 {
		c.readNow()
	}
	if c.Received.Load() > 0 {
		return unlimited
	}
	return left
}

// idleLeft counts from when the peer was last heard. What this side does not read cannot be
// heard.
func (c *Conn) idleLeft() time.Duration {
	limit := c.limits.Idle
	if limit <= 0 {
		return unlimited
	}
	left := limit - c.shard.now.since(c.heardAt)
	if left > 0 || !c.mayHaveSpoken() {
		return left
	}
	c.heardAt = c.shard.now
	return limit
}

// mayHaveSpoken reports whether a peer that was not heard gets more time. A peer that is not
// read because it does not take its answers gets it only if it has taken some.
func (c *Conn) mayHaveSpoken() bool {
	if c.link != nil && c.link.paused {
		taken := c.taken()
		moved := taken != c.link.takenIdle
		c.link.takenIdle = taken
		return moved
	}
	return c.withheld() || c.pending || c.unread() > 0
}

// withheld reports whether this side does not read the connection, whatever comes: the
// receiver does not keep up, it is beyond its rate, or the peer has to wait for what it has sent.
func (c *Conn) withheld() bool {
	return c.parked || c.saving() || c.link != nil && c.link.resting != nil
}

// readNow reads before the kernel's report is there.
func (c *Conn) readNow() {
	if c.link != nil {
		c.link.wire.drained = false
	}
	c.receive()
}

// expire ends the connection because its time is over. What is queued is still sent, if the
// peer takes it.
func (c *Conn) expire(why Cause) {
	c.say(webGoingAway, why.String())
	c.because(why)
	c.detach()
	limit := c.owner.CloseTimeout()
	if limit < 0 {
		limit = refusedTime
	}
	c.finish(limit, time.Time{})
	if c.fd >= 0 {
		c.announceEnd()
	}
}

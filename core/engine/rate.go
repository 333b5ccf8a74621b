// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"
)

// Rates
//
// A connection may bring so many messages and so many bytes in a second. For each there is
// a bucket with what it may still bring: full at first, and filled within a second. Bytes
// count when they are read, messages when they are passed on. A connection with an empty
// bucket is not read until a part of a second's worth is there again, or it is cut. So one
// that keeps to its rate never waits, and one that does not is served a few times in a
// second, and not for each message. Frames of a layer that bring nothing, such as pings, are
// work as well: each counts as a message.

// Rate is how much a connection may bring in a second; 0: any number.
type Rate struct {
	Messages, Bytes int64
	Cut             bool // a connection that brings more is cut; else it is not read meanwhile
}

const (
	// saveTime is how long a connection with an empty bucket is not read, unless one
	// message or byte takes longer.
	saveTime = 100 * time.Millisecond
	// leastRead is the least room that a read offers when only few messages may come.
	leastRead = 1 << 10
	// likelySize is what a message takes at least, of all but a few peers.
	likelySize = 4 * lengthSize
)

// rates are the buckets of a connection that has sent something.
type rates struct {
	messages, bytes bucket
	at              tick   // they are filled up to this time
	over            bool   // the connection is over
	overAt          tick   // when that was seen
	next            *timer // ends a pause
}

// bucket is how much may still come, in billionths.
type bucket int64

const perToken = int64(time.Second)

// fill adds what a rate earns in some time. The bucket holds a second's worth.
func (b *bucket) fill(rate int64, passed time.Duration) {
	full := rate * perToken
	if rate == 0 || int64(passed) > (full-int64(*b))/rate {
		*b = bucket(full)
		return
	}
	*b += bucket(rate * int64(passed))
}

// holds returns how much may come now.
func (b bucket) holds(rate int64) int {
	if rate == 0 {
		return math.MaxInt32
	}
	return int(max(0, int64(b)/perToken))
}

// missing returns the time until a bucket is worth a read.
func (b bucket) missing(rate int64) time.Duration {
	if b.holds(rate) > 0 {
		return 0
	}
	worth := max(1, rate*int64(saveTime)/perToken) * perToken
	return time.Duration((worth - int64(b) + rate - 1) / rate)
}

func (b *bucket) pay(rate int64, n int) {
	if rate > 0 {
		*b -= bucket(int64(n) * perToken)
	}
}

// rated reports whether the connection has a rate.
func (c *Conn) rated() bool { return c.limits.Rate.Messages > 0 || c.limits.Rate.Bytes > 0 }

// mayBring returns how many messages and bytes may come now.
func (c *Conn) mayBring() (messages, bytes int) {
	if !c.rated() || c.served() {
		return math.MaxInt32, math.MaxInt32
	}
	rate, r := &c.limits.Rate, c.rates
	if r == nil {
		r = &rates{messages: bucket(rate.Messages * perToken), bytes: bucket(rate.Bytes * perToken), at: c.shard.useClock()}
		c.rates = r
	}
	passed := c.shard.now.since(r.at)
	r.messages.fill(rate.Messages, passed)
	r.bytes.fill(rate.Bytes, passed)
	r.at = c.shard.now
	if rate.Cut {
		return math.MaxInt32, math.MaxInt32
	}
	return r.messages.holds(rate.Messages), r.bytes.holds(rate.Bytes)
}

// served reports whether the rest of a connection that is over is read without regard to
// its rate: it keeps a descriptor until then, and has waited for long enough.
func (c *Conn) served() bool {
	r := c.rates
	if r == nil || !c.hangup {
		return false
	}
	if !r.over {
		r.over, r.overAt = true, c.shard.now
	}
	limit := c.owner.CloseTimeout()
	return limit >= 0 && c.shard.now.since(r.overAt) >= limit
}

// paid accounts for messages that were passed on, and for bytes that were read.
func (c *Conn) paid(messages, bytes int) {
	if c.rates != nil {
		c.rates.messages.pay(c.limits.Rate.Messages, messages)
		c.rates.bytes.pay(c.limits.Rate.Bytes, bytes)
	}
}

// withinRate returns what of a read may come from a connection that is cut when it brings
// more than that; beyond reports whether it does. fresh of the bytes in buf were read now,
// and found is in all of them.
func (c *Conn) withinRate(buf []byte, fresh int, found scanned) (within scanned, beyond bool) {
	if c.rates == nil {
		return found, false
	}
	messages, bytes := c.rates.messages.holds(c.limits.Rate.Messages), c.rates.bytes.holds(c.limits.Rate.Bytes)
	if found.frames <= messages && fresh <= bytes {
		return found, false
	}
	return c.scan(buf[:len(buf)-max(0, fresh-bytes)], messages), true
}

// readable returns how many bytes may be read so that hardly any messages are kept back. Of the
// shortest there are, which have nothing but a length, four times as many may come.
func readable(messages int) int { return max(leastRead, messages*likelySize) }

// save stops reading until the buckets are worth a read again. A connection that is over,
// and of which the system has no more, ends instead.
func (c *Conn) save() {
	if !c.backlog && c.overUnread() { // what is kept back has to be paid for, too
		c.readEnd()
		return
	}
	r, rate := c.rates, &c.limits.Rate
	pause := max(r.messages.missing(rate.Messages), r.bytes.missing(rate.Bytes))
	if limit := c.owner.CloseTimeout(); r.over && limit >= 0 {
		pause = min(pause, limit-c.shard.now.since(r.overAt))
	}
	r.next = c.shard.timers.after(pause, c.saved)
}

// saved reads on.
func (c *Conn) saved() {
	c.stopSaving()
	c.wantRead()
}

// saving reports whether the connection is not read because it is beyond its rate.
func (c *Conn) saving() bool { return c.rates != nil && c.rates.next != nil }

// stopSaving ends a pause.
func (c *Conn) stopSaving() {
	if c.saving() {
		c.shard.timers.cancel(c.rates.next)
		c.rates.next = nil
	}
}

// bigBeyondRate reports whether so many more bytes of a long message, or the whole of it
// (done), are more than may come.
func (c *Conn) bigBeyondRate(bytes int, done bool) bool {
	r := c.rates
	return r != nil && (bytes > r.bytes.holds(c.limits.Rate.Bytes) || done && r.messages.holds(c.limits.Rate.Messages) == 0)
}

// hollow returns how many frames of the last read count as messages although they mean
// little in the stream. They count once.
func (c *Conn) hollow() (frames int) {
	if c.link != nil {
		frames, c.link.hollow = int(c.link.hollow), 0
	}
	return frames
}

// overdrawn reports whether the connection is to be cut because of what the last read
// brought beside messages.
func (c *Conn) overdrawn() bool {
	return c.limits.Rate.Cut && c.limits.Rate.Messages > 0 && c.rates != nil && c.rates.messages < 0
}

// paidForNothing accounts for a read that brought nothing of the stream. It reports whether
// that ended the connection.
func (c *Conn) paidForNothing() bool {
	c.paid(c.hollow(), 0)
	if c.overdrawn() {
		c.cutForRate()
		return true
	}
	return false
}

// cutForRate ends a connection that has brought more than it may.
func (c *Conn) cutForRate() {
	c.backlog = false
	c.cut(CauseRate, webPolicyViolation, "more messages or bytes in a second than a peer may send")
}

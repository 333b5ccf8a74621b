// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"time"
)

// Changes of keys
//
// A TLS record of 27 bytes changes keys, and may ask this side to do the same. Each change
// takes two hash computations and a key schedule, and leaves 3 KB of garbage. A peer needs
// one change every few gigabytes. A connection therefore starts with some changes, and
// earns more with data and with time. A peer that makes more is not read until they are
// paid for.

const (
	// rekeyMost is the highest number of changes that a connection can have saved. It earns
	// a change with rekeyWorth bytes of data, or with rekeyTime.
	rekeyMost  = 16
	rekeyWorth = 64 << 10
	rekeyTime  = 100 * time.Millisecond

	// leftPerChange is the number of bytes that a change leaves in Go's heap, and an answer
	// the same again.
	leftPerChange = 3200
)

// errRekeys ends a handshake above TLS because the peer changes keys all the time.
var errRekeys = errors.New("too many changes of keys within a handshake")

// rekeys is what a peer may still ask for. Records without data count as changes.
type rekeys struct {
	spent  time.Duration // of rekeyMost * rekeyTime
	earned time.Time     // time counts as earned up to here
}

// data earns for n bytes.
func (r *rekeys) data(n int) {
	r.spent = max(0, r.spent-time.Duration(n)*rekeyTime/rekeyWorth)
}

// pay pays for a change, and returns the time that it takes to earn what is missing.
func (r *rekeys) pay() time.Duration {
	const most = rekeyMost * rekeyTime
	r.spent += rekeyTime
	if r.spent <= most {
		return 0
	}
	now := time.Now()
	if !r.earned.IsZero() {
		r.spent = max(0, r.spent-now.Sub(r.earned))
	}
	r.earned = now
	return max(0, r.spent-most)
}

// rest stops reading the connection for as long as a layer asked for.
func (c *Conn) rest() {
	l := c.link
	if l.wire.rest > 0 && l.resting == nil {
		l.resting = c.shard.timers.after(l.wire.rest, func() {
			l.resting = nil
			c.wantRead()
		})
	}
	l.wire.rest = 0
}

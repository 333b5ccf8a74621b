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
//
// crypto/tls does not report changes, but it reads only when it has no whole record. At
// that moment it has used up all records that have come. Those that brought no data are
// changes, or just as useless.

const (
	// rekeyMost is the highest number of changes that a connection can have saved. It earns
	// a change with rekeyWorth bytes of data, or with rekeyTime.
	rekeyMost  = 16
	rekeyWorth = 64 << 10
	rekeyTime  = 100 * time.Millisecond

	// leftPerChange is the number of bytes that a change leaves in Go's heap. leftPerAnswer
	// is the number that each byte of an answer leaves; an answer has 27 bytes.
	leftPerChange = 3200
	leftPerAnswer = 120

	// rekeyRead is the number of bytes read at a time while the last reads brought changes.
	rekeyRead = 2 << 10
)

// errRekeys ends a handshake above TLS because the peer changes keys all the time.
var errRekeys = errors.New("too many changes of keys within a handshake")

// rekeys counts changes of the peer's keys.
type rekeys struct {
	records recordCount
	used    int           // whole records that are accounted for
	spent   time.Duration // of rekeyMost * rekeyTime
	earned  time.Time     // time counts as earned up to here
	some    bool          // there were changes among the last records
}

// shaking accounts for records of the handshake.
func (r *rekeys) shaking() { r.used = r.records.whole }

// data accounts for a record with data, of which n bytes are there now.
func (r *rekeys) data(n int) {
	r.used++
	r.spent = max(0, r.spent-time.Duration(n)*rekeyTime/rekeyWorth)
}

// changes returns the number of changes since the last call, and accounts for them.
// crypto/tls must have used up all whole records.
func (r *rekeys) changes() int {
	n := r.records.whole - r.used
	r.used = r.records.whole // data in parts was counted more than once
	r.some = n > 0
	return max(0, n)
}

// pay pays for changes, and returns the time that it takes to earn what is missing.
func (r *rekeys) pay(changes int) time.Duration {
	const most = rekeyMost * rekeyTime
	r.spent += time.Duration(changes) * rekeyTime
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

// payChanges makes the connection pay for the changes that came. It returns an error if
// nothing may be read now.
func (t *tlsLayer) payChanges() error {
	changes := t.rekeys.changes()
	if changes == 0 && t.rekeys.spent <= rekeyMost*rekeyTime {
		return nil
	}
	leaves(int64(changes) * leftPerChange)
	t.below.Charge(changes * recordPrice)
	missing := t.rekeys.pay(changes)
	switch {
	case missing == 0:
		return nil
	case t.below.link.shaking != nil:
		return errRekeys
	}
	t.below.Rest(missing)
	return errAgain
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

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"

	"github.com/zlink/zlink/core/check"
)

// The ready list
//
// Connections that may be read wait in two queues. Those that bring much wait in busy, and have
// their turns in order; the others wait in sparse, and come first. So a peer that says little now
// and then does not wait until thousands have had their long turns.
//
// What a connection brought counts half as much after each pass, which takes a second or
// more. A connection is busy while that is much. New ones are sparse, unless they have
// much at their first turn. However many sparse ones there are, busy ones get their share.
type ready struct {
	sparse, busy ring
	pass         pass
	since        time.Time // when the pass began
	left         int       // in busy that were there then, and have not had a turn
	ahead        int       // of sparse turns since the last busy one, prices included
}

// pass is the number of a pass, not 0. It wraps around: who was busy 255 passes ago and had no
// turn since may count as busy once more.
type pass uint8

// spending is what a connection has brought.
type spending struct {
	pass pass  // of its last turn; 0: it had none yet
	much uint8 // in spendUnits, as of that pass; the most there is: that, or more
}

const (
	// spendUnit is what a turn that brings one small message costs, or so.
	spendUnit = 384
	// much is how many of them are much: 45 KiB, or 60 small messages a second for some time. What is at the
	// most is much for one more pass.
	much = math.MaxUint8/2 - 7
	// aheadRead is where a turn ends for which others in busy wait.
	aheadRead = 64 << 10
	// firstRead is how much a new connection may have to have a turn ahead of busy ones: there may be
	// thousands of new ones, and again and again.
	firstRead = 2 << 10
	// aheadMost is after how many bytes of turns ahead of it a busy connection has one.
	aheadMost = 1 << 20
	// A pass is over when all that were in busy when it began have had a turn, and so much time has
	// passed, however little has come: who brings little for hours is not busy when a flood begins.
	passTime = time.Second
)

func (r *ready) len() int { return r.sparse.len() + r.busy.len() }

// push puts a connection on the list. It is not there yet.
func (r *ready) push(c *Conn) {
	if r.spent(c) >= much {
		r.busy.push(c)
		return
	}
	r.sparse.push(c)
}

// spent returns what counts of that which a connection has brought.
func (r *ready) spent(c *Conn) uint8 { return c.spending.much >> (r.pass - c.spending.pass) }

// begin begins another pass if one is over.
func (r *ready) begin() {
	if r.left > 0 {
		return
	}
	now := time.Now()
	if now.Sub(r.since) < passTime {
		return
	}
	r.pass = max(1, r.pass+1)
	r.since, r.left = now, r.busy.len()
}

// pop takes the connection whose turn it is, and returns how much it may read, and whether it had
// no turn before.
func (r *ready) pop() (c *Conn, turn int, isNew bool) {
	turn = longRead
	switch {
	case r.sparse.len() == 0 || r.busy.len() > 0 && r.ahead >= aheadMost:
		c = r.busy.pop()
		r.left = max(0, r.left-1)
		r.ahead = 0
	default:
		c = r.sparse.pop()
		if r.busy.len() > 0 {
			turn = aheadRead
		}
	}
	isNew = c.spending.pass == 0
	c.spending = spending{r.pass, r.spent(c)}
	return c, turn, isNew
}

// brought records how much a turn brought, prices included. It is not on the list.
func (r *ready) brought(c *Conn, bytes int) {
	if r.busy.len() > 0 {
		r.ahead += bytes
	}
	c.spending.much = uint8(min(math.MaxUint8, int(c.spending.much)+max(1, bytes/spendUnit)))
}

// eager reports whether a new connection has too much for a turn ahead of busy ones. It is busy then.
func (r *ready) eager(c *Conn, isNew bool) bool {
	if !isNew || r.busy.len() == 0 || c.unread() <= firstRead {
		return false
	}
	c.spending.much = math.MaxUint8
	return true
}

// readReady reads connections that have input, each at most once, until the round's bytes
// have come, or a receiver is awake that can read the others.
func (sh *Shard) readReady() {
	sh.warm = true
	sh.brisk = briskRounds
	sh.roundRead = 0
	sh.ready.begin()
	for range sh.ready.len() {
		sh.giveTurn()
		if sh.roundRead >= roundBytes || sh.handOver != nil {
			return
		}
	}
}

// giveTurn reads the connection whose turn it is. If that has more, it goes back on the list
// when it is known how much the turn brought.
func (sh *Shard) giveTurn() {
	c, turn, isNew := sh.ready.pop()
	if check.On {
		check.That(c.pending, "a connection on the ready list is marked so")
	}
	before := sh.roundRead
	sh.roundRead += lookPrice
	if sh.ready.eager(c, isNew) {
		sh.ready.push(c)
		return
	}
	c.pending = false
	sh.turn, sh.reading = turn, c
	c.receive()
	sh.turn, sh.reading = longRead, nil
	sh.ready.brought(c, sh.roundRead-before)
	if c.pending {
		sh.ready.push(c)
	}
}

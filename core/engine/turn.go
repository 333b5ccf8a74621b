// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/sys"
)

// Turns
//
// A round of a shard's loop serves everybody who has something to read or to
// write, and nobody for longer than a turn. A turn is bounded by what goes over
// the wire, never by what that decodes to: a peer chooses how little its bytes
// mean. Whatever costs more than its bytes has a price on top. Who has more stays
// on the shard's list, behind all others; as reports of the kernel are edge
// triggered, only that list brings it back.
const (
	// readTurn is how many bytes a link reads in one turn, at the most.
	readTurn = 64 << 10
	// longRead is the same for a long frame without a link.
	longRead = 256 << 10
	// writeTurn is how many bytes a connection writes in one turn, writeRound how many
	// all of them write in a round.
	writeTurn  = 128 << 10
	writeRound = 256 << 10

	// lookPrice is what a look at a connection that may be read costs, in bytes of a
	// round, writePrice a write, closePrice the end of a connection.
	lookPrice  = 256
	writePrice = 1 << 10
	closePrice = 2 << 10
	// recordPrice is the least that a read of the TLS layer costs, and what each of
	// its own answers costs on top: a change of keys is two hash computations and a
	// key schedule for 27 bytes.
	recordPrice = 2 << 10

	// denseFrame is how many bytes of the wire a frame of WebSocket is worth, header
	// included; where they have less on average, a read is denseRead long at the
	// most, and each costs framePrice on top.
	denseFrame = 16
	denseRead  = 8 << 10
	framePrice = 64

	// answersMax is how many bytes a link may owe the peer, in answers to what the
	// peer sent, before it is read on.
	answersMax = 4 << 10

	mailBatch  = 128 // posted calls in a round
	timerBatch = 64  // timers that fire in a round

	// shortPause is how long a call waits that the kernel had no memory for.
	shortPause = 10 * time.Millisecond
)

// writeLater puts the connection behind all others that have something to write. The
// kernel would take more, so it reports nothing.
func (c *Conn) writeLater() {
	if check.On {
		check.That(!c.unwritten, "a connection is on the list of those that write on once")
	}
	c.unwritten = true
	c.shard.unwritten.push(c)
}

// writeOn gives connections that did not come to their end another turn, the one that
// waits longest first, and reports whether there were any: the round is then not to
// end with a sleep, as the kernel has nothing to report.
func (sh *Shard) writeOn() bool {
	waiting := sh.unwritten.len()
	for range waiting {
		if sh.roundLeft <= 0 {
			break
		}
		c := sh.unwritten.pop()
		if check.On {
			check.That(c.unwritten, "a connection on the list of those that write on is marked so")
		}
		c.unwritten = false
		if c.fd >= 0 && !c.blocked && !c.broken {
			c.write()
		}
	}
	return waiting > 0
}

// refused reacts to an error of a write.
func (c *Conn) refused(e sys.Errno) {
	switch {
	case e == sys.EAGAIN:
		c.setBlocked(true)
	case sys.OutOfMemory(e):
		c.setBlocked(true)
		c.shard.timers.after(shortPause, c.unblock)
	default:
		c.writeFailed()
	}
}

// readAgain reads on after the kernel had no memory.
func (c *Conn) readAgain() { c.shard.timers.after(shortPause, c.wantRead) }

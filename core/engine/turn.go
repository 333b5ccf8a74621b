// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// Turns
//
// A round of a shard's loop serves every connection that has something to read or write,
// and none for longer than a turn. The limit of a turn is the number of bytes on the wire,
// not what those decode to: a peer chooses how little its bytes mean. Work that costs more
// than its bytes has a price on top. A connection that has more stays on the shard's list,
// behind all others. Only that list brings it back, because the kernel's reports are edge
// triggered.
const (
	// readTurn is the highest number of bytes that a link with other layers than one WebSocket
	// reads in one turn.
	readTurn = 64 << 10
	// longRead is the same without such a link: a slab.
	longRead = shm.SlabSize
	// writeRound is how many bytes all connections may write in a round.
	writeRound = 512 << 10

	// Prices in bytes of a round: lookPrice for checking a connection that may be read,
	// writePrice for a write, closePrice for the end of a connection.
	lookPrice  = 256
	writePrice = 1 << 10
	closePrice = 2 << 10
	// recordPrice is the least price of a read of the TLS layer, and the extra price of each
	// of its own answers: a key change takes two hash computations and a key schedule for 27
	// bytes.
	recordPrice = 2 << 10

	// denseFrame is the number of bytes on the wire, header included, that a WebSocket frame
	// should have. If frames have less on average, a read is at most denseRead long, and each
	// frame costs framePrice on top.
	denseFrame = 16
	denseRead  = 8 << 10
	framePrice = 64

	// answersMax is how many bytes of answers a link may owe the peer before reading
	// stops.
	answersMax = 4 << 10

	mailBatch  = 128 // posted calls in a round
	timerBatch = 64  // timers that fire in a round

	// shortPause is the wait before a call is repeated for which the kernel had no memory.
	shortPause = 10 * time.Millisecond
)

// writeTurn is how many bytes a connection may write in one turn.
//
//capi:const ZL
const writeTurn = 320 << 10

// writeLater puts the connection behind all others that have something to write. The
// kernel would take more bytes and so will report nothing.
func (c *Conn) writeLater() {
	if check.On {
		check.That(!c.unwritten, "a connection is on the list of those that write on once")
	}
	c.unwritten = true
	c.shard.unwritten.push(c)
}

// writeOn gives another turn to connections that have not finished, longest wait first. It
// reports whether there were any: the round must not end with a sleep then, because the
// kernel has nothing to report.
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
		c.writeFailed(e)
	}
}

// readAgain schedules another read after the kernel had no memory.
func (c *Conn) readAgain() { c.shard.timers.after(shortPause, c.wantRead) }

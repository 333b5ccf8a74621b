// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/sys"
)

// discard reads and drops what the peer of an ending connection still sends.
func (c *Conn) discard() {
	buf := c.shard.space(0)
	if buf == nil {
		c.reset()
		return
	}
	_, more, ok := c.read(buf[:readMin])
	if ok && (more || c.hangup) {
		c.wantRead()
	}
}

// written follows when a finishing connection has nothing left to write, except perhaps the
// end of its stream.
func (c *Conn) written() {
	if c.arrived() {
		c.dropUnread()
		c.close()
		return
	}
	end := c.ends()
	end.told = true
	if !end.shut && c.mayEnd() {
		end.shut = true
		_ = sys.EndStream(int(c.fd))
	}
}

// told reports whether the kernel has everything, with what tells the peer of the end.
func (c *Conn) told() bool {
	end := c.ending()
	return end != nil && end.told
}

// mayEnd reports whether the end of this side's stream need not wait for a goodbye of the
// peer: there is none in its protocol, it has come, its time is over, or nothing asks for it.
func (c *Conn) mayEnd() bool {
	l, end := c.link, c.ending()
	return l == nil || l.polite == 0 || l.over || l.ended || l.manners().cut() || end != nil && end.late
}

// endTold ends the stream if it has waited for the peer's goodbye.
func (c *Conn) endTold() {
	if c.told() && !c.shut() && !c.broken {
		c.write()
	}
}

// checkArrived closes an ending connection once the peer has everything.
func (c *Conn) checkArrived() {
	if c.fd >= 0 && c.shut() && c.arrived() {
		c.dropUnread()
		c.close()
	}
}

// dropUnread reads and drops unwanted input, within one turn. Closing a descriptor with
// unread input would reset the connection.
func (c *Conn) dropUnread() {
	buf := c.shard.space(0)
	for i := 0; i < unreadReads && buf != nil; i++ {
		n, e := sys.Recv(int(c.fd), buf[:readMin])
		if e != 0 && e != sys.EINTR || e == 0 && n < readMin {
			return
		}
	}
}

// arrived reports whether the peer's system has everything that was written. A peer that
// has a goodbye to say, or was told that it broke the rules, must have said it or ended its
// stream as well: what it still sends would meet a closed descriptor, and reset the connection.
func (c *Conn) arrived() bool {
	if l := c.link; l != nil && !l.over && (l.polite > 0 || l.breach != nil) {
		return false
	}
	return c.underWay() == 0
}

// look checks whether the peer has taken something since the last look.
func (c *Conn) look() {
	end := c.ending()
	end.next = nil
	if c.checkArrived(); c.fd < 0 || !c.finishing && !c.link.paused && c.link.resting == nil {
		return
	}
	now, most := time.Now(), lookMost
	if taken := c.taken(); taken != end.taken || c.unwritten { // what it gets is not up to it
		end.taken, end.takenAt = taken, now
	}
	if limit, left := c.patience(now); limit >= 0 {
		if left <= 0 {
			c.stalled()
			return
		}
		most = min(most, max(limit/4, lookFirst), left)
	}
	end.next = c.shard.timers.after(min(end.pause, most), c.look)
	end.pause = min(2*end.pause, lookMost)
}

// patience returns for how long the peer may take nothing, or, once it has everything, say
// nothing, and what is left of that. A negative limit means that there is none.
func (c *Conn) patience(now time.Time) (limit, left time.Duration) {
	end := c.ending()
	limit = end.limit
	if !end.told || c.underWay() > 0 {
		return limit, limit - now.Sub(end.takenAt)
	}
	if end.toldAt.IsZero() {
		end.toldAt = now
	}
	if c.link != nil && c.link.wire.heard {
		c.link.wire.heard = false
		end.takenAt = now
	}
	most := goodbyeTime
	if end.late {
		most = lastTime
	}
	if limit < 0 || limit > most {
		limit = most
	}
	return limit, min(limit-now.Sub(end.takenAt), 2*limit-now.Sub(end.toldAt))
}

// stalled ends a connection whose peer has taken nothing for too long.
func (c *Conn) stalled() {
	switch {
	case !c.finishing:
		c.Abort(CauseStalled)
	case !c.told() || c.underWay() > 0:
		c.because(CauseStalled)
		c.reset()
	case c.shut():
		c.dropUnread()
		c.close()
	default: // only its goodbye is missing
		end := c.ending()
		end.late = true
		c.endTold()
		if c.fd >= 0 {
			end.toldAt = time.Time{}
			c.watch(end.limit)
		}
	}
}

// taken counts the bytes on the wire that have left the kernel. For a local connection the
// number only shows whether there were any.
func (c *Conn) taken() int64 {
	wire := c.moved.Load()
	if c.link != nil {
		wire = c.link.sent
	}
	return int64(wire) - int64(c.underWay())
}

// underWay returns how many of the kernel's bytes the peer's system has not acknowledged,
// counted on the wire. For a local connection it returns the memory that holds what the
// peer has not read.
func (c *Conn) underWay() int {
	n, _ := sys.Unsent(int(c.fd))
	if c.shut() && n > 0 && c.network.acknowledges {
		n-- // the end of the stream counts as one
	}
	return n
}

// unacknowledged returns how many bytes of the stream have left the flush queue without,
// perhaps, reaching the peer's system. Behind a link the number may be too high by the
// bytes that the link adds. On a local connection the peer owns what the kernel has,
// whatever happens to this end.
func (c *Conn) unacknowledged() uint64 {
	n := 0
	if c.network.acknowledges {
		n = c.underWay()
	}
	if c.link != nil && c.link.rest != nil {
		n += c.link.rest.ChainLen()
	}
	if c.link != nil {
		n = max(0, n-int(c.link.tail))
	}
	if n > 0 && c.link.squeezes() { // how much these bytes were is known of all together
		return uint64(float64(n) * max(1, float64(c.moved.Load())/float64(max(1, c.link.sent))))
	}
	return uint64(n)
}

// abandon counts the accepted messages that did not, as far as is known, arrive completely
// at the peer's system. It counts once, when no more can arrive.
func (c *Conn) abandon() uint64 {
	if end := c.ending(); end != nil && end.counted {
		return end.abandoned
	}
	written := uint64(0)
	if c.ledger != nil {
		written = c.ledger.frames
	}
	lost := c.sent.Load() - written
	if lost == 0 && (c.ledger == nil || c.unacknowledged() == 0) {
		return 0
	}
	if c.ledger != nil {
		lost += c.ledger.beyond(c.acknowledged())
	}
	end := c.ends()
	end.counted, end.abandoned = true, lost
	return lost
}

// Abandoned returns how many accepted messages did not arrive. For the owner's Forget.
func (c *Conn) Abandoned() uint64 {
	if end := c.ending(); end != nil {
		return end.abandoned
	}
	return 0
}

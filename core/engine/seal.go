// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// writeLink is write for a connection with a link. The turn ends when at most end bytes of
// the round are left.
func (c *Conn) writeLink(end int) {
	l := c.link
	for {
		if e := c.writeRest(); e != 0 {
			c.packRest()
			c.refused(e)
			return
		}
		if c.shard.roundLeft <= end && c.hasToSeal() {
			c.writeLater()
			return
		}
		if c.writesInPlace() {
			if !c.writeMessages(end) {
				return
			}
			continue
		}
		if l.web != nil && !c.hasToSeal() {
			break
		}
		sealed := c.seal()
		c.shard.roundLeft -= len(sealed) + writePrice
		if !c.writeSealed(sealed) {
			return
		}
		if l.paused {
			l.paused = false
			c.wantRead()
		}
		if len(sealed) == 0 {
			break
		}
	}
	c.countLink()
	if c.finishing && l.said {
		c.written()
	}
}

// hasToSeal reports whether seal would return anything.
func (c *Conn) hasToSeal() bool {
	l := c.link
	return c.flushHead != nil || l.owes() > 0 || c.finishing && (!l.said || !l.ended && c.mayEnd())
}

// writeRest writes what was sealed earlier.
func (c *Conn) writeRest() sys.Errno {
	l := c.link
	for l.rest != nil {
		n, e := sys.Send(int(c.fd), l.rest.Bytes()[l.rest.Start:l.rest.End])
		if e == sys.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		l.sent += uint64(n)
		if l.rest.Start += uint32(n); l.rest.Start == l.rest.End {
			done := l.rest
			l.rest = (*shm.Chunk)(done.Next)
			c.freeSent(done)
			c.giveRoom()
		}
	}
	return 0
}

// writeSealed writes freshly sealed bytes, and keeps what the kernel refuses. It returns
// false if nothing more is to be sealed.
func (c *Conn) writeSealed(data []byte) bool {
	for len(data) > 0 {
		n, e := sys.Send(int(c.fd), data)
		switch {
		case e == sys.EINTR:
		case e == sys.EAGAIN, sys.OutOfMemory(e):
			if c.keepSealed(data) {
				c.refused(e)
			}
			return false
		case e != 0:
			c.writeFailed(e)
			return false
		default:
			c.link.sent += uint64(n)
			data = data[n:]
		}
	}
	return true
}

// keepSealed keeps sealed bytes. It returns false when there is no memory.
func (c *Conn) keepSealed(data []byte) bool {
	if c.link.rest = shm.NewPacked(data); c.link.rest == nil {
		c.Abort(CauseNoMemory)
		return false
	}
	c.countMemory(c.link.rest.ChainSize())
	c.queues.Charge(c.link.rest.ChainCharge())
	c.countLink() // it includes what was owed
	return true
}

// packRest frees the memory of rest that exceeds what its bytes need.
func (c *Conn) packRest() {
	rest := c.link.rest
	if !shm.Sparse(int64(rest.ChainLen()), rest.ChainSize(), nil) {
		return
	}
	more, before := int64(0), rest.ChainCharge()
	c.link.rest, _, more = shm.Pack(rest)
	c.countMemory(more)
	c.queues.Charge(c.link.rest.ChainCharge() - before)
}

func (c *Conn) dropRest() {
	if c.link.rest != nil {
		c.queues.Charge(-c.link.rest.ChainCharge())
		c.freeChain(c.link.rest)
		c.link.rest = nil
	}
}

// seal returns the next bytes for the wire, in a buffer of the shard. It returns none if
// there is nothing to write.
func (c *Conn) seal() []byte {
	sealed := Source{link: c.link}.Bytes(sealBytes)
	if c.link.said {
		c.link.tail += int32(len(sealed))
	}
	if c.finishing && c.flushHead == nil {
		c.link.said = true
		c.link.ended = c.link.ended || c.mayEnd()
	}
	return sealed
}

// sealsLast reports whether the bytes that the layer at this place seals are its last ones.
// Layers below WebSocket end the stream, so they wait for the peer's Close frame.
func (c *Conn) sealsLast(at int) bool {
	l := c.link
	switch {
	case !c.finishing || c.flushHead != nil || l.ended:
		return false
	case at+1 < int(l.polite):
		return c.mayEnd()
	}
	return !l.said
}

// wholeFrames returns the number of bytes from a chunk of the flush queue on, about sealBytes, that end
// with a frame. behind is the chunk that the next frame begins with, or nil: there is none, or that
// frame begins within a chunk.
func wholeFrames(first *shm.Chunk) (size uint64, behind *shm.Chunk) {
	all := uint64(0)
	for chunk := first; chunk != nil && size < sealBytes; {
		next := (*shm.Chunk)(chunk.Next)
		all += uint64(chunk.End-chunk.Start) + uint64(chunk.ExtLen)
		if chunk.Msgs > 0 {
			if size, behind = all-uint64(chunk.Open), next; chunk.Open > 0 {
				behind = nil
			}
		}
		chunk = next
	}
	return size, behind
}

// gather moves up to limit bytes of the flush queue to the end of dst.
func (c *Conn) gather(dst []byte, limit uint64) []byte {
	from := len(dst)
	for chunk := c.flushHead; chunk != nil && limit > 0; chunk = (*shm.Chunk)(chunk.Next) {
		part := chunk.Bytes()[chunk.Start:chunk.End]
		part = part[:min(uint64(len(part)), limit)]
		dst = append(dst, part...)
		limit -= uint64(len(part))
		if n := min(uint64(chunk.ExtLen), limit); n > 0 {
			dst = append(dst, chunk.ExtBytes()[:n]...)
			limit -= n
		}
	}
	if n := len(dst) - from; n > 0 {
		c.advance(uint64(n))
	}
	return dst
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// A server masks nothing. So where WebSocket is the only layer, its messages are written from
// where they are queued, with a header in front of each, and nothing is copied. What else the
// layer has to say, and its end, are sealed as in any other link (seal.go).

// writesInPlace reports whether the next bytes are written from where they are queued.
func (c *Conn) writesInPlace() bool {
	w := c.link.web
	return w != nil && !w.client && c.flushHead != nil && !c.finishing && (w.writeLeft > 0 || w.Owes() == 0)
}

// writeMessage writes the next message of whole frames, or goes on with one. Of a message that
// the kernel takes a part of, the rest is kept as if it had been sealed, unless it is long. The
// turn ends when at most end bytes of the round are left. writeMessage returns false if nothing
// more is to be written now.
func (c *Conn) writeMessage(end int) bool {
	sh, w := c.shard, c.link.web
	header, size := sh.header[:0], w.writeLeft
	if size == 0 {
		size = c.wholeFrames()
		header = w.appendHeader(header, webOpBinary, size)
	}
	limit := size
	if limit > sealBytes {
		limit = min(limit, uint64(max(sh.roundLeft-end, writePrice)))
	}
	n, e := c.writeHeaded(header, limit)
	switch {
	case e == sys.EINTR:
		return true
	case e != 0 && len(header) == 0 && size <= sealBytes:
		return c.writeBegun(nil)
	case e != 0:
		c.refused(e)
		return false
	}
	c.link.sent += uint64(n)
	sh.roundLeft -= n + writePrice
	inHeader := min(n, len(header))
	done := uint64(n - inHeader)
	w.writeLeft = size - done
	if done > 0 {
		c.advance(done)
	}
	if done == limit || inHeader == len(header) && w.writeLeft > sealBytes {
		return true
	}
	return c.writeBegun(header[inHeader:])
}

// writeBegun writes the rest of a message's header and what is left of the message, up to
// sealBytes, and keeps what the kernel refuses.
func (c *Conn) writeBegun(header []byte) bool {
	w, scratch := c.link.web, &c.shard.scratch[0]
	rest := append((*scratch)[:0], header...)
	from := len(rest)
	rest = c.gather(rest, min(sealBytes, w.writeLeft))
	w.writeLeft -= uint64(len(rest) - from)
	*scratch = rest
	c.shard.roundLeft -= len(rest) + writePrice
	return c.writeSealed(rest)
}

// writeHeaded sends a header, if there is one, and up to limit bytes of the flush queue.
func (c *Conn) writeHeaded(header []byte, limit uint64) (int, sys.Errno) {
	chunk := c.flushHead
	whole := chunk.Ext == 0 && uint64(chunk.End-chunk.Start) >= limit
	switch {
	case whole && len(header) == 0:
		return sys.Send(int(c.fd), chunk.Bytes()[chunk.Start:][:limit])
	case whole && chunk.Start == 0 && len(header) <= shm.HeadMost:
		n, e := sys.Send(int(c.fd), chunk.Headed(header, int(limit)))
		chunk.Unhead()
		return n, e
	}
	if limit == uint64(chunk.ExtLen) && len(header) > 0 {
		if all := chunk.HeadedExt(len(header)); all != nil { // the header is the same for all
			return sys.Send(int(c.fd), all)
		}
	}
	count := 0
	if len(header) > 0 {
		c.shard.parts[0].Set(&header[0], len(header))
		count = 1
	}
	return sys.SendVectors(int(c.fd), c.flushParts(count, limit))
}

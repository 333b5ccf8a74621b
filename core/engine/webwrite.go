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

// webMessage is a message of whole frames that is written from where it is queued, or the rest of one.
type webMessage struct {
	first   *shm.Chunk // where it begins
	size    uint64     // bytes of its frames
	offered uint64     // of them, how many this write has
	headed  int        // bytes of header; 0: that is written
	header  [webHeaderMax]byte
}

// lineMost is the highest number of messages in one write. Long bodies are messages of their own: a
// read brings five of 64 KiB, and what is read together has to be written together.
const lineMost = 8

// lineUp returns the messages of the next write, of about so many bytes: the next one, and whole
// ones behind it, or the rest of one.
func (c *Conn) lineUp(room uint64) []webMessage {
	line, w := &c.shard.line, c.link.web
	count := 0
	for chunk := c.flushHead; chunk != nil && count < len(line); count++ {
		m := &line[count]
		m.first, m.headed, m.size = chunk, 0, w.writeLeft
		if chunk = nil; m.size == 0 {
			m.size, chunk = wholeFrames(m.first)
			m.headed = len(w.appendHeader(m.header[:0], webOpBinary, m.size))
		}
		if m.offered = m.size; m.size > sealBytes {
			m.offered = min(m.size, room)
		}
		if count > 0 && m.size > room {
			break
		}
		room -= min(room, m.size)
	}
	return line[:count]
}

// writeMessages writes the next messages of whole frames, or goes on with one. Of a message that
// the kernel takes a part of, the rest is kept as if it had been sealed, unless it is long. The
// turn ends when at most end bytes of the round are left. writeMessages returns false if nothing
// more is to be written now.
func (c *Conn) writeMessages(end int) bool {
	sh, w := c.shard, c.link.web
	line := c.lineUp(uint64(max(sh.roundLeft-end, writePrice)))
	n, e := c.writeLine(line)
	switch {
	case e == sys.EINTR:
		return true
	case e != 0 && line[0].headed == 0 && line[0].size <= sealBytes:
		return c.writeBegun(nil)
	case e != 0:
		c.refused(e)
		return false
	}
	c.link.sent += uint64(n)
	sh.roundLeft -= n + writePrice
	var last *webMessage // of those that are begun
	inHeader, done, all := 0, uint64(0), uint64(0)
	for at := 0; n > 0; at++ {
		last = &line[at]
		inHeader = min(n, last.headed)
		done = min(uint64(n-inHeader), last.offered)
		n -= inHeader + int(done)
		all += done
	}
	w.writeLeft = last.size - done
	if all > 0 {
		c.advance(all)
	}
	if done == last.offered || inHeader == last.headed && w.writeLeft > sealBytes {
		return true
	}
	return c.writeBegun(last.header[inHeader:last.headed])
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

// writeLine sends messages in one call.
func (c *Conn) writeLine(line []webMessage) (int, sys.Errno) {
	if len(line) == 1 {
		return c.writeHeaded(line[0].header[:line[0].headed], line[0].offered)
	}
	all, parts := &c.shard.parts, c.shard.parts[:0]
	for i := range line {
		if len(parts)+3 > len(all) { // of the one before, some may be missing
			break
		}
		m, count := &line[i], len(parts)
		all[count].Set(&m.header[0], m.headed)
		parts = c.flushParts(m.first, count+1, m.offered)
	}
	return sys.SendVectors(int(c.fd), parts)
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
	return sys.SendVectors(int(c.fd), c.flushParts(chunk, count, limit))
}

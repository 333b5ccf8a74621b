// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/gobwas/ws"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// sealBytes is how much of a send queue is sealed at a time.
const sealBytes = 60 << 10

// secureSize is what the TLS layer of a connection holds in bytes, with its share of
// garbage, as measured.
const secureSize = 11 << 10

// link is what lies between a connection's descriptor and its frames: TLS,
// WebSocket or both. Bytes that come are decoded where frames are looked for.
// Bytes that go are copied from the flush queue, at most sealBytes at a time,
// sealed, and given to the kernel; what that does not take is kept in rest, and
// no more is sealed until it is gone. So rest is always whole TLS records.
type link struct {
	conn    *fdConn
	secure  *tls.Conn  // nil: not encrypted
	web     *webSocket // nil: no WebSocket
	early   []byte     // came behind the handshake, still encoded
	rest    *shm.Chunk // sealed, a chain; the kernel has not taken it
	err     error      // nothing more is read
	ended   bool       // the end of the stream is sealed: nothing follows
	paused  bool       // not read until the peer takes what it is owed
	dense   bool       // the last read of WebSocket was hardly more than headers
	counted int64      // bytes of memory that are counted for it
	wire    uint64     // bytes ever given to the kernel, as they go over the wire
}

// readLink is read for a connection with a link: all that there is, as far as it
// fits and one turn goes. more: there may be more, or the end is to be told.
func (c *Conn) readLink(buf []byte) (n int, more, ok bool) {
	l := c.link
	switch {
	case l.err != nil && c.finishing:
		c.drain()
		return 0, false, false
	case l.err != nil:
		c.linkEnded(l.err)
		return 0, false, false
	}
	if c.owesTooMuch() {
		return 0, false, false
	}
	if c.hangup {
		l.conn.ending, l.conn.drained = true, false
	}
	owed := len(l.conn.out)
	n, err := l.read(buf)
	if answers := len(l.conn.out) - owed; answers > 0 {
		leaves(int64(answers) * leftPerAnswer)
	}
	c.shard.roundRead += readTurn - l.conn.turn
	if err != nil && err != errAgain {
		l.err = err
	}
	if !c.blocked && !c.broken && l.owes() {
		c.write() // may end the connection
	}
	if c.fd < 0 {
		return 0, false, false
	}
	c.countLink()
	if l.conn.short {
		l.conn.short = false
		c.readAgain()
	}
	turnOver := l.conn.turn <= 0
	if turnOver { // it may have taken long for its bytes
		c.shard.rounds = pollEvery
	}
	switch {
	case n > 0:
		return n, n == len(buf) || turnOver || l.err != nil, true
	case l.err != nil:
		c.linkEnded(l.err)
	case turnOver:
		c.wantRead()
	}
	return 0, false, false
}

// owesTooMuch tells whether the peer has to take answers before it is read on.
// Who never takes them, but asks for more, would own the memory of this side.
func (c *Conn) owesTooMuch() bool {
	l := c.link
	if c.broken { // nobody will ever take them
		l.conn.out = nil
	}
	if len(l.conn.out) <= answersMax {
		return false
	}
	l.paused = true
	if c.hangup && !c.watched() { // it has ended its side, and that would never be read
		c.watch(c.owner.CloseTimeout())
	}
	return true
}

// countLink counts what the link holds as the connection's.
func (c *Conn) countLink() {
	l := c.link
	now := int64(cap(l.conn.out) + cap(l.early))
	if l.secure != nil {
		now += secureSize
	}
	if l.web != nil {
		now += webSize
	}
	if now != l.counted {
		c.countMemory(now - l.counted)
		l.counted = now
	}
}

// dropLink frees what the link holds.
func (c *Conn) dropLink() {
	if c.link != nil {
		c.dropRest()
		c.countMemory(-c.link.counted)
		c.link.counted = 0
	}
}

// read fills buf with bytes of the stream, as far as a turn goes; errAgain: that is
// all for now.
func (l *link) read(buf []byte) (n int, err error) {
	l.conn.turn = readTurn
	for n < len(buf) && l.conn.turn > 0 {
		room := buf[n:]
		if l.dense {
			room = room[:min(len(room), denseRead)]
		}
		got, readErr := l.readWire(room)
		if got > 0 && l.web != nil {
			got, err = l.decode(room[:got])
		}
		n += got
		if err != nil {
			return n, err // the peer's end, or what it did wrong
		}
		if readErr != nil {
			return n, readErr
		}
	}
	return n, nil
}

// decode decodes bytes of WebSocket in place. Frames cost more than their bytes, so
// where they are dense the next read is short and the turn soon over.
func (l *link) decode(wire []byte) (n int, err error) {
	before := l.web.frames
	n, err = l.web.decode(wire)
	frames := int(l.web.frames - before)
	if l.dense = frames*denseFrame > len(wire); l.dense {
		l.conn.turn -= frames * framePrice
	}
	return n, err
}

// readWire reads what the kernel or the TLS layer has, still encoded.
func (l *link) readWire(buf []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(buf, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		l.conn.turn -= n
		return n, nil
	}
	if l.secure != nil {
		n, err := l.secure.Read(buf)
		l.conn.turn -= max(0, recordPrice-n)
		return n, err
	}
	return l.conn.Read(buf)
}

// subject is who the peer is, by a certificate that was verified, or "". l may be nil.
func (l *link) subject() string {
	if l == nil || l.secure == nil {
		return ""
	}
	if chains := l.secure.ConnectionState().VerifiedChains; len(chains) > 0 {
		return chains[0][0].Subject.String()
	}
	return ""
}

// owes tells whether reading has left something to write.
func (l *link) owes() bool {
	return len(l.conn.out) > 0 || l.web != nil && (l.web.pongOwed || l.web.pingOwed)
}

// linkEnded reacts to the end of what can be read.
func (c *Conn) linkEnded(err error) {
	var web *webError
	var system sys.Errno
	switch {
	case err == io.EOF, c.finishing && errors.Is(err, io.ErrUnexpectedEOF):
		c.remoteEnded()
	case errors.As(err, &system), errors.Is(err, io.ErrUnexpectedEOF):
		c.Abort(ReasonTransport)
	case errors.As(err, &web):
		c.link.web.closeCode, c.link.web.why = web.code, web.text
		c.rejectPeer()
	default: // crypto/tls has written an alert
		c.link.ended = true
		c.rejectPeer()
	}
}

// rejectPeer ends the connection for something that the peer did, and tells it why.
// What is queued is lost.
func (c *Conn) rejectPeer() {
	if c.detached {
		c.Abort(ReasonTransport)
		return
	}
	c.detach(ReasonTransport)
	c.abandon()
	c.dropFlush()
	limit := c.owner.CloseTimeout()
	if limit < 0 || limit > refusedTime {
		limit = refusedTime
	}
	c.finish(limit, time.Time{})
	if c.fd >= 0 {
		c.announceEnd()
	}
}

// cut is refuse for a message above MAXMSGSIZE.
func (c *Conn) cut() {
	if c.link == nil || c.link.web == nil {
		c.Abort(ReasonTransport)
		return
	}
	var opened *webError
	if errors.As(c.link.err, &opened) { // it was found in the same bytes, and says more
		c.linkEnded(c.link.err)
		return
	}
	c.link.err = webBreach(ws.StatusMessageTooBig, "a length above MAXMSGSIZE; it is the 4 bytes, big endian, in front of each body")
	c.linkEnded(c.link.err)
}

// drain drops what a peer sends after its end, so that the descriptor can be
// closed without a reset.
func (c *Conn) drain() {
	if cap(c.shard.plain) == 0 {
		c.shard.plain = make([]byte, 0, 1<<12)
	}
	c.link.conn.ending, c.link.conn.drained = true, false
	c.link.conn.turn = readTurn
	n, err := c.link.conn.readNow(c.shard.plain[:cap(c.shard.plain)])
	switch {
	case n > 0:
		c.shard.roundRead += n
		c.wantRead()
	case err == errAgain:
		c.checkArrived()
	case err == io.EOF:
		c.remoteEnded()
	default:
		c.Abort(ReasonTransport)
	}
}

// writeLink is write for a connection with a link; the turn ends when no more than end
// bytes of the round are left.
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
	if c.finishing && l.ended {
		c.written()
	}
}

// hasToSeal tells whether seal would return anything.
func (c *Conn) hasToSeal() bool {
	return c.flushHead != nil || c.link.owes() || c.finishing && !c.link.ended
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
		l.wire += uint64(n)
		if l.rest.Start += uint32(n); l.rest.Start == l.rest.End {
			done := l.rest
			l.rest = (*shm.Chunk)(done.Next)
			c.freeChunk(done)
		}
	}
	return 0
}

// writeSealed writes what was just sealed, and keeps what the kernel refuses.
// false: nothing more is to be sealed.
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
			c.writeFailed()
			return false
		default:
			c.link.wire += uint64(n)
			data = data[n:]
		}
	}
	return true
}

// keepSealed keeps what is sealed; false: there is no memory.
func (c *Conn) keepSealed(data []byte) bool {
	if c.link.rest = shm.NewPacked(data); c.link.rest == nil {
		c.Abort(ReasonTransport)
		return false
	}
	c.countMemory(c.link.rest.ChainSize())
	c.countLink() // what was owed is in it
	return true
}

// packRest gives back what rest takes more than its bytes are worth.
func (c *Conn) packRest() {
	rest := c.link.rest
	if !shm.Sparse(int64(rest.ChainLen()), rest.ChainSize(), nil) {
		return
	}
	more := int64(0)
	c.link.rest, _, more = shm.Pack(rest)
	c.countMemory(more)
}

func (c *Conn) dropRest() {
	if c.link.rest != nil {
		c.freeChain(c.link.rest)
		c.link.rest = nil
	}
}

// seal returns the next bytes for the wire, in the shard's buffers; none: there
// is nothing to write.
func (c *Conn) seal() []byte {
	l, sh := c.link, c.shard
	plain := sh.plain[:0]
	if l.web == nil {
		plain = c.gather(plain, sealBytes)
	} else {
		plain = c.sealWeb(plain)
	}
	ends := c.finishing && c.flushHead == nil && !l.ended
	if ends && l.web != nil && l.web.writeLeft == 0 {
		plain = l.web.appendClose(plain)
	}
	sh.plain = plain
	l.ended = l.ended || ends
	if l.secure == nil {
		return plain
	}
	l.conn.out = append(sh.sealed[:0], l.conn.out...) // what crypto/tls wrote of its own
	if len(plain) > 0 {
		_, _ = l.secure.Write(plain) // it fails after an alert of its own only, which is in out
	}
	if ends {
		_ = l.secure.CloseWrite()
	}
	sealed := l.conn.out
	sh.sealed, l.conn.out = sealed, nil
	return sealed
}

// sealWeb appends the next part of the stream as WebSocket frames: a pong and a ping
// that are owed, then a message of whole frames of ours, or its continuation.
func (c *Conn) sealWeb(dst []byte) []byte {
	w := c.link.web
	if w.writeLeft == 0 {
		if w.pongOwed && !c.link.ended {
			w.pongOwed = false
			dst = w.appendControl(dst, ws.OpPong, w.pong)
		}
		if w.pingOwed && !c.link.ended {
			w.pingOwed = false
			dst = w.appendControl(dst, ws.OpPing, nil)
		}
		if size := c.wholeFrames(); size > 0 {
			dst = w.beginMessage(dst, size)
		}
	}
	from := len(dst)
	dst = c.gather(dst, min(sealBytes, w.writeLeft))
	w.seal(dst[from:])
	return dst
}

// wholeFrames returns the bytes at the start of the flush queue, about sealBytes,
// that end with a frame.
func (c *Conn) wholeFrames() (size uint64) {
	whole := uint64(0)
	for chunk := c.flushHead; chunk != nil && whole < sealBytes; chunk = (*shm.Chunk)(chunk.Next) {
		size += uint64(chunk.End-chunk.Start) + uint64(chunk.ExtLen)
		if chunk.Msgs > 0 {
			whole = size - uint64(chunk.Open)
		}
	}
	return whole
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

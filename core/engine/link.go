// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// sealBytes is how much of a send queue is sealed at a time; with all headers it
// fits one chunk.
const sealBytes = 60 << 10

// link is what lies between a session's descriptor and its frames: TLS,
// WebSocket or both. Bytes that come are decoded where frames are looked for.
// Bytes that go are copied from the flush queue, at most sealBytes at a time,
// sealed, and given to the kernel; what that does not take is kept in rest, and
// no more is sealed until it is gone. So rest is always whole TLS records.
type link struct {
	conn   *fdConn
	secure *tls.Conn  // nil: not encrypted
	web    *webSocket // nil: no WebSocket
	early  []byte     // came behind the handshake, still encoded
	rest   *shm.Chunk // sealed; the kernel has not taken it
	err    error      // nothing more is read
	ended  bool       // the end of the stream is sealed: nothing follows
}

// readLink is read for a session with a link: all that there is, as far as it
// fits. more: there may be more, or the end is to be told.
func (s *Session) readLink(buf []byte) (n int, more, ok bool) {
	l := s.link
	switch {
	case l.err != nil && s.finishing:
		s.drain()
		return 0, false, false
	case l.err != nil:
		s.linkEnded(l.err)
		return 0, false, false
	}
	if s.hangup {
		l.conn.ending, l.conn.drained = true, false
	}
	n, err := l.read(buf)
	if err != nil && err != errAgain {
		l.err = err
	}
	if !s.blocked && l.owes() {
		s.write() // may end the session
	}
	switch {
	case s.fd < 0:
		return 0, false, false
	case n > 0:
		s.shard.roundRead += n
		return n, n == len(buf) || l.err != nil, true
	case l.err != nil:
		s.linkEnded(l.err)
	}
	return 0, false, false
}

// read fills buf with bytes of the stream; errAgain: that is all there is now.
func (l *link) read(buf []byte) (n int, err error) {
	for n < len(buf) {
		got, readErr := l.readWire(buf[n:])
		if got > 0 && l.web != nil {
			got, err = l.web.decode(buf[n : n+got])
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

// readWire reads what the kernel or the TLS layer has, still encoded.
func (l *link) readWire(buf []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(buf, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		return n, nil
	}
	if l.secure != nil {
		return l.secure.Read(buf)
	}
	return l.conn.Read(buf)
}

// owes tells whether reading has left something to write.
func (l *link) owes() bool { return len(l.conn.out) > 0 || l.web != nil && l.web.pongOwed }

// linkEnded reacts to the end of what can be read.
func (s *Session) linkEnded(err error) {
	var web *webError
	var sys unix.Errno
	switch {
	case err == io.EOF:
		s.remoteEnded()
	case errors.As(err, &sys), errors.Is(err, io.ErrUnexpectedEOF):
		s.Abort(ReasonTransport)
	case errors.As(err, &web):
		s.link.web.closeCode = web.code
		s.refuse()
	default: // crypto/tls has written an alert
		s.link.ended = true
		s.refuse()
	}
}

// refuse ends the connection for something that the peer did, and tells it why.
// What is queued is lost.
func (s *Session) refuse() {
	if s.detached {
		s.close()
		return
	}
	s.detach(ReasonTransport)
	s.dropFlush()
	s.announceEnd()
	if s.fd >= 0 {
		s.Finish(ReasonTransport, time.Time{})
		s.watchStall(farewellTime)
	}
}

// cut is refuse for a message above MAXMSGSIZE.
func (s *Session) cut() {
	if s.link == nil || s.link.web == nil {
		s.Abort(ReasonTransport)
		return
	}
	s.link.err = &webError{ws.StatusMessageTooBig, "a message above MAXMSGSIZE"}
	s.linkEnded(s.link.err)
}

// drain drops what a peer sends after its end, so that the descriptor can be
// closed without a reset.
func (s *Session) drain() {
	if cap(s.shard.plain) == 0 {
		s.shard.plain = make([]byte, 0, 1<<12)
	}
	s.link.conn.ending, s.link.conn.drained = true, false
	n, err := s.link.conn.readNow(s.shard.plain[:cap(s.shard.plain)])
	switch {
	case n > 0:
		s.shard.roundRead += n
		s.wantRead()
	case err != errAgain:
		s.close()
	}
}

// awaitsPeer tells whether the peer has still to answer a Close frame.
func (s *Session) awaitsPeer() bool {
	return s.link != nil && s.link.web != nil && !s.hangup && !s.link.web.peerClosed
}

// writeLink is write for a session with a link.
func (s *Session) writeLink() {
	l := s.link
	for {
		switch e := s.writeRest(); e {
		case 0:
		case unix.EAGAIN:
			s.setBlocked(true)
			return
		default:
			s.writeFailed()
			return
		}
		sealed := s.seal()
		if len(sealed) == 0 {
			break
		}
		if !s.writeSealed(sealed) {
			return
		}
	}
	if s.finishing && l.ended {
		s.written()
	}
}

// writeRest writes what was sealed earlier.
func (s *Session) writeRest() unix.Errno {
	l := s.link
	for l.rest != nil {
		n, e := send(int(s.fd), l.rest.Bytes()[l.rest.Start:l.rest.End])
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		if l.rest.Start += uint32(n); l.rest.Start == l.rest.End {
			s.dropRest()
		}
	}
	return 0
}

// writeSealed writes what was just sealed, and keeps what the kernel refuses.
// false: nothing more is to be sealed.
func (s *Session) writeSealed(data []byte) bool {
	for len(data) > 0 {
		n, e := send(int(s.fd), data)
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN:
			return s.keepSealed(data)
		case e != 0:
			s.writeFailed()
			return false
		default:
			data = data[n:]
		}
	}
	return true
}

func (s *Session) keepSealed(data []byte) bool {
	s.setBlocked(true)
	if s.link.rest = shm.NewChunk(uint64(len(data)), shm.ClassTiny); s.link.rest == nil {
		s.Abort(ReasonTransport)
		return false
	}
	s.held(int64(s.link.rest.Size))
	s.link.rest.End = uint32(copy(s.link.rest.Bytes(), data))
	return false
}

func (s *Session) dropRest() {
	if s.link != nil && s.link.rest != nil {
		s.free(s.link.rest)
		s.link.rest = nil
	}
}

// seal returns the next bytes for the wire, in the shard's buffers; none: there
// is nothing to write.
func (s *Session) seal() []byte {
	l, sh := s.link, s.shard
	plain := sh.plain[:0]
	if l.web == nil {
		plain = s.gather(plain, sealBytes)
	} else {
		plain = s.sealWeb(plain)
	}
	ends := s.finishing && s.flushHead == nil && !l.ended
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

// sealWeb appends the next part of the stream as WebSocket frames: a pong that
// is owed, then a message of whole frames of ours, or its continuation.
func (s *Session) sealWeb(dst []byte) []byte {
	w := s.link.web
	if w.writeLeft == 0 {
		if w.pongOwed && !s.link.ended {
			w.pongOwed = false
			dst = w.appendControl(dst, ws.OpPong, w.pong)
		}
		if size := s.wholeFrames(); size > 0 {
			dst = w.beginMessage(dst, size)
		}
	}
	from := len(dst)
	dst = s.gather(dst, min(sealBytes, w.writeLeft))
	w.seal(dst[from:])
	return dst
}

// wholeFrames returns the bytes of the first chunks of the flush queue, about
// sealBytes, that end with a frame.
func (s *Session) wholeFrames() (size uint64) {
	whole := uint64(0)
	for c := s.flushHead; c != nil && whole < sealBytes; c = (*shm.Chunk)(c.Next) {
		size += uint64(c.End-c.Start) + c.ExtLen
		if c.Msgs > 0 { // a frame ends in a chunk only with it
			whole = size
		}
	}
	return whole
}

// gather moves up to limit bytes of the flush queue to the end of dst.
func (s *Session) gather(dst []byte, limit uint64) []byte {
	from := len(dst)
	for c := s.flushHead; c != nil && limit > 0; c = (*shm.Chunk)(c.Next) {
		part := c.Bytes()[c.Start:c.End]
		part = part[:min(uint64(len(part)), limit)]
		dst = append(dst, part...)
		limit -= uint64(len(part))
		if n := min(c.ExtLen, limit); n > 0 {
			dst = append(dst, c.ExtBytes()[:n]...)
			limit -= n
		}
	}
	if n := len(dst) - from; n > 0 {
		s.advance(uint64(n))
	}
	return dst
}

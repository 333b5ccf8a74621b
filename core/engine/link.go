// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/gobwas/ws"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// sealBytes is how much of a send queue is sealed at a time.
const sealBytes = 60 << 10

// link is what lies between a connection's descriptor and its frames: a stack of layers.
// Bytes that come are decoded where frames are looked for. Bytes that go are copied from
// the flush queue, at most sealBytes at a time, sealed, and given to the kernel; what
// that does not take is kept in rest, and no more is sealed until it is gone. So rest is
// always what whole calls of Seal made, as whole records of TLS.
type link struct {
	conn    *Conn // nil: the handshakes are not over
	layers  []placed
	manners manners // of a layer; nil: none has any
	beat    *heartbeat
	shaking *fdConn // the descriptor until the handshakes are over; nil: it is wire
	wire    descriptor
	unread  []byte     // of the descriptor, given back by the lowest layer
	rest    *shm.Chunk // sealed, a chain; the kernel has not taken it
	err     error      // nothing more is read
	ended   bool       // the end of the stream is sealed: nothing follows
	paused  bool       // not read until the peer takes what it is owed
	resting *timer     // ends a time without reads, as the peer has asked for more than it may; nil: it is read
	counted int64      // bytes of memory that are counted for it
	sent    uint64     // bytes ever given to the kernel, as they go over the wire
}

// manners are what a protocol has that knows signs of life and a goodbye: WebSocket.
type manners interface {
	Layer
	// ask has the next Seal ask for a sign of life, or no longer; asks reports
	// whether it is still to be asked for.
	ask(owed bool)
	asks() bool
	// say sets what Close says, unless that is settled.
	say(code ws.StatusCode, why string)
	// heard returns what the peer said at its end; closed: it has.
	heard() (code ws.StatusCode, why string, closed bool)
}

// settle ends the life of a link without a connection. The goroutine of the handshake.
func (l *link) settle() {
	l.wire.fd, l.shaking = l.shaking.fd, nil
	for _, placed := range l.layers {
		if m, has := placed.Layer.(manners); has {
			l.manners = m
		}
	}
}

// manners returns those of the connection's protocol, or nil.
func (c *Conn) manners() manners {
	if c.link == nil {
		return nil
	}
	return c.link.manners
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
	if c.owesTooMuch() || l.resting != nil {
		if c.hangup && !c.watched() { // it has ended its side, and that might never be read
			c.watch(c.owner.CloseTimeout())
		}
		return 0, false, false
	}
	if c.hangup {
		l.wire.ending, l.wire.drained = true, false
	}
	n, err := l.read(buf)
	c.shard.roundRead += readTurn - l.wire.turn
	if err != nil && err != errAgain {
		l.err = err
	}
	if !c.blocked && !c.broken && l.owes() > 0 {
		c.write() // may end the connection
	}
	if c.fd < 0 {
		return 0, false, false
	}
	c.countLink()
	if l.wire.short {
		l.wire.short = false
		c.readAgain()
	}
	c.rest()
	turnOver := l.wire.turn <= 0
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

// owesTooMuch reports whether the peer has to take answers before it is read on.
// Who never takes them, but asks for more, would own the memory of this side.
func (c *Conn) owesTooMuch() bool {
	l := c.link
	if c.broken { // nobody will ever take them
		_ = c.seal()
	}
	if l.owes() <= answersMax {
		return false
	}
	l.paused = true
	return true
}

// countLink counts what the link holds as the connection's.
func (c *Conn) countLink() {
	l := c.link
	now := int64(cap(l.unread))
	for _, layer := range l.layers {
		now += layer.Size() + int64(cap(layer.unread))
	}
	if now != l.counted {
		c.countMemory(now - l.counted)
		l.counted = now
	}
}

// dropLink frees what the link holds.
func (c *Conn) dropLink() {
	if c.link != nil {
		c.shard.timers.cancel(c.link.resting) // else it keeps all of this for up to a minute
		c.dropRest()
		c.countMemory(-c.link.counted)
		c.link.counted = 0
	}
}

// read fills buf with bytes of the stream, as far as a turn goes; errAgain: that is
// all for now.
func (l *link) read(buf []byte) (n int, err error) {
	l.wire.turn = readTurn
	for n < len(buf) && l.wire.turn > 0 && err == nil {
		var got int
		got, err = l.top().Read(buf[n:])
		n += got
	}
	return n, err
}

// subject is who the peer is, as far as a layer has proof of it, or "". l may be nil.
func (l *link) subject() string {
	if l == nil {
		return ""
	}
	for _, layer := range l.layers {
		if proof, has := layer.Layer.(interface{ subject() string }); has {
			return proof.subject()
		}
	}
	return ""
}

// owes returns how many bytes reading has left to write.
func (l *link) owes() (bytes int) {
	for _, layer := range l.layers {
		bytes += layer.Owes()
	}
	return bytes
}

// blames reports whether a layer will tell the peer of an error.
func (l *link) blames(err error) bool {
	return slices.ContainsFunc(l.layers, func(layer placed) bool { return layer.Blame(err) })
}

// linkEnded reacts to the end of what can be read.
func (c *Conn) linkEnded(err error) {
	var system sys.Errno
	switch {
	case err == io.EOF, c.finishing && errors.Is(err, io.ErrUnexpectedEOF):
		c.remoteEnded()
	case errors.As(err, &system), errors.Is(err, io.ErrUnexpectedEOF):
		c.Abort(ReasonTransport)
	default:
		c.link.ended = !c.link.blames(err) // the peer has been told, or will not be
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
	if c.manners() == nil {
		c.Abort(ReasonTransport)
		return
	}
	if !c.link.blames(c.link.err) { // else it was found in the same bytes, and says more
		c.link.err = webBreach(ws.StatusMessageTooBig, "a length above MAXMSGSIZE; it is the 4 bytes, big endian, in front of each body")
	}
	c.linkEnded(c.link.err)
}

// drain drops what a peer sends after its end, so that the descriptor can be
// closed without a reset.
func (c *Conn) drain() {
	wire, scratch := &c.link.wire, &c.shard.scratch[0]
	if cap(*scratch) == 0 {
		*scratch = make([]byte, 0, 1<<12)
	}
	wire.ending, wire.drained, wire.turn = true, false, readTurn
	n, err := wire.read((*scratch)[:cap(*scratch)])
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

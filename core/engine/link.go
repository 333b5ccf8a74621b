// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// sealBytes is how much of a send queue is sealed at a time.
const sealBytes = 60 << 10

// link is the stack of layers between a connection's descriptor and its frames. Input is
// decoded in place, where frames are looked for. Output is copied from the flush queue, at
// most sealBytes at a time, sealed, and passed to the kernel. What the kernel refuses is
// kept in rest, and nothing more is sealed until rest is empty. So rest always holds the
// output of whole calls of Seal, such as whole TLS records.
type link struct {
	conn      *Conn // nil: the handshakes are not over
	layers    []placed
	web       *webSocket // the only layer, if that is a WebSocket: it is called without its interface
	beat      *heartbeat
	shaking   *fdConn // the descriptor until the handshakes are over; nil: wire is the descriptor
	wire      descriptor
	unread    []byte     // input of the descriptor, returned by the lowest layer
	rest      *shm.Chunk // a chain of sealed bytes that the kernel has not taken
	err       error      // set when nothing more can be read
	breach    error      // how the peer broke the rules; nil: it has not
	tail      int32      // bytes that were sealed after what tells the peer of the end
	hollow    int32      // frames of the last read that mean little in the stream; they count for the rate
	polite    int8       // the place of the layer with manners, counted from 1; 0: none has any
	said      bool       // what tells the peer of the end is sealed
	ended     bool       // the end of the stream is sealed, and nothing follows
	over      bool       // the peer's goodbye or the end of its stream was read
	paused    bool       // no reading until the peer takes what it is owed
	messages  bool       // the highest layer is that of FramingMessages
	resting   *timer     // ends a pause in reading, because the peer has asked for too much; nil: it is read
	counted   int64      // bytes of memory counted for the link
	takenIdle int64      // Conn.taken when the peer was last found idle while paused
	sent      uint64     // bytes ever passed to the kernel, counted on the wire
}

// manners belong to a protocol with signs of life and a goodbye: WebSocket.
type manners interface {
	Layer
	// ask decides whether the next Seal asks for a sign of life; asks reports whether it is
	// still to be asked for.
	ask(owed bool)
	asks() bool
	// say sets what Close says, unless it is set already.
	say(code webCode, why string)
	// begun returns how many bytes of the stream belong to a message of the protocol that is
	// partly written.
	begun() uint64
	// heard returns what the peer said at its end; closed reports whether it did.
	heard() (code webCode, why string, closed bool)
	// cut reports whether Close cannot say anything.
	cut() bool
	// overlook reports whether an error of Decode is a breach of this protocol, behind which
	// Decode only looks for the peer's goodbye.
	overlook(err error) bool
}

// settle releases a link without a connection. It runs on the goroutine of the handshake.
func (l *link) settle() {
	l.wire.fd, l.shaking = int32(l.shaking.fd), nil
	for at, placed := range l.layers {
		if _, has := placed.Layer.(manners); has {
			l.polite = int8(at + 1)
		}
	}
	if len(l.layers) == 1 && len(l.layers[0].unread) == 0 { // a layer that left may have returned input
		l.web, _ = l.layers[0].Layer.(*webSocket)
	}
}

// manners returns the manners of the connection's protocol, or nil.
func (c *Conn) manners() manners {
	if c.link == nil {
		return nil
	}
	return c.link.manners()
}

// manners returns the manners of one of the layers, or nil if none has any.
func (l *link) manners() manners {
	if l.polite == 0 {
		return nil
	}
	return l.layers[l.polite-1].Layer.(manners)
}

// readLink is read for a connection with a link. It reads as much as fits and as the turn
// allows. more: there may be more input, or the end is still to be reported.
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
		if c.hangup && !c.watched() { // it has ended its side, which might never be read
			c.watch(c.owner.CloseTimeout())
		}
		return 0, false, false
	}
	if c.hangup {
		l.wire.ending, l.wire.drained = true, false
	}
	l.hollow = 0
	turn := min(l.mostOfTurn(), c.shard.turn)
	n, err := l.read(buf, turn)
	c.shard.roundRead += turn - l.wire.turn
	if l.wire.turn < turn {
		c.heardAt = c.shard.now
	}
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
	if turnOver { // the bytes may have taken long
		c.shard.rounds = pollEvery
	}
	switch {
	case n == 0 && l.err == nil && (c.paidForNothing() || l.messages && !c.mayBegin()):
		return 0, false, false
	case n > 0:
		return n, n == len(buf) || turnOver || l.err != nil || l.keeps(), true
	case l.err != nil:
		c.linkEnded(l.err)
	case turnOver:
		c.wantRead()
	}
	return 0, false, false
}

// mostOfTurn returns the highest number of bytes of a turn. Beneath a WebSocket alone they lie where
// they stay, so that a turn is as long as without layers.
func (l *link) mostOfTurn() int {
	if l.web != nil {
		return longRead
	}
	return readTurn
}

// owesTooMuch reports whether the peer must take answers before reading continues. A peer
// that takes none but asks for more could otherwise fill this side's memory.
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

// countLink counts the link's memory as the connection's.
func (c *Conn) countLink() {
	l := c.link
	if l.web != nil && cap(l.unread) == 0 && l.counted == webSize {
		return
	}
	now := int64(cap(l.unread))
	for _, layer := range l.layers {
		now += layer.Size() + int64(cap(layer.unread))
	}
	if now != l.counted {
		c.countMemory(now - l.counted)
		l.counted = now
	}
}

// dropLink frees the link's memory.
func (c *Conn) dropLink() {
	if c.link != nil {
		c.shard.timers.cancel(c.link.resting) // else it keeps all of this for up to a minute
		c.dropRest()
		for _, layer := range c.link.layers {
			layer.Drop()
		}
		c.countMemory(-c.link.counted)
		c.link.counted = 0
	}
}

// read fills buf with bytes of the stream, as far as a turn of so many bytes of the wire allows. errAgain: there is no
// more for now.
func (l *link) read(buf []byte, turn int) (n int, err error) {
	l.wire.turn = turn
	if l.messages {
		l.texts().beginRead()
	}
	for n < len(buf) && l.wire.turn > 0 && err == nil {
		var got int
		if l.web != nil {
			got, err = l.web.Decode(Level{l, -1}, buf[n:])
		} else {
			got, err = l.top().Read(buf[n:])
		}
		n += got
		if l.web != nil && l.wire.drained { // it keeps nothing back
			break
		}
	}
	return n, err
}

// subject returns the peer's name as far as a layer has verified it, or "". l may be nil.
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

// owes returns how many bytes reading has produced for writing.
func (l *link) owes() (bytes int) {
	if l.web != nil {
		return l.web.Owes()
	}
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
		c.link.over = true
		c.remoteEnded()
	case errors.As(err, &system) && sys.OutOfMemory(system):
		c.Abort(CauseNoMemory)
	case errors.As(err, &system), errors.Is(err, io.ErrUnexpectedEOF):
		c.Abort(CauseReset)
	case c.finishing && c.manners() != nil && c.manners().overlook(err):
		c.link.err = nil // it is told of the end anyway
		c.wantRead()
	default:
		if aboutCertificate(err) { // in TLS 1.3 a client's handshake is over before the server refuses it
			c.because(CauseHandshake)
		}
		c.because(causeOfBreach(err))
		c.broke(err)
		c.rejectPeer()
	}
}

// broke records how the peer broke the rules. If it is to be told with a Close frame, it is
// read on, up to its own.
func (c *Conn) broke(err error) {
	l := c.link
	l.breach = err
	if !l.blames(err) { // the peer knows already, or never will
		l.said, l.ended = true, true
	} else if l.manners() != nil {
		l.err = nil
	}
}

// fault returns why the link's connection ended, or nil. l may be nil.
func (l *link) fault() error {
	switch {
	case l == nil:
		return nil
	case l.breach != nil:
		return l.breach
	}
	return l.err
}

// rejectPeer ends the connection because of something that the peer did, and tells the peer
// why. Queued messages are lost.
func (c *Conn) rejectPeer() {
	if c.detached {
		c.Abort(CauseProtocol)
		return
	}
	c.detach()
	c.abandon()
	c.dropFlush()
	c.giveRoom()
	limit := c.owner.CloseTimeout()
	if limit < 0 || limit > refusedTime {
		limit = refusedTime
	}
	c.finish(limit, time.Time{})
	if c.fd >= 0 {
		c.announceEnd()
	}
}

// cut is rejectPeer for a peer that sends too much. It gets the code and the text if its
// protocol has such.
func (c *Conn) cut(why Cause, code webCode, text string) {
	if c.manners() == nil {
		c.Abort(why)
		return
	}
	if !c.link.blames(c.link.err) { // else the same bytes had another error, which says more
		c.link.err = webBreach(code, text)
		c.because(why)
	}
	c.linkEnded(c.link.err)
}

// drain drops what a peer sends after its end, so that closing the descriptor does not
// reset the connection.
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
		c.link.over = true
		c.remoteEnded()
	default:
		c.Abort(CauseReset)
	}
}

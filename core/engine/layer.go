// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"io"
	"slices"
	"time"
)

// Layers
//
// A layer is a protocol between a connection's descriptor and its frames: TLS or
// WebSocket. The layers of a connection are a stack. Each layer makes its handshake over
// those below it, on the goroutine of the handshake, where reads and writes wait. After
// that it decodes input and seals output on the driver, where nothing waits. A read that
// finds nothing returns errAgain, and sealed bytes are written when the kernel takes them.
// A layer whose work ends with its handshake leaves the stack. A connection without
// layers has no link and pays one comparison for that.

// Layer is the part of a layer that a connection keeps after the handshake.
type Layer interface {
	// Decode reads from below into buf, and returns how many bytes of the level above are
	// now in buf. That may be 0 without an error. There may also be bytes together with an
	// error: they come first. io.EOF means the end of the stream.
	Decode(below Level, buf []byte) (int, error)
	// Seal appends to dst the bytes for the level below: first the layer's own messages,
	// then the next part from above, of which it keeps nothing for later. It appends nothing
	// if there is nothing.
	Seal(dst []byte, above Source) []byte
	// Close appends the message that tells the peer that nothing follows.
	Close(dst []byte) []byte

	// Owes returns how many bytes of its own Seal would append: the answers to what the
	// peer sent.
	Owes() int
	// Size returns how many bytes of memory the layer holds.
	Size() int64
	// Drop frees memory that is not Go's, when the connection is over.
	Drop()
	// Blame reports whether Close will tell the peer of an error of Decode. It returns false
	// for an error of another layer, and for one that the peer knows already.
	Blame(err error) bool
}

// Plain is for embedding in layers that send no messages of their own.
type Plain struct{}

// Close appends nothing.
func (Plain) Close(dst []byte) []byte { return dst }

// Owes returns 0.
func (Plain) Owes() int { return 0 }

// Size returns 0.
func (Plain) Size() int64 { return 0 }

// Drop does nothing.
func (Plain) Drop() {}

// Blame returns false.
func (Plain) Blame(error) bool { return false }

// LayerKind is a kind of layer.
type LayerKind struct {
	// Shake makes the layer's handshake over below. It returns bytes that it has read beyond
	// the handshake with below.Unread. Its result is the connection's layer from then on, or
	// nil if the layer leaves. Monitors get the number of an error of package errno.
	Shake func(below Level, h *Greeting) (Layer, error)
	// PeerFirst means that Shake of the accepting side begins by reading. If such a layer is
	// the lowest, a connection costs next to nothing until the peer's bytes come.
	PeerFirst bool
	// Readdresses means that Shake may change Greeting.Remote.
	Readdresses bool
	// Holds is the memory of the handshake in bytes, besides what it reads.
	Holds int64
}

// Greeting describes a connection while its handshakes go on.
type Greeting struct {
	Transport *Transport
	Dialled   bool    // this side made the connection
	Remote    Address // the peer's

	notes *notes // of what is kept of the peer
	ask   asking // has the application decide, once; nil: nobody asks, or has asked
}

// placed is a layer in a stack.
type placed struct {
	Layer
	unread []byte // decoded by this layer, and returned by the one above
}

// Level is a place in a connection's stack: above a layer, or the descriptor.
type Level struct {
	link *link
	at   int // of link.layers; -1: the descriptor
}

// Read reads the bytes of this level. During the handshake it waits for them.
func (l Level) Read(buf []byte) (n int, err error) {
	if unread := l.unread(); len(*unread) > 0 {
		n = copy(buf, *unread)
		if *unread = (*unread)[n:]; len(*unread) == 0 {
			*unread = nil
		}
		l.Charge(n)
		return n, nil
	}
	switch {
	case l.at >= 0:
		return l.link.layers[l.at].Decode(Level{l.link, l.at - 1}, buf)
	case l.link.shaking != nil:
		return l.link.shaking.Read(buf)
	}
	return l.link.wire.read(buf)
}

// Unread returns bytes to this level, whose next Read returns them first. The level owns
// their memory from then on.
func (l Level) Unread(bytes []byte) {
	unread := l.unread()
	if len(bytes) > 0 && len(*unread) > 0 {
		bytes = slices.Concat(bytes, *unread)
	}
	if len(bytes) > 0 {
		*unread = bytes
	}
}

func (l Level) unread() *[]byte {
	if l.at < 0 {
		return &l.link.unread
	}
	return &l.link.layers[l.at].unread
}

// Write writes all of data through this level. During the handshake only.
func (l Level) Write(data []byte) (int, error) {
	if l.at < 0 {
		return l.link.shaking.Write(data)
	}
	for given := data; len(given) > 0; {
		sealed := l.link.layers[l.at].Seal(nil, Source{given: &given})
		if _, err := (Level{l.link, l.at - 1}).Write(sealed); err != nil {
			return len(data) - len(given), err
		}
	}
	return len(data), nil
}

// Charge makes the connection's turn pay for more bytes than were read. Work that costs
// more than its bytes has a price (turn.go).
func (l Level) Charge(bytes int) { l.link.wire.turn -= bytes }

// Count says that a read brought so many frames of the layer's own that mean little or
// nothing in the stream. Each counts as a message for the connection's rate.
func (l Level) Count(frames int) { l.link.hollow += int32(frames) }

// Rest has nothing be read for a time, once Decode has returned: the peer has asked for
// more than it may. Not during the handshake.
func (l Level) Rest(time time.Duration) { l.link.wire.rest = time }

// Source supplies what a layer seals: the output of the layer above, or the frames of the
// connection's queue.
type Source struct {
	link  *link
	at    int     // of link.layers; their number means the connection
	given *[]byte // replaces both: bytes of a handshake
}

// Whole returns the size of the next bytes that end with a whole frame. It is for the
// highest layer only.
func (s Source) Whole() uint64 {
	if s.given != nil {
		return uint64(len(*s.given))
	}
	size, _ := wholeFrames(s.link.conn.flushHead)
	return size
}

// Gather appends the next bytes to dst, about limit at most.
func (s Source) Gather(dst []byte, limit uint64) []byte {
	switch {
	case s.given != nil:
		n := min(uint64(len(*s.given)), limit)
		dst, *s.given = append(dst, (*s.given)[:n]...), (*s.given)[n:]
		return dst
	case s.at == len(s.link.layers):
		return s.link.conn.gather(dst, limit)
	}
	layer := s.link.layers[s.at]
	dst = layer.Seal(dst, Source{link: s.link, at: s.at + 1})
	if s.link.conn.sealsLast(s.at) {
		dst = layer.Close(dst)
	}
	return dst
}

// Bytes returns the next bytes, about limit at most. They are valid until the next call for
// any connection of the shard. They and the byte behind them may be changed.
func (s Source) Bytes(limit uint64) []byte {
	if s.given != nil {
		all := append(slices.Clip(*s.given), 0)
		*s.given = nil
		return all[:len(all)-1]
	}
	scratch := &s.link.conn.shard.scratch[s.at]
	*scratch = append(s.Gather((*scratch)[:0], limit), 0)
	return (*scratch)[:len(*scratch)-1]
}

// top is the highest level.
func (l *link) top() Level { return Level{l, len(l.layers) - 1} }

// worth returns the link, or nil if all of its layers have left. l may be nil.
func (l *link) worth() *link {
	if l == nil || len(l.layers) == 0 {
		return nil
	}
	return l
}

// shake makes the handshake of the next layer, and stacks the layer if it stays. It runs on
// the goroutine of the handshake.
func (l *link) shake(kind *LayerKind, g *Greeting) error {
	layer, err := kind.Shake(l.top(), g)
	if err != nil {
		l.part()
		return err
	}
	if layer != nil {
		l.layers = append(l.layers, placed{Layer: layer})
	}
	return nil
}

// part says goodbye to a peer whose handshake has failed.
func (l *link) part() {
	for at := len(l.layers) - 1; at >= 0; at-- {
		if last := l.layers[at].Close(nil); len(last) > 0 {
			_, _ = Level{l, at - 1}.Write(last)
		}
	}
}

var _ io.ReadWriter = Level{}

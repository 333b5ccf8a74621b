// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"io"
	"slices"
	"time"
)

// Layers
//
// A layer is a protocol between a connection's descriptor and its frames: TLS,
// WebSocket. The layers of a connection are a stack. Each one shakes hands over those
// below it, on the goroutine of the handshake, where reads and writes wait. Afterwards
// it decodes what comes and seals what goes, on the driver, where nothing waits: a read
// that finds nothing returns errAgain, and what is sealed is written when the kernel
// takes it. A layer whose work is done with its handshake leaves the stack. A connection
// without layers has no link and pays one comparison for that.

// Layer is what a connection has of a layer from its handshake on.
type Layer interface {
	// Decode reads from below into buf, and returns how many bytes of what lies above
	// are there now; without an error there may be none. In front of an error there may
	// be some. io.EOF is the end of the stream.
	Decode(below Level, buf []byte) (int, error)
	// Seal appends to dst what goes below: first what the layer has to say of its own,
	// then the next part of what lies above, of which it keeps nothing for later. It
	// appends nothing when there is nothing.
	Seal(dst []byte, above Source) []byte
	// Close appends what tells the peer that nothing follows.
	Close(dst []byte) []byte

	// Owes returns how many bytes of its own Seal would append: answers that the peer's
	// bytes call for.
	Owes() int
	// Size returns how many bytes of memory the layer holds.
	Size() int64
	// Blame reports whether Close will tell the peer of an error of Decode. It is not
	// so for an error of another layer, and one that the peer has been told.
	Blame(err error) bool
}

// Plain is what a layer has to embed that says nothing of its own.
type Plain struct{}

// Close appends nothing.
func (Plain) Close(dst []byte) []byte { return dst }

// Owes returns 0.
func (Plain) Owes() int { return 0 }

// Size returns 0.
func (Plain) Size() int64 { return 0 }

// Blame returns false.
func (Plain) Blame(error) bool { return false }

// LayerKind is one kind of layer.
type LayerKind struct {
	// Shake makes the layer's handshake over below, and gives back what it has read of
	// the bytes behind that (below.Unread). It returns what the connection has of the
	// layer from there on; nil: nothing, the layer leaves. Monitors hear the number of
	// an error of package errno.
	Shake func(below Level, h *Greeting) (Layer, error)
	// PeerFirst says that Shake of the accepting side begins with bytes of the peer. As
	// the lowest layer it costs next to nothing until they come.
	PeerFirst bool
	// Readdresses says that Shake may change Greeting.Remote.
	Readdresses bool
	// Holds is how many bytes of memory the handshake takes, beside what it reads.
	Holds int64
}

// Greeting is a connection whose handshakes are under way.
type Greeting struct {
	Transport *Transport
	Dialled   bool    // this side made the connection
	Remote    Address // the peer's
}

// placed is a layer in its stack.
type placed struct {
	Layer
	unread []byte // decoded by it, and given back by the one above
}

// Level is a place in a connection's stack: the top of a layer, or the descriptor.
type Level struct {
	link *link
	at   int // of link.layers; -1: the descriptor
}

// Read reads what comes out of this level. During the handshake it waits for bytes.
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

// Unread gives back bytes that were read from this level: they are read again, first.
// Their memory is the level's from here on.
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

// Charge has the connection's turn pay for bytes beside those that were read: what
// costs more than its bytes has a price (turn.go).
func (l Level) Charge(bytes int) { l.link.wire.turn -= bytes }

// Rest has nothing be read for a time, once Decode has returned: the peer has asked for
// more than it may. Not during the handshake.
func (l Level) Rest(time time.Duration) { l.link.wire.rest = time }

// Source is what a layer seals: what the layer above has sealed, or the frames of the
// connection's queue.
type Source struct {
	link  *link
	at    int     // of link.layers; their number: the connection
	given *[]byte // instead of both: bytes of a handshake
}

// Whole returns the size of the next bytes that belong together, which is that of whole
// frames. It is for the highest layer.
func (s Source) Whole() uint64 {
	if s.given != nil {
		return uint64(len(*s.given))
	}
	return s.link.conn.wholeFrames()
}

// Gather appends the next bytes to dst. They are about limit at the most.
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
	if s.link.conn.sealsLast() {
		dst = layer.Close(dst)
	}
	return dst
}

// Bytes returns the next bytes, about limit at the most. They are there until the next
// call for any connection of the shard.
func (s Source) Bytes(limit uint64) []byte {
	if s.given != nil {
		all := *s.given
		*s.given = nil
		return all
	}
	scratch := &s.link.conn.shard.scratch[s.at]
	*scratch = s.Gather((*scratch)[:0], limit)
	return *scratch
}

// top is the highest level.
func (l *link) top() Level { return Level{l, len(l.layers) - 1} }

// worth returns the link, or nil when all of its layers have left. l may be nil.
func (l *link) worth() *link {
	if l == nil || len(l.layers) == 0 {
		return nil
	}
	return l
}

// shake makes the handshake of the next layer, and stacks the layer if it stays. The
// goroutine of the handshake.
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

// part takes leave of a peer whose handshake has failed.
func (l *link) part() {
	for at := len(l.layers) - 1; at >= 0; at-- {
		if last := l.layers[at].Close(nil); len(last) > 0 {
			_, _ = Level{l, at - 1}.Write(last)
		}
	}
}

var _ io.ReadWriter = Level{}

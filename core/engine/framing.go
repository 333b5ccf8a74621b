// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
)

// Framing says how messages lie in the bytes of a connection. Above the layers there is only
// FramingLength: runs and send queues hold frames with a length of 4 bytes. A layer on top of the
// others turns what comes into such frames, and what is sent into the peer's. FramingHeaders needs no
// layer: send queues hold its frames as they are, and what comes is changed in its place (headers.go).
type Framing int

// The framings.
const (
	FramingLength   Framing = 0 // a length of 4 bytes, big endian, in front of each body
	FramingMessages Framing = 1 // a message of WebSocket, text or binary, is a message
	FramingRaw      Framing = 2 // none: a message is what a read brings
	FramingHeaders  Framing = 3 // the size of a header in 2 bytes, that of a body in 4, and both
)

// TextMost is the longest body in bytes that FramingMessages carries: in its frames the highest
// bit of the length says that the message is text.
const TextMost = math.MaxInt32

// framingBeside is FramingLength of a peer whose socket has FramingMessages for others: frames of the
// send queue may be marked as text, which this peer does not know.
const framingBeside Framing = -1

// Suits reports whether a transport can have the framing.
func (f Framing) Suits(s *endpoint.Scheme) bool {
	web := endsInWeb(s)
	switch f {
	case FramingMessages:
		return web || s.Choice
	case FramingRaw:
		return !web && !s.Choice // the first byte tells who the peer is
	}
	return true
}

func endsInWeb(s *endpoint.Scheme) bool {
	return len(s.Layers) > 0 && s.Layers[len(s.Layers)-1] == endpoint.LayerWeb
}

// on returns the framing that a connection of a scheme has, if a listener for several has f.
func (f Framing) on(s *endpoint.Scheme) Framing {
	if f == FramingMessages && !endsInWeb(s) {
		return framingBeside
	}
	return f
}

// thin returns by how many bytes at most a frame of the queue is longer than the wire's.
func (f Framing) thin() uint8 {
	switch f {
	case FramingMessages: // the shortest header has 2 bytes
		return lengthSize - 2
	case FramingRaw:
		return lengthSize
	}
	return 0
}

// head returns how many bytes at the start of a queued frame tell its size.
func (f Framing) head() uint8 {
	if f == FramingHeaders {
		return shm.FrontSize
	}
	return lengthSize
}

// mark returns which bits of a queued frame's length field are not its length.
func (f Framing) mark() uint32 {
	if f == FramingMessages || f == framingBeside {
		return ^uint32(shm.LengthMask)
	}
	return 0
}

// framed puts the layer of the framing on top of a connection's layers. l may be nil.
func (a *arrival) framed(l *link) *link {
	longest := a.limits.MaxMsgSize
	switch a.transport.Framing {
	case FramingHeaders:
		if l != nil && l.polite > 0 {
			if web, is := l.layers[l.polite-1].Layer.(*webSocket); is {
				web.opening.known = true
			}
		}
	case FramingMessages:
		top := &l.layers[len(l.layers)-1]
		if web, is := top.Layer.(*webSocket); is {
			top.Layer, l.web, l.messages = newWebMessages(web, longest), nil, true
		}
	case FramingRaw:
		l = l.under(a.fd, newRaw(longest))
	case framingBeside:
		l = l.under(a.fd, new(unmarked))
	}
	return l
}

// under returns a link with one layer more on top, which is no WebSocket. l may be nil.
func (l *link) under(fd int, layer Layer) *link {
	if l == nil {
		l = &link{wire: descriptor{fd: int32(fd)}}
	}
	l.layers = append(l.layers, placed{Layer: layer})
	l.web = nil
	return l
}

// keeps reports whether the layer of the framing has bytes that a read did not take.
func (l *link) keeps() bool { return l.messages && l.texts().keeps() }

// squeezes reports whether output is compressed. l may be nil.
func (l *link) squeezes() bool { return l != nil && l.messages && l.texts().deflates }

// texts returns the layer of FramingMessages.
func (l *link) texts() *webMessages {
	return l.layers[len(l.layers)-1].Layer.(*webMessages)
}

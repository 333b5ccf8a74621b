// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"fmt"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// Endpoints for several transports
//
// A listener of any:// does not know which transport a connection has until its peer says
// something. The first byte tells: no length of a frame that this library takes at first begins
// as TLS or HTTP does. Until that byte is there the connection costs what one of TLS costs before its
// first bytes: its descriptor, a handshake without a goroutine, and a timer of HANDSHAKE_IVL. The driver
// peeks when the kernel reports something. A connection of tcp needs no more. Within TLS the
// question comes again, and while the peer is silent, its handshake is in no gate and on no goroutine, either.

// fork has what a connection may turn out to be by its first byte; nil: it may not.
type fork struct{ raw, tls, web *origin }

// The first bytes. A frame begins with a length of 4 bytes, so 0 means less than 16 MiB, or with the
// size of a header in 2 bytes, and that is less than 256 then.
const (
	firstRaw = 0
	firstTLS = 22 // a record of a handshake
)

// errors of a choice.
var (
	errSilent     = errors.New("the peer has not said anything yet")
	errNoTLS      = errors.New("the peer begins a TLS handshake, for which there is no certificate here (TLS_CERT)")
	errTLSTwice   = errors.New("the peer begins a TLS handshake within TLS")
	errPeerSilent = errno.New(errno.ECONNRESET, "the peer went without a word")
)

// by returns what a connection is whose first byte is this.
func (f *fork) by(first byte) (*origin, error) {
	switch {
	case first == firstRaw:
		return f.raw, nil
	case first >= 'A' && first <= 'Z': // a method of HTTP
		return f.web, nil
	case first != firstTLS:
		return nil, fmt.Errorf("the first byte of the peer, %#02x, is neither of a frame below 16 MiB nor of TLS or HTTP", first)
	case f.tls != nil:
		return f.tls, nil
	case f.raw.layers == nil && f.raw.transport.Endpoint.Scheme == endpoint.TLS:
		return nil, errTLSTwice
	}
	return nil, errNoTLS
}

// branch makes the fork of an endpoint with a choice.
func (o *origin) branch() {
	to := func(s *endpoint.Scheme, kinds ...*LayerKind) *origin {
		b := *o
		b.layers, b.readdressed, b.fork, b.transport = kinds, 0, nil, o.transport.as(s)
		return &b
	}
	f := &fork{raw: to(endpoint.TCP), web: to(endpoint.WS, &layerWeb)}
	if o.transport.tls.Load() != nil {
		f.tls = to(endpoint.TLS, &layerTLS)
		f.tls.fork = &fork{raw: to(endpoint.TLS), web: to(endpoint.WSS, &layerWeb)}
	}
	o.fork = f
}

// as returns the transport of connections that have turned out to be of a scheme. For their handshakes
// t has the rest.
func (t *Transport) as(s *endpoint.Scheme) *Transport {
	ep := t.Endpoint
	ep.Scheme = s
	return &Transport{Endpoint: ep, HandshakeTime: t.HandshakeTime, Heartbeat: t.Heartbeat, HeaderMax: t.HeaderMax,
		Properties: t.Properties, PeerData: t.PeerData, Framing: t.Framing.on(s)}
}

// listensOn stores the address that the listener got.
func (o *origin) listensOn(local Address) {
	ep := &o.transport.Endpoint
	*ep = ep.With(local.AddrPort, local.Path)
	if f := o.fork; f != nil {
		for _, b := range []*origin{f.raw, f.tls, f.web} {
			if b != nil {
				b.listensOn(local)
			}
		}
	}
}

// atFork reports whether the layers so far are made, and the peer's next byte tells which
// follow. Driver only, while no goroutine runs.
func (h *handshake) atFork() bool { return h.fork != nil && h.made == len(h.layers) && !h.asked }

// look decides what a connection is, if its peer has said something. Within a layer that is for
// the goroutine to find out.
func (h *handshake) look(what sys.Readiness) {
	if h.over {
		return
	}
	var first [1]byte
	n, e := sys.Peek(h.fd, first[:])
	switch gone := what&(sys.Gone|sys.Failed) != 0; {
	case e == sys.EINTR, sys.OutOfMemory(e):
		h.shard.timers.after(shortPause, func() { h.look(what) })
	case e == sys.EAGAIN && !gone:
	case e != 0 && e != sys.EAGAIN:
		h.fail(e)
	case n <= 0 || e != 0:
		h.fail(errPeerSilent)
	case h.link != nil && len(h.link.layers) > 0:
		h.heard = true
		h.run()
	default:
		h.choose(first[0])
	}
}

func (h *handshake) choose(first byte) {
	next, err := h.fork.by(first)
	if err != nil {
		h.fail(err)
		return
	}
	h.made = 0
	h.become(next)
	if len(next.layers) > 0 || h.asks() {
		h.run()
		return
	}
	if h.link != nil { // of a PROXY header, which came alone
		h.link.settle()
	}
	h.done()
}

// become takes the transport that a connection turned out to have. Monitors hear of it when
// that is certain.
func (h *handshake) become(next *origin) {
	if h.over {
		return
	}
	h.origin = next
	if next.fork == nil {
		h.announce(h.remote)
	}
}

// chooses decides at a fork of a connection of o, on the goroutine of the handshake. errSilent: the
// driver has to wait for the peer's next byte.
func (h *handshake) chooses(o *origin) (next *origin, err error) {
	top := h.link.top()
	if len(*top.unread()) == 0 {
		if !h.heard {
			return nil, errSilent
		}
		h.heard = false
		first := make([]byte, 1)
		for n := 0; n == 0; {
			if n, err = top.Read(first); n == 0 && err != nil {
				return nil, err
			}
		}
		top.Unread(first)
	}
	if next, err = o.fork.by((*top.unread())[0]); err != nil {
		h.link.part()
		return nil, err
	}
	h.made = 0
	for _, kind := range next.layers {
		h.conn.countMemory(kind.Holds)
	}
	h.shard.Post(func() { h.become(next) })
	return next, nil
}

// await waits for the first byte behind the layers, with no goroutine. What came meanwhile was
// reported to the goroutine.
func (h *handshake) await() {
	h.asked = false
	size := h.greeting.notes.size()
	for _, layer := range h.link.layers {
		size += layer.Size()
	}
	h.conn.countMemory(waitingSize + size - h.conn.counted)
	h.look(0)
}

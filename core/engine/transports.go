// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// origin is what all connections of one listener or dialer have in common. It does not
// change once there is a connection.
type origin struct {
	owner     Owner
	queues    *shm.Queues  // the owner's
	account   *shm.Account // the owner's
	transport *Transport
	limits    Limits
	dialer    *Dialer    // nil: a listener
	admission *Admission // the owner's

	network *network
	layers  []*LayerKind // between the descriptor and the frames, the lowest one first
	// readdressed is the number of layers after whose handshakes the peer's address is certain.
	readdressed int

	base *Transport // that of the endpoint: what handshakes need
	fork *fork      // behind the layers; nil: it is known which transport this is
}

func newOrigin(owner Owner, t *Transport, limits Limits, dialer *Dialer) origin {
	o := origin{owner: owner, queues: owner.Shared(), account: owner.Account(), transport: t, limits: limits, dialer: dialer,
		admission: owner.Admission(),
		network:   networks[t.Endpoint.Scheme.Address], base: t}
	if most := int64(TextMost); t.Framing == FramingMessages && (limits.MaxMsgSize < 0 || limits.MaxMsgSize > most) {
		o.limits.MaxMsgSize = most
	}
	if t.Endpoint.Scheme.Choice {
		o.branch()
	} else {
		o.layers = kindsOf(t.Endpoint.Scheme)
	}
	if dialer == nil && !t.ProxyFrom.Empty() {
		o.layers = slices.Insert(o.layers, 0, &layerProxy)
	}
	for i, kind := range o.layers {
		if kind.Readdresses {
			o.readdressed = i + 1
		}
	}
	return o
}

// layerKinds maps the layers of endpoint's table to their kinds.
var layerKinds = map[endpoint.Layer]*LayerKind{
	endpoint.LayerTLS: &layerTLS,
	endpoint.LayerWeb: &layerWeb,
}

// RegisterLayer sets the kind of a scheme's layer. Call it from an init function.
func RegisterLayer(name endpoint.Layer, kind *LayerKind) { layerKinds[name] = kind }

// layersMost is the highest number of layers that a connection may have.
const layersMost = 4

// kindsOf returns the layers of a scheme, the lowest one first.
func kindsOf(s *endpoint.Scheme) (kinds []*LayerKind) {
	for _, name := range s.Layers {
		kind := layerKinds[name]
		if kind == nil {
			panic(fmt.Sprintf("the transport %s has a layer %q that is not registered", s, name))
		}
		kinds = append(kinds, kind)
	}
	if len(kinds) > layersMost {
		panic(fmt.Sprintf("the transport %s has more than %d layers", s, layersMost))
	}
	return kinds
}

// DefaultHeaderMax is the longest head of an HTTP message, in bytes, if a Transport does
// not set another.
const DefaultHeaderMax = 16 << 10

// Transport says how the connections of one listener or dialer carry bytes.
type Transport struct {
	Endpoint      endpoint.Endpoint
	HandshakeTime time.Duration // of all layers together; 0: no limit
	Heartbeat     Heartbeat     // of accepted WebSocket connections
	HeaderMax     int           // longest head of HTTP in bytes; 0: DefaultHeaderMax
	Properties    *Properties   // what is kept of peers
	PeerData      bool          // the application may give data for peers
	AcceptTime    time.Duration // in which the application decides about accepted peers; 0: all are taken
	Framing       Framing       // it suits the endpoint's scheme
	Deflate       bool          // messages of WebSocket may be compressed
	Web           *WebRules     // of accepted WebSocket connections; nil: none
	ProxyFrom     *AddressList  // accepted connections are from these, and begin with a PROXY header; empty: none do

	// Renew looks whether files of TLS have changed, and may call SetTLS. It is called before a
	// handshake of a listener, but not more often than RenewEvery says, and may wait for a disk. nil:
	// nobody looks.
	Renew      interface{ Renew() }
	RenewEvery time.Duration

	tls     atomic.Pointer[tls.Config] // nil: the endpoint is not secure
	renewed atomic.Int64               // when Renew was last called, as a clock
	drains  atomic.Bool                // requests are answered 503
}

// Drain has all requests answered 503 from now on, if there is a health path, whose askers are to
// hear that. It reports whether there is one. Any thread.
func (t *Transport) Drain() bool {
	answers := t.Web != nil && t.Web.Health != ""
	t.drains.Store(answers)
	return answers
}

// headerMax is HeaderMax or its default.
func (t *Transport) headerMax() int {
	if t.HeaderMax == 0 {
		return DefaultHeaderMax
	}
	return t.HeaderMax
}

// remoteText returns the endpoint of a peer. A peer of the local system has no name.
func (t *Transport) remoteText(a Address) string {
	return networks[t.Endpoint.Scheme.Address].text(t.Endpoint, a)
}

// localText returns the endpoint of a descriptor's own end, or "".
func (t *Transport) localText(fd int) string {
	local, err := sys.Sockname(fd)
	if err != nil {
		return ""
	}
	return t.remoteText(local)
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"fmt"
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
}

func newOrigin(owner Owner, t *Transport, limits Limits, dialer *Dialer) origin {
	o := origin{owner: owner, queues: owner.Shared(), account: owner.Account(), transport: t, limits: limits, dialer: dialer,
		admission: owner.Admission(),
		network:   networks[t.Endpoint.Scheme.Address], layers: kindsOf(t.Endpoint.Scheme)}
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

	// TLS is set for a secure endpoint. A new configuration applies to connections that are
	// made after it was stored.
	TLS atomic.Pointer[tls.Config]
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

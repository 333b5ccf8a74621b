// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// origin is what made a connection, a listener or a dialer: what all
// connections of it have in common. It does not change once there is one.
type origin struct {
	owner     Owner
	queues    *shm.Queues // the owner's
	transport *Transport
	limits    Limits
	dialer    *Dialer // nil: a listener
}

func newOrigin(owner Owner, t *Transport, limits Limits, dialer *Dialer) origin {
	return origin{owner: owner, queues: owner.Shared(), transport: t, limits: limits, dialer: dialer}
}

// DefaultHeaderMax is the longest head of an HTTP message, in bytes, unless a
// Transport says otherwise.
const DefaultHeaderMax = 16 << 10

// Transport is how the connections of one listener or dialer carry bytes.
type Transport struct {
	Endpoint      endpoint.Endpoint
	HandshakeTime time.Duration // of TLS and WebSocket together; 0: no limit
	Heartbeat     Heartbeat     // of accepted WebSocket connections
	HeaderMax     int           // longest head of HTTP in bytes; 0: DefaultHeaderMax

	// TLS is there for a secure endpoint; one that is stored later holds for
	// connections that are made later.
	TLS atomic.Pointer[tls.Config]
}

// shakesHands tells whether a connection needs more than TCP's handshake.
func (t *Transport) shakesHands() bool {
	kind := t.Endpoint.Scheme
	return kind.Secure() || kind.Web()
}

// headerMax is HeaderMax or its default.
func (t *Transport) headerMax() int {
	if t.HeaderMax == 0 {
		return DefaultHeaderMax
	}
	return t.HeaderMax
}

// remoteText is the endpoint of a peer; one of the local system has no name.
func (t *Transport) remoteText(a Address) string {
	if t.Endpoint.Scheme == endpoint.IPC {
		return t.Endpoint.String()
	}
	return endpoint.Text(t.Endpoint.Scheme, a.AddrPort)
}

// localText is the endpoint of a descriptor's own end, or "".
func (t *Transport) localText(fd int) string {
	local, err := sys.Sockname(fd)
	if err != nil {
		return ""
	}
	return t.remoteText(local)
}

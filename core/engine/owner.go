// SPDX-License-Identifier: MPL-2.0

// Package engine moves bytes between the kernel and the queues of core/shm:
// shards (one event loop each), listeners, dialers, connections. It hands whole
// frames to the socket above it as runs and writes what the socket's senders
// queued. It knows nothing of routing frames, options by number, or C.
//
// Everything in a connection, listener or dialer is touched only by the driver of
// its shard: the one thread that holds the driver role (driver.go).
package engine

import (
	"time"

	"github.com/zlink/zlink/core/shm"
)

// Reason says why a connection ended (ZLINK_DISCONNECT_*).
type Reason uint8

const (
	ReasonUnknown   Reason = 0
	ReasonLocal     Reason = 1 // this side closed it
	ReasonRemote    Reason = 2 // the peer closed it
	ReasonHandshake Reason = 3 // of TLS or WebSocket
	ReasonTransport Reason = 4 // reset, time-out, or a bad frame
	ReasonCtxTerm   Reason = 5 // as Local, after the context's shutdown
)

// Owner is the socket above the engine. The driver of the connection's shard
// calls it; no call may block on the shard.
type Owner interface {
	// Shared returns the socket's queues.
	Shared() *shm.Queues
	// Attach names a new connection and makes it known to senders; alias is
	// the name asked for, or nil. An error refuses the connection.
	Attach(s *Conn, alias []byte) error
	// Detach hides an ended connection from senders and calls s.Detached. Once
	// per Attach.
	Detach(s *Conn)
	// Forget takes a connection whose descriptor is closed out of all counts and
	// lists. Its counters are still there. Gone follows.
	Forget(s *Conn)
	// CloseTimeout is how long a peer may take nothing of what is queued for a
	// connection that ends; negative: no limit.
	CloseTimeout() time.Duration
	// Closed tells whether the owner is closed: its peers are told that it goes away.
	Closed() bool
	// Enter counts a connection whose handshake begins; false: the owner is
	// closed. Gone follows.
	Enter() bool
	// Holds notes that connections whose handshake is not over hold more, or less,
	// bytes of memory. Any thread.
	Holds(bytes int64)
	// Gone says that the last descriptor of a connection, listener, dialer or
	// handshake of this owner is closed, or another part's, and none will follow
	// from it.
	Gone(part any)
	// Unreceived says that nobody will receive a connection's disconnect event, and hands
	// over its reference. Runs of that connection may still be under way to the owner.
	Unreceived(s *shm.Session)
	// WakeReaders wakes whoever sleeps until RxInbox has a run. It tells
	// whether that is a receive call, which could drive the shard itself.
	WakeReaders() bool
	// Observed tells whether Observe wants to hear of events.
	Observed() bool
	// Observe hears of an event of the socket's life.
	Observe(Event)
	// WakeSenders wakes whoever waits for room in a connection's send queue.
	WakeSenders()
}

// Limits are the options that a connection keeps from its bind or connect.
type Limits struct {
	MaxMsgSize int64  // longest body in bytes; negative: no limit
	SndHwm     uint32 // messages; 0: no limit
	RcvHwm     uint32 // messages; 0: no limit
}

// EventKind is a kind of event in the life of a socket (ZLINK_EVENT_*).
type EventKind uint64

const (
	EventConnected      EventKind = 0x0001 // a dialled connection is there; value: descriptor
	EventConnectDelayed EventKind = 0x0002 // a connection is under way; value: errno
	EventConnectRetried EventKind = 0x0004 // it will be tried again; value: in ms
	EventListening      EventKind = 0x0008 // value: descriptor
	EventBindFailed     EventKind = 0x0010 // value: errno
	EventAccepted       EventKind = 0x0020 // value: descriptor
	EventAcceptFailed   EventKind = 0x0040 // value: errno
	EventClosed         EventKind = 0x0080 // a listening or dialling descriptor is closed; value: it
	EventDisconnected   EventKind = 0x0200 // value: Reason
	EventStopped        EventKind = 0x0400 // no event follows
	EventReady          EventKind = 0x1000 // messages can flow; value: descriptor

	// The TLS or WebSocket handshake failed.
	EventHandshakeFailed   EventKind = 0x0800 // value: errno
	EventHandshakeProtocol EventKind = 0x2000 // value: ProtocolWeb or ProtocolCrypto
	EventHandshakeAuth     EventKind = 0x4000 // a certificate was refused or is missing; value: EACCES
)

// Values of EventHandshakeProtocol (ZLINK_PROTOCOL_ERROR_*). A status of HTTP that a
// server refused an upgrade with is added to the first.
const (
	ProtocolWeb    = 0x30000000 // WebSocket
	ProtocolCrypto = 0x11000001 // TLS
)

// Event is one event. Local and Remote are endpoints, or "".
type Event struct {
	Kind          EventKind
	Value         uint64
	RoutingID     []byte
	Local, Remote string

	// Detail is, of a handshake that failed, or an end by TLS or WebSocket, why, in words, or
	// what the peer said; of EventReady, the subject of the peer's certificate, if it was
	// verified.
	Detail string
}

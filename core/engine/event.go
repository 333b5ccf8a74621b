// SPDX-License-Identifier: MPL-2.0

package engine

// EventKind is a kind of event in the life of a socket (ZLINK_EVENT_*).
type EventKind uint64

const (
	EventConnected      EventKind = 0x0001 // a dialled connection is up; value: descriptor
	EventConnectDelayed EventKind = 0x0002 // a connection is under way; value: errno
	EventConnectRetried EventKind = 0x0004 // it will be tried again; value: pause in ms
	EventListening      EventKind = 0x0008 // value: descriptor
	EventBindFailed     EventKind = 0x0010 // value: errno
	EventAccepted       EventKind = 0x0020 // value: descriptor
	EventAcceptFailed   EventKind = 0x0040 // value: errno
	EventClosed         EventKind = 0x0080 // a listening or dialling descriptor is closed; value: its number
	EventDisconnected   EventKind = 0x0200 // value: Reason
	EventStopped        EventKind = 0x0400 // no event follows
	EventReady          EventKind = 0x1000 // messages can flow; value: descriptor

	EventWritable EventKind = 0x10000 // a queue that refused a message has room again; value: 0
	EventDrained  EventKind = 0x20000 // Drain is done

	// The TLS or WebSocket handshake failed.
	EventHandshakeFailed   EventKind = 0x0800 // value: errno
	EventHandshakeProtocol EventKind = 0x2000 // value: ProtocolWeb or ProtocolCrypto
	EventHandshakeAuth     EventKind = 0x4000 // a certificate was refused or is missing; value: EACCES
)

// Values of EventHandshakeProtocol (ZLINK_PROTOCOL_ERROR_*). If a server refused an upgrade
// with an HTTP status, the status is added to ProtocolWeb; on the server itself only if its application
// refused.
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

	// Detail explains in words a failed handshake or the end of a connection, or holds what
	// the peer said. For EventReady it is the subject of the peer's certificate, if that was
	// verified.
	Detail string

	Cause Cause // of EventDisconnected, and of EventAcceptFailed of a refused connection: why
}

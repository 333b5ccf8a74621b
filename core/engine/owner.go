// SPDX-License-Identifier: MPL-2.0

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
	// Closed reports whether the owner is closed: its peers are told that it goes away.
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
	// Observed reports whether Observe wants to hear of events.
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

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/shm"
)

// Reason is what monitors tell of the end of a connection (ZLINK_DISCONNECT_*). Cause says
// more.
type Reason uint8

const (
	ReasonUnknown   Reason = 0
	ReasonLocal     Reason = 1 // this side closed it
	ReasonRemote    Reason = 2 // the peer closed it
	ReasonHandshake Reason = 3 // the TLS or WebSocket handshake failed
	ReasonTransport Reason = 4 // reset, time-out, or a bad frame
	ReasonCtxTerm   Reason = 5 // like ReasonLocal, after the context's shutdown
)

// Owner is the socket above the engine. The driver of the connection's shard calls it, so
// no call may wait for the shard.
type Owner interface {
	// Shared returns the socket's queues.
	Shared() *shm.Queues
	// Admission returns what decides which accepted connections the socket keeps.
	Admission() *Admission
	// Account returns what adds up the memory of the socket's received messages.
	Account() *shm.Account
	// Attach names a new connection and shows it to senders. alias is the requested name,
	// or nil. An error refuses the connection.
	Attach(s *Conn, alias []byte) error
	// Detach hides an ended connection from senders and calls s.Detached. It is called once
	// per Attach.
	Detach(s *Conn)
	// LeaveGroups takes a connection out of its groups. Its session is closed for senders.
	LeaveGroups(s *Conn)
	// Forget removes a connection whose descriptor is closed from all counts and lists. Its
	// counters can still be read. Gone follows.
	Forget(s *Conn)
	// CloseTimeout returns how long the peer of an ending connection may take none of the
	// queued bytes; negative: no limit.
	CloseTimeout() time.Duration
	// Closed reports whether the owner is closed: peers then get the code for going away.
	Closed() bool
	// Enter counts a connection whose handshake begins. It returns false if the owner is
	// closed. Gone follows.
	Enter() bool
	// Answers counts connections that are answered that the owner drains: more, or, if negative,
	// less. They are between Enter and Gone, and a drain does not wait for them.
	Answers(more int)
	// Ask gives somebody who asks a routing id, under which the session is found, and puts it into the list
	// of those that wait for a decision. After an error it does neither. Asked follows.
	Ask(*Asker) error
	// Undecided takes somebody who asks out of that list, and reports whether it was there: only
	// then the caller decides.
	Undecided(*Asker) bool
	// Asked forgets somebody who asked.
	Asked(*Asker)
	// Holds counts memory, in bytes, of connections in their handshakes: more, or, if
	// negative, less. Any thread.
	Holds(bytes int64)
	// TurnedAway counts a connection that ended before it was attached.
	TurnedAway(why Cause)
	// Gone means that the last descriptor of part, which is a connection, listener, dialer
	// or handshake of this owner, is closed, and that no descriptor of it will follow.
	Gone(part any)
	// Unreceived means that nobody will receive a connection's disconnect event, and hands
	// over the event's reference. Runs of that connection may still be on their way here.
	Unreceived(s *shm.Session)
	// WakeReaders wakes everyone who sleeps until RxInbox has a run. It reports whether one
	// of them is a receive call that could drive the shard itself.
	WakeReaders() bool
	// Observed reports whether anyone observes events.
	Observed() bool
	// Observe gets an event of the socket's life.
	Observe(Event)
	// WakeSenders wakes everyone who waits for room in a connection's send queue.
	WakeSenders()
	// Starve notes a session whose empty queue has refused a message because of the total of
	// the socket. Relieve has OfferRoom look at all of them, because the total has room again.
	Starve(s *shm.Session, rid uint32)
	Relieve()
}

// Limits are the options of a connection that were fixed at its bind or connect.
type Limits struct {
	MaxMsgSize int64  // longest body in bytes; negative: no limit
	SndHwm     uint32 // messages; 0: no limit
	RcvHwm     uint32 // messages; 0: no limit
	RecvBytes  int64  // that wait for the receiver; 0: no limit
	Rate       Rate
	Deadlines
	SendBytes uint32 // most bytes queued; 0: no limit
	Fast      bool   // the receiver gets an event when a queue that was full has room
}

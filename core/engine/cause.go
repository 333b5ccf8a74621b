// SPDX-License-Identifier: MPL-2.0

package engine

import "github.com/zlink/zlink/core/probe"

// Cause is why a connection ended (ZLINK_STREAM_REASON_*).
type Cause uint8

// The causes.
//
//capi:const ZL
const (
	CauseUnknown      Cause = 0
	CausePeerClosed   Cause = 1  // the peer closed it, or ended its side
	CauseReset        Cause = 2  // the peer reset it, or the network failed
	CauseIdle         Cause = 3  // nothing was received for too long
	CauseNoPong       Cause = 4  // the peer did not answer pings
	CauseHandshake    Cause = 5  // its TLS or WebSocket handshake failed
	CauseProtocol     Cause = 6  // the peer broke TLS or WebSocket
	CauseTooLong      Cause = 7  // a message above MAXMSGSIZE
	CauseQueueBound   Cause = 8  // too many bytes waited for the peer, or from it
	CauseRate         Cause = 9  // the peer sent too much in too short a time
	CauseLimit        Cause = 10 // too many connections, or an address that is not let in
	CauseClosedHere   Cause = 11 // this side closed it
	CauseAbortedHere  Cause = 12 // this side aborted it
	CauseDrained      Cause = 13 // the socket was drained
	CauseFirstMessage Cause = 14 // no message came in time
	CauseAge          Cause = 15 // it had lived as long as it may
	CauseStalled      Cause = 16 // the peer took nothing for the close timeout
	CauseContext      Cause = 17 // this side closed it after the context's shutdown
	CauseNoMemory     Cause = 18 // this side had no memory for it
	CauseRefused      Cause = 19 // the application refused it
	CauseUndecided    Cause = 20 // the application did not decide about it in time
)

// Causes is the number of causes that statistics have room for.
const Causes = 32

// causes holds the sentence, the coarse reason and the name of each cause.
var causes = [Causes]struct {
	text   string
	reason Reason
	name   string
}{
	CausePeerClosed:   {"the peer closed the connection", ReasonRemote, "peer_closed"},
	CauseReset:        {"the connection was reset, or the network failed", ReasonTransport, "reset"},
	CauseIdle:         {"nothing was received for too long", ReasonTransport, "idle"},
	CauseNoPong:       {"the peer did not answer pings", ReasonTransport, "no_pong"},
	CauseHandshake:    {"the handshake failed", ReasonTransport, "handshake"},
	CauseProtocol:     {"the peer broke the protocol", ReasonTransport, "protocol"},
	CauseTooLong:      {"a message was longer than MAXMSGSIZE", ReasonTransport, "too_long"},
	CauseQueueBound:   {"too many bytes waited for the peer, or from it", ReasonTransport, "queue_bound"},
	CauseRate:         {"the peer sent too much in too short a time", ReasonTransport, "rate"},
	CauseLimit:        {"there were too many connections, or the address is not let in", ReasonTransport, "limit"},
	CauseClosedHere:   {"this side closed the connection", ReasonLocal, "closed_here"},
	CauseAbortedHere:  {"this side aborted the connection", ReasonLocal, "aborted_here"},
	CauseDrained:      {"the socket was drained", ReasonLocal, "drained"},
	CauseFirstMessage: {"no message came in time", ReasonTransport, "first_message"},
	CauseAge:          {"the connection had lived as long as it may", ReasonTransport, "age"},
	CauseStalled:      {"the peer took nothing until the close timeout was over", ReasonTransport, "stalled"},
	CauseContext:      {"the context was shut down", ReasonCtxTerm, "context"},
	CauseNoMemory:     {"there was no memory for the connection", ReasonTransport, "no_memory"},
	CauseRefused:      {"the application refused the connection", ReasonLocal, "refused"},
	CauseUndecided:    {"the application did not decide about the connection in time", ReasonLocal, "undecided"},
}

// String returns a sentence.
func (why Cause) String() string {
	if why >= Causes || causes[why].text == "" {
		return "the reason is not known"
	}
	return causes[why].text
}

// Name returns that of the constant of the C API, in small letters.
func (why Cause) Name() string {
	if why >= Causes || causes[why].name == "" {
		return "unknown"
	}
	return causes[why].name
}

// Reason returns the coarse reason that monitors get as the value of EventDisconnected.
func (why Cause) Reason() Reason {
	if why >= Causes {
		return ReasonUnknown
	}
	return causes[why].reason
}

// ordered reports whether the application ordered an end in which all that is queued is
// still written.
func (why Cause) ordered() bool {
	return why == CauseClosedHere || why == CauseDrained || why == CauseContext
}

// ofLink reports whether what a layer objected to says more than the cause.
func (why Cause) ofLink() bool {
	switch why {
	case CauseReset, CauseNoPong, CauseHandshake, CauseProtocol, CauseTooLong, CauseQueueBound, CauseRate:
		return true
	}
	return false
}

// because records why the connection ends. The first cause stays, whatever the peer does
// afterwards, with one exception: an end that the application ordered may turn into a
// harsher one of this side, as long as the disconnect event is not pushed.
func (c *Conn) because(why Cause) {
	harsher := why == CauseAbortedHere || why == CauseStalled
	if c.cause == CauseUnknown || harsher && c.cause.ordered() && !c.announced {
		c.cause = why
	}
}

// Cause returns why the connection ended. Driver only, and for the owner's Detach and Forget.
func (c *Conn) Cause() Cause { return c.cause }

// reason returns what monitors get as the value of EventDisconnected.
func (c *Conn) reason() Reason {
	if c.Abandoned() > 0 && !c.ordered {
		return ReasonTransport
	}
	return c.cause.Reason()
}

// turnedAway counts a connection that ended before it was attached.
func (o *origin) turnedAway(remote Address, why Cause) {
	o.owner.TurnedAway(why)
	if probe.On(probe.TurnAway) {
		probe.Fire(probe.TurnAway, o.queues.Serial, 0, uint64(why), 0, o.transport.remoteText(remote))
	}
}

// turnAway reports the end of a connection that is not attached. Its descriptor is still
// open. Driver only.
func (o *origin) turnAway(fd int, remote Address, reason Reason, why Cause) {
	o.turnedAway(remote, why)
	if o.owner.Observed() {
		o.owner.Observe(Event{Kind: EventDisconnected, Value: uint64(reason), Local: o.transport.localText(fd),
			Remote: o.transport.remoteText(remote), Detail: why.String(), Cause: why})
	}
}

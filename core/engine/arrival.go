// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// arrival is a connected descriptor that is about to become a Conn.
type arrival struct {
	*origin
	fd       int
	remote   Address
	alias    []byte
	place    place        // of the socket's Admission
	notes    *notes       // what its handshakes found out about the peer
	reserved *shm.Session // of somebody whom the application has accepted; nil: it was not asked

	announced bool // monitors know that it came up
}

// begins reports whether the handshake of an accepted connection begins without its peer's first bytes.
func (a *arrival) begins() bool {
	if len(a.layers) == 0 {
		return a.fork == nil
	}
	return !a.layers[0].PeerFirst
}

// sendAway ends an arrival whose socket is closed, or has drained.
func (sh *Shard) sendAway(a arrival) {
	a.notTaken(nil)
	sys.Close(a.fd)
	a.admission.leave(a.place)
	sh.conns.Add(-1)
}

// noRoom reports that there is no memory for the connection.
func (a *arrival) noRoom() {
	a.neverUp(CauseNoMemory)
}

// neverUp reports the end of a connection that the owner did not take. Monitors that know of it also
// get what takes the place of EventReady.
func (a *arrival) neverUp(why Cause) {
	reason := why.Reason()
	if a.announced {
		a.observe(EventHandshakeFailed, why.failure(), why.String())
		reason = ReasonHandshake
	}
	a.turnAway(a.fd, a.remote, reason, why)
}

// notTaken reports that the owner did not take the connection. A closed one is asked for
// nothing any more.
func (a *arrival) notTaken(err error) {
	switch {
	case a.owner.Closed():
	case errno.Of(err) == errno.ENOMEM:
		a.noRoom()
	default:
		a.neverUp(CauseDrained)
	}
}

// outcome gives the dialer its connection, or nil if there is none.
func (a *arrival) outcome(c *Conn) {
	if a.dialer != nil {
		a.dialer.connected(c)
	}
}

// cameUp returns the event of a new connection.
func (a *arrival) cameUp() EventKind {
	if a.dialer != nil {
		return EventConnected
	}
	return EventAccepted
}

func (a *arrival) observe(kind EventKind, value uint64, why string) {
	if a.owner.Observed() {
		a.owner.Observe(Event{Kind: kind, Value: value, Local: a.transport.localText(a.fd),
			Remote: a.transport.remoteText(a.remote), Detail: why})
	}
}

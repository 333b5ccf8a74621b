// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// arrival is a connected descriptor that is about to become a Conn.
type arrival struct {
	*origin
	fd     int
	remote Address
	alias  []byte
	place  place // of the socket's Admission

	announced bool // monitors know that it came up
}

// handshake is a connection whose TLS or WebSocket handshake is not over. The application
// does not see it.
//
// The exchange runs on a goroutine, because it blocks and computes for a millisecond or
// more. On the accepting side the goroutine starts when the peer's first bytes are there
// and the gate lets it in. A peer that says nothing, or waits, thus costs only a
// descriptor and this struct. The goroutine ends with a report to the driver. Driver only,
// except for the ticket.
type handshake struct {
	arrival
	shard    *Shard
	conn     *fdConn
	deadline *timer
	ticket   ticket // of the gate
	asked    bool   // the gate knows it
	running  bool   // the goroutine will report
	over     bool   // the descriptor is closed and only the report is missing, or a Conn has it
}

// dialled reports whether this side made the connection.
func (h *handshake) dialled() bool { return h.dialer != nil }

// welcome makes a Conn of an arrival, at once or after its handshake. The caller has
// counted it in sh.conns. A dialer gets the outcome.
func (sh *Shard) welcome(a arrival) {
	if len(a.layers) == 0 {
		a.outcome(sh.adopt(a, nil))
		return
	}
	h := &handshake{arrival: a, shard: sh, conn: newFdConn(a.fd)}
	if a.dialer == nil && !a.owner.Enter() {
		sh.sendAway(a)
		return
	}
	if a.dialer != nil {
		a.dialer.handshake = h
	}
	h.conn.owner, h.conn.gate = a.owner, sh.gate
	h.conn.aside = func() { sh.gate.aside(h) }
	h.conn.countMemory(waitingSize)
	sh.handshakes[h] = struct{}{}
	if a.readdressed == 0 {
		h.announce(a.remote)
	}
	if err := sh.register(a.fd, h); err != nil {
		h.end(ReasonTransport, CauseNoMemory)
		return
	}
	if limit := a.transport.HandshakeTime; limit > 0 {
		h.deadline = sh.timers.after(limit, func() { h.fail(errno.ETIMEDOUT) })
	}
	if a.dialer != nil || !a.layers[0].PeerFirst {
		h.run()
	}
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
	a.turnAway(a.fd, a.remote, CauseNoMemory.Reason(), CauseNoMemory)
}

// notTaken reports that the owner did not take the connection. A closed one is asked for
// nothing any more.
func (a *arrival) notTaken(err error) {
	switch {
	case a.owner.Closed():
	case errno.Of(err) == errno.ENOMEM:
		a.noRoom()
	default:
		a.turnAway(a.fd, a.remote, CauseDrained.Reason(), CauseDrained)
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

// announce reports the connection to monitors once the peer's address is certain or the
// connection ends.
func (h *handshake) announce(remote Address) {
	if !h.announced {
		h.announced, h.remote = true, remote
		h.observe(h.cameUp(), uint64(h.fd), "")
	}
}

func (h *handshake) observe(kind EventKind, value uint64, why string) {
	if h.owner.Observed() {
		h.owner.Observe(Event{Kind: kind, Value: value, Local: h.transport.localText(h.fd),
			Remote: h.transport.remoteText(h.remote), Detail: why})
	}
}

// ready passes the kernel's report on.
func (h *handshake) ready(what sys.Readiness) {
	switch {
	case h.running:
		h.conn.signal()
	case what&(sys.Gone|sys.Failed) != 0: // the peer went while it waited
		h.fail(errno.ECONNRESET)
	case what&^sys.Writable != 0:
		h.run()
	}
}

// run begins the exchange, now or when its turn comes.
func (h *handshake) run() {
	if h.asked {
		return
	}
	h.asked = true
	if h.shard.gate.enter(h) {
		h.start()
	}
}

// errNoRoom ends a handshake because there is no memory for it.
var errNoRoom = errno.New(errno.ENOMEM, "the process has no address space left for a handshake (RLIMIT_AS)")

// start begins the handshake, which now has a place in the gate.
func (h *handshake) start() {
	if h.over {
		return
	}
	if !shm.Roomy() {
		h.fail(errNoRoom)
		return
	}
	h.running = true
	h.conn.countMemory(begunSize)
	for _, kind := range h.layers {
		h.conn.countMemory(kind.Holds)
	}
	l := &link{shaking: h.conn}
	g := &Greeting{Transport: h.transport, Dialled: h.dialled(), Remote: h.remote}
	go func() {
		h.conn.gate.compute()
		err := h.shake(l, g)
		h.conn.gate.rest()
		h.shard.Post(func() { h.reported(l, g.Remote, err) })
	}()
}

// shake makes the handshakes of the layers, on the goroutine.
func (h *handshake) shake(l *link, g *Greeting) error {
	for i, kind := range h.layers {
		if err := l.shake(kind, g); err != nil {
			h.conn.endRefused()
			return err
		}
		if remote := g.Remote; i+1 == h.readdressed {
			h.shard.Post(func() { h.announce(remote) })
		}
	}
	l.settle()
	return nil
}

// reported takes the goroutine's result.
func (h *handshake) reported(l *link, remote Address, err error) {
	h.running = false
	leaves(leftHandshake)
	if err == nil {
		h.shard.gate.up(h)
	}
	h.shard.gate.leave(h)
	switch {
	case h.over:
		h.forget()
	case err != nil:
		h.fail(err)
	default:
		h.shard.unregister(h.fd)
		h.shard.timers.cancel(h.deadline)
		delete(h.shard.handshakes, h)
		h.over = true
		h.conn.countMemory(-h.conn.counted)
		h.remote = remote
		c := h.shard.adopt(h.arrival, l)
		if c != nil {
			c.wantRead() // bytes may have come behind the handshake
		}
		h.outcome(c)
		h.leave()
	}
}

// fail ends a failed handshake, and reports why.
func (h *handshake) fail(err error) {
	if h.over {
		return
	}
	h.announce(h.remote)
	kind, value := failureOf(err)
	h.observe(kind, value, err.Error())
	why := CauseHandshake
	if err == errNoRoom {
		why = CauseNoMemory
	}
	h.end(ReasonHandshake, why)
}

// abort ends a handshake that is no longer wanted.
func (h *handshake) abort(why Cause) {
	if !h.over {
		h.end(why.Reason(), why)
	}
}

func (h *handshake) end(reason Reason, why Cause) {
	h.over = true
	h.announce(h.remote)
	h.turnAway(h.fd, h.remote, reason, why)
	h.conn.abort(errors.New("the handshake was ended"))
	h.shard.timers.cancel(h.deadline)
	h.shard.closeFd(h.fd)
	h.shard.conns.Add(-1)
	h.admission.leave(h.place)
	if !h.running {
		h.shard.gate.leave(h)
		h.forget()
	}
}

// forget is the last step of every handshake.
func (h *handshake) forget() {
	delete(h.shard.handshakes, h)
	h.conn.countMemory(-h.conn.counted)
	h.outcome(nil)
	h.leave()
}

// leave undoes Enter.
func (h *handshake) leave() {
	if h.dialer == nil {
		h.owner.Gone(h)
	}
}

// EndHandshakes ends an owner's handshakes on the shard. Driver only.
func (sh *Shard) EndHandshakes(owner Owner, why Cause) {
	for h := range sh.handshakes {
		if h.owner == owner && h.dialer == nil {
			h.abort(why)
		}
	}
}

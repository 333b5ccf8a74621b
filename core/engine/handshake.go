// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

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
	answers  bool   // it came after its socket began to drain, and is only told so
	asker    *Asker // while the application is asked, and until a Conn comes of it

	// Of the goroutine while it runs.
	link     *link
	greeting *Greeting
	made     int  // of the layers
	heard    bool // bytes have come behind the layers (fork.go)
}

// dialled reports whether this side made the connection.
func (h *handshake) dialled() bool { return h.dialer != nil }

// welcome makes a Conn of an arrival, at once or after its handshake. The caller has
// counted it in sh.conns. A dialer gets the outcome.
func (sh *Shard) welcome(a arrival) {
	if len(a.layers) == 0 && a.fork == nil && !a.asks() {
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
	} else if a.transport.drains.Load() {
		h.answers = true
		a.owner.Answers(1)
	}
	h.conn.owner, h.conn.gate = a.owner, sh.gate
	h.conn.aside = func() { sh.gate.aside(h) }
	h.conn.countMemory(waitingSize)
	sh.handshakes[h] = struct{}{}
	if a.readdressed == 0 && a.fork == nil {
		h.announce(a.remote)
	}
	if err := sh.register(a.fd, h); err != nil {
		h.abort(CauseNoMemory)
		return
	}
	if limit := a.transport.HandshakeTime; limit > 0 {
		h.deadline = sh.timers.after(limit, func() { h.fail(errno.ETIMEDOUT) })
	}
	if a.dialer != nil || a.begins() {
		h.run()
	}
}

// readdress takes the peer's address, which is certain now. If it is not the one that was
// accepted, the limits and lists of addresses are looked at again.
func (h *handshake) readdress(remote Address) {
	if h.over {
		return
	}
	if remote != h.remote && !h.dialled() {
		at, why := h.admission.move(h.place, remote.Addr(), time.Now())
		if why != admitted {
			h.refuse(remote, why)
			return
		}
		h.place = at
	}
	h.remote = remote
	if h.fork == nil {
		h.announce(remote)
	}
}

// refuse resets the connection as a listener does. For monitors it never came up.
func (h *handshake) refuse(remote Address, why verdict) {
	h.remote, h.announced = remote, true
	h.tellRefused(remote, why)
	h.turnedAway(remote, CauseLimit)
	sys.ResetOnClose(h.fd)
	h.drop()
}

// announce reports the connection to monitors once the peer's address is certain or the
// connection ends.
func (h *handshake) announce(remote Address) {
	if !h.announced {
		h.announced, h.remote = true, remote
		h.observe(h.cameUp(), uint64(h.fd), "")
	}
}

// ready passes the kernel's report on.
func (h *handshake) ready(what sys.Readiness) {
	switch {
	case h.running && h.askerGone(what):
	case h.running:
		h.conn.signal()
	case h.atFork():
		h.look(what)
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
	if h.link == nil {
		h.link = &link{shaking: h.conn}
		h.greeting = &Greeting{Transport: h.base, Dialled: h.dialled(), Remote: h.remote, notes: newNotes(h.transport)}
		if h.asks() {
			h.greeting.ask = func(web bool, offers []string) (Decision, error) { return h.ask(h.greeting, web, offers) }
		}
	}
	from := h.origin
	go func() {
		h.conn.gate.compute()
		err := h.shake(from)
		if err != nil && err != errSilent {
			h.conn.endRefused()
		}
		h.conn.gate.rest()
		h.shard.Post(func() { h.reported(err) })
	}()
}

// shake makes the handshakes of the layers that are missing, on the goroutine.
func (h *handshake) shake(o *origin) (err error) {
	for {
		if err := h.shakeLayers(o); err != nil {
			return err
		}
		if o.fork == nil {
			if err = h.lastWord(); err == nil {
				h.link.settle()
			}
			return err
		}
		if o, err = h.chooses(o); err != nil {
			return err
		}
	}
}

func (h *handshake) shakeLayers(o *origin) error {
	g := h.greeting
	for h.made < len(o.layers) {
		had := g.notes.size()
		err := h.link.shake(o.layers[h.made], g)
		h.conn.grow(g.notes.size() - had)
		if err != nil {
			return err
		}
		h.made++
		if remote := g.Remote; h.made == o.readdressed {
			h.shard.Post(func() { h.readdress(remote) })
		}
	}
	return nil
}

// reported takes the goroutine's result.
func (h *handshake) reported(err error) {
	h.running = false
	leaves(leftHandshake)
	if err == nil || err == errSilent {
		h.shard.gate.up(h)
	}
	h.shard.gate.leave(h)
	switch {
	case h.over:
		h.forget()
	case err == errSilent:
		h.await()
	case err != nil:
		h.fail(err)
	default:
		h.done()
	}
}

// done makes a Conn of the connection. One that came to hear that the socket drains, and asks for no
// answer, is none.
func (h *handshake) done() {
	if h.answers {
		h.abort(CauseDrained)
		return
	}
	h.shard.unregister(h.fd)
	h.shard.timers.cancel(h.deadline)
	delete(h.shard.handshakes, h)
	h.over = true
	h.conn.countMemory(-h.conn.counted)
	if g := h.greeting; g != nil {
		h.remote, h.notes = g.Remote, g.notes
	}
	if h.asker != nil {
		h.reserved = h.asker.Session
	}
	c := h.shard.adopt(h.arrival, h.link)
	if c != nil {
		h.askUp()
		c.wantRead() // bytes may have come behind the handshake
	}
	h.askOver(CauseNoMemory) // else
	h.outcome(c)
	h.leave()
}

// fail ends a failed handshake, and reports why.
func (h *handshake) fail(err error) {
	switch {
	case h.over:
		return
	case err == errProbe: // no failure
		h.end(CausePeerClosed.Reason(), CausePeerClosed)
		return
	}
	h.announce(h.remote)
	kind, value := failureOf(err)
	h.observe(kind, value, err.Error())
	h.end(ReasonHandshake, causeOf(err))
}

// causeOf returns why a handshake failed.
func causeOf(err error) Cause {
	var web *webError
	switch {
	case err == errNoRoom, err == errUnasked:
		return CauseNoMemory
	case err == errRefused:
		return CauseRefused
	case err == errUndecided:
		return CauseUndecided
	case errors.As(err, &web) && web.cause != CauseUnknown:
		return web.cause
	}
	return CauseHandshake
}

// abort ends a handshake that is no longer wanted, or whose peer went while it asked.
func (h *handshake) abort(why Cause) {
	if !h.over {
		h.announce(h.remote)
		h.observe(EventHandshakeFailed, why.failure(), why.String())
		h.end(ReasonHandshake, why)
	}
}

func (h *handshake) end(reason Reason, why Cause) {
	h.announce(h.remote)
	h.askOver(why)
	h.turnAway(h.fd, h.remote, reason, why)
	h.drop()
}

// drop closes the descriptor.
func (h *handshake) drop() {
	h.over = true
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
	if h.answers {
		h.owner.Answers(-1)
	}
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

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// Who asks
//
// A socket may decide about each accepted connection whose handshakes are otherwise over: before
// the answer to the request for a WebSocket, or before the first byte of other transports is read.
// The connection is still a handshake then, with a place in the gate, and its goroutine waits. What
// the application sees of it is a session that is closed for senders. It has the routing id that
// the peer will have, lies in the routing table, so that its properties are found, and carries two
// events: RunAsking, and RunDisconnected if no peer comes of it.
//
// The owner's list of those that ask decides which answer counts: that of the first to take the
// entry, which is the application, the time-out or the end of the peer.

// Decision is what becomes of somebody who asks.
type Decision struct {
	Why    Cause  // CauseUnknown: the peer is accepted
	Status int    // of HTTP, for a request that is refused
	Text   string // that goes with it

	Chosen   bool   // the application has chosen the subprotocol
	Protocol string // of an accepted request for a WebSocket; "": none
}

// What a refused connection's handshake failed with. A WebSocket's has its status, too.
var (
	errRefused   = errno.New(errno.EACCES, "the application refused the peer")
	errUndecided = errno.New(errno.ETIMEDOUT, "the application did not decide about the peer in STREAM_ACCEPT_TIMEOUT")
	errUnasked   = errno.New(errno.ENOMEM, "the application could not be asked about the peer")
)

// failure returns the error of a decision, or nil.
func (d Decision) failure() error {
	switch d.Why {
	case CauseUnknown:
		return nil
	case CauseUndecided:
		return errUndecided
	case CauseNoMemory:
		return errUnasked
	}
	return errRefused
}

// Asker is a connection that asks.
type Asker struct {
	conn    *fdConn
	scheme  string
	Session *shm.Session
	offers  []string // subprotocols of a request for a WebSocket
	web     bool     // it is one
}

// MayHave returns why the connection cannot have a subprotocol, or nil; "" is none.
func (a *Asker) MayHave(protocol string) error {
	switch {
	case !a.web:
		return errno.New(errno.EINVAL, "who asks does not request a WebSocket, so there is no subprotocol")
	case protocol != "" && !slices.Contains(a.offers, protocol):
		return errno.New(errno.EINVAL, "the request does not offer the subprotocol %.64q", protocol)
	}
	return nil
}

// End returns one of the properties that every connection has. The caller holds the lock that the
// owner holds in Asked, and Asked has not been called: the descriptor is open.
func (a *Asker) End(name string) (value string, has bool) { return endOf(a.conn.fd, a.scheme, name) }

// Decide tells the connection what becomes of it. Once, by whoever has taken it out of the owner's
// list. Any thread.
func (a *Asker) Decide(d Decision) { a.conn.decide(d) }

// decide ends the wait of the goroutine.
func (c *fdConn) decide(d Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if check.On {
		check.That(c.decision == nil, "who asks is answered once")
	}
	c.decision = &d
	c.changed.Broadcast()
}

// decided waits for the decision, and leaves the processor and the window of the gate to others
// meanwhile. The goroutine calls it.
func (c *fdConn) decided() (Decision, error) {
	if c.aside != nil {
		c.aside()
		c.aside = nil
	}
	c.gate.rest()
	c.mu.Lock()
	for c.aborted == nil && c.decision == nil {
		c.changed.Wait()
	}
	d, err := c.decision, c.aborted
	c.mu.Unlock()
	c.gate.compute()
	if err != nil {
		return Decision{}, err
	}
	return *d, nil
}

// ask has the application decide. It runs on the goroutine, and only once. The error is that
// of an aborted handshake.
// offers are the subprotocols of a request for a WebSocket, which it is if web says so.
func (h *handshake) ask(g *Greeting, web bool, offers []string) (Decision, error) {
	g.ask = nil
	size := int64(askSize)
	for _, offer := range offers {
		size += int64(unsafe.Sizeof(offer)) + int64(len(offer))
	}
	h.conn.countMemory(size)
	h.shard.Post(func() { h.askNow(g, &Asker{conn: h.conn, web: web, offers: offers}) })
	d, err := h.conn.decided()
	if err == nil && d.Why != CauseUnknown {
		h.shard.Post(func() { h.askOver(d.Why) }) // before the peer takes its time to go
	}
	return d, err
}

// lastWord has the application decide, unless a layer has done so, or the connection is only told
// that the socket drains.
func (h *handshake) lastWord() error {
	if h.greeting.ask == nil || h.answers {
		return nil
	}
	d, err := h.greeting.ask(false, nil)
	if err == nil {
		err = d.failure()
	}
	if err != nil {
		h.link.part()
	}
	return err
}

// askSize is the memory in bytes of a session and of what the owner keeps.
const askSize = 320

// askNow makes the session of a, and announces it. The goroutine waits.
func (h *handshake) askNow(g *Greeting, a *Asker) {
	if h.over {
		return
	}
	asked := h.arrival
	asked.remote, asked.notes = g.Remote, g.notes
	s := shm.NewSession(h.queues, h.shard.Shared)
	if s != nil {
		asked.identify(s)
	}
	a.scheme, a.Session, h.asker = h.transport.Endpoint.Scheme.Name, s, a
	if s == nil || h.owner.Ask(h.asker) != nil {
		h.conn.decide(Decision{Why: CauseNoMemory, Status: statusServiceUnavailable, Text: "the server has no room"})
		if s != nil {
			s.Release()
		}
		h.asker = nil
		return
	}
	h.shard.timers.cancel(h.deadline)
	h.deadline = h.shard.timers.after(h.base.AcceptTime, h.undecided)
	s.Up.Kind = shm.RunAsking
	s.Retain() // released when the receiver has read the event
	h.shard.announce(h.origin, s, &s.Up)
}

// undecided ends the time for the decision. What is left of a handshake that was decided about in
// time gets its own again; a refused peer, which takes its time to go, asks no more.
func (h *handshake) undecided() {
	if h.asker != nil && h.owner.Undecided(h.asker) {
		h.asker.Decide(Decision{Why: CauseUndecided, Status: statusServiceUnavailable, Text: "the server did not decide in time"})
	} else if limit := h.transport.HandshakeTime; limit > 0 {
		h.deadline = h.shard.timers.after(limit, func() { h.fail(errno.ETIMEDOUT) })
	}
}

// askerGone ends a handshake whose peer goes while it asks. A peer of tcp that only ends its side
// may still read. It reports whether it was that.
func (h *handshake) askerGone(what sys.Readiness) bool {
	gone := sys.Gone | sys.Failed
	if h.layersOfWeb() {
		gone |= sys.Ended
	}
	if h.asker == nil || what&gone == 0 || !h.owner.Undecided(h.asker) {
		return false
	}
	why := CausePeerClosed
	if what&sys.Failed != 0 {
		why = CauseReset
	}
	h.abort(why)
	return true
}

func (o *origin) layersOfWeb() bool {
	return len(o.layers) > 0 && o.layers[len(o.layers)-1] == &layerWeb
}

// askOver announces that no peer comes of somebody who asked.
func (h *handshake) askOver(why Cause) {
	if h.asker == nil {
		return
	}
	s := h.asker.Session
	h.owner.Asked(h.asker)
	h.asker = nil
	s.SetCause(uint8(why))
	h.shard.announce(h.origin, s, &s.Down) // with the reference
}

// askUp forgets the session of somebody who asked and is a peer now.
func (h *handshake) askUp() {
	if h.asker != nil {
		h.owner.Asked(h.asker)
		h.asker.Session.Release()
		h.asker = nil
	}
}

// announce passes an event of a session without a Conn to the socket, with a reference.
func (sh *Shard) announce(o *origin, s *shm.Session, e *shm.RunHead) {
	o.queues.RxEvents.Add(1)
	switch o.queues.PushRun(e.Run()) {
	case shm.Refused:
		o.queues.RxEvents.Add(-1)
		o.owner.Unreceived(s)
	case shm.MustWake:
		if o.owner.WakeReaders() && sh.Users.Load() == 1 {
			sh.handOver = o.queues
		}
	}
}

// acceptable returns the limits that a decision has to keep: a status of HTTP that refuses.
func acceptable(status int) bool { return status >= 400 && status <= 599 }

// refusalMost is the longest text of a refusal in bytes.
//
//capi:const ZL
const refusalMost = 256

// CheckRefusal returns why a request cannot be refused so, or nil.
func CheckRefusal(status int, text string) error {
	switch {
	case !acceptable(status):
		return errno.New(errno.EINVAL, "no request is refused with the status %d", status)
	case len(text) > refusalMost:
		return errno.New(errno.EINVAL, "the text of a refusal has at most %d bytes", refusalMost)
	case visible(text) != text || strings.Contains(text, "\t"):
		return errno.New(errno.EINVAL, "the text %s of a refusal has a control character", strconv.Quote(text))
	}
	return nil
}

// asks reports whether the application decides about the connections of a listener.
func (o *origin) asks() bool { return o.dialer == nil && o.base.AcceptTime > time.Duration(0) }

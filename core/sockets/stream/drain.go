// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"slices"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// A drain takes a socket out of service. Listeners end, dialers dial no more, and the ends
// of the peers begin one after the other, because clients that lose their server come to
// others at once. When no part of the socket is left, it says so, once.

// draining is the state of a drain. The socket's mu guards it.
type draining struct {
	pacing
	code  uint16         // for peers of WebSocket
	left  []*engine.Conn // those whose end has not begun; some may have ended by themselves
	timer *time.Timer    // calls drainOn

	answering []*listening // they tell whoever comes that the socket drains, until that is over
	asking    int          // connections that are being told
	over      bool         // the socket has said that nothing is left
}

// pacing spreads the ends of peers evenly over the time up to end.
type pacing struct {
	end  time.Time
	next time.Time // when the next ones are due
	n    int       // how many are due then
}

// drainTick is the shortest pause between two ends. Where that is too long, several begin
// together.
const drainTick = time.Millisecond

// plan sets when the next of so many peers end, or leaves it if that is sooner. Without
// peers that is the time of the last end: handshakes end then.
func (p *pacing) plan(now time.Time, peers int) {
	rest := max(0, p.end.Sub(now))
	gap := rest / time.Duration(peers+1)
	n := 1
	switch {
	case peers == 0:
		gap, n = rest, 0
	case gap == 0:
		n = peers
	case gap < drainTick:
		n = min(peers, int(drainTick/gap)+1)
		gap *= time.Duration(n)
	}
	if next := now.Add(gap); p.n == 0 || next.Before(p.next) {
		p.next, p.n = next, n
	}
}

// take returns how many of so many peers end now, and whether more do. It takes at most a
// slice.
func (p *pacing) take(now time.Time, peers int) (n int, more bool) {
	due := peers
	if now.Before(p.end) {
		due = min(p.n, peers)
		if now.Before(p.next) {
			due = 0
		}
	}
	n = min(due, walkSlice)
	if p.n = max(0, p.n-n); n == peers {
		p.n = 0
	}
	return n, due > n
}

// errDraining refuses new endpoints.
func errDraining() error {
	return errno.New(errno.EFSM, "the socket drains, or has drained: it can only be closed")
}

// Drain takes the socket out of service. It stops listening after it has accepted the
// connections that wait (with WithWebHealth it answers 503 until the drain is over),
// dials no more, and ends its peers spread evenly over the time:
// each one as ClosePeerWith does, once everything queued for it is written. Until the end of
// a peer begins, messages are received from it and sent to it as before. Handshakes that are
// not over by the end of the time are ended. code tells peers of ws and wss why; 0 stands
// for CloseGoingAway.
//
// When nobody is left, monitors get EventDrained, and in the mode FAST a message of the kind
// Drained, without a peer, follows the last Disconnected. It comes once. A peer that takes
// nothing is reset after CLOSE_TIMEOUT, as always. A second Drain with a shorter time hastens
// the first one, and its code is for those whose end has not begun. Bind and Connect fail
// from then on (EFSM). The socket must still be closed. Any goroutine may call Drain.
// EINVAL: spread is negative, or the code may not be sent.
func (k *Socket) Drain(spread time.Duration, code int) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if code == 0 {
		code = CloseGoingAway
	}
	switch {
	case spread < 0:
		return errno.New(errno.EINVAL, "peers cannot be ended over %v", spread)
	case !engine.PossibleCode(code):
		return errno.New(errno.EINVAL, "no connection may be closed with the code %d", code)
	}
	listeners, err := k.beginDrain(time.Now().Add(spread), uint16(code))
	for _, l := range listeners {
		l.Unbind()
	}
	return err
}

// beginDrain begins a drain that ends at a time, or changes the one that is under way. It
// returns the listeners that the caller unbinds.
func (k *Socket) beginDrain(end time.Time, code uint16) (listeners []*listening, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Load() {
		return nil, errno.ENOTSOCK
	}
	d := k.drain
	if d == nil {
		d = &draining{pacing: pacing{end: end}, left: slices.Clone(k.conns)}
		d.timer = time.AfterFunc(time.Until(end), k.drainOn)
		k.drain = d
		for _, dialer := range k.dialers {
			dialer.Retire()
		}
	} else if d.over {
		return nil, nil
	}
	d.code = code
	if end.Before(d.end) {
		d.end = end
	}
	k.planDrain()
	for _, l := range k.listeners {
		if l.Answers() {
			d.answering = append(d.answering, l)
		} else {
			listeners = append(listeners, l)
		}
	}
	k.listeners = nil
	k.sayDrained()
	return listeners, nil
}

// planDrain sets the timer for the next ends. mu is held.
func (k *Socket) planDrain() {
	d, now := k.drain, time.Now()
	d.plan(now, len(d.left))
	d.timer.Reset(d.next.Sub(now))
}

// drainOn begins the ends that are due.
func (k *Socket) drainOn() {
	if !k.pin() {
		return
	}
	defer k.leave()
	for k.drainSome() {
	}
}

// drainSome begins at most a slice of the ends that are due, and reports whether more are.
func (k *Socket) drainSome() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.drain
	if d.over || k.closed.Load() {
		return false
	}
	now := time.Now()
	n, more := d.take(now, len(d.left))
	for ; n > 0 && len(d.left) > 0; d.left = d.left[1:] {
		c := d.left[0]
		if d.left[0] = nil; k.has(c) {
			code := d.code
			c.OnDriver(func() { c.FinishDrained(code) })
			n--
		}
	}
	switch {
	case more:
	case now.Before(d.end):
		k.planDrain()
	default:
		k.endHandshakes()
	}
	return more
}

// endHandshakes ends those that are not over. mu is held.
func (k *Socket) endHandshakes() {
	for _, sh := range k.shards {
		sh.Post(func() { sh.EndHandshakes(k.owner(), engine.CauseDrained) })
	}
}

// answersTo counts connections that are told that the socket drains.
func (k *Socket) answersTo(more int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.drain.asking += more; check.On {
		check.That(k.drain.asking >= 0, "no more connections were told of a drain than came")
	}
}

// drainToo lets a new connection end with the others of a drain. mu is held.
func (k *Socket) drainToo(c *engine.Conn) {
	if d := k.drain; d != nil {
		d.left = append(d.left, c)
		k.planDrain()
	}
}

// drained reports whether a drain is over; nothing new may come. mu is held.
func (k *Socket) drained() bool { return k.drain != nil && k.drain.over }

// partsOpen is the number of parts of an open socket without endpoints and connections.
const partsOpen = 2

// drainedPart follows when a part of the socket has gone. mu is held.
func (k *Socket) drainedPart(part any) {
	if k.drain == nil || k.closed.Load() {
		return
	}
	if _, is := part.(*engine.Listener); is { // the last handshakes have come from it
		k.drain.timer.Reset(0)
	}
	k.sayDrained()
}

// sayDrained ends a drain if no endpoint and no connection is left. mu is held.
func (k *Socket) sayDrained() {
	d := k.drain
	if d == nil || d.over || k.parts != partsOpen+len(d.answering)+d.asking || k.closed.Load() {
		return
	}
	d.over = true
	k.stopDrain()
	k.endHandshakes()
	if k.monitors.Watched() {
		k.monitors.Observe(engine.Event{Kind: engine.EventDrained})
	}
	if !k.fast.Load() {
		return
	}
	q := k.shared
	q.RxEvents.Add(1)
	switch q.PushRun(q.Drained.Run()) {
	case shm.Refused: // Close was quicker
		q.RxEvents.Add(-1)
	case shm.MustWake:
		k.wakeReaders()
	}
}

// stopDrain forgets what a drain had still to do. mu is held.
func (k *Socket) stopDrain() {
	if d := k.drain; d != nil {
		d.timer.Stop()
		d.left = nil
		for _, l := range d.answering {
			l.Close()
		}
		d.answering = nil
	}
}

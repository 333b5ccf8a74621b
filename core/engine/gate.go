// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"container/list"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
)

const (
	// mostHandshakes is the highest number of handshakes that the process has begun at a time.
	mostHandshakes = 1000
	// computePerCPU is the number of them that compute at a time, for each processor.
	computePerCPU = 4
	// peerTime limits the total time that a handshake may wait for its peer while others wait
	// for a place. The limit falls when many wait, but not below leastPeerTime, in which an
	// answer comes round the world.
	peerTime      = time.Second
	leastPeerTime = 300 * time.Millisecond
	// sweepEvery is how often that limit is checked while others wait.
	sweepEvery = 200 * time.Millisecond
	// sweepMost limits the handshakes that are ended at a time. Those that take their places
	// begin at once, and established connections must not wait for all of that. The next
	// ones are ended after sweepNext.
	sweepMost = 50
	sweepNext = 10 * time.Millisecond
)

// errNoPatience ends a handshake with a slow peer while others wait.
var errNoPatience = errno.New(errno.ETIMEDOUT, "the peer was slow, and other handshakes waited for their turn")

// gate limits what unknown peers can make the process spend. A handshake has a place from
// its first bytes to its result. Without a place it is a descriptor and a small struct, and
// waits in the order of arrival. At most half of the places are for connections that this
// side makes: otherwise two ends in one process could wait for each other. Any thread.
type gate struct {
	most      int
	computing chan struct{} // has an entry for each goroutine that computes

	mu       sync.Mutex
	begun    map[*handshake]struct{}
	dialled  int         // of begun
	accepted list.List   // waiting handshakes that the peer dialled, the oldest first
	dialling list.List   // waiting handshakes that this side dialled
	arrivals uint64      // ever
	sweeps   *time.Timer // the next sweep; nil: none is planned
	refused  list.List   // connections of begun that only wait for the peer's end, the first one first
}

// ticket is a handshake's place in the gate, or in the queue before it. The gate's mu
// guards it.
type ticket struct {
	waits  *list.Element // nil: it does not wait
	number uint64        // of its arrival
}

// theGate is the gate of the process.
var theGate = newGate(mostHandshakes, computePerCPU*runtime.NumCPU())

func newGate(most, compute int) *gate {
	return &gate{most: most, computing: make(chan struct{}, compute), begun: map[*handshake]struct{}{}}
}

// enter reports whether the handshake may begin. If not, its start is posted to its shard
// when its turn comes. leave follows in both cases.
func (g *gate) enter(h *handshake) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrivals++
	h.ticket.number = g.arrivals
	queue := g.queue(h)
	if queue.Len() == 0 && g.hasPlace(h.dialled()) {
		g.begin(h)
		return true
	}
	h.ticket.waits = queue.PushBack(h)
	g.dismiss()
	g.plan(sweepEvery)
	return false
}

// lingers notes that a refused connection only waits for the peer's end of the stream,
// for which it may have its place while nobody else needs that. gone follows.
func (g *gate) lingers(c *fdConn) *list.Element {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.lingers = true
	e := g.refused.PushBack(c)
	if g.accepted.Len()+g.dialling.Len() > 0 {
		g.dismiss()
	}
	return e
}

func (g *gate) gone(e *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused.Remove(e)
}

// dismiss ends the wait of the first one that lingers. Strangers who are refused and
// stay would keep all others out for as long as they may.
func (g *gate) dismiss() {
	if first := g.refused.Front(); first != nil {
		g.refused.Remove(first)
		first.Value.(*fdConn).abort(os.ErrDeadlineExceeded)
	}
}

// leave gives the handshake's place back, or removes it from the queue. A second call does
// nothing.
func (g *gate) leave(h *handshake) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.ticket.waits != nil {
		g.queue(h).Remove(h.ticket.waits)
		h.ticket.waits = nil
		return
	}
	if _, here := g.begun[h]; !here {
		return
	}
	delete(g.begun, h)
	if h.dialled() {
		g.dialled--
		if check.On {
			check.That(g.dialled >= 0, "no more dialled handshakes leave the gate than entered")
		}
	}
	for next := g.next(); next != nil; next = g.next() {
		g.queue(next).Remove(next.ticket.waits)
		next.ticket.waits = nil
		g.begin(next)
		next.shard.Post(next.start)
	}
}

func (g *gate) queue(h *handshake) *list.List {
	if h.dialled() {
		return &g.dialling
	}
	return &g.accepted
}

func (g *gate) hasPlace(dialled bool) bool {
	return len(g.begun) < g.most && !(dialled && g.dialled >= g.most/2)
}

func (g *gate) begin(h *handshake) {
	if check.On {
		check.That(h.ticket.waits == nil && g.hasPlace(h.dialled()), "a handshake begins when it has a place, and waits no longer")
	}
	g.begun[h] = struct{}{}
	if h.dialled() {
		g.dialled++
	}
}

// next returns the handshake whose turn it is, or nil.
func (g *gate) next() (first *handshake) {
	for _, queue := range []*list.List{&g.accepted, &g.dialling} {
		front := queue.Front()
		if front == nil {
			continue
		}
		h := front.Value.(*handshake)
		if g.hasPlace(h.dialled()) && (first == nil || h.ticket.number < first.ticket.number) {
			first = h
		}
	}
	return first
}

// plan schedules a sweep, unless one is planned.
func (g *gate) plan(after time.Duration) {
	if g.sweeps == nil {
		g.sweeps = time.AfterFunc(after, g.sweep)
	}
}

// sweep ends handshakes with slow peers, the slowest first, one for each handshake that
// waits for a place. Otherwise a few silent peers could keep all others out.
func (g *gate) sweep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweeps = nil
	waiting := g.accepted.Len() + g.dialling.Len()
	if waiting == 0 {
		return
	}
	slow, next := g.portion(waiting)
	g.plan(next)
	for _, h := range slow {
		h.shard.Post(func() { h.fail(errNoPatience) })
	}
}

// portion returns those of the slowest handshakes that end now, and when the next sweep is.
// mu is held.
func (g *gate) portion(waiting int) ([]*handshake, time.Duration) {
	slow := g.slowest(waiting)
	if len(slow) > sweepMost {
		return slow[:sweepMost], sweepNext
	}
	return slow, sweepEvery
}

// patience returns how long a handshake may wait for its peer while others wait for a place.
// The more of them wait, the shorter it is, so that a queue of strangers that never continue
// does not grow without end.
func (g *gate) patience(waiting int) time.Duration {
	return max(leastPeerTime, peerTime*time.Duration(g.most)/time.Duration(g.most+waiting))
}

// slowest returns up to n accepted handshakes that have waited too long for their
// peers while as many wait for a place, the one first that has waited longest. mu is
// held. Refused ones that linger are not among them: dismiss sees to those, and their end
// has a reason already.
func (g *gate) slowest(n int) (first []*handshake) {
	patience := g.patience(n)
	type slow struct {
		h      *handshake
		waited time.Duration // read once, because it goes on
	}
	var all []slow
	for h := range g.begun {
		if waited := h.conn.waited(); waited >= patience && !h.dialled() && !h.conn.lingers {
			all = append(all, slow{h, waited})
		}
	}
	slices.SortFunc(all, func(a, b slow) int { return cmp.Compare(b.waited, a.waited) })
	for _, s := range all[:min(len(all), n)] {
		first = append(first, s.h)
	}
	return first
}

// compute waits for the right to use a processor; rest gives it back. The goroutine of a
// handshake calls both, and rests while it waits for its peer.
func (g *gate) compute() { g.computing <- struct{}{} }
func (g *gate) rest()    { <-g.computing }

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"container/list"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
)

const (
	// mostHandshakes is the highest number of handshakes that the process has begun at a time.
	mostHandshakes = 512
	// computePerCPU is the number of them that compute at a time, for each processor.
	computePerCPU = 1
	// peerTime limits the total time that a handshake may wait for its peer while others wait
	// for a place. The limit falls when many wait, but not below leastPeerTime, in which an
	// answer comes round the world.
	peerTime      = time.Second
	leastPeerTime = 300 * time.Millisecond
	// answerTime is the same for a peer that has got an answer and has to compute its own. It is
	// halved, down to leastPeerTime, with each sweep after which more lose their place than came up,
	// and holds again when none has lost its place for calmTime.
	answerTime = 10 * time.Second
	calmTime   = time.Minute
	// sweepEvery is how often these limits are checked while others wait.
	sweepEvery = 200 * time.Millisecond
	// sweepMost limits the handshakes that are ended at a time. Those that take their places
	// begin at once, and established connections must not wait for all of that. The next
	// ones are ended after sweepNext.
	sweepMost = 50
	sweepNext = 10 * time.Millisecond

	// leastWindow is the least number of handshakes that are on their way at a time. Each that
	// comes up after its peer took less than quickPeer makes it one larger, and one smaller if it took more
	// than slowPeer: then the peers have more to compute at a time than they can.
	leastWindow = 64
	quickPeer   = 150 * time.Millisecond
	slowPeer    = 400 * time.Millisecond
	// gateQueue is the number of handshakes that may wait for their turn before listeners
	// accept no more: the rest waits in the kernel.
	gateQueue = 256
)

// errNoPatience ends a handshake with a slow peer while others wait.
var errNoPatience = errno.New(errno.ETIMEDOUT, "the peer was slow, and other handshakes waited for their turn")

// gate limits what unknown peers can make the process spend. A handshake has a place from
// its first bytes to its result. Without a place it is a descriptor and a small struct, and
// waits in the order of arrival. At most half of the places are for connections that this
// side makes: otherwise two ends in one process could wait for each other. Any thread.
//
// Of those that have a place, a window of few is on its way, so that little memory is in use
// and a peer is answered soon after its first bytes. A handshake leaves the window
// when its peer keeps it waiting, and others begin, until all places are taken. A crowd of clients on a busy
// machine, which all need seconds, thus comes up without a loss, as long as they are fewer than places.
type gate struct {
	most      int
	computing chan struct{} // has an entry for each goroutine that computes
	queued    atomic.Int32  // handshakes that wait for their turn
	crowd     atomic.Int32  // the length of accepted

	mu       sync.Mutex
	begun    map[*handshake]struct{}
	dialled  int // of begun
	moving   int // of begun: in the window
	window   int
	frugal   bool
	byHand   bool          // a test sweeps
	cameUp   int           // since the last sweep
	answer   time.Duration // answerTime, or less
	lost     int           // that lost their place since the last sweep
	lostAt   time.Time     // when handshakes last lost their place
	swept    time.Time     // when the last sweep was that judged the window
	accepted list.List     // waiting handshakes that the peer dialled, the oldest first
	dialling list.List     // waiting handshakes that this side dialled
	arrivals uint64        // ever
	sweeps   *time.Timer   // the next sweep; nil: none is planned
	refused  list.List     // connections of begun that only wait for the peer's end, the first one first

	// full are the sockets with handshakes that wait because of STREAM_HANDSHAKES.
	full map[*Admission]struct{}
}

// ticket is a handshake's place in the gate, or in the queue before it. The gate's mu
// guards it.
type ticket struct {
	waits  *list.Element // nil: it does not wait
	in     *list.List    // that of waits
	number uint64        // of its arrival
	aside  bool          // it has a place, but is not in the window
	counts bool          // for STREAM_HANDSHAKES
}

// entrance is the part of an Admission that the gate has: the handshakes of a socket. The gate's mu
// guards it.
type entrance struct {
	begun   int          // and those that wait in the gate's queue
	waiting list.List    // because of STREAM_HANDSHAKES, the oldest first
	crowd   atomic.Int32 // the length of waiting
}

// theGate is the gate of the process.
var theGate = newGate(mostHandshakes, computePerCPU*runtime.NumCPU())

func newGate(most, compute int) *gate {
	return &gate{most: most, computing: make(chan struct{}, compute), begun: map[*handshake]struct{}{},
		window: leastWindow, answer: answerTime, full: map[*Admission]struct{}{}}
}

// enter reports whether the handshake may begin. If not, its start is posted to its shard
// when its turn comes. leave follows in both cases.
func (g *gate) enter(h *handshake) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrivals++
	h.ticket = ticket{number: g.arrivals} // it may have had another
	switch queue := g.queue(h); {
	case g.socketIsFull(h):
		g.wait(h, &h.admission.entrance.waiting)
		g.full[h.admission] = struct{}{}
	case queue.Len() == 0 && g.hasPlace(h.dialled()):
		g.begin(h)
		return true
	default:
		g.wait(h, queue)
	}
	g.dismiss()
	g.plan(sweepEvery)
	return false
}

// wait appends a handshake to a queue.
func (g *gate) wait(h *handshake, queue *list.List) {
	h.ticket.in, h.ticket.waits = queue, queue.PushBack(h)
	g.recount(h, queue)
	g.queued.Add(1)
}

// unwait removes a handshake from its queue.
func (g *gate) unwait(h *handshake) {
	h.ticket.in.Remove(h.ticket.waits)
	h.ticket.waits = nil
	g.recount(h, h.ticket.in)
	g.queued.Add(-1)
}

// recount publishes the length of a handshake's queue.
func (g *gate) recount(h *handshake, queue *list.List) {
	switch queue {
	case &g.accepted:
		g.crowd.Store(int32(queue.Len()))
	case &h.admission.entrance.waiting:
		h.admission.entrance.crowd.Store(int32(queue.Len()))
	}
}

// crowded reports whether so many wait that a socket should accept no more. Those that this
// side dials do not count: they may wait for that very socket. Nor do those that other sockets
// hold back.
func (g *gate) crowded(a *Admission) bool {
	return g.crowd.Load() >= gateQueue || a.entrance.crowd.Load() >= gateQueue
}

// socketIsFull reports whether a socket has all its handshakes. If not, it counts one more.
func (g *gate) socketIsFull(h *handshake) bool {
	if h.dialled() {
		return false
	}
	e := &h.admission.entrance
	if most := h.admission.current().Handshakes; most > 0 && (e.begun >= most || e.waiting.Len() > 0 && h.ticket.waits == nil) {
		return true
	}
	e.begun++
	h.ticket.counts = true
	return false
}

// aside takes a handshake whose peer keeps it waiting out of the window.
func (g *gate) aside(h *handshake) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setAside(h)
	g.beginNext()
}

func (g *gate) setAside(h *handshake) {
	if _, here := g.begun[h]; here && !h.ticket.aside {
		h.ticket.aside = true
		g.moving--
	}
}

// lingers notes that a refused connection only waits for the peer's end of the stream,
// for which it may have its place while nobody else needs that. gone follows.
func (g *gate) lingers(c *fdConn) *list.Element {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.lingers = true
	e := g.refused.PushBack(c)
	if g.queued.Load() > 0 {
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
		g.unwait(h)
		g.uncount(h)
		g.beginNext()
		return
	}
	if _, here := g.begun[h]; !here {
		return
	}
	if !h.ticket.aside {
		g.moving--
	}
	delete(g.begun, h)
	if len(g.begun) == 0 {
		g.setFrugal(false)
	}
	g.uncount(h)
	if h.dialled() {
		g.dialled--
		if check.On {
			check.That(g.dialled >= 0, "no more dialled handshakes leave the gate than entered")
		}
	}
	g.beginNext()
}

// uncount undoes what socketIsFull counted, and lets the socket's next handshakes come to the gate.
func (g *gate) uncount(h *handshake) {
	if h.dialled() {
		return
	}
	e := &h.admission.entrance
	if h.ticket.counts {
		h.ticket.counts = false
		e.begun--
		if check.On {
			check.That(e.begun >= 0, "no more handshakes of a socket leave the gate than entered")
		}
	}
	for first := e.waiting.Front(); first != nil; first = e.waiting.Front() {
		next := first.Value.(*handshake)
		if g.socketIsFull(next) {
			return
		}
		g.unwait(next)
		g.wait(next, g.queue(next))
	}
	delete(g.full, h.admission)
}

// up counts a handshake that has come up. It still has its place.
func (g *gate) up(h *handshake) {
	waited := h.conn.waited()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cameUp++
	switch {
	case waited < quickPeer:
		g.window = min(g.window+1, g.most)
	case waited > slowPeer:
		g.window = max(g.window-1, leastWindow)
	}
}

// beginNext lets those begin that wait and have a place now.
func (g *gate) beginNext() {
	for next := g.next(); next != nil; next = g.next() {
		g.unwait(next)
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
	return len(g.begun) < g.most && g.moving < g.window && !(dialled && g.dialled >= g.most/2)
}

func (g *gate) begin(h *handshake) {
	if check.On {
		check.That(h.ticket.waits == nil && g.hasPlace(h.dialled()), "a handshake begins when it has a place, and waits no longer")
	}
	g.begun[h] = struct{}{}
	g.moving++
	if len(g.begun) >= leastWindow {
		g.setFrugal(true)
	}
	if h.dialled() {
		g.dialled++
	}
}

// setFrugal has garbage collected more often while there is a crowd.
func (g *gate) setFrugal(on bool) {
	if g.frugal != on && host.Frugal != nil {
		g.frugal = on
		host.Frugal(on)
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

// compute waits for the right to use a processor; rest gives it back. The goroutine of a
// handshake calls both, and rests while it waits for its peer.
func (g *gate) compute() { g.computing <- struct{}{} }
func (g *gate) rest()    { <-g.computing }

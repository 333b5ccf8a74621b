// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"slices"
	"time"
)

// plan schedules a sweep, unless one is planned.
func (g *gate) plan(after time.Duration) {
	if g.sweeps == nil && !g.byHand {
		g.sweeps = time.AfterFunc(after, g.sweep)
	}
}

// sweep takes handshakes with slow peers out of the window. If all places are taken, it ends
// them, the slowest first, one for each handshake that waits for a place. Otherwise a few silent peers
// could keep all others out.
func (g *gate) sweep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweeps = nil
	if g.queued.Load() == 0 {
		g.window, g.cameUp, g.lost = leastWindow, 0, 0
		return
	}
	slow := sweepEvery
	if g.cameUp >= g.window/4 {
		slow = peerTime // they are busy, but go on
	}
	for h := range g.begun {
		if h.conn.waited() >= slow {
			g.setAside(h)
		}
	}
	ends, next := g.portion(g.toEnd())
	g.plan(next)
	for _, h := range ends {
		h.shard.Post(func() { h.fail(errNoPatience) })
	}
	g.judge(len(ends), time.Now())
	g.beginNext()
}

// judge sets the time for peers that were answered, once in each sweepEvery.
func (g *gate) judge(ended int, now time.Time) {
	g.lost += ended
	if ended > 0 {
		g.lostAt = now
	}
	if now.Sub(g.swept) < sweepEvery && !g.byHand {
		return
	}
	switch {
	case g.lost > g.cameUp:
		g.answer = max(g.answer/2, leastPeerTime)
	case now.Sub(g.lostAt) >= calmTime:
		g.answer = answerTime
	}
	g.swept, g.cameUp, g.lost = now, 0, 0
}

// toEnd returns the handshakes that lose their places, the slowest first.
func (g *gate) toEnd() (slow []*handshake) {
	if len(g.begun) >= g.most {
		slow = g.slowest(g.accepted.Len()+g.dialling.Len(), nil)
	}
	for a := range g.full {
		slow = append(slow, g.slowest(a.entrance.waiting.Len(), a)...)
	}
	return slow
}

// portion returns those of the slowest handshakes that end now, and when the next sweep is.
func (g *gate) portion(slow []*handshake) ([]*handshake, time.Duration) {
	if len(slow) > sweepMost {
		return slow[:sweepMost], sweepNext
	}
	return slow, sweepEvery
}

// patience returns how long a handshake may wait for its peer while others wait for a place.
// The more of them wait, the shorter it is, so that a queue of strangers that never continue
// does not grow without end.
func (g *gate) patience(waiting int) time.Duration {
	if waiting >= gateQueue { // more wait in the kernel
		return leastPeerTime
	}
	return max(leastPeerTime, peerTime*time.Duration(g.most)/time.Duration(g.most+waiting))
}

// slowest returns up to n accepted handshakes that have waited too long for their
// peers while as many wait for a place, the one first that has waited longest. mu is
// held. Refused ones that linger are not among them: dismiss sees to those, and their end
// has a reason already. Only those of one socket are considered, or, with nil, all.
func (g *gate) slowest(n int, of *Admission) (first []*handshake) {
	patience := g.patience(n)
	if n >= gateQueue {
		n = len(g.begun)
	}
	type slow struct {
		h      *handshake
		waited time.Duration // read once, because it goes on
	}
	var all []slow
	for h := range g.begun {
		if of != nil && of != h.admission || h.dialled() || h.conn.lingers {
			continue
		}
		limit := patience
		if h.conn.answered.Load() {
			limit = max(patience, g.answer)
		}
		if waited := h.conn.waited(); waited >= limit {
			all = append(all, slow{h, waited})
		}
	}
	slices.SortFunc(all, func(a, b slow) int { return cmp.Compare(b.waited, a.waited) })
	for _, s := range all[:min(len(all), n)] {
		first = append(first, s.h)
	}
	return first
}

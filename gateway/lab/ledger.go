// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// ledger is what came of every message. Clients number theirs, and a back end answers each
// with the same bytes. A message has one fate:
//
//   - answered: its answer came, once;
//   - refused: something said no to it, and the client read that;
//   - cut: its connection ended before the answer came, so its client knows that it may be lost;
//   - a gap: its client's connection stood, and no answer came. The client sees that a number is missing.
//     When it was sent while a connection between servers was cut, and one of them counted that cut, the
//     loss was told; so it was when a gateway counted a message that it dropped. Else it was not.
type ledger struct {
	mu       sync.Mutex
	sent     uint64
	answered uint64
	refused  uint64
	cut      uint64
	doubled  uint64 // a second answer to a number
	late     uint64 // its connection had ended, and the answer came on another: that is one answer
	gaps     []time.Time

	casts       uint64 // messages of the group that came
	castDoubled uint64 // that came twice, or behind a later one
	castGaps    []gap
	outages     []outage
	refusals    map[string]int
	round       []time.Duration // of answers, while nothing happened
}

// gap is numbers of the group that were not seen between two that were.
type gap struct {
	from, to time.Time
	missing  uint64
}

// outage is how long one client had no answers.
type outage struct {
	client   int
	from, to time.Time
	cut      bool // its connection ended; else answers were missing
}

// span is a time in which something is known to have been cut.
type span struct {
	from, to time.Time
	why      string
}

func newLedger() *ledger { return &ledger{refusals: map[string]int{}} }

func (l *ledger) add(change func(*ledger)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// verdict says how the losses were told.
type verdict struct {
	sent, answered, refused, cut     uint64
	doubled, castDoubled             uint64
	gapsCut, gapsCounted, gapsUntold uint64
	castGapsTold, castGapsUntold     uint64
	casts                            uint64
	untoldExamples                   []string
}

// judge compares the gaps with the times in which cuts were counted, and with how many messages
// the gateways counted as dropped.
func (l *ledger) judge(told []span, dropped uint64) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := verdict{sent: l.sent, answered: l.answered, refused: l.refused, cut: l.cut, doubled: l.doubled,
		castDoubled: l.castDoubled, casts: l.casts}
	for _, at := range l.gaps {
		switch {
		case within(told, at, at):
			v.gapsCut++
		case v.gapsCounted < dropped:
			v.gapsCounted++
		default:
			v.gapsUntold++
			v.example("no answer to a message of %s", at)
		}
	}
	left := dropped - v.gapsCounted
	for _, g := range l.castGaps {
		switch {
		case within(told, g.from, g.to):
			v.castGapsTold += g.missing
		case g.missing <= left:
			left -= g.missing
			v.castGapsTold += g.missing
		default:
			v.castGapsUntold += g.missing
			v.example("a message of the group is missing before %s", g.to)
		}
	}
	return v
}

func (v *verdict) example(format string, at time.Time) {
	if len(v.untoldExamples) < 5 {
		v.untoldExamples = append(v.untoldExamples, fmt.Sprintf(format, at.Format("15:04:05.000")))
	}
}

// within reports whether a time from..to meets one of the spans.
func within(spans []span, from, to time.Time) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return !to.Before(s.from) && !from.After(s.to) })
}

// faults are what must not be: a message twice, a loss of which nobody tells, a message without a fate.
func (v verdict) faults() (all []string) {
	check := func(n uint64, what string) {
		if n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, what))
		}
	}
	check(v.doubled, "messages were answered twice")
	check(v.castDoubled, "messages of the group came twice or out of order")
	check(v.gapsUntold, "messages are lost and nobody tells")
	check(v.castGapsUntold, "messages of the group are lost and nobody tells")
	if sum := v.answered + v.refused + v.cut + v.gapsCut + v.gapsCounted + v.gapsUntold; sum != v.sent {
		all = append(all, fmt.Sprintf("of %d messages %d have a fate", v.sent, sum))
	}
	return append(all, v.untoldExamples...)
}

func quantile[T int64 | float64 | time.Duration](sorted []T, q float64) T {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// numbers is a set of small numbers that grow.
type numbers struct{ words []uint64 }

// put reports whether n is new.
func (s *numbers) put(n uint64) bool {
	for uint64(len(s.words))*64 <= n {
		s.words = append(s.words, 0)
	}
	bit := uint64(1) << (n & 63)
	if s.words[n>>6]&bit != 0 {
		return false
	}
	s.words[n>>6] |= bit
	return true
}

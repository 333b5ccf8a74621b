// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A message of the lab: 'M', the client's number, the message's, and filling; or 'G' and the
// number of a message of the group.
const (
	kindMessage = 'M'
	kindCast    = 'G'
	headSize    = 13
)

const (
	patience  = 700 * time.Millisecond  // an answer that takes longer counts as missing for now
	probing   = 250 * time.Millisecond  // how often a client that misses answers asks
	giveUp    = 1500 * time.Millisecond // without an answer to any of them, a client connects anew
	dialTime  = time.Second
	firstWait = 200 * time.Millisecond // before dialling again: a random part of it, which doubles
	mostWait  = 800 * time.Millisecond
)

// crowd is the clients of one run.
type crowd struct {
	ledger   *ledger
	targets  []string
	path     string // of WebSocket
	interval time.Duration
	size     int
	all      []*client
	up       atomic.Int64
	ending   atomic.Bool
	calm     atomic.Bool // times of answers are kept
	done     sync.WaitGroup
}

type client struct {
	crowd *crowd
	id    int
	web   bool

	mu      sync.Mutex
	wire    *wire // nil: not connected
	next    uint64
	waiting []pending // sent on this connection, and without an answer
	lost    map[uint64]bool
	seen    numbers
	due     time.Time // of the next message
	away    time.Time // since when answers are missing; zero: they are not
	wasCut  bool      // in this outage
	heard   time.Time // the last answer on this connection
	cast    uint64    // the last of the group on this connection; 0: none
	castAt  time.Time
}

type pending struct {
	number uint64
	at     time.Time
}

// start has n clients connect, every second one over WebSocket, at most so many in a second.
func (c *crowd) start(n, perSecond int) {
	for i := range n {
		c.all = append(c.all, &client{crowd: c, id: i, web: i%2 == 1, lost: map[uint64]bool{}})
	}
	const tickers = 4
	for t := range tickers {
		c.done.Add(1)
		go c.tick(t, tickers)
	}
	for i, one := range c.all {
		c.done.Add(1)
		go one.live()
		if perSecond > 0 && i%100 == 99 {
			time.Sleep(100 * time.Second / time.Duration(perSecond))
		}
	}
}

// stop ends all clients. What has no answer now is judged.
func (c *crowd) stop() {
	c.ending.Store(true)
	for _, one := range c.all {
		one.mu.Lock()
		if one.wire != nil {
			one.wire.close()
		}
		one.mu.Unlock()
	}
	c.done.Wait()
}

// quiet stops the sending of messages, and waits for answers.
func (c *crowd) settle(most time.Duration) {
	for _, one := range c.all {
		one.mu.Lock()
		one.due = time.Now().Add(time.Hour)
		one.mu.Unlock()
	}
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c.count(func(one *client) bool { return len(one.waiting) > 0 || !one.away.IsZero() }) == 0 {
			return
		}
	}
}

func (c *crowd) count(which func(*client) bool) (n int) {
	for _, one := range c.all {
		one.mu.Lock()
		if which(one) {
			n++
		}
		one.mu.Unlock()
	}
	return n
}

// back counts the clients that have answers.
func (c *crowd) back() int {
	return c.count(func(one *client) bool { return one.wire != nil && one.away.IsZero() && !one.heard.IsZero() })
}

func (c *crowd) tick(first, step int) {
	defer c.done.Done()
	for !c.ending.Load() {
		now := time.Now()
		for i := first; i < len(c.all); i += step {
			c.all[i].turn(now)
		}
		time.Sleep(max(0, 50*time.Millisecond-time.Since(now)))
	}
}

// turn sends what is due, and notices what is missing.
func (one *client) turn(now time.Time) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.wire == nil {
		return
	}
	if len(one.waiting) > 0 && one.away.IsZero() {
		if oldest := one.waiting[0]; now.Sub(oldest.at) > patience && oldest.at.After(one.heard) {
			one.away, one.wasCut = oldest.at, false
			one.due = now
		}
	}
	if !one.away.IsZero() && now.Sub(one.away) > giveUp && now.Sub(one.heard) > giveUp {
		one.wire.close() // live connects anew
		return
	}
	if !now.Before(one.due) {
		one.send(now)
	}
}

// send writes the next message; the lock is held.
func (one *client) send(now time.Time) {
	pause := one.crowd.interval
	if !one.away.IsZero() {
		pause = probing
	}
	one.due = now.Add(pause)
	one.next++
	body := make([]byte, max(one.crowd.size, headSize))
	body[0] = kindMessage
	binary.BigEndian.PutUint32(body[1:], uint32(one.id))
	binary.BigEndian.PutUint64(body[5:], one.next)
	one.waiting = append(one.waiting, pending{one.next, now})
	one.crowd.ledger.add(func(l *ledger) { l.sent++ })
	one.wire.net.SetWriteDeadline(now.Add(time.Second))
	if one.wire.send(body) != nil {
		one.wire.close()
	}
}

// live connects, reads until the connection ends, and connects again.
func (one *client) live() {
	defer one.crowd.done.Done()
	wait, target := firstWait, one.id
	for !one.crowd.ending.Load() {
		path := ""
		if one.web {
			path = one.crowd.path
		}
		w, err := dialWire(one.crowd.targets[target%len(one.crowd.targets)], path, 512, dialTime)
		if err == nil && one.use(w) {
			wait = firstWait
		}
		target++ // another front may be there
		time.Sleep(rand.N(wait))
		wait = min(2*wait, mostWait)
	}
}

// use reports whether the connection brought an answer.
func (one *client) use(w *wire) bool {
	now := time.Now()
	one.mu.Lock()
	one.wire, one.heard, one.cast = w, time.Time{}, 0
	one.heard = now
	one.due = now
	one.mu.Unlock()
	one.crowd.up.Add(1)
	answers, buf := 0, make([]byte, 256)
	for {
		body, err := w.receive(buf)
		if err != nil {
			break
		}
		answers += one.take(body, time.Now())
	}
	w.close()
	one.crowd.up.Add(-1)
	one.ended(time.Now())
	return answers > 0
}

// ended gives the messages that wait the fate of a cut.
func (one *client) ended(now time.Time) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.wire = nil
	if one.crowd.ending.Load() {
		one.crowd.ledger.add(func(l *ledger) {
			for _, p := range one.waiting {
				l.gaps = append(l.gaps, p.at)
			}
		})
		return
	}
	if one.away.IsZero() {
		one.away = now
	}
	one.wasCut = true
	for _, p := range one.waiting {
		one.lost[p.number] = true
	}
	n := uint64(len(one.waiting))
	one.waiting = one.waiting[:0]
	one.crowd.ledger.add(func(l *ledger) { l.cut += n })
}

// take returns 1 when a message is an answer.
func (one *client) take(body []byte, now time.Time) int {
	one.mu.Lock()
	defer one.mu.Unlock()
	l := one.crowd.ledger
	switch {
	case len(body) >= headSize && body[0] == kindMessage:
		one.answer(binary.BigEndian.Uint64(body[5:]), now)
		return 1
	case len(body) >= 9 && body[0] == kindCast:
		one.takeCast(binary.BigEndian.Uint64(body[1:]), now)
	default:
		text := string(body)
		l.add(func(l *ledger) { l.refusals[text]++ })
	}
	return 0
}

func (one *client) answer(number uint64, now time.Time) {
	l := one.crowd.ledger
	if !one.seen.put(number) {
		l.add(func(l *ledger) { l.doubled++ })
		return
	}
	if one.lost[number] { // it is one answer, though its connection is another
		delete(one.lost, number)
		l.add(func(l *ledger) { l.cut--; l.late++; l.answered++ })
		return
	}
	i := slices.IndexFunc(one.waiting, func(p pending) bool { return p.number == number })
	if i < 0 {
		l.add(func(l *ledger) { l.doubled++ })
		return
	}
	at := one.waiting[i].at
	one.waiting = slices.Delete(one.waiting, i, i+1)
	one.heard = now
	calm := one.crowd.calm.Load()
	from := one.away
	back := !from.IsZero() && at.After(from)
	l.add(func(l *ledger) {
		l.answered++
		if calm {
			l.round = append(l.round, now.Sub(at))
		}
		if back {
			l.outages = append(l.outages, outage{one.id, from, now, one.wasCut})
		}
	})
	if back {
		one.away, one.wasCut = time.Time{}, false
	}
}

// takeCast: the numbers that one connection sees are without gaps.
func (one *client) takeCast(number uint64, now time.Time) {
	last, at := one.cast, one.castAt
	one.cast, one.castAt = number, now
	one.crowd.ledger.add(func(l *ledger) {
		l.casts++
		switch {
		case last == 0:
		case number <= last:
			l.castDoubled++
		case number > last+1:
			l.castGaps = append(l.castGaps, gap{at, now, number - last - 1})
		}
	})
}

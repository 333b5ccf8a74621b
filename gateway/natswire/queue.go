// SPDX-License-Identifier: MPL-2.0

package natswire

import "sync"

// blockSize is that of blocks for messages of ordinary length.
const blockSize = 128 << 10

// messageCost is what a message takes beside its bytes.
const messageCost = 128

// keepMost is how many blocks, and messages' places, are kept for later.
const (
	keepMost   = 8
	placesMost = 8192
	takeMost   = 1024 // messages that are given to Take at once
)

// A block is memory that messages lie in.
type block struct {
	buf     []byte
	charge  int64  // what it counts as
	upTo    uint64 // the number of its last message
	scratch bool   // there is no room: its messages are dropped
}

// A queue is what has come and waits for Take, in blocks whose bytes have a bound.
type queue struct {
	most int64

	mu      sync.Mutex
	filled  sync.Cond
	ready   []Msg
	spent   []Msg
	pushed  uint64   // messages, ever
	taken   uint64   // of those, that Take is done with
	retired []*block // that the reader has left, in order
	free    []*block
	sum     int64 // of the charges of blocks in use
	closed  bool
	subs    map[uint64]*Sub
}

func (q *queue) start(most int64) {
	q.most, q.subs = most, map[uint64]*Sub{}
	q.filled.L = &q.mu
}

func (q *queue) know(sub *Sub) {
	q.mu.Lock()
	q.subs[sub.sid] = sub
	q.mu.Unlock()
}

func (q *queue) forget(sub *Sub) {
	q.mu.Lock()
	delete(q.subs, sub.sid)
	q.mu.Unlock()
}

// name gives messages their subscriptions.
func (q *queue) name(some []Msg) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range some {
		some[i].Sub = q.subs[some[i].sid]
	}
}

func (q *queue) bytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sum
}

// take returns a block for the reader; it may be a scratch.
func (q *queue) take(size int) *block {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.another(size)
}

// full reports whether there is no room for a block. The caller holds mu.
func (q *queue) full(size int) bool { return q.sum+int64(size) > q.most }

// another is take; the caller holds mu.
func (q *queue) another(size int) *block {
	if q.full(size) {
		return &block{buf: make([]byte, size), scratch: true}
	}
	q.sum += int64(size)
	if last := len(q.free) - 1; last >= 0 && size == blockSize {
		b := q.free[last]
		q.free = q.free[:last]
		*b = block{buf: b.buf, charge: blockSize}
		return b
	}
	return &block{buf: make([]byte, size), charge: int64(size)}
}

// next gives the reader another block for old, which may be old itself.
func (q *queue) next(old *block, size int) *block {
	q.mu.Lock()
	defer q.mu.Unlock()
	if old.scratch && q.full(size) && len(old.buf) >= size {
		return old
	}
	if old.scratch {
		return q.another(size)
	}
	if old.upTo <= q.taken { // nobody needs what is in it
		q.sum -= old.charge
		if len(old.buf) == size {
			q.sum += int64(size)
			old.charge = int64(size)
			return old
		}
		q.keep(old)
		return q.another(size)
	}
	q.retired = append(q.retired, old)
	return q.another(size)
}

// keep keeps a block for later. The caller holds mu.
func (q *queue) keep(b *block) {
	if len(b.buf) == blockSize && len(q.free) < keepMost {
		q.free = append(q.free, b)
	}
}

// add lets messages of a block wait for Take.
func (q *queue) add(b *block, some []Msg) {
	q.mu.Lock()
	for i := range some {
		some[i].Sub = q.subs[some[i].sid]
	}
	q.ready = append(q.ready, some...)
	q.pushed += uint64(len(some))
	b.upTo = q.pushed
	cost := int64(len(some)) * messageCost
	b.charge += cost
	q.sum += cost
	if len(q.ready) == len(some) {
		q.filled.Signal()
	}
	q.mu.Unlock()
}

// all waits for messages. nil: there will be none.
func (q *queue) all() []Msg {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.filled.Wait()
	}
	some := q.ready
	q.ready, q.spent = q.spent[:0], nil
	return some
}

// done gives back what so many messages took.
func (q *queue) done(some int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken += uint64(some)
	gone := 0
	for gone < len(q.retired) && q.retired[gone].upTo <= q.taken {
		q.sum -= q.retired[gone].charge
		q.keep(q.retired[gone])
		gone++
	}
	if gone > 0 {
		rest := copy(q.retired, q.retired[gone:])
		clear(q.retired[rest:])
		q.retired = q.retired[:rest]
	}
}

// again takes back the places of messages.
func (q *queue) again(some []Msg) {
	clear(some)
	if cap(some) > placesMost {
		return
	}
	q.mu.Lock()
	q.spent = some
	q.mu.Unlock()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.filled.Broadcast()
	q.mu.Unlock()
}

// deliver gives messages to Take until Close.
func (c *Conn) deliver() {
	for {
		some := c.q.all()
		if len(some) == 0 {
			return
		}
		for rest := some; len(rest) > 0; {
			part := rest[:min(len(rest), takeMost)]
			c.c.Take(part)
			c.q.done(len(part))
			rest = rest[len(part):]
		}
		c.q.again(some)
	}
}

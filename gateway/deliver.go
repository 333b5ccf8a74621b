// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// inbound is what has come from NATS: channel is what all subscriptions deliver into, in the order in which it came, and
// waiting what pump has moved on, which has a limit in bytes.
type inbound struct {
	channel chan *nats.Msg
	most    int64 // bytes

	mu      sync.Mutex
	waiting []*nats.Msg
	sum     int64 // bytes of waiting, and of what deliver has in hand
	closed  bool
	filled  *sync.Cond
	dropped atomic.Uint64 // by pump
}

// channelRoom bounds what may come while pump, which does nothing slow, does not run.
const channelRoom = 16384

func (q *inbound) start(most int64) {
	q.channel, q.most, q.filled = make(chan *nats.Msg, channelRoom), most, sync.NewCond(&q.mu)
}

// sizeOf is what a message is counted as.
func sizeOf(m *nats.Msg) int64 { return int64(len(m.Data)) + int64(len(m.Subject)) + 256 }

// pump moves messages on until close.
func (q *inbound) pump() {
	for m := range q.channel {
		size := sizeOf(m)
		q.mu.Lock()
		if q.sum+size > q.most {
			q.dropped.Add(1)
		} else {
			q.sum += size
			q.waiting = append(q.waiting, m)
			if len(q.waiting) == 1 {
				q.filled.Signal()
			}
		}
		q.mu.Unlock()
	}
}

// all waits for messages, and returns those that wait. nil: there will be none. done are those of the call before.
func (q *inbound) all(done []*nats.Msg) []*nats.Msg {
	clear(done)
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.filled.Wait()
	}
	var some []*nats.Msg
	some, q.waiting = q.waiting, done[:0]
	return some
}

// less gives room back.
func (q *inbound) less(bytes int64) {
	q.mu.Lock()
	q.sum -= bytes
	q.mu.Unlock()
}

// close ends pump and deliver; no subscription may deliver any more.
func (q *inbound) close() {
	q.mu.Lock()
	closed := q.closed
	q.closed = true
	q.filled.Broadcast()
	q.mu.Unlock()
	if !closed {
		close(q.channel)
	}
}

// subscribe begins to take what is for this gateway.
func (g *Gateway) subscribe() (err error) {
	conn := g.bus.conn
	if g.groups.out, err = conn.ChanSubscribe(g.outPrefix()+">", g.inbound.channel); err != nil {
		return err
	}
	for _, subject := range []string{"zl.ctl." + g.server, "zl.ctl.all"} {
		sub, err := conn.Subscribe(subject, g.control)
		if err != nil {
			return err
		}
		if err = sub.SetPendingLimits(controlMost, 16<<20); err != nil {
			return err
		}
		g.groups.control = append(g.groups.control, sub)
	}
	return conn.FlushTimeout(stuckAfter)
}

// controlMost is how many requests may wait.
const controlMost = 65536

func (g *Gateway) outPrefix() string { return "zl.out." + g.server + "." }

const groupPrefix = "zl.group."

// deliver gives messages of NATS to clients until the gateway ends.
func (g *Gateway) deliver() {
	d := delivery{g: g, prefix: g.outPrefix(), run: make([]stream.Message, 0, batchMost), guarded: g.config.Auth != authNone}
	var some []*nats.Msg
	for {
		some = g.inbound.all(some)
		if len(some) == 0 {
			return
		}
		freed := int64(0)
		for _, m := range some {
			d.one(m)
			if freed += sizeOf(m); freed > g.inbound.most/8 {
				g.inbound.less(freed)
				freed = 0
			}
		}
		d.flush()
		g.inbound.less(freed)
	}
}

// A delivery collects plain messages, to give them to the socket at once.
type delivery struct {
	g       *Gateway
	prefix  string
	run     []stream.Message
	guarded bool // a peer may be somebody who is not authenticated
}

func (d *delivery) one(m *nats.Msg) {
	if rest, is := strings.CutPrefix(m.Subject, d.prefix); is {
		d.toClient(m, rest)
		return
	}
	d.flush()
	d.g.toGroup(m, strings.TrimPrefix(m.Subject, groupPrefix))
}

// toClient handles zl.out.
func (d *delivery) toClient(m *nats.Msg, rest string) {
	g := d.g
	if m.Header != nil && len(m.Data) == 0 && first(m.Header, "Status") == "503" {
		g.counts.dropped[wayIn][reasonNoBackend].Add(1) // NATS tells that nobody got what this client sent
		return
	}
	g.counts.outMessages.Add(1)
	g.counts.outBytes.Add(uint64(len(m.Data)))
	id, is := parseID(rest)
	if !is {
		d.refuse(m, reasonMalformed)
		return
	}
	if int64(len(m.Data)) > g.config.MaxMessage {
		d.refuse(m, reasonOversized)
		return
	}
	if d.guarded {
		if c := g.clients.find(id); c != nil && !c.known() {
			d.refuse(m, reasonUnauthenticated)
			return
		}
	}
	if m.Header == nil && m.Reply == "" {
		if d.run = append(d.run, stream.Message{Peer: id, Body: m.Data}); len(d.run) == batchMost {
			d.flush()
		}
		return
	}
	d.flush()
	d.special(m, id)
}

// special sends a message that has headers, or wants an answer.
func (d *delivery) special(m *nats.Msg, id uint32) {
	g := d.g
	text, key, keyed, good := kindOf(m)
	if !good {
		d.refuse(m, reasonMalformed)
		return
	}
	var err error
	switch {
	case keyed && text:
		err = g.socket.SendKey(id, key, m.Data, stream.AsText())
	case keyed:
		err = g.socket.SendKey(id, key, m.Data)
	case text:
		err = g.socket.TrySendText(id, m.Data)
	default:
		err = g.socket.TrySend(id, m.Data)
	}
	if err != nil {
		d.refuse(m, reasonOf(err))
		return
	}
	d.sent(1, len(m.Data))
	g.answer(m.Reply, 200)
}

// kindOf reads the headers of a message to a client, or to a group.
func kindOf(m *nats.Msg) (text bool, key uint64, keyed, good bool) {
	if m.Header == nil {
		return false, 0, false, true
	}
	text = first(m.Header, headerText) == "1"
	if text && !utf8.Valid(m.Data) {
		return false, 0, false, false
	}
	if value := first(m.Header, headerKey); value != "" {
		var err error
		if key, err = strconv.ParseUint(value, 10, 64); err != nil {
			return false, 0, false, false
		}
		keyed = true
	}
	return text, key, keyed, true
}

// refuse counts a message that nobody gets, and tells who wants to know.
func (d *delivery) refuse(m *nats.Msg, why reason) {
	d.g.counts.dropped[wayOut][why].Add(1)
	d.g.answer(m.Reply, why.status())
}

func (d *delivery) sent(messages, bytes int) {
	d.g.counts.sentMessages.Add(uint64(messages))
	d.g.counts.sentBytes.Add(uint64(bytes))
}

// flush gives what has been collected to the socket. What it does not take is dropped, and counted.
func (d *delivery) flush() {
	bytes := 0
	for _, msg := range d.run {
		bytes += len(msg.Body)
	}
	taken := 0
	for rest := d.run; len(rest) > 0; {
		n, err := d.g.socket.TrySendBatch(rest)
		taken, rest = taken+n, rest[n:]
		if err != nil && len(rest) > 0 {
			d.g.counts.dropped[wayOut][reasonOf(err)].Add(1)
			bytes -= len(rest[0].Body)
			rest = rest[1:]
		}
	}
	d.sent(taken, max(bytes, 0))
	clear(d.run[:cap(d.run)])
	d.run = d.run[:0]
}

// parseID reads a decimal number without leading zeros, 1 to 4294967295.
func parseID(text string) (uint32, bool) {
	if text == "" || len(text) > 10 || text[0] == '0' {
		return 0, false
	}
	var id uint64
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		id = id*10 + uint64(digit)
	}
	return uint32(id), id <= 1<<32-1
}

// reasonOf says why a send failed.
func reasonOf(err error) reason {
	switch {
	case errors.Is(err, errno.EHOSTUNREACH), errors.Is(err, errno.EINVAL):
		return reasonUnknown
	case errors.Is(err, errno.EAGAIN):
		return reasonFull
	case errors.Is(err, errno.EMSGSIZE):
		return reasonOversized
	case errors.Is(err, errno.ENOMEM):
		return reasonMemory
	}
	return reasonDraining
}

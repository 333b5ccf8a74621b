// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
	"github.com/zlink/zlink/gateway/natswire"
)

// subscribe begins to take what is for this gateway.
func (g *Gateway) subscribe() (err error) {
	conn := g.bus.conn
	if g.groups.out, err = g.bus.data.Subscribe(g.delivery.prefix + ">"); err != nil {
		return err
	}
	if g.config.Bundle != bundleOff {
		if _, err = g.bus.data.Subscribe(g.delivery.bundlePrefix + ">"); err != nil {
			return err
		}
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
	if err = conn.FlushTimeout(stuckAfter); err != nil {
		return err
	}
	return g.bus.data.Sync(stuckAfter)
}

// controlMost is how many requests may wait.
const controlMost = 65536

const groupPrefix = "zl.group."

// deliver gives messages of NATS to clients. One goroutine calls it.
func (g *Gateway) deliver(some []natswire.Msg) {
	d := &g.delivery
	for i := range some {
		m := &some[i]
		if rest, is := bytes.CutPrefix(m.Subject, []byte(d.prefix)); is {
			d.toClient(m, rest)
			continue
		}
		if bytes.HasPrefix(m.Subject, []byte(d.bundlePrefix)) {
			d.toMany(m)
			continue
		}
		d.flush()
		g.toGroup(m)
	}
	d.flush()
}

// tooMuch counts a message that came while too many waited for deliver.
func (g *Gateway) tooMuch(m *natswire.Msg) {
	single, many := bytes.HasPrefix(m.Subject, []byte(g.delivery.prefix)), bytes.HasPrefix(m.Subject, []byte(g.delivery.bundlePrefix))
	if single || many {
		count, size := uint64(1), uint64(m.Size)
		if many {
			count, size = countOfBundle(m.Body)
		}
		if undeliverable(m) {
			if many {
				id, _ := parseID(bytes.TrimPrefix(m.Subject, []byte(g.delivery.bundlePrefix)))
				count = uint64(id)
			}
			g.counts.dropped[wayIn][reasonNoBackend].Add(count)
			return
		}
		count = max(count, 1)
		g.counts.outMessages.Add(count)
		g.counts.outBytes.Add(size)
		g.counts.dropped[wayOut][reasonSlow].Add(count)
	} else {
		g.counts.groupMessages.Add(1)
		g.counts.dropped[wayGroup][reasonSlow].Add(1)
	}
	g.answer(m.Reply, reasonSlow.status(), headerServer, g.server)
}

// runMost is how many messages are given to the socket at once.
const runMost = 1024

// A delivery collects plain messages, to give them to the socket at once.
type delivery struct {
	g       *Gateway
	prefix  string
	run     []stream.Message
	guarded bool // a peer may be somebody who is not authenticated

	bundlePrefix string
	took         int // messages that clients' queues took, ever
}

func (d *delivery) start(g *Gateway) {
	*d = delivery{g: g, prefix: "zl.out." + g.server + ".", bundlePrefix: bundlePrefix(g.server), run: make([]stream.Message, 0, runMost), guarded: g.config.Auth != authNone}
}

// undeliverable reports whether NATS tells that nobody got what a client sent.
func undeliverable(m *natswire.Msg) bool {
	return m.Header != nil && m.Size == 0 && m.Status() == "503"
}

// oversized reports whether a message is longer than a client may get, or has more headers than there may be. What is kept for
// messages that have no bound but this one may be more (longest).
func (g *Gateway) oversized(m *natswire.Msg) bool {
	return m.TooLong || int64(m.Size) > g.config.MaxMessage || len(m.Header) > headerRoom
}

// toClient handles zl.out.
func (d *delivery) toClient(m *natswire.Msg, rest []byte) {
	g := d.g
	if undeliverable(m) {
		g.counts.dropped[wayIn][reasonNoBackend].Add(1)
		return
	}
	g.counts.outMessages.Add(1)
	g.counts.outBytes.Add(uint64(m.Size))
	id, is := parseID(rest)
	if !is {
		d.refuse(m, reasonMalformed)
		return
	}
	if g.oversized(m) {
		d.refuse(m, reasonOversized)
		return
	}
	if d.guarded {
		if c := g.clients.find(id); c != nil && !c.known() {
			d.refuse(m, reasonUnauthenticated)
			return
		}
	}
	if m.Header == nil && m.Reply == nil {
		if d.run = append(d.run, stream.Message{Peer: id, Body: m.Body}); len(d.run) == runMost {
			d.flush()
		}
		return
	}
	d.flush()
	d.special(m, id)
}

// special sends a message that has headers, or wants an answer.
func (d *delivery) special(m *natswire.Msg, id uint32) {
	g := d.g
	text, key, keyed, good := kindOf(m)
	if !good {
		d.refuse(m, reasonMalformed)
		return
	}
	var err error
	switch {
	case keyed && text:
		err = g.socket.SendKey(id, key, m.Body, stream.AsText())
	case keyed:
		err = g.socket.SendKey(id, key, m.Body)
	case text:
		err = g.socket.TrySendText(id, m.Body)
	default:
		err = g.socket.TrySend(id, m.Body)
	}
	if err != nil {
		d.refuse(m, reasonOf(err))
		return
	}
	d.sent(1, len(m.Body))
	g.answer(m.Reply, 200)
}

// kindOf reads the headers of a message to a client, or to a group.
func kindOf(m *natswire.Msg) (text bool, key uint64, keyed, good bool) {
	if m.Header == nil {
		return false, 0, false, true
	}
	good = m.WellFormed()
	if value := m.Value(headerText); value != nil {
		text = true
		good = good && string(value) == "1" && utf8.Valid(m.Body)
	}
	if value := m.Value(headerKey); value != nil {
		var err error
		key, err = strconv.ParseUint(string(value), 10, 64)
		keyed = true
		good = good && err == nil && (value[0] != '0' || len(value) == 1)
	}
	return text, key, keyed, good
}

// refuse counts a message that nobody gets, and tells who wants to know.
func (d *delivery) refuse(m *natswire.Msg, why reason) {
	d.g.counts.dropped[wayOut][why].Add(1)
	d.g.answer(m.Reply, why.status())
}

func (d *delivery) sent(messages, bytes int) {
	d.took += messages
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
	clear(d.run)
	d.run = d.run[:0]
}

// parseID reads a decimal number without leading zeros, 1 to 4294967295.
func parseID[T string | []byte](text T) (uint32, bool) {
	if len(text) == 0 || len(text) > 10 || text[0] == '0' {
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

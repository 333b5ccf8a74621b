// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/zlink/zlink/core/sockets/stream"
	"github.com/zlink/zlink/gateway/natswire"
)

// In a bundle each message has a head: the client's id, flags, and the length of the body.
const (
	bundleHead = 4 + 1 + 4
	bundleText = 1        // flag: it is text
	bundleFull = 32 << 10 // bytes that a bundle has at most, if it has several messages
	bundleMost = 1 << 20  // bytes that one of a back end may have, if --max-message is less

	servicesMost = 256 // whose bundles are kept, and which are asked: an answer to a question may give each client a service of its own
)

func bundlePrefix(server string) string { return "zl.bundle.out." + server + "." }

// A bundle collects messages of clients of one service.
type bundle struct {
	subject string
	body    []byte
	count   int
	bytes   int  // of the messages' bodies
	kept    bool // its memory is, when it is empty
}

// gather adds a client's message to the bundle of its service.
func (g *Gateway) gather(c *client, body []byte, text bool) {
	b := &c.to.bundle
	if b.count == 0 {
		if len(g.filling) == servicesMost {
			g.flush()
		}
		g.filling = append(g.filling, b)
	}
	if b.count > 0 && len(b.body)+bundleHead+len(body) > bundleFull {
		g.flush() // all bundles: none waits for its turn behind a busier service
		g.filling = append(g.filling, b)
	}
	b.add(c.id, body, text)
}

func (b *bundle) add(id uint32, body []byte, text bool) {
	flags := byte(0)
	if text {
		flags = bundleText
	}
	b.body = append(binary.BigEndian.AppendUint32(b.body, id), flags)
	b.body = append(binary.BigEndian.AppendUint32(b.body, uint32(len(body))), body...)
	b.count++
	b.bytes += len(body)
}

// publishBundles gives all bundles to NATS.
func (g *Gateway) publishBundles() {
	for _, b := range g.filling {
		g.publishBundle(b)
	}
	g.filling = g.filling[:0]
}

// publishBundle gives a bundle to NATS. The reply subject says how many messages are in it, for when nobody gets them.
func (g *Gateway) publishBundle(b *bundle) {
	line := natswire.Line(b.subject, bundlePrefix(g.server)+strconv.Itoa(b.count))
	if g.bus.data.PublishMany(b.count, line, "", b.body) != nil {
		g.counts.dropped[wayIn][reasonNATS].Add(uint64(b.count))
	} else {
		g.counts.inMessages.Add(uint64(b.count))
		g.counts.inBytes.Add(uint64(b.bytes))
	}
	if !b.kept || cap(b.body) > 2*bundleFull {
		b.body = nil
	}
	b.body, b.count, b.bytes = b.body[:0], 0, 0
}

// nextOf splits the first message off a bundle. false: it is none.
func nextOf(rest []byte) (id uint32, text bool, body, after []byte, good bool) {
	if len(rest) < bundleHead {
		return 0, false, nil, nil, false
	}
	size := binary.BigEndian.Uint32(rest[5:])
	if rest[4] > bundleText || uint64(size) > uint64(len(rest)-bundleHead) {
		return 0, false, nil, nil, false
	}
	end := bundleHead + int(size)
	return binary.BigEndian.Uint32(rest), rest[4] == bundleText, rest[bundleHead:end:end], rest[end:], true
}

// countOfBundle returns how many messages a bundle has, and their bytes; 0: it is none.
func countOfBundle(rest []byte) (count, size uint64) {
	for len(rest) > 0 {
		_, _, body, after, good := nextOf(rest)
		if !good {
			return 0, 0
		}
		count++
		size += uint64(len(body))
		rest = after
	}
	return count, size
}

// toMany handles zl.bundle.out. All of it is done, or, if it is malformed, nothing.
func (d *delivery) toMany(m *natswire.Msg) {
	g := d.g
	if undeliverable(m) {
		count, _ := parseID(bytes.TrimPrefix(m.Subject, []byte(d.bundlePrefix)))
		g.counts.dropped[wayIn][reasonNoBackend].Add(uint64(count))
		g.nobodyTakes()
		return
	}
	count, size := countOfBundle(m.Body)
	if m.TooLong || count == 0 {
		g.counts.outMessages.Add(1)
		g.counts.outBytes.Add(uint64(m.Size))
		why := reasonMalformed
		if m.TooLong {
			why = reasonOversized
		}
		d.refuse(m, why)
		return
	}
	g.counts.outMessages.Add(count)
	g.counts.outBytes.Add(size)
	if m.Reply != nil { // its own are counted for the answer
		d.flush()
	}
	before := d.took
	for rest := m.Body; len(rest) > 0; {
		id, text, body, after, _ := nextOf(rest)
		d.oneOfMany(id, text, body)
		rest = after
	}
	if m.Reply == nil {
		return
	}
	d.flush()
	g.answer(m.Reply, 200, headerServer, g.server, headerCount, strconv.Itoa(d.took-before))
}

func (d *delivery) oneOfMany(id uint32, text bool, body []byte) {
	g := d.g
	drop := func(why reason) { g.counts.dropped[wayOut][why].Add(1) }
	switch {
	case int64(len(body)) > g.config.MaxMessage:
		drop(reasonOversized)
		return
	case text && !utf8.Valid(body):
		drop(reasonMalformed)
		return
	case id == 0:
		drop(reasonUnknown)
		return
	}
	if d.guarded {
		if c := g.clients.find(id); c != nil && !c.known() {
			drop(reasonUnauthenticated)
			return
		}
	}
	if d.run = append(d.run, stream.Message{Peer: id, Body: body, Text: text}); len(d.run) == runMost {
		d.flush()
	}
}

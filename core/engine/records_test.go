// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sys"
)

// TestBrokenRecords: each breach of RFC 8446, 5, ends the connection with its alert.
func TestBrokenRecords(t *testing.T) {
	flipped := func(p *tlsPeer) []byte {
		wire := p.record(recordData, []byte(frameOf("x")))
		wire[len(wire)-1] ^= 1
		return wire
	}
	for name, breach := range map[string]struct {
		wire  func(p *tlsPeer) []byte
		alert byte
	}{
		"a changed bit":             {flipped, alertBadRecordMAC},
		"a record without a tag":    {func(*tlsPeer) []byte { return []byte{recordData, 3, 3, 0, 3, 1, 2, 3} }, alertBadRecordMAC},
		"a record that is too long": {func(*tlsPeer) []byte { return []byte{recordData, 3, 3, 0x41, 1} }, alertRecordOverflow},
		"content that is too long":  {func(p *tlsPeer) []byte { return p.record(recordData, make([]byte, recordMost+1)) }, alertRecordOverflow},
		"padding that is too long": {func(p *tlsPeer) []byte {
			return p.record(0, append([]byte{'x', recordData}, make([]byte, recordMost-1)...))
		}, alertRecordOverflow},
		"a record without encryption":  {func(*tlsPeer) []byte { return []byte{20, 3, 3, 0, 1, 1} }, alertUnexpectedMessage},
		"nothing but padding":          {func(p *tlsPeer) []byte { return p.record(0, make([]byte, 20)) }, alertUnexpectedMessage},
		"an unknown kind":              {func(p *tlsPeer) []byte { return p.record(99, []byte("x")) }, alertUnexpectedMessage},
		"no message of a handshake":    {func(p *tlsPeer) []byte { return p.record(recordHandshake, nil) }, alertUnexpectedMessage},
		"another greeting":             {func(p *tlsPeer) []byte { return p.record(recordHandshake, []byte{1, 0, 0, 0}) }, alertUnexpectedMessage},
		"a client's ticket":            {func(p *tlsPeer) []byte { return p.record(recordHandshake, []byte{messageTicket, 0, 0, 0}) }, alertUnexpectedMessage},
		"an unknown change of keys":    {func(p *tlsPeer) []byte { return p.record(recordHandshake, []byte{messageKeyUpdate, 0, 0, 1, 2}) }, alertIllegalParameter},
		"a long change of keys":        {func(p *tlsPeer) []byte { return p.record(recordHandshake, []byte{messageKeyUpdate, 0, 0, 2, 0, 0}) }, alertDecodeError},
		"more behind a change of keys": {func(p *tlsPeer) []byte { return p.record(recordHandshake, []byte{messageKeyUpdate, 0, 0, 1, 0, 24}) }, alertUnexpectedMessage},
		"data within a message": {func(p *tlsPeer) []byte {
			return append(p.record(recordHandshake, []byte{messageKeyUpdate, 0}), p.record(recordData, []byte("x"))...)
		}, alertUnexpectedMessage},
		"an alert of no bytes": {func(p *tlsPeer) []byte { return p.record(recordAlert, nil) }, alertUnexpectedMessage},
		"an alert of one byte": {func(p *tlsPeer) []byte { return p.record(recordAlert, []byte{1}) }, alertDecodeError},
	} {
		Convey("A peer that sends "+name+" is told so, and what came before it arrives", t, func() {
			g := newStage(t)
			c, fd, peer := g.linked(true, false)
			_, e := sys.Send(fd, append(peer.record(recordData, []byte(frameOf("hello"))), breach.wire(peer)...))
			So(e, ShouldEqual, sys.Errno(0))
			for steps := 0; !c.detached && steps < 20; steps++ { // the first turns are short
				g.step()
			}
			So(c.Received.Load(), ShouldEqual, 1)
			So(c.detached, ShouldBeTrue)
			So(c.cause, ShouldEqual, CauseProtocol)
			data, alert := peer.opened(t, fd)
			So(data, ShouldBeEmpty)
			So(alert, ShouldResemble, []byte{2, breach.alert})
		})
	}
}

// TestOddRecords: what is odd, but allowed.
func TestOddRecords(t *testing.T) {
	for name, odd := range map[string]func(p *tlsPeer) []byte{
		"padding": func(p *tlsPeer) []byte {
			return p.record(0, append([]byte(frameOf("odd")), recordData, 0, 0, 0)) // the last of these zeros is the type
		},
		"a change of keys in two parts": func(p *tlsPeer) []byte {
			wire := append(p.record(recordHandshake, []byte{messageKeyUpdate, 0, 0}), p.record(recordHandshake, []byte{1, 0})...)
			p.rekey(expand(p.secret, "traffic upd", 32))
			return append(wire, p.record(recordData, []byte(frameOf("odd")))...)
		},
		"an alert that means nothing": func(p *tlsPeer) []byte {
			return append(p.record(recordAlert, []byte{1, alertUserCanceled}), p.record(recordData, []byte(frameOf("odd")))...)
		},
		"no data": func(p *tlsPeer) []byte {
			return append(p.record(recordData, nil), p.record(recordData, []byte(frameOf("odd")))...)
		},
	} {
		Convey("A peer that sends "+name+" is understood", t, func() {
			g := newStage(t)
			c, fd, peer := g.linked(true, false)
			_, _ = sys.Send(fd, append(odd(peer), peer.record(recordData, []byte(frameOf("more")))...))
			for range 3 {
				g.step()
			}
			So(c.Received.Load(), ShouldEqual, 2)
			So(c.detached, ShouldBeFalse)
		})
	}
	Convey("A server's tickets are passed over, in how many records they ever come", t, func() {
		r := &records{client: true}
		for _, part := range []string{"\x04", "\x00\x00\x05he", "l", "lo\x04\x00\x00\x01x"} {
			So(r.handshake([]byte(part)), ShouldBeNil)
		}
		So(r.have, ShouldEqual, 0)
		So(r.skip, ShouldEqual, 0)
	})
}

// TestNothingBehindTheEnd: RFC 8446, 6.1.
func TestNothingBehindTheEnd(t *testing.T) {
	Convey("What a peer sends behind the end of its stream is dropped, and takes no memory", t, func() {
		g := newStage(t)
		c, fd, peer := g.linked(true, false)
		wire := append(peer.record(recordData, []byte(frameOf("last"))), peer.record(recordAlert, []byte{1, alertCloseNotify})...)
		for len(wire) < readTurn/2 {
			wire = append(wire, peer.record(recordData, []byte(frameOf("more")))...)
		}
		_, e := sys.Send(fd, wire)
		So(e, ShouldEqual, sys.Errno(0))
		buf := make([]byte, readTurn)
		n, err := c.link.read(buf, readTurn)
		So(string(buf[:n]), ShouldEqual, frameOf("last"))
		So(err, ShouldEqual, io.EOF)
		So(recordsOf(c).kept, ShouldBeNil)
	})
}

// TestMemoryOfKeys: suites differ by kilobytes.
func TestMemoryOfKeys(t *testing.T) {
	Convey("The keys of a connection take as much memory as is counted for its suite", t, func() {
		for _, suite := range tlsSuites {
			var before, after runtime.MemStats
			flows, secret := make([]tlsFlow, 8000), make([]byte, suite.hash().Size())
			runtime.GC()
			runtime.GC() // twice, for what only waits for its finalizer
			runtime.ReadMemStats(&before)
			for i := range flows {
				if err := flows[i].start(suite, secret); err != nil {
					t.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(flows)
			keys := 2 * (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(len(flows))
			So(suite.memory-keys, ShouldBeBetween, 900, 1700) // all else is the same for all
		}
	})
}

// TestRecordsInPieces: the stream does not depend on how it comes, nor on how it is read.
func TestRecordsInPieces(t *testing.T) {
	Convey("Records of any size that come in any pieces are read in any pieces", t, func() {
		g := newStage(t)
		c, fd, peer := g.linked(true, false)
		random := rand.New(rand.NewPCG(1, 2))
		var sent, wire, got []byte
		for len(sent) < 1<<20 {
			part := make([]byte, 1+random.IntN(1<<random.IntN(15)))
			for i := range part {
				part[i] = byte(random.Uint32())
			}
			sent, wire = append(sent, part...), append(wire, peer.record(recordData, part)...)
		}
		for len(got) < len(sent) {
			if n, _ := sys.Send(fd, wire[:min(len(wire), random.IntN(1<<random.IntN(17)))]); n > 0 {
				wire = wire[n:]
			}
			c.link.wire.drained = false
			buf := make([]byte, 1+random.IntN(1<<random.IntN(17)))
			n, err := c.link.read(buf, readTurn)
			So(err == nil || err == errAgain, ShouldBeTrue)
			got = append(got, buf[:n]...)
		}
		So(bytes.Equal(got, sent), ShouldBeTrue)
		So(recordsOf(c).kept, ShouldBeNil)
	})
}

// TestKeysEnd: RFC 8446, 5.5.
func TestKeysEnd(t *testing.T) {
	Convey("This side changes its keys before they have sealed too much", t, func() {
		before := keysFor
		keysFor = 3
		Reset(func() { keysFor = before })
		g := newStage(t)
		c, fd, peer := g.linked(true, false)
		first := bytes.Clone(recordsOf(c).out.secret)
		sent := strings.Repeat("0123456789abcdef", 10<<10)
		wire := recordsOf(c).Seal(nil, Source{given: new([]byte)})
		for rest := []byte(sent); len(rest) > 0; {
			part := rest[:min(len(rest), 40_000)]
			rest = rest[len(part):]
			wire = append(wire, recordsOf(c).Seal(nil, Source{given: &part})...)
		}
		So(bytes.Equal(first, recordsOf(c).out.secret), ShouldBeFalse)
		_, e := sys.Send(int(c.fd), wire)
		So(e, ShouldEqual, sys.Errno(0))
		data, change := peer.opened(t, fd)
		So(string(data) == sent, ShouldBeTrue)
		So(change, ShouldResemble, []byte{messageKeyUpdate, 0, 0, 1, 0})
	})
}

// TestSuites: what each suite of TLS 1.3 seals it opens, also after a change of keys, and nothing
// twice.
func TestSuites(t *testing.T) {
	for id, suite := range tlsSuites {
		Convey("Records of "+tls.CipherSuiteName(id), t, func() {
			var out, in tlsFlow
			secret := bytes.Repeat([]byte{7}, suite.hash().Size())
			So(out.start(suite, secret), ShouldBeNil)
			So(in.start(suite, secret), ShouldBeNil)
			for _, changed := range []bool{false, true} {
				if changed {
					So(out.change(), ShouldBeNil)
					So(in.change(), ShouldBeNil)
				}
				for _, text := range []string{"", "a", strings.Repeat("b", recordMost)} {
					record := out.seal(nil, recordData, []byte(text + "!")[:len(text)])
					So(len(record), ShouldEqual, len(text)+recordHead+sealedTail)
					twice := bytes.Clone(record)
					kind, content, ok := in.open(record, make([]byte, len(text)+1))
					So(ok, ShouldBeTrue)
					So(kind, ShouldEqual, recordData)
					So(string(content) == text, ShouldBeTrue)
					_, _, ok = in.open(twice, nil)
					So(ok, ShouldBeFalse)
				}
			}
		})
	}
}

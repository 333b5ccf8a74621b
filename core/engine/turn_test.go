// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sys"
)

// frameOf is a frame of zlink.
func frameOf(body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// again repeats text to about 64 KiB.
func again(text string) []byte { return bytes.Repeat([]byte(text), 1+(64<<10)/len(text)) }

// webAgain is again for a frame of WebSocket.
func webAgain(op ws.OpCode, fin bool, payload string) []byte {
	return again(string(masked(op, fin, payload)))
}

// once gives first once, and then next for ever.
func once(first, next []byte) func() []byte {
	return func() []byte {
		wire := first
		if first = nil; wire == nil {
			return next
		}
		return wire
	}
}

// longFrame begins a frame of a GiB.
var longFrame = []byte{0x40, 0, 0, 0}

// longWebFrame is the header of a masked frame of WebSocket of 4 GiB, key 0.
var longWebFrame = []byte{0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0}

// floods are the ways to keep a shard busy with few bytes of the stream.
func floods(secure, web bool) map[string]func() func() []byte {
	always := func(wire []byte) func() func() []byte {
		return func() func() []byte { return func() []byte { return wire } }
	}
	zeros := make([]byte, 64<<10)
	if !web {
		return map[string]func() func() []byte{
			"large frames": func() func() []byte { return once(longFrame, zeros) },
			"small frames": always(again(frameOf("x"))),
			"empty frames": always(again(frameOf(""))),
		}
	}
	begin := masked(ws.OpBinary, false, "")
	return map[string]func() func() []byte{
		"large frames":      func() func() []byte { return once(append(bytes.Clone(longWebFrame), longFrame...), zeros) },
		"small frames":      always(webAgain(ws.OpBinary, true, frameOf("x"))),
		"empty frames":      always(webAgain(ws.OpBinary, true, "")),
		"empty pings":       always(webAgain(ws.OpPing, true, "")),
		"long pings":        always(webAgain(ws.OpPing, true, strings.Repeat("p", 125))),
		"pongs":             always(webAgain(ws.OpPong, true, "p")),
		"fragments":         func() func() []byte { return once(begin, webAgain(ws.OpContinuation, false, "")) },
		"fragments of 1":    func() func() []byte { return once(begin, webAgain(ws.OpContinuation, false, "\x00")) },
		"messages and ping": always(again(string(masked(ws.OpBinary, true, frameOf("x"))) + string(masked(ws.OpPing, true, "")))),
	}
}

// beside drives the shard with a flood, and a quiet peer that sends one message at
// a time, and returns the most bytes of the flood that the shard read between two
// of them.
func beside(g *stage, flooder *Conn, f *flood) (worst int) {
	quiet, fd := g.plain()
	f.offer()
	for range 40 {
		before := quiet.Received.Load()
		_, e := sys.Send(fd, []byte(frameOf("hello")))
		So(e, ShouldEqual, sys.Errno(0))
		handled := 0
		for rounds := 0; quiet.Received.Load() == before; rounds++ {
			if rounds > 100 {
				g.t.Fatal("the quiet peer is not served at all")
			}
			had := unread(int(flooder.fd))
			g.step()
			So(flooder.fd, ShouldBeGreaterThanOrEqualTo, 0)
			handled += had - unread(int(flooder.fd))
			g.owner.takeAll()
			swallow(f.fd)
			f.offer()
		}
		worst = max(worst, handled)
	}
	So(flooder.detached, ShouldBeFalse)
	return worst
}

// pollTurns is how many turns a flooder may have until the shard looks at the kernel
// again and sees the quiet peer's bytes, before it reads them, and after that in the
// same round.
const pollTurns = 3

func TestTurnsOfReading(t *testing.T) {
	try := func(name string, turn int, connect func(g *stage) (*Conn, int, func() []byte)) {
		Convey(name, func() {
			g := newStage(t)
			c, fd, next := connect(g)
			g.step()
			g.owner.takeAll()
			worst := beside(g, c, &flood{fd: fd, next: next})
			So(worst, ShouldBeGreaterThan, 0)
			So(worst, ShouldBeLessThanOrEqualTo, pollTurns*turn)
			// One turn alone: the kernel has more than that.
			if c.parked {
				c.unpark()
			}
			for g.sh.ready.len() > 0 {
				c, _, _ := g.sh.ready.pop()
				c.pending = false
			}
			g.sh.flushDirty()
			had := unread(int(c.fd))
			c.receive()
			So(had, ShouldBeGreaterThan, turn)
			So(had-unread(int(c.fd)), ShouldBeLessThanOrEqualTo, turn)
			for i := 0; i < 100 && had == unread(int(c.fd)); i++ {
				c.receive() // the TLS layer had the bytes of the first turns
			}
			So(had-unread(int(c.fd)), ShouldBeGreaterThan, 0)
		})
	}
	Convey("A flooder of tcp has a turn at a time:", t, func() {
		for name, flood := range floods(false, false) {
			try(name, longRead, func(g *stage) (*Conn, int, func() []byte) {
				c, fd := g.plain()
				return c, fd, flood()
			})
		}
	})
	Convey("A flooder of ws has a turn at a time:", t, func() {
		for name, flood := range floods(false, true) {
			try(name, longRead, func(g *stage) (*Conn, int, func() []byte) {
				c, fd, _ := g.linked(false, true)
				return c, fd, flood()
			})
		}
	})
	Convey("One turn of ws takes a window of four messages of 64 KiB", t, func() {
		g := newStage(t)
		c, fd, _ := g.linked(false, true)
		window := bytes.Repeat(masked(ws.OpBinary, true, frameOf(strings.Repeat("x", 64<<10))), 4)
		(&flood{fd: fd, next: func() []byte { return window }}).offer()
		c.receive()
		So(c.Received.Load(), ShouldEqual, 4)
	})
	for kind, web := range map[string]bool{"tls": false, "wss": true} {
		Convey("A flooder of "+kind+" has a turn at a time:", t, func() {
			for name, flood := range floods(true, web) {
				for _, size := range []int{1, 16 << 10} {
					try(fmt.Sprintf("%s in records of %d", name, size), readTurn, func(g *stage) (*Conn, int, func() []byte) {
						c, fd, peer := g.linked(true, web)
						plain, rest := flood(), []byte(nil)
						return c, fd, func() []byte {
							if len(rest) == 0 {
								rest = plain()
							}
							part := rest[:min(len(rest), 2048*min(size, 8))]
							rest = rest[len(part):]
							return peer.records(part, size)
						}
					})
				}
			}
		})
	}
}

// TestRecords counts what a turn has of records that hold a byte each.
func TestRecords(t *testing.T) {
	Convey("A turn has few records, however small they are", t, func() {
		g := newStage(t)
		c, fd, peer := g.linked(true, false)
		(&flood{fd: fd, next: func() []byte { return peer.records(make([]byte, 1000), 1) }}).offer()
		buf := make([]byte, 1000)
		for range 3 {
			n, err := c.link.read(buf, readTurn)
			So(err, ShouldBeNil)
			So(n, ShouldBeGreaterThan, 0)
			So(n, ShouldBeLessThanOrEqualTo, readTurn/(recordPrice-1)+1)
		}
	})
}

// TestDenseFrames counts what a turn has of frames that are hardly more than headers.
func TestDenseFrames(t *testing.T) {
	for name, frame := range map[string][]byte{
		"pings": masked(ws.OpPing, true, ""), "empty messages": masked(ws.OpBinary, true, ""), "small messages": masked(ws.OpBinary, true, frameOf("x")),
	} {
		Convey("Where "+name+" follow each other a turn has fewer bytes, and longer frames change that", t, func() {
			g := newStage(t)
			c, fd, _ := g.linked(false, true)
			buf := make([]byte, 256<<10)
			f := &flood{fd: fd, next: func() []byte { return again(string(frame)) }}
			for i := range 3 {
				f.offer()
				had := unread(int(c.fd))
				_, _ = c.link.read(buf, readTurn)
				So(had-unread(int(c.fd)), ShouldBeGreaterThan, 0)
				if i > 0 {
					So(had-unread(int(c.fd)), ShouldBeLessThanOrEqualTo, 2*denseRead)
				}
			}
			for len(f.rest) > 0 { // to the end of a frame
				n, _ := sys.Send(fd, f.rest)
				f.rest = f.rest[max(0, n):]
				for unread(int(c.fd)) > 0 {
					c.link.wire.drained = false
					_, _ = c.link.read(buf, readTurn)
				}
			}
			f.next = func() []byte { return webAgain(ws.OpBinary, true, frameOf(strings.Repeat("x", 60))) }
			for range 3 {
				f.offer()
				had := unread(int(c.fd))
				c.link.wire.drained = false
				_, err := c.link.read(buf, readTurn)
				So(err == nil || err == errAgain, ShouldBeTrue)
				if had-unread(int(c.fd)) > 2*denseRead {
					return
				}
			}
			t.Fatal("reads stay short")
		})
	}
}

// TestKeyUpdates counts what changes of keys cost, as their bytes are few.
func TestKeyUpdates(t *testing.T) {
	const each = 27
	for _, web := range []bool{false, true} {
		for _, answer := range []bool{false, true} {
			Convey(fmt.Sprintf("Changes of keys, answer %v, web %v: a turn has few, and what they make grow is bounded and counted", answer, web), t, func() {
				g := newStage(t)
				c, fd, peer := g.linked(true, web)
				data := []byte(frameOf(strings.Repeat("x", 1<<20)))
				if web {
					data = append(bytes.Clone(longWebFrame), data...)
				}
				f := &flood{fd: fd, next: func() []byte {
					var wire []byte
					for range 100 {
						for range 14 {
							wire = append(wire, peer.keyUpdate(answer)...)
						}
						wire = append(wire, peer.record(23, data[:1])...)
						data = data[1:]
					}
					return wire
				}}
				So(beside(g, c, f), ShouldBeLessThanOrEqualTo, pollTurns*readTurn)

				for i := 0; i < 3000 && !c.link.paused && (answer || i < 100); i++ { // the peer takes nothing from here on
					g.paid(c)
					g.step()
					f.offer()
					So(c.link.owes(), ShouldBeLessThanOrEqualTo, answersMax+each*(readTurn/recordPrice+17))
					g.owner.takeAll()
				}
				if !answer {
					So(c.link.paused, ShouldBeFalse)
					return
				}
				So(c.blocked, ShouldBeTrue)
				So(c.link.paused, ShouldBeTrue)
				So(c.Traffic().Memory, ShouldBeGreaterThanOrEqualTo, uint64(c.link.owes()))
				g.paid(c)
				waiting := func() int { return unread(int(c.fd)) + recordsOf(c).kept.ChainLen() }
				had := waiting()
				_ = g.sh.poll()
				c.wantRead()
				g.step()
				So(waiting(), ShouldEqual, had) // nothing more is read
				for swallow(fd) > 0 {
					g.paid(c)
					g.step()
				}
				for range 100 {
					g.paid(c)
					g.step()
					swallow(fd)
				}
				So(c.link.paused, ShouldBeFalse)
				So(waiting(), ShouldBeLessThan, had)
				So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			})
		}
	}
}

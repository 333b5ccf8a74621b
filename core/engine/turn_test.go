// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/shm"
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
			c.pending = false
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
			try(name, readTurn, func(g *stage) (*Conn, int, func() []byte) {
				c, fd, _ := g.linked(false, true)
				return c, fd, flood()
			})
		}
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
			n, err := c.link.read(buf)
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
				_, _ = c.link.read(buf)
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
					_, _ = c.link.read(buf)
				}
			}
			f.next = func() []byte { return webAgain(ws.OpBinary, true, frameOf(strings.Repeat("x", 60))) }
			for range 3 {
				f.offer()
				had := unread(int(c.fd))
				c.link.wire.drained = false
				_, err := c.link.read(buf)
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
				had := unread(int(c.fd))
				_ = g.sh.poll()
				c.wantRead()
				g.step()
				So(unread(int(c.fd)), ShouldEqual, had) // nothing more is read
				for swallow(fd) > 0 {
					g.step()
				}
				for range 100 {
					g.step()
					swallow(fd)
				}
				So(c.link.paused, ShouldBeFalse)
				So(unread(int(c.fd)), ShouldBeLessThan, had)
				So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			})
		}
	}
}

// queue appends a message for the connection, as its socket does.
func (g *stage) queue(c *Conn, body string) {
	if result := c.Shared.Append(g.owner.shared.Serial, c.Shared.Rid, []byte(body), nil); result != shm.Appended && result != shm.AppendedWake {
		g.t.Fatalf("not queued: %v", result)
	}
}

func TestTurnsOfWriting(t *testing.T) {
	const message, count = 32 << 10, 256 // 8 MiB
	body := strings.Repeat("x", message)
	slack := map[bool]int{false: 0, true: sealBytes + 8<<10} // a link seals that much more
	for _, c := range []struct {
		name        string
		link        bool
		secure, web bool
	}{{"tcp", false, false, false}, {"ws", true, false, true}, {"tls", true, true, false}, {"wss", true, true, true}} {
		Convey("A fast reader of a long queue over "+c.name+" has a turn at a time, and waits for no report", t, func() {
			g := newStage(t)
			var conn *Conn
			var fd int
			if c.link {
				conn, fd, _ = g.linked(c.secure, c.web)
			} else {
				conn, fd = g.plain()
			}
			for range count {
				g.queue(conn, body)
			}
			quiet, quietFd := g.plain()
			total, rounds, cut := 0, 0, 0
			for ; total < count*message; rounds++ {
				if rounds > 1000 {
					g.t.Fatalf("only %d bytes came", total)
				}
				g.queue(quiet, "hello")
				g.step()
				So(swallow(quietFd), ShouldBeGreaterThan, 0) // it is written in the same round
				if conn.unwritten {
					cut++
					So(conn.blocked, ShouldBeFalse)
				}
				n := swallow(fd)
				So(n, ShouldBeLessThanOrEqualTo, writeTurn+slack[c.link])
				total += n
			}
			So(cut, ShouldBeGreaterThan, count*message/writeTurn/2)
			for range 2 {
				swallow(fd)
				g.step()
			}
			So(conn.flushHead == nil, ShouldBeTrue)
			So(conn.unwritten, ShouldBeFalse)
		})
	}
	Convey("One round writes for a few hundred connections, and the next ones for the rest", t, func() {
		g := newStage(t)
		var all []*Conn
		var fds []int
		for range 600 {
			conn, fd := g.plain()
			all, fds = append(all, conn), append(fds, fd)
		}
		for _, conn := range all {
			g.queue(conn, "hello")
		}
		written := func() (n int) {
			for _, fd := range fds {
				if unread(fd) > 0 {
					n++
				}
			}
			return n
		}
		g.sh.flushDirty()
		So(written(), ShouldBeGreaterThan, 100)
		So(written(), ShouldBeLessThanOrEqualTo, writeRound/writePrice)
		for range 10 {
			g.step()
		}
		So(written(), ShouldEqual, len(all))
	})
	Convey("A connection that ends, or is blocked, while its turn is to come", t, func() {
		g := newStage(t)
		conn, fd := g.plain()
		for range count {
			g.queue(conn, body)
		}
		g.step()
		So(conn.unwritten, ShouldBeTrue)
		Convey("is written to its end first", func() {
			conn.Finish(ReasonLocal, noTime)
			total := swallow(fd)
			for range 1000 {
				g.step()
				total += swallow(fd)
			}
			So(total, ShouldEqual, count*(message+lengthSize))
		})
		Convey("is forgotten when it is aborted", func() {
			conn.Abort(ReasonLocal)
			g.step()
			So(g.sh.unwritten.len(), ShouldEqual, 0)
			So(conn.fd, ShouldEqual, -1)
		})
		Convey("waits for the kernel's report", func() {
			for !conn.blocked {
				g.step()
			}
			So(g.sh.unwritten.len(), ShouldEqual, 0)
			total := 0
			for range 1000 {
				total += swallow(fd)
				g.step()
			}
			So(total, ShouldEqual, count*(message+lengthSize))
		})
	})
}

// TestFlusherLeaves lets a sender write for a fast reader while nobody drives: what
// it leaves is the shard's thread's, at once.
func TestFlusherLeaves(t *testing.T) {
	Convey("A flusher writes a turn and leaves the rest to the shard's thread", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		for range 64 {
			g.queue(c, strings.Repeat("x", 32<<10))
		}
		for !g.sh.thread.resting.Load() {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * watchTick)
		// The thread rests, and only a signal wakes it.
		g.sh.thread.wanted.Store(false)
		g.sh.Shared.Driver.Store(shm.DriverNone)
		g.sh.TryFlush(false)
		total := 0
		watchdog(t, "the rest of the queue", func() bool {
			total += swallow(fd)
			return total == 64*(32<<10+lengthSize)
		})
		drive(t, g.sh)
		So(c.unwritten, ShouldBeFalse)
	})
}

func TestNoSleepBeforeTurns(t *testing.T) {
	Convey("A driver does not sleep while a connection waits for its turn to write", t, func() {
		g := newStage(t)
		c, _ := g.plain()
		g.step() // the kernel's reports that it takes bytes
		for range 12 {
			g.queue(c, strings.Repeat("x", 32<<10))
		}
		g.step()
		So(c.unwritten, ShouldBeTrue)
		g.sh.warm = false
		done := make(chan struct{})
		go func() {
			for c.unwritten {
				_ = g.sh.step(nil, true, time.Now().Add(time.Hour))
			}
			close(done)
		}()
		received(t, done, "the rest of the queue")
		So(c.flushHead == nil, ShouldBeTrue)
	})
}

// TestShortOfMemory says that the kernel has no memory for a call, as it would.
func TestShortOfMemory(t *testing.T) {
	for _, e := range []sys.Errno{sys.ENOBUFS, sys.ENOMEM} {
		Convey(fmt.Sprintf("%v is no end of a connection: the call is made again", e), t, func() {
			g := newStage(t)
			Convey("when it was a write", func() {
				c, fd := g.plain()
				g.step()         // the kernel reports that it takes bytes
				c.blocked = true // so that the queue waits
				g.sh.blocked++
				g.queue(c, "hello")
				g.step()
				c.setBlocked(false)
				c.refused(e)
				So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
				So(c.blocked, ShouldBeTrue)
				watchdog(t, "the queue", func() bool {
					g.step()
					return unread(fd) == 9
				})
				So(c.blocked, ShouldBeFalse)
			})
			Convey("when it was a write of a link", func() {
				c, fd, _ := g.linked(false, true)
				g.step()
				So(c.keepSealed([]byte("sealed")), ShouldBeTrue)
				c.refused(e)
				watchdog(t, "what was sealed", func() bool {
					g.step()
					return unread(fd) == len("sealed")
				})
			})
			Convey("when it was a read", func() {
				c, fd := g.plain()
				g.step()
				_, _ = sys.Send(fd, []byte(frameOf("hello")))
				_, ok := c.outcome(-1, e)
				So(ok, ShouldBeFalse)
				So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
				So(len(g.sh.timers), ShouldEqual, 1)
				watchdog(t, "the message", func() bool {
					g.step()
					return c.Received.Load() == 1
				})
			})
		})
	}
}

func TestRoundOfMail(t *testing.T) {
	Convey("A round runs a part of what is posted, in order, and the next ones the rest", t, func() {
		g := newStage(t)
		var got []int
		for i := range 3 * mailBatch {
			g.sh.Post(func() { got = append(got, i) })
		}
		g.step()
		So(len(got), ShouldEqual, mailBatch)
		g.sh.Post(func() { got = append(got, 3*mailBatch) })
		for range 4 {
			g.step()
		}
		So(len(got), ShouldEqual, 3*mailBatch+1)
		for i, n := range got {
			So(n, ShouldEqual, i)
		}
	})
}

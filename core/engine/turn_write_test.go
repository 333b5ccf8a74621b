// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// queue appends a message for the connection, as its socket does.
func (g *stage) queue(c *Conn, body string) {
	if result := c.Shared.Append(g.owner.shared, c.Shared.Rid.Load(), []byte(body), nil); result != shm.Appended && result != shm.AppendedWake {
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
			conn.Finish(CauseClosedHere, noTime)
			total := swallow(fd)
			for range 1000 {
				g.step()
				total += swallow(fd)
			}
			So(total, ShouldEqual, count*(message+lengthSize))
		})
		Convey("is forgotten when it is aborted", func() {
			conn.Abort(CauseClosedHere)
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

// TestFlusherLeaves lets a sender write while nobody drives and the shard's thread rests, so that
// only a signal wakes it.
func TestFlusherLeaves(t *testing.T) {
	rested := func(g *stage) {
		for !g.sh.thread.resting.Load() {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * watchTick)
		g.sh.thread.wanted.Store(false)
		g.sh.Shared.Driver.Store(shm.DriverNone)
	}
	const message, most = 32 << 10, writeTurn + 2*(32<<10)
	Convey("A flusher goes on with what is left of a turn", t, func() {
		g := newStage(t)
		c, _ := g.plain()
		for range most / message {
			g.queue(c, strings.Repeat("x", message))
		}
		rested(g)
		g.sh.TryFlush(false)
		So(c.unwritten, ShouldBeFalse)
		So(c.flushHead == nil, ShouldBeTrue)
		So(g.sh.thread.summoned.Load(), ShouldBeFalse)
		So(g.sh.thread.resting.Load(), ShouldBeTrue)
		drive(t, g.sh)
	})
	Convey("After a few rounds it leaves the rest to the shard's thread", t, func() {
		g := newStage(t)
		var fds []int
		for range flushRounds * writeRound / most * 2 {
			c, fd := g.plain()
			fds = append(fds, fd)
			for range most / message {
				g.queue(c, strings.Repeat("x", message))
			}
		}
		rested(g)
		g.sh.TryFlush(false)
		total := 0
		watchdog(t, "the rest of the queues", func() bool {
			for _, fd := range fds {
				total += swallow(fd)
			}
			return total == len(fds)*(most/message)*(message+lengthSize)
		})
		drive(t, g.sh)
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

// TestShortOfMemory pretends that the kernel has no memory for a call.
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

func TestWaitForATurnIsNotThePeers(t *testing.T) {
	Convey("A connection that ends, and whose turn to be written to does not come", t, func() {
		g := newStage(t)
		conn, fd := g.plain()
		for range 2 * writeTurn >> 15 {
			g.queue(conn, strings.Repeat("x", 32<<10))
		}
		g.sh.flushDirty()
		So(conn.unwritten, ShouldBeTrue)
		So(swallow(fd), ShouldBeGreaterThan, 0)
		conn.Finish(CauseClosedHere, noTime)
		end := conn.ending()
		end.limit = time.Second
		long := func() {
			end.takenAt = time.Now().Add(-time.Minute)
			conn.look()
		}
		conn.look() // now it has seen what the peer took
		long()
		So(conn.fd, ShouldNotEqual, -1)
		Convey("is the peer's fault once the kernel has it", func() {
			conn.unwritten = false
			g.sh.unwritten = ring{}
			long()
			So(conn.fd, ShouldEqual, -1)
		})
	})
}

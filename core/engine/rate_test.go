// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// rated is a connection with a rate, on a shard whose clock the test sets.
type rated struct {
	*stage
	c    *Conn
	fd   int
	now  time.Duration
	wire []byte   // what the peer has still to write
	got  []string // bodies
	ends int      // disconnect events
}

func newRated(g *stage, c *Conn, fd int, rate Rate) *rated {
	r := &rated{stage: g, c: c, fd: fd, now: time.Hour}
	g.sh.clock = func() tick { return tick(r.now / time.Millisecond) }
	c.limits.Rate = rate
	return r
}

// let lets time go by, and then all happen that happens at that time.
func (r *rated) let(passed time.Duration) {
	r.now += passed
	r.sh.timers.run(time.Now().Add(time.Hour)) // too early or not
	for range 60 {
		if len(r.wire) > 0 {
			if n, e := sys.Send(r.fd, r.wire); e == 0 {
				r.wire = r.wire[n:]
			}
		}
		r.step()
		r.take()
	}
}

// take receives everything, and wakes what waits for that.
func (r *rated) take() {
	q := r.owner.shared
	for q.NextRun() {
		run := q.RxRun
		for run.Kind == shm.RunData && q.RxLeft > 0 {
			r.got = append(r.got, string(q.NextBody()))
		}
		q.EndRun()
		switch run.Kind {
		case shm.RunData:
			run.Session.RxTake(run)
			q.RxWaiting.Add(-int64(run.Size))
			run.Slab.Release()
		case shm.RunDisconnected:
			r.ends++
			q.RxEvents.Add(-1)
			run.Of().Release()
		default:
			q.RxEvents.Add(-1)
		}
	}
	r.sh.Resume(q)
}

// numbered returns count messages of size bytes that say which they are.
func numbered(count, size int) (wire []byte) {
	for i := range count {
		body := make([]byte, size)
		binary.BigEndian.PutUint32(body, uint32(i))
		wire = append(wire, frameOf(string(body))...)
	}
	return wire
}

// inOrder reports whether the first messages of numbered have come.
func (r *rated) inOrder() bool {
	for i, body := range r.got {
		if binary.BigEndian.Uint32([]byte(body)) != uint32(i) {
			return false
		}
	}
	return true
}

func TestRateOfMessages(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "ws", "wss"} {
		Convey("Over "+kind+" messages beyond the rate wait until they are paid for", t, func() {
			g := newStage(t)
			c, fd, seal := ratedConn(g, kind)
			r := newRated(g, c, fd, Rate{Messages: 10})
			r.wire = seal(numbered(100, 20))
			r.let(0)
			So(len(r.got), ShouldEqual, 10)
			r.let(99 * time.Millisecond)
			So(len(r.got), ShouldEqual, 10)
			r.let(time.Millisecond)
			So(len(r.got), ShouldEqual, 11)
			r.let(time.Second)
			So(len(r.got), ShouldEqual, 21)
			r.let(time.Minute) // a bucket holds no more than a second's worth
			So(len(r.got), ShouldEqual, 31)
			for len(r.got) < 100 && r.now < 2*time.Hour {
				r.let(saveTime)
			}
			So(r.now, ShouldEqual, time.Hour+100*time.Millisecond+time.Second+time.Minute+69*saveTime)
			So(r.inOrder(), ShouldBeTrue)
		})
	}
}

// ratedConn makes a connection, and what turns bytes of its stream into bytes of the wire.
func ratedConn(g *stage, kind string) (c *Conn, fd int, seal func([]byte) []byte) {
	secure, web := kind == "tls" || kind == "wss", kind == "ws" || kind == "wss"
	if !secure && !web {
		c, fd = g.plain()
		return c, fd, func(b []byte) []byte { return b }
	}
	c, fd, peer := g.linked(secure, web)
	return c, fd, func(b []byte) []byte {
		if web {
			b = masked(ws.OpBinary, true, string(b))
		}
		if secure {
			b = peer.records(b, 16<<10)
		}
		return b
	}
}

func TestRateOfBytes(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "ws", "wss"} {
		for _, size := range []int{40, 9000, 300_000} {
			Convey(fmt.Sprintf("Over %s bytes beyond the rate wait, in messages of %d", kind, size), t, func() {
				const rate, all = 50_000, 600_000
				g := newStage(t)
				c, fd, seal := ratedConn(g, kind)
				r := newRated(g, c, fd, Rate{Bytes: rate})
				count := all / (size + 4)
				r.wire = seal(numbered(count, size))
				r.let(0)
				So(len(r.got), ShouldEqual, rate/(size+4))
				r.let(saveTime)
				So(len(r.got), ShouldEqual, (rate+rate/10)/(size+4))
				passed := saveTime
				for ; len(r.got) < count && passed < time.Minute; passed += saveTime {
					r.let(saveTime)
				}
				needed := time.Duration(count*(size+4)-rate) * time.Second / rate
				So(passed, ShouldBeBetweenOrEqual, needed, needed+saveTime)
				So(r.inOrder(), ShouldBeTrue)
			})
		}
	}
}

// TestRateIsExact: whatever comes when, no window of time has more than its worth and
// one bucket.
func TestRateIsExact(t *testing.T) {
	Convey("In no window of time more comes than a bucket and what that time earns", t, func() {
		const rate = 700
		g := newStage(t)
		c, fd := g.plain()
		r := newRated(g, c, fd, Rate{Messages: rate})
		random := rand.New(rand.NewPCG(7, 7))
		type moment struct {
			at  time.Duration
			got int
		}
		moments := []moment{}
		sent := 0
		for range 120 {
			n := random.IntN(200)
			wire := numbered(sent+n, 12)
			r.wire = append(r.wire, wire[sent*16:]...)
			sent += n
			r.let(time.Duration(random.IntN(300)) * time.Millisecond)
			moments = append(moments, moment{r.now, len(r.got)})
		}
		beyond := 0
		for i, from := range moments {
			for _, to := range moments[i+1:] {
				if float64(to.got-from.got) > rate+rate*(to.at-from.at).Seconds() {
					beyond++
				}
			}
		}
		So(beyond, ShouldEqual, 0)
		So(r.inOrder(), ShouldBeTrue)
		for len(r.got) < sent && r.now < 10*time.Hour {
			r.let(time.Second)
		}
		So(len(r.got), ShouldEqual, sent)
	})
	Convey("One that keeps to its rate never waits", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		r := newRated(g, c, fd, Rate{Messages: 100, Bytes: 100 * 16})
		for i := range 500 {
			r.wire = numbered(i+1, 12)[i*16:]
			r.let(10 * time.Millisecond)
			if len(r.got) != i+1 || c.saving() {
				t.Fatalf("message %d waits", i)
			}
		}
	})
}

func TestRateCuts(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "ws", "wss"} {
		Convey("Over "+kind+" a connection that brings more than it may", t, func() {
			g := newStage(t)
			c, fd, seal := ratedConn(g, kind)
			Convey("is cut behind the messages that it may", func() {
				r := newRated(g, c, fd, Rate{Messages: 10, Cut: true})
				r.wire = seal(numbered(10, 20))
				r.let(0)
				So(c.detached, ShouldBeFalse)
				r.wire = seal(numbered(2, 20))
				r.let(100 * time.Millisecond)
				So(c.detached, ShouldBeTrue)
				So(c.cause, ShouldEqual, CauseRate)
				So(len(r.got), ShouldEqual, 11)
				So(r.ends, ShouldEqual, 1)
			})
			Convey("is cut within a long message", func() {
				r := newRated(g, c, fd, Rate{Bytes: 100_000, Cut: true})
				r.wire = append(seal(numbered(1, 20)), seal(numbered(1, 400_000))...)
				r.let(0)
				So(c.detached, ShouldBeTrue)
				So(c.cause, ShouldEqual, CauseRate)
				So(len(r.got), ShouldEqual, 1)
				So(r.ends, ShouldEqual, 1)
			})
			Convey("is not when it brings that in its time", func() {
				r := newRated(g, c, fd, Rate{Messages: 10, Bytes: 240, Cut: true})
				for range 20 {
					r.wire = seal(numbered(1, 20))
					r.let(100 * time.Millisecond)
				}
				So(c.detached, ShouldBeFalse)
				So(len(r.got), ShouldEqual, 20)
			})
		})
	}
}

func TestRateOfFramesThatBringNothing(t *testing.T) {
	frames := map[string]string{
		"pings":        string(masked(ws.OpPing, true, "0123456789012345678901234567890123456789")),
		"empty frames": string(masked(ws.OpBinary, true, "")),
		"frames of single bytes": string(masked(ws.OpBinary, false, "\x00")) + string(masked(ws.OpContinuation, false, "\x00")) +
			string(masked(ws.OpContinuation, false, "\x00")) + string(masked(ws.OpContinuation, true, "\x00")),
	}
	for name, one := range frames {
		for _, kind := range []string{"ws", "wss"} {
			Convey("Over "+kind+", "+name+" count as messages", t, func() {
				g := newStage(t)
				c, fd, _ := ratedConn(g, kind)
				seal := func(b []byte) []byte { return b }
				if kind == "wss" {
					c, fd, seal = sealedFrames(g)
				}
				Convey("of which the others wait", func() {
					r := newRated(g, c, fd, Rate{Messages: 10})
					for range 2 { // what came with one read is read
						r.wire = seal([]byte(strings.Repeat(one, 200)))
						r.let(0)
					}
					So(c.saving(), ShouldBeTrue)
					So(c.detached, ShouldBeFalse)
				})
				Convey("and too many are cut", func() {
					r := newRated(g, c, fd, Rate{Messages: 10, Cut: true})
					r.wire = seal([]byte(strings.Repeat(one, 200)))
					r.let(0)
					So(c.detached, ShouldBeTrue)
					So(c.cause, ShouldEqual, CauseRate)
				})
				Convey("and few cost nothing more", func() {
					r := newRated(g, c, fd, Rate{Messages: 10, Cut: true})
					for range 20 {
						r.wire = seal([]byte(strings.Repeat(one, 1)))
						r.let(500 * time.Millisecond)
					}
					So(c.saving(), ShouldBeFalse)
					So(c.detached, ShouldBeFalse)
				})
			})
		}
	}
}

// sealedFrames makes a connection over wss, and what encrypts frames of WebSocket.
func sealedFrames(g *stage) (c *Conn, fd int, seal func([]byte) []byte) {
	c, fd, peer := g.linked(true, true)
	return c, fd, func(b []byte) []byte { return peer.records(b, 16<<10) }
}

func TestRateAndTheEnd(t *testing.T) {
	Convey("A connection beyond its rate", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		r := newRated(g, c, fd, Rate{Messages: 10})
		r.wire = numbered(40, 20)
		Convey("waits for what the shard has kept, too, when the system has no more of it", func() {
			r.let(0)
			So(unread(int(c.fd)), ShouldEqual, 0)
			So(unix.Shutdown(fd, unix.SHUT_WR), ShouldBeNil)
			r.let(0)
			So(r.ends, ShouldEqual, 0)
			So(len(r.got), ShouldEqual, 10)
			r.let(time.Second)
			So(len(r.got), ShouldEqual, 20)
			r.let(time.Second)
			r.let(time.Second)
			r.let(time.Second)
			So(r.ends, ShouldEqual, 1)
			So(len(r.got), ShouldEqual, 40)
			So(r.inOrder(), ShouldBeTrue)
		})
		Convey("is read to its end after STREAM_CLOSE_TIMEOUT, else at its rate", func() {
			r.wire = numbered(5000, 20)
			r.let(0)
			So(unread(int(c.fd)), ShouldBeGreaterThan, 0)
			So(unix.Shutdown(fd, unix.SHUT_WR), ShouldBeNil)
			r.let(time.Second)
			So(r.ends, ShouldEqual, 0)
			So(len(r.got), ShouldEqual, 20)
			r.let(g.owner.CloseTimeout())
			So(r.ends, ShouldEqual, 1)
			So(len(r.got), ShouldEqual, 5000)
			So(r.inOrder(), ShouldBeTrue)
		})
		Convey("leaves no timer when it ends here", func() {
			r.let(0)
			So(c.saving(), ShouldBeTrue)
			So(len(g.sh.timers), ShouldEqual, 1)
			c.Abort(CauseAbortedHere)
			So(len(g.sh.timers), ShouldEqual, 0)
		})
		Convey("can be finished here", func() {
			r.let(0)
			c.Finish(CauseClosedHere, noTime)
			_ = unix.Close(fd)
			r.let(0)
			So(r.ends, ShouldEqual, 1)
		})
	})
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// pass lets time pass, a second at a time, and has the shard do what is due.
func (g *stage) pass(d time.Duration) {
	for d > 0 {
		skip(min(d, time.Second))
		d -= time.Second
		g.step()
	}
	g.step()
}

// skip lets time pass at once.
func skip(d time.Duration) {
	clockSkip.Add(int64(d))
	Reset(func() { clockSkip.Add(-int64(d)) })
}

// says is a message of the peer.
func says(fd int, body string) {
	_, _ = unix.Write(fd, append([]byte{0, 0, 0, byte(len(body))}, body...))
}

// ends returns how many disconnect events have come.
func (o *ownerStub) ends() (n int) {
	for o.shared.NextRun() {
		if o.shared.RxRun.Kind == shm.RunDisconnected {
			n++
		}
		r := o.shared.RxRun
		o.shared.RxLeft = 0
		o.shared.EndRun()
		if r.Kind == shm.RunData {
			r.Session.RxTake(r)
			o.shared.RxWaiting.Add(-int64(r.Size))
			r.Slab.Release()
		}
	}
	return n
}

func TestIdle(t *testing.T) {
	Convey("A connection from which nothing comes", t, func() {
		g := newStage(t)
		g.deadlines.Idle = time.Minute
		c, peer := g.plain()
		Convey("is ended when its time is over, and not before", func() {
			g.pass(59 * time.Second)
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			g.pass(4 * time.Second)
			So(c.fd, ShouldEqual, -1)
			So(c.Cause(), ShouldEqual, CauseIdle)
			So(g.owner.ends(), ShouldEqual, 1)
			n, err := unix.Read(peer, make([]byte, 1))
			So(n, ShouldEqual, 0) // an end, and no reset
			So(err, ShouldBeNil)
			So(g.sh.wheel.count, ShouldEqual, 0)
		})
		Convey("has its time anew with every byte", func() {
			for range 20 {
				g.pass(59 * time.Second)
				_, _ = unix.Write(peer, []byte{0})
				g.step()
				g.owner.takeAll()
			}
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			g.pass(63 * time.Second)
			So(c.fd, ShouldEqual, -1)
		})
		Convey("is ended although bytes go out to it", func() {
			g.pass(59 * time.Second)
			g.queue(c, "news")
			g.pass(4 * time.Second)
			So(c.finishing, ShouldBeTrue)
			So(swallow(peer), ShouldEqual, 8)
			watchdog(t, "the end", func() bool { g.step(); return c.fd < 0 })
		})
		Convey("stays when the kernel has some of its bytes", func() {
			_, _ = unix.Write(peer, []byte{0})
			skip(70 * time.Second)
			g.step() // the deadlines come before the reading
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			g.pass(80 * time.Second)
			So(c.fd, ShouldEqual, -1)
		})
		Convey("stays as long as this side does not read it", func() {
			g.owner.shared.RxWaiting.Add(2 * throttleBytes)
			c.park()
			for range 5 {
				g.pass(70 * time.Second)
			}
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			g.owner.shared.RxWaiting.Add(-2 * throttleBytes)
			c.unpark()
			g.pass(70 * time.Second)
			So(c.fd, ShouldEqual, -1)
		})
		Convey("leaves nothing behind for the next one with its descriptor", func() {
			was := c.fd
			g.pass(50 * time.Second)
			c.Abort(CauseAbortedHere)
			next, _ := g.plain()
			So(next.fd, ShouldEqual, was)
			g.pass(50 * time.Second)
			So(next.fd, ShouldEqual, was)
			g.pass(12 * time.Second)
			So(next.fd, ShouldEqual, -1)
		})
		Convey("is left alone once its peer has ended and the application knows", func() {
			says(peer, "x")
			_ = unix.Shutdown(peer, unix.SHUT_WR)
			for range 4 {
				g.step()
			}
			So(c.announced, ShouldBeTrue)
			So(c.detached, ShouldBeFalse)
			g.pass(10 * time.Minute)
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
		})
		Convey("that takes nothing either is still ended, with what is queued", func() {
			for !c.blocked {
				g.queue(c, strings.Repeat("x", 10_000))
				g.step()
			}
			g.pass(70 * time.Second)
			So(c.finishing, ShouldBeTrue)
			So(c.watched(), ShouldBeTrue) // CLOSE_TIMEOUT goes on from here
			So(g.owner.ends(), ShouldEqual, 1)
		})
	})
}

func TestIdleBehindALink(t *testing.T) {
	Convey("A peer of ws", t, func() {
		g := newStage(t)
		g.deadlines.Idle = time.Minute
		c, peer, _ := g.linked(false, true)
		pong := []byte{0x8a, 0x80, 0, 0, 0, 0}
		Convey("is not idle while it sends frames of any kind", func() {
			for range 5 {
				g.pass(50 * time.Second)
				_, _ = unix.Write(peer, pong)
				g.step()
				g.step()
			}
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
		})
		Convey("is told 1001 and why", func() {
			g.pass(63 * time.Second)
			So(c.finishing, ShouldBeTrue)
			frame := make([]byte, 200)
			n, _ := unix.Read(peer, frame)
			So(string(frame[:n]), ShouldEqual, "\x88\x23\x03\xe9"+CauseIdle.String())
		})
		Convey("that is not read because it does not take its answers is idle unless it takes some", func() {
			c.link.paused, c.link.sent = true, 1000
			_, _ = unix.Write(peer, pong)
			g.pass(63 * time.Second) // it has taken some since the beginning
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			So(c.finishing, ShouldBeFalse)
			c.link.sent = 2000
			c.link.paused = true
			c.heardAt = g.sh.now
			g.pass(63 * time.Second)
			So(c.finishing, ShouldBeFalse)
			c.link.paused = true
			c.heardAt = g.sh.now
			g.pass(63 * time.Second)
			So(c.finishing, ShouldBeTrue)
		})
	})
}

func TestFirstMessage(t *testing.T) {
	Convey("An accepted connection", t, func() {
		g := newStage(t)
		g.deadlines.FirstMessage = time.Minute
		c, peer := g.plain()
		Convey("that sends nothing is ended", func() {
			g.pass(59 * time.Second)
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			g.pass(4 * time.Second)
			So(c.fd, ShouldEqual, -1)
		})
		Convey("that sends parts of a message is ended", func() {
			_, _ = unix.Write(peer, []byte{0, 0, 0, 100})
			for range 63 {
				g.pass(time.Second)
				_, _ = unix.Write(peer, []byte{1})
			}
			So(c.fd, ShouldEqual, -1)
		})
		Convey("that has sent one stays", func() {
			says(peer, "")
			g.step()
			g.step()
			g.pass(time.Hour)
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			So(g.sh.wheel.count, ShouldEqual, 1) // looked at once in a while
		})
		Convey("whose message the kernel has stays", func() {
			says(peer, "just in time")
			skip(63 * time.Second)
			g.step()
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			So(c.Received.Load(), ShouldEqual, 1)
		})
		Convey("that has ended meanwhile is ended once", func() {
			_, _ = unix.Write(peer, []byte{0})
			_ = unix.Close(peer)
			g.pass(63 * time.Second)
			So(c.fd, ShouldEqual, -1)
			So(g.owner.ends(), ShouldEqual, 1)
		})
		Convey("that is not read has its time anew", func() {
			g.owner.shared.RxWaiting.Add(2 * throttleBytes)
			c.park()
			g.pass(63 * time.Second)
			So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
			g.owner.shared.RxWaiting.Add(-2 * throttleBytes)
			c.unpark()
			g.pass(63 * time.Second)
			So(c.fd, ShouldEqual, -1)
		})
	})
}

func TestAge(t *testing.T) {
	Convey("An accepted connection is ended when it is old, whatever it does", t, func() {
		g := newStage(t)
		g.deadlines = Deadlines{Idle: time.Minute, Age: time.Hour}
		c, peer := g.plain()
		for range 71 {
			g.pass(50 * time.Second)
			says(peer, "here")
			g.step()
			g.step()
			g.owner.takeAll()
		}
		So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
		g.pass(2 * time.Minute)
		So(c.fd, ShouldEqual, -1)
	})
	Convey("A connection that this side has dialled may be old, and say nothing at first", t, func() {
		g := newStage(t)
		g.deadlines = Deadlines{FirstMessage: time.Minute, Age: time.Hour}
		ours, _ := g.pair()
		from := &origin{owner: g.owner, queues: g.owner.shared, limits: Limits{Deadlines: g.deadlines}, dialer: &Dialer{}}
		c := &Conn{origin: from, shard: g.sh, fd: int32(ours)}
		c.startDeadlines()
		So(g.sh.wheel, ShouldBeNil)
		c.limits.Idle = 2 * time.Hour
		c.startDeadlines()
		g.sh.now += 90 * 60_000
		So(c.ageLeft(), ShouldEqual, unlimited)
		So(c.firstLeft(), ShouldEqual, unlimited)
		So(c.idleLeft(), ShouldEqual, 30*time.Minute)
		c.stopDeadlines()
		_ = unix.Close(ours)
	})
}

func TestShortAndLongDeadlines(t *testing.T) {
	Convey("A millisecond, and the longest time that an option takes", t, func() {
		g := newStage(t)
		g.deadlines.Idle = time.Millisecond
		short, _ := g.plain()
		g.deadlines.Idle = math.MaxInt32 * time.Millisecond
		long, _ := g.plain()
		g.pass(2 * time.Millisecond)
		So(short.fd, ShouldEqual, -1)
		for range 24 * 24 {
			skip(time.Hour)
			g.step()
		}
		So(long.fd, ShouldBeGreaterThanOrEqualTo, 0)
		for range 48 {
			skip(time.Hour)
			g.step()
		}
		So(long.fd, ShouldEqual, -1)
	})
}

func TestCrowdIsIdleAtOnce(t *testing.T) {
	Convey("Of a crowd whose time is over at once, a round ends some", t, func() {
		g := newStage(t)
		g.deadlines.Idle = time.Minute
		const crowd = 5 * looksAtOnce / 2
		for range crowd {
			g.plain()
		}
		skip(63 * time.Second)
		var left []int
		for range 4 {
			g.step()
			left = append(left, g.sh.Connections())
		}
		So(left, ShouldResemble, []int{crowd - looksAtOnce, crowd - 2*looksAtOnce, 0, 0})
	})
}

func TestDeadlinesAllocateNothing(t *testing.T) {
	Convey("Neither a message nor a look allocates for deadlines", t, func() {
		g := newStage(t)
		g.deadlines = Deadlines{Idle: time.Minute, FirstMessage: time.Second, Age: 24 * time.Hour}
		c, peer := g.plain()
		buf := []byte{0, 0, 0, 0}
		one := func() {
			_, _ = unix.Write(peer, buf)
			clockSkip.Add(int64(time.Second))
			g.step()
			g.step()
			g.owner.takeAll()
		}
		one()
		allocations := testing.AllocsPerRun(300, one)
		clockSkip.Add(-302 * int64(time.Second))
		So(allocations, ShouldEqual, 0)
		So(c.fd, ShouldBeGreaterThanOrEqualTo, 0)
	})
}

// BenchmarkIdleDeadlines lets connections that have deadlines say something now and then,
// and reports what their deadlines cost of a processor. They have no descriptors, so there
// may be 100,000 of them; a wake-up of the shard is counted as 20 µs.
func BenchmarkIdleDeadlines(b *testing.B) {
	const crowd, minutes, wakeUp = 100_000, 10, 20 * time.Microsecond
	sh := &Shard{wheel: new(wheel), clocked: true}
	from := &origin{limits: Limits{Deadlines: Deadlines{Idle: 120 * time.Second, FirstMessage: 30 * time.Second, Age: 24 * time.Hour}}}
	conns := make([]*Conn, crowd)
	for fd := range conns {
		c := &Conn{origin: from, shard: sh, fd: int32(fd)}
		c.Received.Store(1)
		c.heardAt = tick(fd * 60_000 / crowd)
		sh.byFd = append(sh.byFd, registration{handler: c})
		sh.wheel.await(c.fd, sh.now, time.Duration(fd%120_000)*time.Millisecond)
		conns[fd] = c
	}
	wakeUps, spent := 0, time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		for end := sh.now + minutes*60_000; sh.now.before(end); wakeUps++ {
			sh.now += tick(sh.wheel.patience(sh.now))
			for _, c := range conns {
				if sh.now.since(c.heardAt) > time.Minute {
					c.heardAt = sh.now
				}
			}
			begun := time.Now()
			for sh.runWheel() {
			}
			spent += time.Since(begun)
		}
	}
	passed := time.Duration(b.N) * minutes * time.Minute
	b.ReportMetric(100*float64(spent)/float64(passed), "%core")
	b.ReportMetric(100*float64(spent+time.Duration(wakeUps)*wakeUp)/float64(passed), "%core-with-wakeups")
	b.ReportMetric(float64(wakeUps)/passed.Seconds(), "wakeups/s")
	b.ReportMetric(0, "ns/op")
}

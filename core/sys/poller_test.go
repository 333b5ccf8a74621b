// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

func streamPair(t *testing.T) (int, int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func TestPoller(t *testing.T) {
	Convey("A poller", t, func() {
		p, err := OpenPoller()
		So(err, ShouldBeNil)
		Reset(p.Close)
		a, b := streamPair(t)
		events := make([]Report, 8)
		wait := func(timeoutMs int) []Report {
			n, err := p.Wait(events, timeoutMs)
			So(err, ShouldBeNil)
			return events[:n]
		}
		ready := func(reports []Report) Readiness {
			So(len(reports), ShouldEqual, 1)
			return reports[0].Ready()
		}
		put := func() {
			_, err := unix.Write(b, []byte("x"))
			So(err, ShouldBeNil)
		}

		Convey("waits no longer than it should, and not shorter", func() {
			So(wait(0), ShouldBeEmpty)
			start := time.Now()
			So(wait(20), ShouldBeEmpty)
			So(time.Since(start), ShouldBeGreaterThanOrEqualTo, 19*time.Millisecond)
		})
		Convey("reports every change of an edge triggered descriptor once, with its tag", func() {
			So(p.AddEdge(a, 77), ShouldBeNil)
			ev := wait(-1)
			So(len(ev), ShouldEqual, 1)
			So([]int32{int32(ev[0].Fd()), ev[0].Tag()}, ShouldResemble, []int32{int32(a), 77})
			So(ev[0].Ready(), ShouldEqual, Writable)
			So(wait(0), ShouldBeEmpty)
			put()
			So(ready(wait(-1))&Readable, ShouldNotEqual, 0)
			So(wait(0), ShouldBeEmpty)
			put()
			So(len(wait(0)), ShouldEqual, 1)
			_ = unix.Shutdown(b, unix.SHUT_WR)
			So(ready(wait(-1))&Ended, ShouldNotEqual, 0)
		})
		level := func(tag int32) {
			So(p.Reserve(a), ShouldBeNil)
			p.Level(a, tag, true)
		}
		Convey("reports nothing of a descriptor that is only reserved, but its end", func() {
			So(p.Reserve(a), ShouldBeNil)
			put()
			So(wait(0), ShouldBeEmpty)
			_ = unix.Shutdown(a, unix.SHUT_RDWR)
			ev := wait(0)
			So(len(ev), ShouldEqual, 1)
			So(ev[0].Tag(), ShouldEqual, NoTag)
		})
		Convey("reports a level triggered descriptor as long as it is readable, when on", func() {
			level(5)
			So(wait(0), ShouldBeEmpty)
			put()
			for range 3 {
				ev := wait(0)
				So(len(ev), ShouldEqual, 1)
				So(ev[0].Tag(), ShouldEqual, 5)
			}
			p.Level(a, 5, false)
			So(wait(0), ShouldBeEmpty)
			p.Level(a, 5, true)
			So(len(wait(0)), ShouldEqual, 1)
		})
		Convey("forgets a removed descriptor, which can be added again", func() {
			level(5)
			So(p.Reserve(a) != nil, ShouldBeTrue)
			put()
			p.Remove(a)
			So(wait(0), ShouldBeEmpty)
			level(6)
			So(wait(0)[0].Tag(), ShouldEqual, 6)
			p.Remove(b) // was never there
		})
		Convey("refuses a descriptor that is not open", func() {
			So(p.AddEdge(1<<20, 0) != nil, ShouldBeTrue)
			So(p.Reserve(1<<20) != nil, ShouldBeTrue)
		})
		Convey("stores no more events than fit", func() {
			level(1)
			So(p.AddEdge(b, 2), ShouldBeNil)
			put()
			n, err := p.Wait(events[:1], 0)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, 1)
		})
		Convey("is woken before a wait, without an event, once", func() {
			p.Wake()
			start := time.Now()
			So(wait(120_000), ShouldBeEmpty)
			So(time.Since(start), ShouldBeLessThan, 60*time.Second)
			start = time.Now()
			So(wait(10), ShouldBeEmpty)
			So(time.Since(start), ShouldBeGreaterThanOrEqualTo, 9*time.Millisecond)
		})
		Convey("is woken during a wait, again and again", func() {
			for range 50 {
				woken := make(chan int, 1)
				go func() {
					n, _ := p.Wait(events, -1)
					woken <- n
				}()
				p.Wake()
				So(<-woken, ShouldEqual, 0)
			}
		})
		Convey("reports events that come together with a wake-up", func() {
			level(5)
			for range 20 {
				put()
				p.Wake()
				ev := wait(-1)
				So(len(ev), ShouldEqual, 1)
				So(ev[0].Fd(), ShouldEqual, a)
			}
		})
	})
}

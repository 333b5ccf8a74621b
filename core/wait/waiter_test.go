// SPDX-License-Identifier: MPL-2.0

package wait

import (
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
)

const patience = 60 * time.Second

// startWait waits on a goroutine of its own.
func startWait(w *Waiter, deadline time.Time) chan error {
	done := make(chan error, 1)
	go func() { done <- w.Wait(deadline) }()
	return done
}

func TestWaiter(t *testing.T) {
	Convey("A wait", t, func() {
		w := New()
		Convey("ends at once after a signal, as often as it is asked", func() {
			w.Signal()
			w.Signal()
			So(w.Signalled(), ShouldBeTrue)
			So(w.Wait(time.Time{}), ShouldBeNil)
			So(w.Wait(time.Time{}), ShouldBeNil)
			w.Reset()
			So(w.Signalled(), ShouldBeFalse)
		})
		Convey("ends with a signal that comes while it sleeps", func() {
			done := startWait(w, time.Time{})
			select {
			case <-done:
				t.Fatal("it ended without a signal")
			case <-time.After(20 * time.Millisecond):
			}
			w.Signal()
			So(<-done, ShouldBeNil)
		})
		Convey("forgets a signal that was reset", func() {
			w.Signal()
			w.Reset()
			So(w.Wait(time.Now().Add(time.Millisecond)), ShouldEqual, errno.EAGAIN)
		})
		Convey("ends with EAGAIN at the deadline, not before", func() {
			for _, pause := range []time.Duration{0, -time.Second, time.Microsecond, 3 * time.Millisecond, 20 * time.Millisecond} {
				start := time.Now()
				So(w.Wait(start.Add(pause)), ShouldEqual, errno.EAGAIN)
				So(time.Since(start), ShouldBeGreaterThanOrEqualTo, pause)
				So(time.Since(start), ShouldBeLessThan, patience)
			}
		})
		Convey("prefers a signal to a deadline in the past", func() {
			w.Signal()
			So(w.Wait(time.Unix(1, 0)), ShouldBeNil)
		})
	})
}

func TestWaiterStress(t *testing.T) {
	Convey("No signal is missed, whenever it comes", t, func() {
		ping, pong := New(), New()
		const rounds = 5000
		go func() {
			for range rounds {
				_ = ping.Wait(time.Time{})
				ping.Reset()
				pong.Signal()
			}
		}()
		missed := 0
		for range rounds {
			ping.Signal()
			if pong.Wait(time.Now().Add(patience)) != nil {
				missed++
				break
			}
			pong.Reset()
		}
		So(missed, ShouldEqual, 0)
	})
}

func readable(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n == 1
}

func TestWaiterFd(t *testing.T) {
	Convey("A waiter's descriptor", t, func() {
		w := New()
		So(w.Fd(), ShouldEqual, -1)
		w.CloseFd()
		fd, err := w.OpenFd()
		So(err, ShouldBeNil)
		So(w.Fd(), ShouldEqual, fd)
		So(readable(fd), ShouldBeFalse)
		Convey("is readable from a signal to the reset", func() {
			w.Signal()
			w.Signal()
			So(readable(fd), ShouldBeTrue)
			So(w.Wait(time.Time{}), ShouldBeNil)
			So(readable(fd), ShouldBeTrue)
			w.Reset()
			So(readable(fd), ShouldBeFalse)
			w.Signal()
			So(readable(fd), ShouldBeTrue)
		})
		Convey("is closed on exec and does not block", func() {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			So(err, ShouldBeNil)
			So(flags&unix.FD_CLOEXEC, ShouldNotEqual, 0)
			w.Reset() // an empty eventfd: this would block
		})
		Reset(func() {
			w.CloseFd()
			So(w.Fd(), ShouldEqual, -1)
			_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			So(err, ShouldEqual, unix.EBADF)
			w.Signal() // does no harm
		})
	})
}

func TestList(t *testing.T) {
	Convey("A list", t, func() {
		var l List
		a, b, c := New(), New(), New()
		l.Signal()
		l.Add(a)
		l.Add(b)
		l.Add(c)
		Convey("signals all of its waiters", func() {
			l.Signal()
			So([]bool{a.Signalled(), b.Signalled(), c.Signalled()}, ShouldResemble, []bool{true, true, true})
		})
		Convey("does not signal those that were removed", func() {
			l.Remove(a)
			l.Remove(New())
			l.Remove(c)
			l.Signal()
			So([]bool{a.Signalled(), b.Signalled(), c.Signalled()}, ShouldResemble, []bool{false, true, false})
			l.Remove(b)
			b.Reset()
			l.Signal()
			So(b.Signalled(), ShouldBeFalse)
		})
		Convey("has a waiter as often as it was added", func() {
			l.Add(a)
			l.Remove(a)
			l.Signal()
			So(a.Signalled(), ShouldBeTrue)
		})
		Convey("wakes sleepers", func() {
			first, second := startWait(a, time.Time{}), startWait(b, time.Time{})
			l.Signal()
			So(<-first, ShouldBeNil)
			So(<-second, ShouldBeNil)
		})
	})
}

func TestGet(t *testing.T) {
	Convey("A waiter of Get never has an old signal", t, func() {
		for range 100 {
			w := Get()
			So(w.Signalled(), ShouldBeFalse)
			So(w.Fd(), ShouldEqual, -1)
			w.Signal()
			Put(w)
		}
	})
}

// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

func TestFutex(t *testing.T) {
	Convey("A word of memory", t, func() {
		word := new(atomic.Uint32)

		Convey("is not slept at when it has another value", func() {
			So(FutexWait(word, 1, -1), ShouldEqual, EAGAIN)
		})
		Convey("is slept at for as long as was said", func() {
			start := time.Now()
			So(FutexWait(word, 0, 0), ShouldEqual, unix.ETIMEDOUT)
			e := EINTR // Go's scheduler may interrupt
			for e == EINTR {
				e = FutexWait(word, 0, 5*time.Millisecond)
			}
			So(e, ShouldEqual, unix.ETIMEDOUT)
			So(time.Since(start), ShouldBeGreaterThanOrEqualTo, 5*time.Millisecond)
		})
		Convey("wakes who sleeps, whenever that began", func() {
			for range 200 {
				word.Store(0)
				over := make(chan bool)
				go func() {
					for word.Load() == 0 {
						_ = FutexWait(word, 0, -1)
					}
					over <- true
				}()
				word.Store(1)
				FutexWake(word)
				So(<-over, ShouldBeTrue)
			}
		})
		Convey("may be woken without anybody there", func() { FutexWake(word) })
	})
}

func TestFutexWaitLong(t *testing.T) {
	Convey("A long wait", t, func() {
		word := new(atomic.Uint32)

		Convey("ends as others do", func() {
			So(FutexWaitLong(word, 1, -1), ShouldEqual, EAGAIN)
			So(FutexWaitLong(word, 0, 0), ShouldEqual, unix.ETIMEDOUT)
			over := make(chan bool)
			go func() {
				for word.Load() == 0 {
					_ = FutexWaitLong(word, 0, -1)
				}
				over <- true
			}()
			word.Store(1)
			FutexWake(word)
			So(<-over, ShouldBeTrue)
		})
		Convey("gives the only processor to another goroutine, however short it is", func() {
			before := runtime.GOMAXPROCS(1)
			Reset(func() { runtime.GOMAXPROCS(before) })
			const tries = 100
			given := 0
			for range tries {
				var ran atomic.Bool
				go ran.Store(true)
				_ = FutexWaitLong(word, 0, 0)
				if ran.Load() { // else the scheduler had something else to run
					given++
				}
			}
			So(given, ShouldBeGreaterThan, tries/2)
		})
	})
}

func TestBarrier(t *testing.T) {
	Convey("A barrier says the same each time", t, func() {
		first := Barrier()
		So(Barrier(), ShouldEqual, first)
	})
}

func TestEvent(t *testing.T) {
	Convey("An event is readable from its setting to its clearing", t, func() {
		fd, err := OpenEvent()
		So(err, ShouldBeNil)
		Reset(func() { Close(fd) })
		readable := func() int {
			n, err := Poll([]PollFd{{Fd: int32(fd), Events: PollIn}}, 0)
			So(err, ShouldBeNil)
			return n
		}
		So(readable(), ShouldEqual, 0)
		ClearEvent(fd) // it does not block
		SetEvent(fd)
		SetEvent(fd)
		So(readable(), ShouldEqual, 1)
		So(readable(), ShouldEqual, 1)
		ClearEvent(fd)
		So(readable(), ShouldEqual, 0)
	})
}

func TestPoll(t *testing.T) {
	Convey("A wait for descriptors ends with one that is ready, or after its time", t, func() {
		a, b := streamPair(t)
		fds := []PollFd{{Fd: int32(a), Events: PollIn}, {Fd: int32(b), Events: PollIn | PollOut}}
		n, err := Poll(fds[:1], 0)
		So([]any{n, err}, ShouldResemble, []any{0, nil})
		n, err = Poll(fds, -1)
		So([]any{n, err}, ShouldResemble, []any{1, nil})
		So(fds[1].Revents, ShouldEqual, PollOut)
		_, _ = unix.Write(b, []byte("x"))
		n, err = Poll(fds[:1], time.Hour)
		So([]any{n, err}, ShouldResemble, []any{1, nil})
		So(fds[0].Revents, ShouldEqual, PollIn)
	})
}

// The data path allocates nothing here; AllocsPerRun counts what it does.
func TestPromptCallsAllocateNothing(t *testing.T) {
	a, b := streamPair(t)
	event, err := OpenEvent()
	if err != nil {
		t.Fatal(err)
	}
	defer Close(event)
	poller, err := OpenPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	word := new(atomic.Uint32)
	data, buf, parts, reports := []byte("data"), make([]byte, 64), make([]Vector, 2), make([]Report, 8)
	Convey("Calls of the data path allocate nothing", t, func() {
		So(testing.AllocsPerRun(100, func() {
			_, _ = Send(a, data)
			parts[0].Set(&data[0], 2)
			parts[1].Set(&data[2], 2)
			_, _ = SendVectors(a, parts)
			_, _ = Unread(b)
			_, _ = Unsent(a)
			_, _ = Recv(b, buf[:4])
			parts[0].Set(&buf[0], 32)
			_, _ = RecvVectors(b, parts[:1])
			_, _ = Recv(b, buf) // EAGAIN
			SetEvent(event)
			ClearEvent(event)
			FutexWake(word)
			_ = FutexWait(word, 0, time.Microsecond)
			_ = Barrier()
			poller.Wake()
			_, _ = poller.Wait(reports, 0)
			_, _, _ = Accept(a) // EINVAL
			Yield()
		}), ShouldEqual, 0)
	})
}

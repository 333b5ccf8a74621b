// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"
)

func TestThread(t *testing.T) {
	Convey("A thread gets its name, its slack and its processors", t, func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var before unix.CPUSet
		So(unix.SchedGetaffinity(0, &before), ShouldBeNil)
		Reset(func() { _ = unix.SchedSetaffinity(0, &before) })
		first := 0
		for !before.IsSet(first) {
			first++
		}

		NameThread("zlink-sys")
		var name [16]byte
		So(unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0), ShouldBeNil)
		So(unix.ByteSliceToString(name[:]), ShouldEqual, "zlink-sys")

		SetTimerSlack(70 * time.Microsecond)
		slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		So([]any{slack, err}, ShouldResemble, []any{70_000, nil})

		PinThread([]int{first})
		var now unix.CPUSet
		So(unix.SchedGetaffinity(0, &now), ShouldBeNil)
		So([]any{now.Count(), now.IsSet(first)}, ShouldResemble, []any{1, true})

		SetPriority(unix.SCHED_BATCH, 0)
		attr, err := unix.SchedGetAttr(0, 0)
		So(err, ShouldBeNil)
		So(attr.Policy, ShouldEqual, unix.SCHED_BATCH)
		SetPriority(unix.SCHED_BATCH, 99) // it has none; all stays as it was
		Yield()
	})
}

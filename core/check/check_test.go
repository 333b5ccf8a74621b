// SPDX-License-Identifier: MPL-2.0

package check

import (
	"strings"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

func TestThat(t *testing.T) {
	Convey("What does not hold ends the process in builds that check, and in no other", t, func() {
		That(true, "nothing")
		if On {
			So(func() { That(false, "one is two") }, ShouldPanicWith, "zlink: this does not hold: one is two")
		} else {
			So(func() { That(false, "one is two") }, ShouldNotPanic)
		}
	})
}

func TestTransitions(t *testing.T) {
	if !On {
		t.Log("not run here: only builds that check keep transitions")
		return
	}
	Convey("The last transitions of a shard are printed in their order", t, func() {
		var one, other int
		for range 300 {
			Note(unsafe.Pointer(&one), FallsAsleep)
			Note(unsafe.Pointer(&one), Woken)
		}
		Note(unsafe.Pointer(&other), ThreadDrives)
		var out strings.Builder
		PrintTransitions(&out)
		So(out.String(), ShouldContainSubstring, "the last of 600 transitions")
		So(strings.Count(out.String(), "the driver falls asleep\n"), ShouldEqual, 128)
		So(strings.Count(out.String(), "the driver is woken\n"), ShouldEqual, 128)
		So(strings.Count(out.String(), "the thread drives\n"), ShouldEqual, 1)
		for what := ThreadDrives; what <= Resumed; what++ {
			So(what.String(), ShouldNotBeBlank)
		}
	})
}

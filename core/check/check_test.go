// SPDX-License-Identifier: MPL-2.0

package check

import (
	"testing"

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

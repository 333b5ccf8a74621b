// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func TestHeapAfterFlood(t *testing.T) {
	Convey("What ended connections leave in Go's heap", t, func() {
		var calls atomic.Int32
		old := host.Compact
		host.Compact = func() { calls.Add(1) }
		compact() // whatever other tests left
		for calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		calls.Store(0)
		Reset(func() { host.Compact = old })

		Convey("is no reason for a collection while it is little", func() {
			leaves(compactWorth - 1)
			So(left.looks.Load(), ShouldBeFalse)
		})
		Convey("is none while they go on coming and going", func() {
			for range 15 {
				left.bytes.Add(compactWorth)
				So(floodIsOver(), ShouldBeFalse)
			}
			So(floodIsOver(), ShouldBeTrue)
		})
		Convey("is collected once, when the flood is over", func() {
			leaves(2 * compactWorth)
			So(left.looks.Load(), ShouldBeTrue)
			for end := time.Now().Add(time.Minute); calls.Load() == 0 && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			So(calls.Load(), ShouldEqual, 1)
			So(left.bytes.Load(), ShouldEqual, 0)
		})
	})
}

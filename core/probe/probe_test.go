// SPDX-License-Identifier: MPL-2.0

package probe

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestProbes(t *testing.T) {
	Convey("Nobody looks until a tracer is counted, and then it gets what a probe tells", t, func() {
		before, to := wanted, tracer
		defer Set(before, to)
		for p := Accept; p < Count; p++ {
			So(On(p), ShouldBeFalse)
			Fire(p, 1, 2, 3, 4, "nobody hears it")
		}
		w, got := new(Wanted), []any{}
		Set(w, func(p Probe, socket uint64, peer uint32, a, b uint64, text string) {
			got = append(got, p, socket, peer, a, b, text)
		})
		w[Close].Add(1)
		So(On(Close), ShouldBeTrue)
		So(On(Accept), ShouldBeFalse)
		Fire(Close, 1<<40, 2, 3, 4, "tcp://a:1")
		So(got, ShouldResemble, []any{Close, uint64(1 << 40), uint32(2), uint64(3), uint64(4), "tcp://a:1"})
	})
}

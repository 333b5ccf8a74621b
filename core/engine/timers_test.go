// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func TestTimers(t *testing.T) {
	Convey("Timers", t, func() {
		var list timers
		var fired []int
		start := time.Now()
		add := func(n int) *timer {
			return list.after(time.Duration(n)*time.Second, func() { fired = append(fired, n) })
		}
		Convey("without one, nothing is due", func() {
			So(list.next().IsZero(), ShouldBeTrue)
			So(list.run(start.Add(time.Hour)), ShouldBeFalse)
			list.cancel(nil)
		})
		Convey("fire in the order of their times, when due", func() {
			for _, n := range []int{5, 1, 4, 2, 3} {
				add(n)
			}
			So(list.next(), ShouldHappenWithin, 2*time.Second, start)
			So(list.run(start), ShouldBeFalse)
			So(list.run(time.Now().Add(3*time.Second)), ShouldBeTrue)
			So(fired, ShouldResemble, []int{1, 2, 3})
			So(list.run(time.Now().Add(9*time.Second)), ShouldBeTrue)
			So(fired, ShouldResemble, []int{1, 2, 3, 4, 5})
			So(list.next().IsZero(), ShouldBeTrue)
		})
		Convey("do not fire when cancelled, and may be cancelled twice or late", func() {
			one, two := add(1), add(2)
			list.cancel(one)
			list.cancel(one)
			list.run(time.Now().Add(9 * time.Second))
			So(fired, ShouldResemble, []int{2})
			list.cancel(two)
		})
		Convey("may start and cancel others when they fire", func() {
			victim := add(3)
			list.after(time.Second, func() {
				list.cancel(victim)
				list.after(time.Hour, func() { fired = append(fired, 99) })
			})
			So(list.run(time.Now().Add(9*time.Second)), ShouldBeTrue)
			So(fired, ShouldBeEmpty)
			So(len(list), ShouldEqual, 1)
		})
		Convey("keep their order whatever is cancelled", func() {
			var all []*timer
			for range 500 {
				all = append(all, add(rand.IntN(1000)))
			}
			cancelled := 0
			for _, tm := range all {
				if rand.IntN(3) == 0 {
					list.cancel(tm)
					cancelled++
				}
			}
			for list.run(time.Now().Add(time.Hour)) {
			}
			So(len(fired), ShouldEqual, 500-cancelled)
			for i := 1; i < len(fired); i++ {
				if fired[i] < fired[i-1] {
					t.Fatalf("%d fired before %d", fired[i-1], fired[i])
				}
			}
		})
	})
}

func TestRing(t *testing.T) {
	Convey("A ring gives connections in the order they came, whatever wraps and grows", t, func() {
		var r ring
		var model []*Conn
		longest := 0
		for i := range 10_000 {
			// Long phases of growth and of shrinking.
			if len(model) == 0 || rand.IntN(8) < 3+2*(i/500%2) {
				c := &Conn{Index: int32(i)}
				r.push(c)
				model = append(model, c)
			} else {
				if got := r.pop(); got != model[0] {
					t.Fatalf("step %d: got %d, not %d", i, got.Index, model[0].Index)
				}
				model = model[1:]
			}
			longest = max(longest, len(model))
			if r.len() != len(model) {
				t.Fatalf("step %d: length %d, not %d", i, r.len(), len(model))
			}
		}
		So(longest, ShouldBeGreaterThan, 64)
		for range model {
			r.pop()
		}
		So(r.len(), ShouldEqual, 0)
		for _, c := range r.items {
			So(c == nil, ShouldBeTrue) // nothing is kept from the collector
		}
	})
}

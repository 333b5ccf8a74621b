// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// countedHeap returns a watch of its own, for which no other test leaves anything, and the
// number of its collections.
func countedHeap() (*heapWatch, *atomic.Int32) {
	calls := &atomic.Int32{}
	collect := func() { calls.Add(1) }
	return &heapWatch{collect: func() func() { return collect }}, calls
}

func TestHeapAfterFlood(t *testing.T) {
	Convey("What ended connections leave in Go's heap", t, func() {
		h, calls := countedHeap()

		Convey("is no reason for a collection while it is little", func() {
			h.leaves(compactWorth - 1)
			So(h.looks.Load(), ShouldBeFalse)
		})
		Convey("is none while they go on coming and going", func() {
			for range 15 {
				h.bytes.Add(compactWorth)
				So(h.floodIsOver(), ShouldBeFalse)
			}
			So(h.floodIsOver(), ShouldBeTrue)
		})
		Convey("is collected once, when the flood is over", func() {
			h.leaves(2 * compactWorth)
			So(h.looks.Load(), ShouldBeTrue)
			for end := time.Now().Add(time.Minute); calls.Load() == 0 && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			So(calls.Load(), ShouldEqual, 1)
			So(h.bytes.Load(), ShouldEqual, 0)
		})
	})
}

func TestHeapAfterTheTail(t *testing.T) {
	Convey("What is allocated after a collection", t, func() {
		w := tailWatch{collected: 1000, looked: 1000}
		look := func(now uint64) []bool {
			busy, collect := w.judge(now)
			return []bool{busy, collect}
		}
		Convey("is left alone while the process goes on", func() {
			for now := uint64(1000); now < 10*tailWorth; {
				now += calmWorth + 1
				So(look(now), ShouldResemble, []bool{true, false})
			}
		})
		Convey("is collected when the process is calm, if it is much", func() {
			So(look(1000+tailWorth), ShouldResemble, []bool{true, false})
			So(look(1000+tailWorth+calmWorth), ShouldResemble, []bool{false, true})
		})
		Convey("is left alone if it is little", func() {
			So(look(1000+tailWorth-1), ShouldResemble, []bool{true, false})
			So(look(1000+tailWorth-1), ShouldResemble, []bool{false, false})
		})
	})
	Convey("A collection begins to look, and Go tells what was allocated", t, func() {
		h, calls := countedHeap()
		h.compact()
		h.tail.mu.Lock()
		looks := h.tail.looks
		h.tail.mu.Unlock()
		for calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		So(looks, ShouldBeTrue)
		So(allocated(), ShouldBeGreaterThan, 0)
	})
}

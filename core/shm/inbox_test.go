// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"runtime"
	"sync"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func newRun(number uint32) *Run { return &Run{RunHead: RunHead{Msgs: number}} }

// numbers returns the Msgs of a list of runs.
func numbers(r *Run) (all []uint32) {
	for ; r != nil; r = (*Run)(r.Next) {
		all = append(all, r.Msgs)
	}
	return all
}

func TestInbox(t *testing.T) {
	Convey("A new inbox", t, func() {
		k := NewQueues()
		defer FreeQueues(k)
		in := &k.RxInbox

		Convey("is empty, and its taker awake", func() {
			So(in.Empty(), ShouldBeTrue)
			So(in.Asleep(), ShouldBeFalse)
			So(in.Rouse(), ShouldBeFalse)
			So(k.TakeRuns(), ShouldBeNil)
		})
		Convey("gives runs in the order they came, once", func() {
			for n := range uint32(5) {
				So(k.PushRun(newRun(n)), ShouldEqual, Pushed)
			}
			So(in.Empty(), ShouldBeFalse)
			So(numbers(k.TakeRuns()), ShouldResemble, []uint32{0, 1, 2, 3, 4})
			So(k.TakeRuns(), ShouldBeNil)
			So(in.Empty(), ShouldBeTrue)
		})
		Convey("lets the taker sleep, and has one push only wake it", func() {
			So(in.MarkAsleep(), ShouldBeTrue)
			So(in.MarkAsleep(), ShouldBeTrue)
			So(in.Asleep(), ShouldBeTrue)
			So(in.Empty(), ShouldBeTrue)
			So(k.TakeRuns(), ShouldBeNil)
			So(k.PushRun(newRun(1)), ShouldEqual, MustWake)
			So(k.PushRun(newRun(2)), ShouldEqual, Pushed)
			So(in.Asleep(), ShouldBeFalse)
			So(numbers(k.TakeRuns()), ShouldResemble, []uint32{1, 2})
		})
		Convey("forbids sleep when a run is there", func() {
			k.PushRun(newRun(1))
			So(in.MarkAsleep(), ShouldBeFalse)
			So(numbers(k.TakeRuns()), ShouldResemble, []uint32{1})
			So(in.MarkAsleep(), ShouldBeTrue)
		})
		Convey("takes the mark back, once", func() {
			in.MarkAsleep()
			So(in.Rouse(), ShouldBeTrue)
			So(in.Rouse(), ShouldBeFalse)
			So(k.PushRun(newRun(1)), ShouldEqual, Pushed)
		})
		Convey("refuses runs when it is closed, and gives back what was there", func() {
			k.PushRun(newRun(1))
			k.PushRun(newRun(2))
			So(numbers(k.CloseRuns()), ShouldResemble, []uint32{1, 2})
			So(k.PushRun(newRun(3)), ShouldEqual, Refused)
			So(k.TakeRuns(), ShouldBeNil)
			So(k.CloseRuns(), ShouldBeNil)
			So(in.Empty(), ShouldBeTrue)
			So(in.MarkAsleep(), ShouldBeFalse)
		})
		Convey("is closed while its taker sleeps", func() {
			in.MarkAsleep()
			So(k.CloseRuns(), ShouldBeNil)
			So(k.PushRun(newRun(1)), ShouldEqual, Refused)
		})
	})
}

func TestNextRun(t *testing.T) {
	Convey("NextRun goes through what came, and looks into the inbox at the end", t, func() {
		k := NewQueues()
		defer FreeQueues(k)
		So(k.NextRun(), ShouldBeFalse)
		data := [8]byte{}
		k.PushRun(&Run{RunHead: RunHead{Msgs: 1}, Data: &data[0], Size: 8})
		k.PushRun(newRun(2))
		So(k.NextRun(), ShouldBeTrue)
		So(k.RxRun.Msgs, ShouldEqual, 1)
		So(k.RxPos == &data[0], ShouldBeTrue)
		So(k.RxLeft, ShouldEqual, 8)
		k.PushRun(newRun(3))
		for msgs := range 2 {
			k.RxLeft = 0
			k.EndRun()
			So(k.NextRun(), ShouldBeTrue)
			So(k.RxRun.Msgs, ShouldEqual, 2+msgs)
		}
		k.RxLeft = 0
		k.EndRun()
		So(k.NextRun(), ShouldBeFalse)
	})
}

// TestInboxStress has a taker that really sleeps: only MustWake wakes it, so a
// lost wake-up blocks the test, and a wake-up too many fails it.
func TestInboxStress(t *testing.T) {
	const pushers, each = 4, 50_000
	k := NewQueues()
	defer FreeQueues(k)
	wake := make(chan struct{}, 1)
	tooMany := make(chan struct{}, 1)
	var ready sync.WaitGroup
	ready.Add(pushers)
	for p := range pushers {
		go func() {
			runs := make([]Run, each)
			ready.Done()
			ready.Wait()
			for n := range runs {
				runs[n].Kind, runs[n].Msgs = uint32(p), uint32(n)
				if k.PushRun(&runs[n]) == MustWake {
					select {
					case wake <- struct{}{}:
					default:
						tooMany <- struct{}{}
					}
				}
				if n%64 == p {
					runtime.Gosched()
				}
			}
		}()
	}
	var next [pushers]uint32
	sleeps := 0
	for taken := 0; taken < pushers*each; {
		list := k.TakeRuns()
		if list == nil {
			if k.RxInbox.MarkAsleep() {
				sleeps++
				select {
				case <-wake:
				case <-tooMany:
					t.Fatal("a taker that was awake was woken")
				}
			}
			continue
		}
		for ; list != nil; list = (*Run)(list.Next) {
			if next[list.Kind] != list.Msgs {
				t.Fatalf("pusher %d: got node %d, not %d", list.Kind, list.Msgs, next[list.Kind])
			}
			next[list.Kind]++
			taken++
		}
	}
	Convey("Every node came once, in its pusher's order, and the taker slept meanwhile", t, func() {
		So(next, ShouldResemble, [pushers]uint32{each, each, each, each})
		So(sleeps, ShouldBeGreaterThan, 0)
		So(len(wake)+len(tooMany), ShouldEqual, 0)
		So(k.TakeRuns(), ShouldBeNil)
	})
}

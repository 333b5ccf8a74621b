// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

// calls counts calls of Tidied, which is called on a goroutine.
type calls chan struct{}

// one waits for a call.
func (c calls) one() { <-c }

// usedBytes is what blocks of other tests take that are not given back.
type usedBytes [ClassDedicated]uintptr

// withoutWhatIsUsed begins with what keeps its memory, and no more.
func withoutWhatIsUsed() (used usedBytes) {
	Trim()
	for i := range classes {
		kept := min(classes[i].warm, uintptr(keepWarm[i])*blockSize[i])
		used[i], classes[i].warm = classes[i].warm-kept, kept
	}
	tidying, flooded, dropped = false, false, 0
	return used
}

// back counts those blocks again.
func (used usedBytes) back() {
	for i := range classes {
		classes[i].warm += used[i]
	}
}

func TestTicksComeWhileNeeded(t *testing.T) {
	const flood = tidiedWorth/LargeChunkSize + 128
	Convey("Ticks", t, func() {
		asked := func(what func()) int32 {
			before := ticksAsked.Load()
			what()
			return ticksAsked.Load() - before
		}
		called := make(calls, 16)
		Tidied = func() { called <- struct{}{} }
		var all []unsafe.Pointer
		used := withoutWhatIsUsed()
		Reset(func() {
			giveAll(ClassLarge, all)
			Trim()
			Tidied = nil
			used.back()
		})

		Convey("begin once, when more has memory than keeps it", func() {
			So(asked(func() { all = take(ClassLarge, keepWarm[ClassLarge]+2*int(growStep[ClassLarge]/LargeChunkSize)) }), ShouldEqual, 1)
			Convey("go on while it has", func() {
				for range 5 {
					So(asked(tidy), ShouldEqual, 1)
				}
				Convey("and end when it has gone back, without a call if it was little", func() {
					giveAll(ClassLarge, all)
					all = nil
					So(asked(tidy), ShouldEqual, 1)
					So(asked(tidy), ShouldEqual, 1)
					So(asked(tidy), ShouldEqual, 0)
					So(tidying, ShouldBeFalse)
					So(called, ShouldBeEmpty)
				})
			})
		})
		Convey("call Tidied with the last memory of a flood", func() {
			giveAll(ClassLarge, take(ClassLarge, flood))
			tidy()
			tidy()
			So(asked(tidy), ShouldEqual, 0)
			called.one()
			So(called, ShouldBeEmpty)
		})
		Convey("call it when little goes back after much, and then for the rest, once", func() {
			giveAll(ClassLarge, take(ClassLarge, flood))
			all = take(ClassLarge, 64) // are used all the time
			tidy()
			tidy()
			So(asked(tidy), ShouldEqual, 1)
			So(called, ShouldBeEmpty) // it may go on
			So(asked(tidy), ShouldEqual, 1)
			called.one()
			giveAll(ClassLarge, all)
			all = nil
			tidy()
			tidy()
			So(called, ShouldBeEmpty)
			So(asked(tidy), ShouldEqual, 0)
			called.one()
			So(called, ShouldBeEmpty)
		})
		Convey("do not call it while a flood goes on", func() {
			all = take(ClassLarge, 64)
			for range 6 {
				giveAll(ClassLarge, take(ClassLarge, flood))
				tidy()
			}
			So(called, ShouldBeEmpty)
		})
	})
}

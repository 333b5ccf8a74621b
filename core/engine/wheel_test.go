// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// turned runs a wheel from one tick to another, as a shard does that sleeps as long as
// nobody is due, and calls look for all that are.
func turned(w *wheel, now, until tick, look func(fd int32, now tick)) {
	for {
		if w.count == 0 || until.before(now+tick(w.patience(now))) {
			return
		}
		now += tick(w.patience(now))
		w.run(now, looksAtOnce, func(fd int32) { look(fd, now) })
	}
}

func TestWheel(t *testing.T) {
	delays := []time.Duration{1, 2, 3, 7, 100, 254, 255, 256, 257, 1000, 2047, 2048, 30_000, 120_000, 3_600_000,
		1 << 24, wheelMost - 2}
	for _, start := range []tick{0, 1, 12345, math.MaxUint32 - 3, math.MaxUint32 - 50_000, 1 << 31} {
		Convey("Nobody is due early, nor later than by a thirtieth", t, func() {
			var w wheel
			for i, ms := range delays {
				w.await(int32(i), start, ms*time.Millisecond)
			}
			w.await(40, start, time.Microsecond)
			w.await(41, start, 0)
			w.await(42, start, -time.Hour)
			seen := 0
			turned(&w, start, start+wheelMost+wheelMost/16, func(fd int32, now tick) {
				seen++
				limit := time.Millisecond
				if int(fd) < len(delays) {
					limit = delays[fd] * time.Millisecond
				}
				passed := now.since(start)
				if passed < limit || passed > limit+limit/30+2*time.Millisecond {
					t.Errorf("%v instead of %v", passed, limit)
				}
			})
			So(seen, ShouldEqual, len(delays)+3)
			So(w.count, ShouldEqual, 0)
		})
	}
	Convey("A short delay is short, whoever waits for long", t, func() {
		var w wheel
		w.await(1, 0, time.Hour)
		w.await(2, 100_000, time.Millisecond)
		So(w.patience(100_000), ShouldBeBetweenOrEqual, 1, 2)
		So(w.due(100_000), ShouldBeFalse)
		So(w.due(100_002), ShouldBeTrue)
	})
	Convey("The longest delay of an option is looked at in between", t, func() {
		var w wheel
		w.await(3, 5, math.MaxInt32*time.Millisecond)
		So(w.patience(5), ShouldBeLessThanOrEqualTo, wheelMost+wheelMost/30)
	})
	Convey("Who waits for nothing is looked at as rarely", t, func() {
		var w wheel
		w.await(3, 5, unlimited)
		So(w.patience(5), ShouldBeBetweenOrEqual, wheelMost, wheelMost+wheelMost/30)
	})
	Convey("Of a crowd that is due at once some are looked at, and then the others", t, func() {
		var w wheel
		for fd := range int32(1000) {
			w.await(fd, 0, time.Millisecond)
		}
		looks := 0
		look := func(int32) { looks++ }
		w.run(5, 64, look)
		So(looks, ShouldEqual, 64)
		So(w.due(5), ShouldBeTrue)
		w.await(2000, 5, time.Millisecond)
		w.run(5, 10_000, look)
		So(looks, ShouldEqual, 1000)
		So(w.due(5), ShouldBeFalse)
		So(w.due(7), ShouldBeTrue)
	})
	Convey("Who leaves is not looked at, and its number waits anew", t, func() {
		var w wheel
		w.forget(9)
		for fd := range int32(10) {
			w.await(fd, 0, 50*time.Millisecond)
		}
		for _, fd := range []int32{0, 9, 4, 5, 5} {
			w.forget(fd)
		}
		w.await(4, 0, time.Second)
		looked := map[int32]bool{}
		turned(&w, 0, 100, func(fd int32, _ tick) { looked[fd] = true })
		So(looked, ShouldResemble, map[int32]bool{1: true, 2: true, 3: true, 6: true, 7: true, 8: true})
		So(w.waits(4), ShouldBeTrue)
	})
	Convey("Whatever comes and goes, each is looked at once, in time", t, func() {
		var w wheel
		rnd := rand.New(rand.NewPCG(1, 2))
		due, now := map[int32]tick{}, tick(math.MaxUint32-100_000)
		begun := map[int32]tick{}
		look := func(fd int32) {
			if _, waits := due[fd]; !waits || now.before(due[fd]) || due[fd].lateAt(begun[fd]).before(now) {
				t.Fatalf("%d at %d instead of %d", fd, now, due[fd])
			}
			delete(due, fd)
		}
		for range 100_000 {
			switch fd := int32(rnd.IntN(300)); rnd.IntN(4) {
			case 0:
				w.forget(fd)
				delete(due, fd)
			case 1:
				if w.count > 0 {
					now += tick(rnd.IntN(w.patience(now) + 1)) // never later than a shard would
				}
				w.run(now, math.MaxInt, look)
			default:
				if !w.waits(fd) {
					ms := rnd.IntN(1 << rnd.IntN(20))
					due[fd], begun[fd] = now+tick(ms), now
					w.await(fd, now, time.Duration(ms)*time.Millisecond)
				}
			}
			if w.count != len(due) {
				t.Fatalf("%d wait, not %d", w.count, len(due))
			}
		}
	})
}

// lateAt returns the last tick at which somebody may be looked at who is due at t and waits
// since an earlier tick.
func (t tick) lateAt(begun tick) tick { return t + (t-begun)/30 + 2 }

func TestClock(t *testing.T) {
	Convey("The clock goes on, and tests move it", t, func() {
		before := readClock()
		clockSkip.Add(int64(time.Hour))
		defer clockSkip.Add(-int64(time.Hour))
		So(readClock().since(before), ShouldBeGreaterThanOrEqualTo, time.Hour)
		So(before.before(readClock()), ShouldBeTrue)
		So(tick(math.MaxUint32).before(3), ShouldBeTrue)
		So(tick(3).since(math.MaxUint32), ShouldEqual, 4*time.Millisecond)
	})
}

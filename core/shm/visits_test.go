// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestVisitsKeepTheirOrder(t *testing.T) {
	Convey("Sessions that are to be visited", t, func() {
		_, _, one := openSession()
		_, _, two := openSession()
		add := func(v *Visits, n int, of ...*Session) (blocks int) {
			spare := (*Chunk)(nil)
			for i := range n {
				if spare == nil {
					spare = NewVisits(n)
				}
				v.Add(of[i%len(of)], &spare)
				if spare == nil {
					blocks++
				}
			}
			if spare != nil {
				FreeChunk(spare)
			}
			return blocks
		}
		Convey("come out as they went in, from as many blocks as it takes", func() {
			var v Visits
			So(v.Empty(), ShouldBeTrue)
			const n = 5000
			So(add(&v, n, one, two, two), ShouldEqual, 3)
			for i := range n {
				want := two
				if i%3 == 0 {
					want = one
				}
				if v.Empty() || v.Take() != want {
					t.Fatalf("session %d", i)
				}
			}
			So(v.Empty(), ShouldBeTrue)
		})
		Convey("of several calls come in the order of the calls, and lists without any change nothing", func() {
			var all, none, first, second Visits
			So(add(&first, 2, one), ShouldEqual, 1)
			So(add(&second, 2, two), ShouldEqual, 1)
			all.Append(&none)
			So(all.Empty(), ShouldBeTrue)
			all.Append(&first)
			all.Append(&none)
			all.Append(&second)
			So(first.Empty() && second.Empty(), ShouldBeTrue)
			for _, want := range []*Session{one, one, two} {
				So(all.Take() == want, ShouldBeTrue)
			}
			So(add(&all, 1, one), ShouldEqual, 0) // there is room in the last block
			So(all.Take() == two && all.Take() == one, ShouldBeTrue)
			So(all.Empty(), ShouldBeTrue)
			So(add(&all, 1, one), ShouldEqual, 1)
			all.Drop()
			So(all.Empty(), ShouldBeTrue)
		})
		Convey("of few peers take a small block", func() {
			c := NewVisits(40)
			So(c.Class, ShouldEqual, ClassTiny)
			FreeChunk(c)
			c = NewVisits(1 << 30)
			So(c.Class, ShouldEqual, ClassMid)
			FreeChunk(c)
		})
	})
}

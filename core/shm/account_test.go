// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestAccount(t *testing.T) {
	Convey("An account", t, func() {
		a := NewAccount()
		Convey("counts a slab until nobody needs it, also when its socket has gone", func() {
			s := NewSlab()
			s.Account.Store(a)
			s.Retain()
			s.Charge(int64(s.Size))
			s.Release()
			So(a.Kept.Load(), ShouldEqual, SlabSize)
			FreeAccount(a)
			other := NewAccount()
			So(other, ShouldNotEqual, a)
			s.Release()
			So(a.Kept.Load(), ShouldEqual, 0)
			So(NewAccount(), ShouldEqual, a)
		})
		Convey("counts no slab of several sockets, nor the next use of a slab", func() {
			s := NewSlab()
			s.Charge(5)
			So(s.Charged.Load(), ShouldEqual, 0)
			s.Account.Store(a)
			s.Charge(5)
			s.Release()
			So(a.Kept.Load(), ShouldEqual, 0)
			s = NewSlab()
			So(s.Account.Load(), ShouldBeNil)
			So(s.Charged.Load(), ShouldEqual, 0)
			s.Release()
			FreeAccount(a)
		})
		Convey("does not count a long message that is sent on, and counts it again when it is not", func() {
			s := NewLongSlab(70_000)
			s.Account.Store(a)
			s.Charge(70_000)
			So(s.Discharge(), ShouldEqual, 0) // a slab of runs
			s.Need = 70_000
			So(s.Discharge(), ShouldEqual, 70_000)
			So(a.Kept.Load(), ShouldEqual, 0)
			s.Charge(70_000)
			So(a.Kept.Load(), ShouldEqual, 70_000)
			s.Release()
			So(a.Kept.Load(), ShouldEqual, 0)
			FreeAccount(a)
		})
		Convey("counts copies", func() {
			s, body := CopyBody(a, []byte("a body"))
			So(string(body), ShouldEqual, "a body")
			So(a.Kept.Load(), ShouldEqual, 6)
			s.Retain()
			s.Release()
			s.Release()
			So(a.Kept.Load(), ShouldEqual, 0)
			s, body = CopyBody(nil, []byte("x"))
			So(string(body), ShouldEqual, "x")
			s.Release()
			FreeAccount(a)
		})
		Convey("is full at its total, of which what has begun counts half at most", func() {
			So(a.Full(0), ShouldBeFalse)
			a.Total.Store(1000)
			a.Begun.Store(1 << 30)
			So(a.Full(0), ShouldBeFalse)
			a.Kept.Store(499)
			So(a.Full(0), ShouldBeFalse)
			a.Kept.Store(500)
			So(a.Full(0), ShouldBeTrue)
			So(a.Full(1), ShouldBeFalse)
			a.Kept.Store(0)
			a.Begun.Store(0)
			FreeAccount(a)
		})
		Convey("admits one long message, and shares of what is left", func() {
			const total = 1 << 20
			a.Total.Store(total)
			So(a.Counted(TinyChunkSize), ShouldEqual, 0)
			So(a.Counted(10_000), ShouldEqual, 10_000)
			So(a.Counted(1<<40), ShouldEqual, total/4)
			long := a.Counted(1 << 40)
			a.Begun.Add(long)
			So(a.Admits(long), ShouldBeTrue)
			a.Kept.Store(total) // another matter
			a.Begun.Add(20_000)
			So(a.Admits(20_000), ShouldBeTrue)
			So(a.Admits(long), ShouldBeTrue)
			a.Begun.Add(40_000)
			So(a.Admits(40_000), ShouldBeFalse)
			a.Kept.Store(0)
			So(a.Admits(0), ShouldBeTrue)
			a.Begun.Store(0)
			a.Total.Store(0)
			So(a.Counted(1<<40), ShouldEqual, 1<<40)
			So(a.Admits(1<<40), ShouldBeTrue)
			FreeAccount(a)
		})
	})
}

// SPDX-License-Identifier: MPL-2.0

//go:build race || asan || zlink_check

package shm

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestAssertions(t *testing.T) {
	Convey("A build that checks sees", t, func() {
		holds := func(sentence string) string { return "zlink: this does not hold: " + sentence }
		k, sh, s := openSession()
		Reset(func() {
			sh.TakeDirty()
			FreeQueues(k)
			FreeWakeup(sh)
		})
		Convey("a slab that is released too often", func() {
			slab := NewSlab()
			slab.Release()
			So(slab.Release, ShouldPanicWith, holds("a slab is released no more often than it is retained"))
		})
		Convey("a main queue that is taken without the lock", func() {
			So(func() { s.TakeMain() }, ShouldPanicWith, holds("the session's lock is held"))
		})
		Convey("a session on the list without the mark", func() {
			s.Lock()
			defer s.Unlock()
			So(func() { sh.PushDirty(s) }, ShouldPanicWith, holds("a session on the list is marked so"))
		})
		Convey("a run that ends before it was read", func() {
			k.PushRun(&Run{RunHead: RunHead{Kind: RunData}, Size: 8})
			So(k.NextRun(), ShouldBeTrue)
			So(k.EndRun, ShouldPanicWith, holds("a run ends when all of it was read"))
		})
	})
}

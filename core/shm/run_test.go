// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestQueuedRuns(t *testing.T) {
	Convey("A session counts the messages and the bytes of its runs", t, func() {
		q, w := NewQueues(), NewWakeup(-1)
		defer FreeQueues(q)
		defer FreeWakeup(w)
		s := NewSession(q, w)
		defer s.Release()
		one := &Run{RunHead: RunHead{Msgs: 3}, Session: s, Size: 65}
		long := &Run{RunHead: RunHead{Msgs: 1}, Session: s, Size: 1 << 32}
		So(one.Of() == s, ShouldBeTrue)
		s.RxPush(one)
		s.RxPush(long)
		So(s.RxMsgs(), ShouldEqual, 4)
		So(s.RxBytes(), ShouldEqual, 2*RxUnit+1<<32)
		So(s.RxTake(one), ShouldEqual, 1)
		So(s.RxBytes(), ShouldEqual, 1<<32)
		So(s.RxTake(long), ShouldEqual, 0)
		So(s.RxQueued.Load(), ShouldEqual, 0)
	})
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestRefuseLeavesOthersMark(t *testing.T) {
	Convey("A sender that finds room in the end leaves the mark of one that still waits", t, func() {
		k, _, s := openSession()
		s.TxHwm = 1
		So(s.Append(k, 5, []byte("a"), nil), ShouldEqual, Appended)
		So(s.Refuse(k, 5, 1, false), ShouldEqual, AppendFull) // this one waits
		var stop atomic.Bool
		ended := make(chan struct{})
		go func() { // a driver that writes at any time
			defer close(ended)
			for done := uint32(0); !stop.Load(); done ^= 1 {
				s.TxDone.Store(done)
			}
		}()
		marked := true
		for range 2_000_000 {
			s.Refuse(k, 5, 1, false)
			marked = marked && s.TxMarks&MarkRefused != 0
		}
		stop.Store(true)
		<-ended
		So(marked, ShouldBeTrue)
		So(k.TxRefusals.Load(), ShouldEqual, 1)
	})
}

func TestStuck(t *testing.T) {
	Convey("A queue without a share is stuck only if the kernel takes nothing", t, func() {
		k, _, s := openSession()
		k.TxTotal.Store(32 << 20)
		k.TxMemory.Store(32 << 20)
		So(s.Append(k, 5, make([]byte, 900), nil), ShouldEqual, Appended)
		So(s.Judge(k, 5, 5000, false), ShouldEqual, AppendFull)
		So(s.Stuck(k, 5, 5000), ShouldBeFalse)
		s.TxDirty |= DirtyHeld
		So(s.Stuck(k, 5, 5000), ShouldBeTrue)
	})
}

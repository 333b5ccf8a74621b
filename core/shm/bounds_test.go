// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestShares(t *testing.T) {
	Convey("While very many queues are held", t, func() {
		k, sh, s := openSession()
		defer FreeQueues(k)
		defer func() {
			sh.TakeDirty()
			FreeWakeup(sh)
		}()
		const total = 1 << 20
		k.TxTotal.Store(total)
		k.TxHeld.Store(10_000)
		body := make([]byte, 2000)
		So(s.Append(k, 5, body, nil), ShouldBeLessThanOrEqualTo, AppendedWake)
		Convey("a queue that the driver writes just now takes more", func() {
			head, _ := takeMain(s)
			So(s.empty(), ShouldBeFalse)
			So(s.Append(k, 5, body, nil), ShouldBeLessThanOrEqualTo, AppendedWake)
			rest, _ := takeMain(s)
			freeAll(head)
			freeAll(rest)
		})
		Convey("one of them takes no other block", func() {
			s.Lock()
			s.TxDirty |= DirtyHeld
			s.Unlock()
			for s.TxTail.room() >= 2004 {
				So(s.Append(k, 5, body, nil), ShouldBeLessThanOrEqualTo, AppendedWake)
			}
			So(s.Append(k, 5, body, nil), ShouldEqual, AppendFull)
			head, _ := takeMain(s)
			freeAll(head)
		})
		Convey("and the total is used up, an empty queue takes a short message, and no long one", func() {
			head, _ := takeMain(s)
			freeAll(head)
			s.TxDone.Store(s.TxQueued.Load())
			k.TxMemory.Store(total + 1)
			So(s.Append(k, 5, body, nil), ShouldEqual, AppendStarved)
			So(s.Append(k, 5, body[:100], nil), ShouldBeLessThanOrEqualTo, AppendedWake)
			head, _ = takeMain(s)
			freeAll(head)
		})
	})
}

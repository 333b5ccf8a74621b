// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

func TestKept(t *testing.T) {
	for _, c := range []struct {
		size  int
		total int64
	}{{1000, 2 << 20}, {1000, 12 << 20}, {200_000, 6 << 20}} { // the second one needs copies
		Convey(fmt.Sprintf("An application that keeps messages of %d bytes gets no more than %d", c.size, c.total), t, func() {
			k, err := Listen("tcp://127.0.0.1:*", WithRecvBytesTotal(c.total))
			must(t, err, "Listen")
			defer k.Close()
			p := dial(t, k.Addr())
			_ = p.SetDeadline(time.Time{})
			count := int(4*c.total) / c.size
			go func() {
				for i := range count {
					if _, err := p.Write(frame(pattern(c.size, i))); err != nil {
						return
					}
				}
			}()
			var kept []Message
			got := -1 // the connect event
			receive := func() bool {
				m, err := k.TryRecv()
				if errors.Is(err, errno.EAGAIN) {
					return false
				}
				must(t, err, "Recv")
				if got++; got > 0 {
					if string(m.Body) != pattern(c.size, got-1) {
						t.Fatalf("message %d is another", got-1)
					}
					kept = append(kept, m)
				}
				return true
			}
			times := 0
			for ; got < count; times++ {
				eventually(t, "it has as much as it may, or all", func() bool {
					for receive() {
					}
					return k.account.Full(0) || got == count
				})
				for receive() {
				}
				So(int64(len(kept)*c.size), ShouldBeLessThanOrEqualTo, c.total+4<<20)
				for i := range kept {
					kept[i].Release()
				}
				kept = nil
			}
			So(times, ShouldBeGreaterThan, 1)
			eventually(t, "nothing counts any more", func() bool {
				return k.account.Kept.Load() == 0 && k.account.Begun.Load() == 0
			})
		})
	}
	Convey("The total is a number of 8 bytes, and applies at once", t, func() {
		k := newSocket(t, newContext(t))
		So(k.Set(WithRecvBytesTotal(-1)), shouldBeErrno, errno.EINVAL)
		So(errno.Detail(k.Set(WithRecvBytesTotal(-1))), ShouldContainSubstring, "-1")
		So(k.SetOption(308, []byte{1, 2, 3, 4}), shouldBeErrno, errno.EINVAL)
		So(k.account.Total.Load(), ShouldEqual, recvTotal)
		So(k.Set(WithRecvBytesTotal(0)), ShouldBeNil)
		So(k.account.Total.Load(), ShouldEqual, 0)
	})
}

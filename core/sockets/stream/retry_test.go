// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func TestRetry(t *testing.T) {
	Convey("After EAGAIN at a body", t, func() {
		k := newSocket(t, newContext(t))
		set(t, k, sockets.OptSndHwm, 1)
		set(t, k, sockets.OptSndBuf, 4096)
		endpoint := bind(t, k)
		p := dial(t, endpoint)
		id := want(t, k, connected)
		other := dial(t, endpoint)
		otherID := want(t, k, connected)
		body := pattern(4<<20, 1) // more than the kernel takes
		sent := 0
		for ; ; sent++ {
			So(k.SendFrame([]byte(id), true, false), ShouldBeNil)
			err := k.SendFrame([]byte(body), false, true)
			if err != nil {
				So(err, shouldBeErrno, errno.EAGAIN)
				break
			}
		}
		room := func() {
			for range sent {
				p.want(body)
			}
		}

		Convey("a frame with more that names no peer is an id", func() {
			must(t, other.Close(), "close")
			want(t, k, disconnected)
			room()
			for _, gone := range []string{otherID, "x", "nobody"} {
				So(k.SendFrame([]byte(gone), true, false), shouldBeErrno, errno.EHOSTUNREACH)
				So(k.SendFrame([]byte("secret"), false, false), shouldBeErrno, errno.EINVAL)
			}
			mustSend(t, k, id, "next")
			p.want("next")
		})
		Convey("a frame without more is the body again, whatever its bytes", func() {
			room()
			So(k.SendFrame([]byte(otherID), false, false), ShouldBeNil)
			p.want(otherID)
		})
		Convey("a frame with more that names a peer begins a message to it", func() {
			So(k.SendFrame([]byte(otherID), true, false), ShouldBeNil)
			So(k.SendFrame([]byte("hello"), false, false), ShouldBeNil)
			other.want("hello")
		})
		Convey("a long frame that names no peer makes no long sentence", func() {
			err := k.SendFrame(make([]byte, 64<<20), true, false)
			So(err, shouldBeErrno, errno.EHOSTUNREACH)
			So(len(errno.Detail(err)), ShouldBeLessThan, 256)
		})
		Convey("an owned frame with more is an id and stays the caller's", func() {
			room()
			var owner byte
			took, err := k.ForC().SendMessage(0, Parcel{Body: []byte(body), Owner: unsafe.Pointer(&owner)}, true, false)
			So(took, ShouldBeFalse)
			So(err, shouldBeErrno, errno.EHOSTUNREACH)
		})
	})
}

// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// The C layer's own ways to receive: it may refuse a piece, and gets it again.
func TestRecvFrameInto(t *testing.T) {
	Convey("Frames are handed over, and a routing id that finds no room comes again", t, func() {
		k := newSocket(t, newContext(t))
		p := dial(t, bind(t, k))
		want(t, k, connected)
		p.send("one")
		p.send("two")

		var id string
		refuse := func(piece Piece) bool { id = string(piece.Data); return false }
		So(k.ForC().RecvFrameInto(false, refuse), ShouldBeNil)
		So(k.shared.RxMore, ShouldEqual, 0)
		for _, body := range []string{"one", "two"} {
			So(k.ForC().RecvFrameInto(false, func(piece Piece) bool {
				So(string(piece.Data), ShouldEqual, id)
				So(piece.More, ShouldBeTrue)
				So(piece.Slab, ShouldBeNil)
				return true
			}), ShouldBeNil)
			So(k.shared.RxMore, ShouldEqual, 1)
			So(k.ForC().RecvFrameInto(false, func(piece Piece) bool {
				So(string(piece.Data), ShouldEqual, body)
				So(piece.More, ShouldBeFalse)
				So(piece.Slab != nil, ShouldBeTrue)
				So(piece.Run.Of().Rid4(), ShouldNotEqual, 0)
				return true
			}), ShouldBeNil)
		}
		So(k.ForC().RecvFrameInto(true, refuse), shouldBeErrno, errno.EAGAIN)
		_, err := k.ForC().RecvInto(1, true, nil)
		So(err, shouldBeErrno, errno.ENOTSUP)
	})
}

func TestRecvInto(t *testing.T) {
	Convey("Messages are handed over with their numbers, and one that is refused comes again", t, func() {
		k := newFastSocket(t, newContext(t))
		p, id := fastPeer(t, k, bind(t, k))
		for _, body := range []string{"a", "b", "c"} {
			p.send(body)
		}
		must(t, p.Close(), "close")

		var got []string
		take := func(room, refused int) int {
			n, err := k.ForC().RecvInto(room, false, func(n int, piece Piece) bool {
				So(piece.Run.Of().Rid4(), ShouldEqual, id)
				if n == refused {
					return false
				}
				if piece.Run.Kind == shm.RunDisconnected {
					got = append(got, "gone")
				} else {
					got = append(got, string(piece.Data))
				}
				return true
			})
			So(err, ShouldBeNil)
			return n
		}
		So(take(10, 0), ShouldEqual, 0)
		So(take(1, -1), ShouldEqual, 1)
		for len(got) < 3 {
			So(take(10, 1), ShouldEqual, 1)
		}
		So(take(10, 0), ShouldEqual, 0) // nor is an event lost
		So(take(10, -1), ShouldEqual, 1)
		So(got, ShouldResemble, []string{"a", "b", "c", "gone"})
		So(k.ForC().RecvFrameInto(true, nil), shouldBeErrno, errno.ENOTSUP)
	})
}

func TestAwaitRun(t *testing.T) {
	Convey("A wait for a run is over at once in the wrong mode", t, func() {
		ctx := newContext(t)
		fast, compat := newFastSocket(t, ctx), newSocket(t, ctx)
		bind(t, fast)
		So(fast.ForC().AwaitRun(false, false), shouldBeErrno, errno.ENOTSUP)
		So(compat.ForC().AwaitRun(true, false), shouldBeErrno, errno.ENOTSUP)
		So(fast.ForC().AwaitRun(true, true), shouldBeErrno, errno.EAGAIN)
		So(compat.ForC().AwaitRun(false, true), shouldBeErrno, errno.EAGAIN)
	})
}

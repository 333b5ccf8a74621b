// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// sizes around every boundary of slabs, chunks and the stash.
var sizes = []int{0, 2, 59, 60, 956, 957, 1024, 4028, 4029, 16316, 16317, 65467, 65468, 65469, 65532, 65536,
	262016, 262076, 262080, 1<<20 - 4, 1<<20 + 7, 1114000, 3 << 20}

func exchangeEverySize(t testing.TB, server, client *Socket, toClient, toServer string) {
	t.Helper()
	for i, size := range sizes {
		mustSend(t, client, toServer, pattern(size, i))
		mustSend(t, client, toServer, "behind")
		So(want(t, server, pattern(size, i)), ShouldEqual, toClient)
		So(want(t, server, "behind"), ShouldEqual, toClient)
		mustSend(t, server, toClient, pattern(size, -i))
		So(want(t, client, pattern(size, -i)), ShouldEqual, toServer)
	}
}

func TestExchangeBetweenSockets(t *testing.T) {
	Convey("Two sockets exchange messages of every size both ways, in order", t, func() {
		server, client, toClient, toServer := pair(t, newContext(t), nil)
		exchangeEverySize(t, server, client, toClient, toServer)
		Convey("and hear of the end", func() {
			So(client.Close(), ShouldBeNil)
			So(want(t, server, disconnected), ShouldEqual, toClient)
		})
	})
}

func TestExchangeWithPlainClient(t *testing.T) {
	Convey("A socket with a plain client", t, func() {
		k := newSocket(t, newContext(t))
		p := dial(t, bind(t, k))
		id := want(t, k, connected)

		Convey("gets one byte at a time whole", func() {
			for _, b := range append(frame("first"), frame("")...) {
				p.write([]byte{b})
			}
			So(want(t, k, "first"), ShouldEqual, id)
			So(want(t, k, ""), ShouldEqual, id)
		})
		Convey("gets many messages of one write", func() {
			var all []byte
			for i := range 5000 {
				all = append(all, frame(fmt.Sprint("message ", i))...)
			}
			p.write(all)
			for i := range 5000 {
				want(t, k, fmt.Sprint("message ", i))
			}
		})
		Convey("sends frames of length and body", func() {
			mustSend(t, k, id, "hello")
			mustSend(t, k, id, "")
			p.want("hello")
			p.want("")
		})
		Convey("delivers what came whole before the end, then the event", func() {
			p.send("one", "two")
			p.write([]byte{0, 0, 0, 9, 'x'})
			must(t, p.Close(), "close")
			So(want(t, k, "one"), ShouldEqual, id)
			So(want(t, k, "two"), ShouldEqual, id)
			So(want(t, k, disconnected), ShouldEqual, id)
			So(send(k, id, "late"), shouldBeErrno, errno.EHOSTUNREACH)
		})
		Convey("hears of a half closed stream, whose peer still reads all that was queued", func() {
			body := pattern(300_000, 1)
			mustSend(t, k, id, body)
			must(t, p.Conn.(interface{ CloseWrite() error }).CloseWrite(), "half close")
			p.want(body)
			So(want(t, k, disconnected), ShouldEqual, id)
			p.wantEnd()
		})
		Convey("truncates into a small buffer and tells the full size", func() {
			p.send("longer than four", "next")
			var buf [4]byte
			size, more, err := k.RecvFrame(buf[:], false)
			So([]any{size, more, err}, ShouldResemble, []any{4, true, nil})
			size, more, err = k.RecvFrame(buf[:], false)
			So([]any{size, more, err}, ShouldResemble, []any{16, false, nil})
			So(string(buf[:]), ShouldEqual, "long")
			want(t, k, "next")
		})
	})
}

func TestSendErrors(t *testing.T) {
	Convey("Send", t, func() {
		k := newSocket(t, newContext(t))
		p := dial(t, bind(t, k))
		id := want(t, k, connected)
		unknown := string(binary.BigEndian.AppendUint32(nil, 77))

		Convey("refuses a first frame without more", func() {
			So(k.SendFrame([]byte(id), false, false), shouldBeErrno, errno.EINVAL)
		})
		Convey("refuses an empty id", func() {
			So(k.SendFrame(nil, true, false), shouldBeErrno, errno.EINVAL)
		})
		Convey("finds no peer for an unknown id", func() {
			for _, id := range []string{unknown, "x", "12345", "\x00\x00\x00\x00", pattern(255, 1)} {
				So(k.SendFrame([]byte(id), true, false), shouldBeErrno, errno.EHOSTUNREACH)
			}
		})
		Convey("ignores more on the body", func() {
			So(k.SendFrame([]byte(id), true, false), ShouldBeNil)
			So(k.SendFrame([]byte("body"), true, false), ShouldBeNil)
			mustSend(t, k, id, "next")
			p.want("body")
			p.want("next")
		})
		Convey("finds out at the body that the peer is gone, and then starts afresh", func() {
			So(k.SendFrame([]byte(id), true, false), ShouldBeNil)
			must(t, p.Close(), "close")
			want(t, k, disconnected)
			So(k.SendFrame([]byte("body"), false, false), shouldBeErrno, errno.EHOSTUNREACH)
			So(k.SendFrame([]byte("body"), false, false), shouldBeErrno, errno.EINVAL)
			So(k.SendFrame([]byte(id), true, false), shouldBeErrno, errno.EHOSTUNREACH)
		})
		Convey("refuses every call of a closed socket", func() {
			So(k.Close(), ShouldBeNil)
			So(send(k, id, "x"), shouldBeErrno, errno.ENOTSOCK)
			_, _, err := k.RecvFrame(nil, true)
			So(err, shouldBeErrno, errno.ENOTSOCK)
			So(k.Bind("tcp://127.0.0.1:*"), shouldBeErrno, errno.ENOTSOCK)
			So(k.Connect("tcp://127.0.0.1:1"), shouldBeErrno, errno.ENOTSOCK)
			So(k.Unbind("tcp://127.0.0.1:1"), shouldBeErrno, errno.ENOTSOCK)
			So(k.SetOption(sockets.OptLinger, cInt(0)), shouldBeErrno, errno.ENOTSOCK)
			So(k.Close(), shouldBeErrno, errno.ENOTSOCK)
		})
	})
}

func TestClosePeer(t *testing.T) {
	Convey("The body {0} closes the connection after everything queued", t, func() {
		k := newSocket(t, newContext(t))
		p := dial(t, bind(t, k))
		id := want(t, k, connected)
		bodies := []string{"first", pattern(2<<20, 5), "last"}
		for _, body := range bodies {
			mustSend(t, k, id, body)
		}
		mustSend(t, k, id, disconnected)
		done := make(chan string, 1)
		go func() {
			m, err := receive(k)
			done <- fmt.Sprintf("%x %x %v", m.id, m.body, err)
		}()
		for _, body := range bodies {
			p.want(body)
		}
		p.wantEnd()
		So(<-done, ShouldEqual, fmt.Sprintf("%x 00 <nil>", id))
		So(send(k, id, "late"), shouldBeErrno, errno.EHOSTUNREACH)
		So(send(k, id, disconnected), shouldBeErrno, errno.EHOSTUNREACH)
	})
}

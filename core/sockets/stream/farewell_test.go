// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"strings"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

func TestClosePeerWith(t *testing.T) {
	Convey("Each side learns what the other said at the end", t, func() {
		ctx := context.Background()
		server, m := watched(t, "ws://127.0.0.1:*", WithMode(ModeFast))
		client := newSocket(t, server.ctx)
		must(t, client.Set(WithMode(ModeFast)), "Set")
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		up, err := client.Recv(ctx)
		So(err, ShouldBeNil)
		_, err = server.Recv(ctx)
		So(err, ShouldBeNil)
		So(client.ClosePeerWith(up.Peer, 4001, "not logged in"), ShouldBeNil)
		So(errno.Of(client.ClosePeerWith(up.Peer, 4001, "")), ShouldEqual, errno.EHOSTUNREACH)
		down, err := server.Recv(ctx)
		So(err, ShouldBeNil)
		So(down.Kind, ShouldEqual, Disconnected)
		So(down.Body, ShouldBeEmpty)
		code, reason := down.CloseCode()
		So(code, ShouldEqual, 4001)
		So(reason, ShouldEqual, "not logged in")
		So(int(unsafe.Sizeof(down)), ShouldEqual, 72) // nothing of that is in every message
		down, err = client.Recv(ctx)
		So(err, ShouldBeNil)
		code, reason = down.CloseCode()
		So(code, ShouldEqual, 4001)
		So(reason, ShouldEqual, "")
		code, _ = up.CloseCode()
		So(code, ShouldEqual, 0)
		for {
			e, err := m.Recv(false)
			So(err, ShouldBeNil)
			if e.Kind == engine.EventDisconnected {
				So(e.Value, ShouldEqual, engine.ReasonRemote)
				So(e.Detail, ShouldEqual, `close code 4001, "not logged in"`)
				break
			}
		}
	})
	Convey("What cannot be sent is refused", t, func() {
		k := newSocket(t, newContext(t))
		for _, code := range []int{-1, 0, 1004, 1005, 1006, 1015, 5000, 66_536} {
			So(errno.Of(k.ClosePeerWith(1, code, "")), ShouldEqual, errno.EINVAL)
		}
		So(errno.Of(k.ClosePeerWith(1, 1000, strings.Repeat("r", 124))), ShouldEqual, errno.EINVAL)
		So(errno.Of(k.ClosePeerWith(1, 1000, "\xff")), ShouldEqual, errno.EINVAL)
		So(errno.Of(k.ClosePeerWith(0, 1000, "")), ShouldEqual, errno.EINVAL)
		So(errno.Of(k.ClosePeerWith(1, 1000, "")), ShouldEqual, errno.EHOSTUNREACH)
	})
}

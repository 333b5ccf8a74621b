// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"net/http"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

func TestReusePort(t *testing.T) {
	Convey("A socket that drains leaves a shared port to the others, also when it has a health path", t, func() {
		ctx := newContext(t)
		d := newDrainer(t, ctx)
		must(t, d.Set(WithReusePort(true), WithWebHealth("/health")), "settings")
		must(t, d.Bind("ws://127.0.0.1:*"), "Bind")
		endpoint := lastEndpoint(t, d.Socket)
		next := newSocket(t, ctx)
		must(t, next.Set(WithMode(ModeFast), WithReusePort(true), WithWebHealth("/health")), "settings")
		must(t, next.Bind(endpoint), "Bind")
		must(t, d.Drain(0, 0), "Drain")
		d.wantDrained()
		for range 32 { // half of them would come to the old one
			status, _ := askHealth(t, endpoint, "/health")
			So(status, ShouldEqual, http.StatusOK)
		}
	})
	Convey("ipc has no port", t, func() {
		_, err := Listen("ipc://*", WithReusePort(true))
		So(err, shouldBeErrno, errno.EINVAL)
	})
}

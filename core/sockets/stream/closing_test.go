// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
)

// What a call that began before Close would add, nobody would ever end.
func TestNoEndpointAfterClose(t *testing.T) {
	Convey("A socket that is closed while a bind or a connect is in progress", t, func() {
		ctx := core.NewContext()
		k := newSocket(t, ctx)
		So(k.enter(), ShouldBeNil)
		So(k.Close(), ShouldBeNil)

		Convey("takes no endpoint, and its context ends", func() {
			So(k.bind("tcp://127.0.0.1:*", -1), ShouldEqual, errno.ENOTSOCK)
			So(k.connect("tcp://127.0.0.1:9"), ShouldEqual, errno.ENOTSOCK)
			So(k.listeners, ShouldBeEmpty)
			So(k.dialers, ShouldBeEmpty)
			So(k.parts, ShouldEqual, 0)
			k.leave()
			So(ctx.Term(), ShouldBeNil)
		})
	})
}

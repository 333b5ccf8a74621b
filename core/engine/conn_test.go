// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
)

func TestConnIsSmall(t *testing.T) {
	Convey("A connection's struct fits the allocator's class of 160 bytes", t, func() {
		So(unsafe.Sizeof(Conn{}), ShouldBeLessThanOrEqualTo, 160)
	})
}

func TestWebSocketIsSmall(t *testing.T) {
	Convey("What WebSocket adds to a connection fits the allocator's classes of 192 and 96 bytes", t, func() {
		So(unsafe.Sizeof(link{}), ShouldBeLessThanOrEqualTo, 192)
		So(unsafe.Sizeof(webSocket{}), ShouldBeLessThanOrEqualTo, 96)
	})
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
)

func TestOpening(t *testing.T) {
	refusal := func(messages ...string) error {
		var wire []byte
		for _, m := range messages {
			half := len(m) / 2
			wire = append(wire, masked(ws.OpBinary, false, m[:half])...)
			wire = append(wire, masked(ws.OpContinuation, true, m[half:])...)
		}
		_, whole := decodeIn(&webSocket{}, wire, whole)
		_, pieces := decodeIn(&webSocket{}, wire, oneByte)
		So(pieces, ShouldResemble, whole)
		return whole
	}
	Convey("Text instead of messages is refused with a reason", t, func() {
		for _, messages := range [][]string{{"hello"}, {"hi", "there"}, {`{"a":1}`}, {"{\n}\n"}, {"", "    "}, {"h\xc3\xa4llo"},
			{"GET / HTTP/1.1\r\n"}, {"\xff\xff\xff\xff"}} {
			err := refusal(messages...)
			var web *webError
			So(errors.As(err, &web), ShouldBeTrue)
			So(web.code, ShouldEqual, ws.StatusInvalidFramePayloadData)
			So(web.text, ShouldContainSubstring, "without the 4 bytes of zlink's length")
			So(len(web.text), ShouldBeLessThanOrEqualTo, CloseReasonMax)
		}
	})
	Convey("Any split of the stream is right", t, func() {
		frame := frameOf("hello, this is text")
		for at := range frame {
			So(refusal(frame[:at], frame[at:]), ShouldBeNil)
		}
		So(refusal(frame, "hello", " is not looked at later"), ShouldBeNil)
		So(refusal("\t\n\r "+strings.Repeat("x", 100)), ShouldBeNil) // 150 MB
		So(refusal("    and\x00"), ShouldBeNil)                      // a long message that is not text
		So(refusal("", "hel"), ShouldBeNil)                          // no length yet
	})
}

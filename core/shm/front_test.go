// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestFronts(t *testing.T) {
	Convey("The queues of a socket that is gone are another's without headers", t, func() {
		q := NewQueues()
		So(q != nil, ShouldBeTrue)
		q.TxHeaders = 1
		FreeQueues(q)
		again := NewQueues()
		defer FreeQueues(again)
		So(again == q, ShouldBeTrue) // else this test shows nothing
		So(again.TxHeaders, ShouldEqual, 0)
	})
	Convey("A front keeps its bytes when it becomes that of a run", t, func() {
		for _, sizes := range [][2]int{{0, 0}, {1, 0}, {0, 1}, {65535, 70_000}, {300, 3}} {
			header, body := strings.Repeat("h", sizes[0]), strings.Repeat("b", sizes[1])
			frame := make([]byte, FrontSize, FrontSize+len(header)+len(body))
			putFront(frame, len(header), len(body))
			frame = append(append(frame, header...), body...)
			So(Framed(frame), ShouldEqual, len(frame))
			Unwire(frame)
			gotHeader, gotBody := Split(frame[lengthSize:])
			So(string(gotHeader) == header && string(gotBody) == body, ShouldBeTrue)
			So(gotHeader == nil, ShouldEqual, len(header) == 0)
		}
	})
}

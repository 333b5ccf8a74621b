// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestFarewell(t *testing.T) {
	Convey("What a peer says stays with its session until the slot is free", t, func() {
		k := NewQueues()
		plain, one, other := NewSession(k, nil), NewSession(k, nil), NewSession(k, nil)
		one.SetFarewell(4000, "tired")
		other.SetFarewell(65535, "")
		code, reason := plain.Farewell()
		So(code, ShouldEqual, 0)
		So(reason, ShouldEqual, "")
		code, reason = one.Farewell()
		So(code, ShouldEqual, 4000)
		So(reason, ShouldEqual, "tired")
		code, reason = other.Farewell()
		So(code, ShouldEqual, 65535)
		So(reason, ShouldEqual, "")
		one.Release()
		So(reasons.of, ShouldBeEmpty)
		again := NewSession(k, nil)
		So(again, ShouldEqual, one)
		code, reason = again.Farewell()
		So(code, ShouldEqual, 0)
		So(reason, ShouldEqual, "")
		for _, s := range []*Session{plain, other, again} {
			s.Release()
		}
	})
}

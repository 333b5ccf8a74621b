// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestShortenedDetails(t *testing.T) {
	Convey("A detail stays as it is when it is short, and is cut in front of a character", t, func() {
		whole := strings.Repeat("d", DetailMax)
		So(shortened(whole), ShouldEqual, whole)
		So(shortened(whole+"d"), ShouldEqual, whole[3:]+"...")
		So(shortened(strings.Repeat("ü", DetailMax)), ShouldEqual, strings.Repeat("ü", DetailMax/2-2)+"...")
	})
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestPrintedFile(t *testing.T) {
	Convey("What C has of the table is printed from it: else run go generate ./...", t, func() {
		text, err := os.ReadFile(filepath.Join("../../..", file))
		So(err, ShouldBeNil)
		So(string(text), ShouldEqual, header())
	})
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

var (
	cComment = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	goCall   = regexp.MustCompile(`\bzgo_\w+`)
)

// Every call of Go names its function by the gate's macro (internal.h). The only exception
// is the call with which the gate itself prepares a thread.
func TestGate(t *testing.T) {
	Convey("No C file calls Go but through the gate", t, func() {
		files, err := filepath.Glob("*.[ch]")
		So(err, ShouldBeNil)
		calls := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			So(err, ShouldBeNil)
			code := cComment.ReplaceAllString(string(text), "")
			calls += strings.Count(code, "ZL_GO (")
			for _, name := range goCall.FindAllString(code, -1) {
				So(file+": "+name, ShouldBeIn, "internal.h: zgo_", "loading.c: zgo_new_caller")
			}
		}
		So(calls, ShouldBeGreaterThan, 30)
	})
}

// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestOptionNames(t *testing.T) {
	Convey("Every option is called as in zlink.h, and has its number", t, func() {
		header, err := os.ReadFile("../../include/zlink.h")
		So(err, ShouldBeNil)
		inHeader := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^#define ZLINK_(\w+)\s+(\d+)\b`).FindAllStringSubmatch(string(header), -1) {
			inHeader[m[1]] = m[2]
		}
		for opt, name := range optionNames {
			So(inHeader[name], ShouldEqual, strconv.Itoa(int(opt)))
		}
		So(Option(9999).String(), ShouldEqual, "9999")
	})
}

// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

func TestOptionNames(t *testing.T) {
	Convey("Every option that a socket has is called as in zlink.h", t, func() {
		header, err := os.ReadFile("../../../include/zlink.h")
		So(err, ShouldBeNil)
		inHeader := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^#define ZLINK_(\w+)\s+(\d+)\b`).FindAllStringSubmatch(string(header), -1) {
			inHeader[m[1]] = m[2]
		}
		for opt, name := range optionNames {
			So(inHeader[name], ShouldEqual, strconv.Itoa(int(opt)))
		}
		for opt := range intOptions {
			So(optionNames, ShouldContainKey, opt)
		}
		for opt := range stringOptions {
			So(optionNames, ShouldContainKey, opt)
		}
	})
	Convey("An error names the option, or, where it has no name, its number", t, func() {
		k := newSocket(t, newContext(t))
		So(errno.Detail(k.SetOption(OptTLSCert, make([]byte, 300))), ShouldStartWith, "socket option TLS_CERT takes at most 256 bytes")
		So(errno.Detail(k.SetOption(9999, nil)), ShouldStartWith, "socket option 9999 ")
	})
}

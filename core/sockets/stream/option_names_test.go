// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"strconv"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func TestOptionNames(t *testing.T) {
	Convey("Every option that a socket takes has a name", t, func() {
		named := func(opt sockets.Option) bool { return opt.String() != strconv.Itoa(int(opt)) }
		for opt := range intOptions {
			So(named(opt), ShouldBeTrue)
		}
		for opt := range stringOptions {
			So(named(opt), ShouldBeTrue)
		}
	})
	Convey("An error names the option, or, where it has no name, its number", t, func() {
		k := newSocket(t, newContext(t))
		So(errno.Detail(k.SetOption(sockets.OptTLSCert, make([]byte, 300))), ShouldStartWith, "socket option TLS_CERT takes at most 256 bytes")
		So(errno.Detail(k.SetOption(9999, nil)), ShouldStartWith, "socket option 9999 ")
	})
}

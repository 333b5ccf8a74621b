// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// TestSessionsResume: a server's tickets come with the keys of its stream, so a
// client that reads its echo has got them whole.
func TestSessionsResume(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		Convey("A client of "+tls.VersionName(version)+" that returns resumes its session, and its stream works", t, func() {
			k := newSocket(t, newContext(t))
			newIdentity(t, "server").use(t, k)
			must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
			address, _ := strings.CutPrefix(lastEndpoint(t, k), "tls://")
			config := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			for _, again := range []bool{false, true} {
				c, err := tls.Dial("tcp", address, config)
				must(t, err, "Dial")
				So(c.ConnectionState().DidResume, ShouldEqual, again)
				p := peer{c, t}
				p.send("hello")
				id := want(t, k, connected)
				So(want(t, k, "hello"), ShouldEqual, id)
				mustSend(t, k, id, pattern(100_000, 1))
				p.want(pattern(100_000, 1))
				_ = c.Close()
				want(t, k, disconnected)
			}
		})
	}
}

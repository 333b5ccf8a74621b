// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// TestFullPoliciesOverEveryTransport: what a policy drops tears no message of any layer.
func TestFullPoliciesOverEveryTransport(t *testing.T) {
	for _, endpoint := range everyTransport {
		for _, policy := range []int{FullDropNewest, FullDropOldest} {
			for _, size := range []int{5, 700, 150_000} {
				Convey(fmt.Sprintf("Over %s, with policy %d and %d bytes, what is not dropped comes whole and in order", endpoint, policy, size), t, func() {
					ctx := newContext(t)
					server, client := newSocket(t, ctx), newSocket(t, ctx)
					newIdentity(t, "one").use(t, server, client)
					must(t, server.Set(WithSendBytes(100_000), WithFullPolicy(policy), WithSendBuffer(64<<10)), "Set")
					must(t, client.Set(WithRecvHWM(1), WithRecvBytes(1), WithRecvBuffer(64<<10)), "Set")
					must(t, server.Bind(fresh(endpoint)), "Bind")
					must(t, client.Connect(lastEndpoint(t, server)), "Connect")
					toClient := want(t, server, connected)
					want(t, client, connected)
					sent, last := 0, uint32(math.MaxUint32)
					got, seen := 0, -1
					next := func() uint32 {
						m, err := receive(client)
						must(t, err, "a message")
						if len(m.body) != size {
							t.Fatalf("%d bytes, not %d", len(m.body), size)
						}
						n := binary.BigEndian.Uint32([]byte(m.body))
						if n != last {
							got++
							if int(n) <= seen {
								t.Fatalf("%d behind %d", n, seen)
							}
							seen = int(n)
						}
						return n
					}
					for round := range 12 {
						for range 100 {
							mustSend(t, server, toClient, string(numbered(sent, size)))
							sent++
						}
						for range round % 7 {
							stats, err := server.Stats()
							must(t, err, "statistics")
							if int(stats.MsgsOut-stats.MsgsDropped) > got { // dropped ones never come
								next()
							}
						}
					}
					must(t, server.Set(WithFullPolicy(FullAgain)), "Set")
					go mustSend(t, server, toClient, string(numbered(int(last), size)))
					for next() != last {
					}
					stats, err := server.Stats()
					So(err, ShouldBeNil)
					So(got+int(stats.MsgsDropped), ShouldEqual, sent)
					So(stats.MsgsDropped > 0, ShouldEqual, size > 5)
				})
			}
		}
	}
}

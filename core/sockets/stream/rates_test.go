// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// TestRates: the options reach connections, over real descriptors and the real clock.
// core/engine counts what comes when.
func TestRates(t *testing.T) {
	const count = 60
	flood := func(t *testing.T, settings ...Setting) (*Socket, peer) {
		k, err := Listen("tcp://127.0.0.1:*", settings...)
		must(t, err, "Listen")
		t.Cleanup(func() { _ = k.Close() })
		p := dial(t, k.Addr())
		var bodies []string
		for i := range count {
			bodies = append(bodies, fmt.Sprint("message ", i))
		}
		p.send(bodies...) // at once
		m, err := k.Recv(context.Background())
		must(t, err, "Recv")
		So(m.Kind, ShouldEqual, Connected)
		return k, p
	}
	Convey("A peer that sends more than its rate loses nothing", t, func() {
		for _, setting := range []Setting{WithRateMessages(40), WithRateBytes(700)} {
			k, _ := flood(t, setting)
			for i := range count {
				m, err := k.Recv(context.Background())
				must(t, err, "Recv")
				So(string(m.Body), ShouldEqual, fmt.Sprint("message ", i))
				m.Release()
			}
		}
	})
	Convey("With the other policy it is cut, behind what came within the rate", t, func() {
		k, p := flood(t, WithRateMessages(20), WithRatePolicy(RateCut))
		for i := 0; ; i++ {
			m, err := k.Recv(context.Background())
			must(t, err, "Recv")
			if m.Kind == Disconnected {
				So(i, ShouldBeGreaterThanOrEqualTo, 20)
				So(i, ShouldBeLessThan, count)
				break
			}
			So(string(m.Body), ShouldEqual, fmt.Sprint("message ", i))
			m.Release()
		}
		_, err := p.body()
		So(err, ShouldNotBeNil)
	})
}

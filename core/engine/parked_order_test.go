// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// TestParkedOrder: a receiver that catches up by half has room for what two or three
// connections read at a time. Whoever of the others would be parked again is the first
// one the next time.
func TestParkedOrder(t *testing.T) {
	Convey("Of many connections that have more than their socket takes each has its turn", t, func() {
		const connections, times = 12, 12
		g := newStage(t)
		var all []*Conn
		var floods []*flood
		for range connections {
			s, fd := g.plain()
			all = append(all, s)
			floods = append(floods, &flood{fd: fd, next: func() []byte { return again(frameOf("a small one")) }})
		}
		untilParked := func() {
			watchdog(t, "all are parked", func() bool {
				for _, f := range floods {
					f.offer()
				}
				g.step()
				for _, s := range all {
					if !s.parked {
						return false
					}
				}
				return true
			})
		}
		untilParked()
		var before [connections]uint64
		for i, s := range all {
			before[i] = s.Received.Load()
		}
		for range times {
			g.owner.takeAll()
			g.owner.shared.RxWaiting.Store(throttleBytes / 2) // as if half of it still waited
			g.sh.Resume(g.owner.shared)
			untilParked()
			g.owner.shared.RxWaiting.Add(-throttleBytes / 2)
		}
		for i, s := range all {
			So(s.Received.Load(), ShouldBeGreaterThan, before[i])
		}
	})
}

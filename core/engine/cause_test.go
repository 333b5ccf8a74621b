// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// TestCausesKeepTheirOrder: which of two causes a connection tells.
func TestCausesKeepTheirOrder(t *testing.T) {
	Convey("The first cause stays, unless an order turns into something harsher before it is told", t, func() {
		for first := CausePeerClosed; first <= CauseNoMemory; first++ {
			for then := CausePeerClosed; then <= CauseNoMemory; then++ {
				for _, announced := range []bool{false, true} {
					c := &Conn{announced: announced}
					c.because(first)
					c.because(then)
					ordered := first == CauseClosedHere || first == CauseDrained || first == CauseContext
					harsher := then == CauseAbortedHere || then == CauseStalled
					expected := first
					if ordered && harsher && !announced {
						expected = then
					}
					So(fmt.Sprint(first, ", then ", then, ": ", c.Cause()), ShouldEqual, fmt.Sprint(first, ", then ", then, ": ", expected))
				}
			}
		}
	})
}

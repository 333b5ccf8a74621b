// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestIntake(t *testing.T) {
	record := func(size int) []byte {
		return append([]byte{22, 3, 1, byte(size >> 8), byte(size)}, make([]byte, size)...)
	}
	wire := append(append(append(record(100), record(0)...), record(300)...), record(16384)...)
	for _, step := range []int{1, 3, 7, 512, len(wire)} {
		Convey(fmt.Sprintf("Whole records are kept in a buffer that doubles, whatever the kernel gives at a time: %d bytes", step), t, func() {
			var r intake
			kept := map[int]int64{} // by bytes that came
			sum := int64(0)
			for from := 0; from < len(wire); from += step {
				to := min(from+step, len(wire))
				sum += r.came(wire[from:to])
				kept[to] = sum
			}
			for came, kept := range kept {
				switch {
				case came < 105:
					So(kept, ShouldEqual, 0)
				case came < 105+5+305:
					So(kept, ShouldEqual, 128)
				case came < len(wire):
					So(kept, ShouldEqual, 512)
				default:
					So(kept, ShouldEqual, 32<<10)
				}
			}
		})
	}
}

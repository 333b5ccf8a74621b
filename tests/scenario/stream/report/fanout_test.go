// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const someCasts = `1,tcp,publish,100,1024,alone,0.02,0.5,0.1,200,5.5,2.5
1,tcp,bare,100,1024,alone,0.5,0.5,0.1,200,5,2.5
1,tcp,publish,1000,1024,alone,0.2,6,0.1,180,5.5,2.5
1,tcp,bare,1000,1024,alone,5,5,0.1,200,5,2.5
2,tcp,publish,1000,1024,alone,0.4,4,0.1,250,5.5,2.5
2,tcp,bare,1000,1024,alone,5,5,0.1,200,5,2.5
1,tcp,publish,1000,1024,echo,40,100,60,250,20,0
1,tcp,publish,1000,1024,echo-first,40,100,60,150,20,0
`

func TestFanOut(t *testing.T) {
	Convey("What one message to many takes", t, func() {
		dir := t.TempDir()
		write := func(text string) {
			So(os.WriteFile(filepath.Join(dir, "fanout.csv"), []byte(text), 0o600), ShouldBeNil)
		}
		Convey("is a group of charts over the peers", func() {
			write(someCasts)
			all, err := readCasts(dir)
			So(err, ShouldBeNil)
			g := all.castGroup()
			So(len(g.Charts), ShouldEqual, 3)
			for _, c := range g.Charts {
				So(c.Marks, ShouldEqual, 4)
				So(len(c.Legend), ShouldEqual, 2)
			}
		})
		Convey("is a table with ratios of the same round", func() {
			write(someCasts)
			all, err := readCasts(dir)
			So(err, ShouldBeNil)
			var out strings.Builder
			writeCasts(&out, all)
			So(out.String(), ShouldContainSubstring, "| publish | 0.3 (0.2 – 0.4) | 5 (4 – 6) | 1 (0.8 – 1.2) |")
			So(out.String(), ShouldContainSubstring, "| 2.5 (2.5 – 2.5) | 20 (20 – 20) |")
			So(out.String(), ShouldContainSubstring, "| 1.5 (1.5 – 1.5) | 20 (20 – 20) |")
		})
		Convey("may be missing, and is refused when it is cut", func() {
			all, err := readCasts(dir)
			So(err, ShouldBeNil)
			So(len(all.castGroup().Charts), ShouldEqual, 0)
			write("1,tcp,publish,100\n")
			_, err = readCasts(dir)
			So(err, ShouldNotBeNil)
			write(strings.Replace(someCasts, "0.02", "fast", 1))
			_, err = readCasts(dir)
			So(err, ShouldNotBeNil)
		})
	})
}

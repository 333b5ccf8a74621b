// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/xml"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// fixture is a run whose stacks passed, failed and were skipped.
func fixture() (info, table, summary) {
	i, err := readInfo("testdata/run")
	So(err, ShouldBeNil)
	t, err := readTable("testdata/run")
	So(err, ShouldBeNil)
	return i, t, summarize(t)
}

func pageOf(i info, t table) string {
	var out strings.Builder
	So(newPage(i, t, summarize(t)).write(&out), ShouldBeNil)
	return out.String()
}

// missingCells are those of the table that the page does not show.
func missingCells(t table, page string) (missing []string) {
	for _, row := range t.Rows {
		for _, cell := range row.Cells {
			if !strings.Contains(page, "<td>"+html.EscapeString(cell)+"</td>") {
				missing = append(missing, row.Cells[0]+": "+cell)
			}
		}
	}
	return missing
}

func TestPage(t *testing.T) {
	Convey("the page of a run shows", t, func() {
		i, rows, s := fixture()
		page := pageOf(i, rows)
		Convey("every cell of metrics.csv", func() { So(missingCells(rows, page), ShouldBeEmpty) })
		Convey("the run's commit, machine and settings", func() {
			for _, want := range []string{"commit 0123abc", "check all", "<code>ROUNDS=2 run_stream_compare.sh</code>",
				"Some &lt;processor&gt;, 2 processors, 24 GB", "BACKLOG 1000000"} {
				So(page, ShouldContainSubstring, want)
			}
		})
		Convey("medians and ratios", func() {
			zlink := s.find("zlink", "s2")
			So(page, ShouldContainSubstring, `<td class="rate">`+grouped(zlink.figures["rate"].Median)+"<")
			So(page, ShouldContainSubstring, "<td>"+ratioText(zlink.figures["ratio_to_asio"].Median)+"</td>")
		})
		Convey("what was skipped and what failed, and why", func() {
			So(page, ShouldContainSubstring, "CPPSERVER_CMD is not set")
			So(page, ShouldContainSubstring, "wrong bytes")
			So(page, ShouldContainSubstring, "libzlink has no tls")
		})
		Convey("what the sweeps had in common", func() {
			So(page, ShouldContainSubstring, "30 in flight on each.")
		})
		Convey("nothing from the network", func() {
			So(regexp.MustCompile(`(?i)(src|href)="?https?:|@import|url\(`).FindString(page), ShouldBeEmpty)
		})
		Convey("the charts that the run has rows for", func() {
			for _, id := range []string{"s2-rate", "s2-to-epoll", "s2-to-asio", "s0-latency", "s2-latency", "s2-memory",
				"s2-cpu", "syscalls", "s1-rate", "s3-size-rate", "s3-size-memory"} {
				So(page, ShouldContainSubstring, `data-chart="`+id+`"`)
			}
			So(page, ShouldNotContainSubstring, "s2-to-cppserver")
			So(page, ShouldNotContainSubstring, "s3-ccu")
		})
	})
	Convey("a run of which nothing passed, or without s2, has a page too", t, func() {
		page := pageOf(info{}, tableOf("a-s2,a,s2,s2,1,1,0,,0,FAIL,<b>_&\n"))
		So(page, ShouldContainSubstring, "&lt;b&gt; &amp;")
		page = pageOf(info{}, tableOf("a-s1,a,s1,s1,1,5,0,1,0,PASS,-\n"))
		So(page, ShouldNotContainSubstring, "At a glance")
	})
	Convey("a command that is not known is wrong use", t, func() {
		So(command{name: "frobnicate", dir: "testdata/run"}.run(nil), ShouldWrap, errUsage)
	})
}

func TestCharts(t *testing.T) {
	Convey("nothing is drawn of nothing", t, func() {
		_, ok := bars("a", "", "", "", nil)
		So(ok, ShouldBeFalse)
		_, ok = lines("a", "", "", "", "", []string{"1", "2"}, true, []line{{"zlink", []any{nil, nil}}})
		So(ok, ShouldBeFalse)
		_, ok = lines("a", "", "", "", "", []string{"1"}, true, []line{{"zlink", []any{1.0}}})
		So(ok, ShouldBeFalse)
	})
	Convey("names cannot end the drawing", t, func() {
		c, ok := bars("a", "", "", "", []bar{{"</svg><script>", spreadOf([]float64{1, 2})}})
		So(ok, ShouldBeTrue)
		So(c.Marks, ShouldEqual, 3)
		So(string(c.SVG), ShouldNotContainSubstring, "<script>")
	})
	Convey("every bar and point is drawn, on either scale, also when all are 0", t, func() {
		zeros, _ := bars("a", "", "", "", []bar{{"zlink", spreadOf([]float64{0, 0})}})
		curves := []line{{"zlink", []any{1.0, nil, 3.0}}, {"asio", []any{10.0, 20.0, 3e5}}}
		x := []string{"1", "2", "3"}
		linear, _ := lines("b", "", "", "ms", "", x, false, curves)
		logarithmic, _ := lines("c", "", "", "ms", "", x, true, curves)
		flat, _ := lines("d", "", "", "ms", "", x, true, []line{{"zlink", []any{10.0, 10.0, 10.0}}})
		var out strings.Builder
		So(pageTemplate.Execute(&out, page{Groups: []group{{Charts: []chart{zeros, linear, logarithmic, flat}}}}), ShouldBeNil)
		empty, charts := emptyCharts(out.String())
		So(empty, ShouldBeEmpty)
		So(charts, ShouldEqual, 4)
	})
	Convey("labels of sweeps and transports are taken apart", t, func() {
		name, value, ok := sweepOf("s3-io-threads-4")
		So([]any{name, value, ok}, ShouldResemble, []any{"io-threads", "4", true})
		_, _, ok = sweepOf("s2")
		So(ok, ShouldBeFalse)
		name, ok = transportOf("s4-tls-s0")
		So([]any{name, ok}, ShouldResemble, []any{"tls", true})
	})
}

func TestDrawn(t *testing.T) {
	Convey("The page of a run has every chart and every number", t, func() {
		i, rows, s := fixture()
		p := newPage(i, rows, s)
		dir := t.TempDir()
		So(writePage(dir, p), ShouldBeNil)
		text, err := os.ReadFile(filepath.Join(dir, "report.html"))
		So(err, ShouldBeNil)
		want := 0
		for _, group := range p.Groups {
			want += len(group.Charts)
			for _, c := range group.Charts {
				So(xml.Unmarshal([]byte(c.SVG), new(any)), ShouldBeNil)
			}
		}
		empty, charts := emptyCharts(string(text))
		So(empty, ShouldBeEmpty)
		So(charts, ShouldEqual, want)
		So(countCharts(io.Discard, dir), ShouldBeNil)

		Convey("and a chart without data is noticed", func() {
			p.Groups[0].Charts[0].SVG = "<svg></svg>"
			So(writePage(dir, p), ShouldBeNil)
			So(countCharts(io.Discard, dir).Error(), ShouldEndWith, "empty: s2-rate")
		})
		Convey("and a page without charts", func() {
			So(writePage(dir, page{}), ShouldBeNil)
			So(countCharts(io.Discard, dir).Error(), ShouldContainSubstring, "no charts")
		})
	})
	Convey("The picture for the README is XML, and small", t, func() {
		_, _, s := fixture()
		path := filepath.Join(t.TempDir(), "picture.svg")
		So(writePicture(path, s), ShouldBeNil)
		picture, err := os.ReadFile(path)
		So(err, ShouldBeNil)
		So(xml.Unmarshal(picture, new(any)), ShouldBeNil)
		So(len(picture), ShouldBeBetween, 2000, 100_000)
	})
}

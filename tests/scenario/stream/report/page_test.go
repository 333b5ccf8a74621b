// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"html"
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

func pageOf(i info, t table, echarts string) string {
	var out strings.Builder
	So(newPage(i, t, summarize(t), echarts).write(&out), ShouldBeNil)
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
		page := pageOf(i, rows, "/* charts */")
		Convey("every cell of metrics.csv", func() { So(missingCells(rows, page), ShouldBeEmpty) })
		Convey("the run's commit, machine and settings", func() {
			for _, want := range []string{"commit 0123abc", "<code>ROUNDS=2 run_stream_compare.sh</code>", "Some &lt;processor&gt;, 2 processors, 24 GB", "BACKLOG 1000000"} {
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
	Convey("without ECharts there are tables, and the page says how to get charts", t, func() {
		i, rows, _ := fixture()
		page := pageOf(i, rows, "")
		So(page, ShouldContainSubstring, "stream_report echarts")
		So(page, ShouldNotContainSubstring, "<script")
		So(missingCells(rows, page), ShouldBeEmpty)
	})
	Convey("a run of which nothing passed, or without s2, has a page too", t, func() {
		page := pageOf(info{}, tableOf("a-s2,a,s2,s2,1,1,0,,0,FAIL,<b>_&\n"), "/* charts */")
		So(page, ShouldContainSubstring, "&lt;b&gt; &amp;")
		page = pageOf(info{}, tableOf("a-s1,a,s1,s1,1,5,0,1,0,PASS,-\n"), "/* charts */")
		So(page, ShouldNotContainSubstring, "At a glance")
	})
	Convey("what is not ECharts is refused", t, func() {
		path := filepath.Join(t.TempDir(), "echarts.js")
		_, err := readECharts(path)
		So(err, ShouldNotBeNil)
		for _, text := range []string{"", "a = '</SCRIPT>'"} {
			So(os.WriteFile(path, []byte(text), 0o600), ShouldBeNil)
			_, err = readECharts(path)
			So(err, ShouldNotBeNil)
		}
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
	Convey("options are JSON that cannot end a script", t, func() {
		c, ok := bars("a", "", "", "", []bar{{"</script>", spreadOf([]float64{1, 2})}})
		So(ok, ShouldBeTrue)
		So(json.Valid([]byte(c.Option)), ShouldBeTrue)
		So(string(c.Option), ShouldNotContainSubstring, "</script>")
		So(c.Marks, ShouldEqual, 3)
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

// echartsFile is there when stream_report echarts has run.
const echartsFile = "../../../../build/echarts/echarts.common.min.js"

func TestRender(t *testing.T) {
	echarts, err := readECharts(echartsFile)
	if _, noBrowser := chromium(os.DevNull, "--version"); err != nil || noBrowser != nil {
		if os.Getenv("REPORT_RENDER") == "required" {
			t.Fatal("cannot render: ", err, noBrowser)
		}
		t.Skip("cannot render: ", err, noBrowser)
	}
	Convey("Chromium draws every chart, and shows every number of metrics.csv", t, func() {
		i, rows, s := fixture()
		p := newPage(i, rows, s, echarts)
		dir := t.TempDir()
		So(writePage(dir, p), ShouldBeNil)
		dom, err := chromium(filepath.Join(dir, "report.html"), "--dump-dom")
		So(err, ShouldBeNil)
		want := 0
		for _, group := range p.Groups {
			want += len(group.Charts)
		}
		empty, charts := emptyCharts(dom)
		So(empty, ShouldBeEmpty)
		So(charts, ShouldEqual, want)
		So(missingCells(rows, dom), ShouldBeEmpty)

		Convey("but a chart without data is noticed", func() {
			p.Groups[0].Charts[0].Option = `{"series":[]}`
			So(writePage(dir, p), ShouldBeNil)
			dom, err := chromium(filepath.Join(dir, "report.html"), "--dump-dom")
			So(err, ShouldBeNil)
			empty, _ := emptyCharts(dom)
			So(empty, ShouldResemble, []string{"s2-rate"})
		})
		Convey("the picture for the README is small", func() {
			path := filepath.Join(dir, "picture.svg")
			So(writePicture(path, s, echarts), ShouldBeNil)
			picture, err := os.Stat(path)
			So(err, ShouldBeNil)
			So(picture.Size(), ShouldBeBetween, 2000, 100_000)
		})
	})
}

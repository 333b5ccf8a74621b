// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestMarkdown(t *testing.T) {
	Convey("the tables of a run", t, func() {
		i, _, s := fixture()
		var out bytes.Buffer
		writeMarkdown(&out, i, s)
		zlink := s.find("zlink", "s2")
		Convey("have a row for a stack that passed, and none for others", func() {
			So(s.glanceTable(), ShouldContainSubstring, "\n| zlink | "+grouped(zlink.figures["rate"].Median)+" | ")
			So(s.glanceTable(), ShouldNotContainSubstring, "| gonet |")
			So(s.glanceTable(), ShouldNotContainSubstring, "| cppserver |")
		})
		Convey("have as many cells in every row as in the header", func() {
			width := 0
			for line := range strings.Lines(out.String()) {
				if !strings.HasPrefix(line, "|") {
					width = 0
					continue
				}
				if width == 0 {
					width = strings.Count(line, "|")
				}
				So(strings.Count(line, "|"), ShouldEqual, width)
			}
		})
		Convey("show the spread of a ratio and the system calls of another run", func() {
			ratio := zlink.figures["ratio_to_epoll"]
			So(s.s2Table(), ShouldContainSubstring, "| "+ratioText(ratio.Min)+" – "+ratioText(ratio.Max)+" |")
			calls := s.find("zlink", syscallsLabel).figures["syscalls_per_message"]
			So(s.costTable(), ShouldContainSubstring, "| "+threeDigits(calls.Median)+" |\n")
		})
		Convey("have a row for a stack over each transport that passed", func() {
			rate := func(v float64) map[string]spread { return map[string]spread{"rate": {Median: v, Min: v, Max: v}} }
			s := summary{results: []*result{
				{Stack: "zlink", Label: "s4-tcp-s2", Passed: 1, figures: rate(2000)},
				{Stack: "zlink", Label: "s4-ws-s2", Passed: 1, figures: rate(1500)},
				{Stack: "asio", Label: "s4-ws-s2"},
			}}
			So(s.transportTable(), ShouldContainSubstring, "| zlink | tcp | 2,000 | 1.00 |")
			So(s.transportTable(), ShouldContainSubstring, "| zlink | ws | 1,500 | 0.75 |")
			So(s.transportTable(), ShouldNotContainSubstring, "asio")
		})
		Convey("have the values of a sweep as rows, and say what stayed the same", func() {
			text := s.sweepTables("size")
			So(text, ShouldContainSubstring, "\n| 65,536 | ")
			So(text, ShouldContainSubstring, "30 in flight on each")
			So(s.sweepTables("ccu"), ShouldBeEmpty)
		})
		Convey("say why a stack is missing, and where they come from", func() {
			So(s.absentTable(), ShouldContainSubstring, "| cppserver | SKIP | 2 of 2 | CPPSERVER_CMD is not set |")
			So(out.String(), ShouldContainSubstring, "Medians of 2 rounds of `ROUNDS=2 run_stream_compare.sh`, check all, commit 0123abc, 2026-11-24, 2 processors.")
		})
	})
	Convey("a run at a given rate has one table, of latency; others have all but that", t, func() {
		i, _, s := fixture()
		names := func() (names []string) {
			for _, b := range blocks() {
				if b.numbers(i, s) != "" {
					names = append(names, b.name)
				}
			}
			return names
		}
		So(names(), ShouldResemble, []string{"glance", "s0", "s1", "s2", "cost", "absent", "s3-size"})
		i.Settings["RATE"] = 1000.0
		So(names(), ShouldResemble, []string{"paced"})
	})
	Convey("a run of which everything passed says so", t, func() {
		So(summarize(tableOf("a-s2,a,s2,s2,1,1,5,1,1,PASS,-\n")).absentTable(), ShouldEqual, "Every row passed.\n")
	})
	Convey("each sweep fills the block of its own name", t, func() {
		for _, name := range []string{"ccu", "size", "inflight", "io-threads"} {
			s := summarize(tableOf("a-s3,a,s3-" + name + "-7,s2,1,1,5,1,1,PASS,-\na-s3,a,s3-" + name + "-8,s2,1,1,5,1,1,PASS,-\n"))
			var names []string
			for _, b := range blocks() {
				if b.numbers(info{}, s) != "" {
					names = append(names, b.name)
				}
			}
			So(names, ShouldResemble, []string{"s3-" + name})
		}
	})
}

func TestFill(t *testing.T) {
	Convey("a document", t, func() {
		i, _, s := fixture()
		path := filepath.Join(t.TempDir(), "page.md")
		var said bytes.Buffer
		fillIn := func(text string) (string, error) {
			So(os.WriteFile(path, []byte(text), 0o600), ShouldBeNil)
			err := fill(&said, path, i, s)
			got, readErr := os.ReadFile(path)
			So(readErr, ShouldBeNil)
			return string(got), err
		}
		const before = "before\n<!-- numbers s2 -->\nold\n<!-- end -->\nbetween\n<!-- numbers s3-ccu -->\nold ccu\n<!-- end -->\nbehind\n"
		Convey("has its blocks filled; the rest, and blocks without numbers, stay", func() {
			got, err := fillIn(before)
			So(err, ShouldBeNil)
			So(got, ShouldStartWith, "before\n<!-- numbers s2 -->\n| stack |")
			So(got, ShouldContainSubstring, "\n<!-- end -->\nbetween\n<!-- numbers s3-ccu -->\nold ccu\n<!-- end -->\nbehind\n")
			So(got, ShouldNotContainSubstring, "\nold\n")
			So(said.String(), ShouldContainSubstring, "s3-ccu stays as it is")
			Convey("and once more with the same result", func() {
				again, err := fillIn(got)
				So(err, ShouldBeNil)
				So(again, ShouldEqual, got)
			})
		})
		Convey("is left alone when it names numbers that there are not", func() {
			text := before + "<!-- numbers s9 -->\n<!-- end -->\n"
			got, err := fillIn(text)
			So(err, ShouldNotBeNil)
			So(err.Error(), ShouldContainSubstring, `"s9"`)
			So(got, ShouldEqual, text)
		})
		Convey("without a block is refused", func() {
			_, err := fillIn("text\n")
			So(err, ShouldNotBeNil)
		})
	})
	Convey("every block of the project's documents is one that there is", t, func() {
		known := map[string]bool{}
		for _, b := range blocks() {
			known[b.name] = true
		}
		for _, document := range []string{"README.md", "doc/performance-runs.md"} {
			text, err := os.ReadFile(filepath.Join("../../../..", document))
			So(err, ShouldBeNil)
			found := blockPattern.FindAllStringSubmatch(string(text), -1)
			So(len(found), ShouldEqual, strings.Count(string(text), "<!-- numbers "))
			So(found, ShouldNotBeEmpty)
			for _, match := range found {
				So(known, ShouldContainKey, match[1])
			}
		}
	})
}

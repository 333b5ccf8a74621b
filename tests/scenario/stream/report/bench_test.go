// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// cellRows are those of a run of two cells: zlink has 0.9, 0.8 and 0.7 of the limit
// in the first, zlink-batch 1.2, a peer 0.5; the second is another transport.
const cellRows = "scenario_id,stack,label,scenario,round,ccu,size,inflight,throughput,connect_ms," +
	"server_cpu_s_per_million,server_rss_idle_kb,server_rss_peak_kb,pass_fail,reason,check" + `
a,zlink,cell-tcp-1000x64-30,s2,1,1000,64,30,90,1,0.5,10240,20480,PASS,-,frames
a,zlink-batch,cell-tcp-1000x64-30,s2,1,1000,64,30,120,1,0.4,10240,20480,PASS,-,frames
a,uws,cell-tcp-1000x64-30,s2,1,1000,64,30,50,1,0.9,1024,1024,PASS,-,frames
a,epoll,cell-tcp-1000x64-30,s2,1,1000,64,30,100,1,0.3,1024,1024,PASS,-,frames
a,zlink,cell-tcp-1000x64-30,s2,2,1000,64,30,160,1,0.5,10240,20480,PASS,-,frames
a,epoll,cell-tcp-1000x64-30,s2,2,1000,64,30,200,1,0.3,1024,1024,PASS,-,frames
a,zlink,cell-tcp-1000x64-30,s2,3,1000,64,30,70,1,0.5,10240,20480,PASS,-,frames
a,epoll,cell-tcp-1000x64-30,s2,3,1000,64,30,100,1,0.3,1024,1024,PASS,-,frames
a,zlink,cell-ws-100x64k-4,s2,1,100,65536,4,40,1,0.5,10240,20480,PASS,-,frames
a,epoll,cell-ws-100x64k-4,s2,1,100,65536,4,100,1,0.3,1024,1024,PASS,-,frames
`

const cellFloors = "tcp-1000x64-30 zlink 0.80\ntcp-1000x64-30 zlink-batch 1.2 # why\n\nws-100x64k-4 zlink 0.4\n"

func floorsOf(text string) floors {
	f, err := parseFloors(strings.NewReader(text))
	So(err, ShouldBeNil)
	return f
}

func cellRun() summary {
	t, err := parseTable(strings.NewReader(cellRows))
	So(err, ShouldBeNil)
	s := summarize(t)
	s.loops = map[string]string{"cell-tcp-1000x64-30": "1 thread, 64 KiB"}
	return s
}

func TestFloors(t *testing.T) {
	Convey("Given a run of cells", t, func() {
		s := cellRun()
		var out bytes.Buffer
		complaint := func(text string) string {
			err := floorsOf(text).check(&out, s)
			So(err, ShouldNotBeNil)
			return err.Error()
		}
		Convey("floors at or below the medians of its ratios hold", func() {
			So(floorsOf(cellFloors).check(&out, s), ShouldBeNil)
			So(out.String(), ShouldEqual, "3 of 3 floors hold\n")
		})
		Convey("a ratio below its floor does not, and both are named", func() {
			So(complaint(strings.Replace(cellFloors, "0.80", "0.81", 1)), ShouldEqual,
				"zlink in tcp-1000x64-30 has 0.80 of the limit's rate (0.70 – 0.90), less than its floor, 0.81")
			So(out.String(), ShouldEqual, "2 of 3 floors hold\n")
		})
		Convey("a missing line is named; a peer needs none", func() {
			So(complaint(strings.Replace(cellFloors, "ws-100x64k-4 zlink 0.4\n", "", 1)), ShouldEqual,
				"floor.txt has no line for zlink in ws-100x64k-4")
		})
		Convey("a line of a stack that did not run is named, unless the whole cell did not", func() {
			So(complaint(cellFloors+"ws-100x64k-4 zlink-go 0.1\n"), ShouldEqual,
				"floor.txt has a line for zlink-go in ws-100x64k-4, where it did not run")
			So(floorsOf(cellFloors+"tcp-1x1k-1 zlink 0.9\n").check(&out, s), ShouldBeNil)
		})
		Convey("memory above its bounds is named", func() {
			So(floorsOf(strings.Replace(cellFloors, "0.80", "0.80 10 20", 1)).check(&out, s), ShouldBeNil)
			text := complaint(strings.Replace(cellFloors, "0.80", "0.80 9 19.5", 1))
			So(text, ShouldContainSubstring, "zlink in tcp-1000x64-30 takes 10.0 MB idle, more than 9\n")
			So(text, ShouldEndWith, "zlink in tcp-1000x64-30 takes 20.0 MB at its peak, more than 19.5")
		})
		Convey("a stack of which no round passed is named", func() {
			const passed = "100,65536,4,40,1,0.5,10240,20480,"
			s = summarize(must(parseTable(strings.NewReader(strings.Replace(cellRows, passed+pass, passed+fail, 1)))))
			So(complaint(cellFloors), ShouldEqual, "zlink in ws-100x64k-4: no round passed for it and the limit")
		})
		Convey("it would pass the floors that are made of it", func() {
			writeFloors(&out, s)
			So(out.String(), ShouldContainSubstring, "tcp-1000x64-30       zlink        0.59\n")
			So(floorsOf(out.String()).check(io.Discard, s), ShouldBeNil)
		})
	})
	Convey("a file that is none is refused, and the line named", t, func() {
		for _, text := range []string{"tcp", "tcp zlink", "tcp zlink much", "tcp zlink -1", "tcp zlink 80",
			"tcp zlink 0.8 9", "tcp zlink 0.8 9 x", "tcp zlink 0.8\ntcp zlink 0.9"} {
			_, err := parseFloors(strings.NewReader(text))
			So(err, ShouldNotBeNil)
			So(err.Error(), ShouldContainSubstring, "tcp")
		}
		_, err := readFloors(filepath.Join(t.TempDir(), "none"))
		So(errors.Is(err, os.ErrNotExist), ShouldBeTrue)
	})
	Convey("the project's floor.txt has a line for each stack of each cell, and no other", t, func() {
		all, err := readFloors("../floor.txt")
		So(err, ShouldBeNil)
		text, err := os.ReadFile("../cells.txt")
		So(err, ShouldBeNil)
		lines := 0
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] == "#" {
				continue
			}
			for stack := range strings.SplitSeq(words[5], ",") {
				_, ok := all.find(words[0], stack)
				So([]any{words[0], stack, ok}, ShouldResemble, []any{words[0], stack, true})
				lines++
			}
		}
		So(len(all), ShouldEqual, lines)
	})
}

func TestBench(t *testing.T) {
	Convey("the table of a run of cells", t, func() {
		s, dir := cellRun(), t.TempDir()
		var out bytes.Buffer
		So(bench(&out, dir, info{Commit: "0123abc"}, s, floorsOf(cellFloors)), ShouldBeNil)
		written := func(name string) string {
			text, err := os.ReadFile(filepath.Join(dir, name))
			So(err, ShouldBeNil)
			return string(text)
		}
		Convey("has a row for each stack, with its ratios, its CPU time and its floor", func() {
			So(out.String(), ShouldContainSubstring,
				"| tcp 1,000 × 64 B × 30 | zlink | 90 | 0.80 | 0.5 | 10.0 | 20.0 | 0.70 – 0.90 | 0.80 |\n|  | zlink-batch |")
			So(out.String(), ShouldContainSubstring, "| ws 100 × 64 KiB × 4 | zlink |")
			So(out.String(), ShouldContainSubstring, "check frames")
			So(out.String(), ShouldStartWith, written("bench.md"))
		})
		Convey("names the bare loop that is the limit", func() {
			So(out.String(), ShouldContainSubstring, "|  | epoll, 1 thread, 64 KiB | 100 | 1.00 |")
		})
		Convey("is written as CSV", func() {
			lines, err := csv.NewReader(strings.NewReader(written("bench.csv"))).ReadAll()
			So(err, ShouldBeNil)
			So(lines, ShouldHaveLength, 7)
			So(strings.Join(lines[1], ","), ShouldStartWith, "tcp-1000x64-30,1000,64,30,zlink,,frames,3,90,0.8,0.5,")
		})
		Convey("has a heat map with a field for each ratio of a stack, but not of the limit", func() {
			picture := written("bench.svg")
			So(xml.Unmarshal([]byte(picture), new(any)), ShouldBeNil)
			_, fields := newHeat(s.benchRows(nil)).draw()
			So(fields, ShouldEqual, 4)
			So(len(shapePattern.FindAllString(picture, -1)), ShouldBeGreaterThanOrEqualTo, fields)
			for _, want := range []string{"0.80", "1.20", "0.50", "0.40", "tcp 1,000 × 64 B × 30", "zlink-batch", "uws"} {
				So(picture, ShouldContainSubstring, ">"+want+"<")
			}
		})
		Convey("fills a block of a document, below the heat map and without floors", func() {
			text := benchBlock(s)
			So(text, ShouldStartWith, "![")
			So(text, ShouldContainSubstring, "](bench.svg)\n\n| connections")
			So(text, ShouldNotContainSubstring, "floor")
			So(benchBlock(summary{}), ShouldEqual, "")
			So(text, ShouldContainSubstring, "| 0.70 – 0.90 |\n")
		})
	})
	Convey("a run without cells is refused, also when all failed", t, func() {
		s := summarize(tableOf("a-s2,a,s2,s2,1,1,100,1,1,PASS,-\na,a,cell-x,s2,1,1,100,1,1,FAIL,-\n"))
		So(bench(io.Discard, t.TempDir(), info{}, s, nil) != nil, ShouldBeTrue)
	})
	Convey("a colour is between those of the ratios around it", t, func() {
		So(heatColour(0.1), ShouldResemble, heatColours[0].rgb)
		So(heatColour(0.9), ShouldResemble, heatColours[2].rgb)
		So(heatColour(3), ShouldResemble, heatColours[3].rgb)
		So(heatColour(0.8).G, ShouldBeBetween, heatColours[1].rgb.G, heatColours[2].rgb.G+2)
	})
}

func TestLoops(t *testing.T) {
	Convey("the bare loops that won are read from limits.csv", t, func() {
		dir := t.TempDir()
		So(readLoops(dir), ShouldBeEmpty)
		const text = "label,threads,buffer,messages_per_s\ns2,1,65536,10\ncell-a,2,1048576,20\n"
		So(os.WriteFile(filepath.Join(dir, "limits.csv"), []byte(text), 0o600), ShouldBeNil)
		So(readLoops(dir), ShouldResemble, map[string]string{"s2": "1 thread, 64 KiB", "cell-a": "2 threads, 1 MiB"})
	})
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const testHeader = "scenario_id,stack,label,scenario,round,ccu,throughput,connect_ms,p99,pass_fail,reason\n"

func tableOf(lines string) table {
	t, err := parseTable(strings.NewReader(testHeader + lines))
	So(err, ShouldBeNil)
	return t
}

func TestTable(t *testing.T) {
	Convey("metrics.csv that is not one is refused, and the reason named", t, func() {
		for text, want := range map[string]string{
			"":                          "it is empty",
			"scenario_id,stack\n":       "no column label",
			testHeader:                  "it has no rows",
			testHeader + "zlink-s2,z\n": "wrong number of fields",
			testHeader + "a-s2,a,s2,s2,one,1,1,1,1,PASS,-\n": `line 2: round "one" is not a number`,
			testHeader + "a-s2,a,s2,s2,1,1,1,1,1,,-\n":       `line 2: pass_fail "" is not PASS, FAIL or SKIP`,
		} {
			_, err := parseTable(strings.NewReader(text))
			So(err, ShouldNotBeNil)
			So(err.Error(), ShouldContainSubstring, want)
		}
	})
	Convey("a folder without it is refused", t, func() {
		_, err := readTable(t.TempDir())
		So(errors.Is(err, os.ErrNotExist), ShouldBeTrue)
	})
	Convey("reasons are read as words, names of variables stay", t, func() {
		So(readable("CPPSERVER_CMD_is_not_set"), ShouldEqual, "CPPSERVER_CMD is not set")
		So(readable("wrong_bytes;no_answer"), ShouldEqual, "wrong bytes;no answer")
	})
}

func TestSummary(t *testing.T) {
	Convey("a median is the middle value, or the mean of the two in the middle", t, func() {
		So(spreadOf([]float64{9, 1, 2}).Median, ShouldEqual, 2)
		So(spreadOf([]float64{4, 1, 2, 9}).Median, ShouldEqual, 3)
		s := spreadOf([]float64{9, 1, 2})
		So([]float64{s.Min, s.Max}, ShouldResemble, []float64{1, 9})
	})
	Convey("a ratio compares rows of the same round", t, func() {
		s := summarize(tableOf(
			"a-s2,a,s2,s2,2,1,300,1,1,PASS,-\n" +
				"a-s2,a,s2,s2,1,1,100,1,1,PASS,-\n" +
				"epoll-s2,epoll,s2,s2,1,1,200,1,1,PASS,-\n" +
				"epoll-s2,epoll,s2,s2,2,1,400,1,1,PASS,-\n"))
		ratio, ok := s.find("a", "s2").get("ratio_to_epoll")
		So(ok, ShouldBeTrue)
		So(ratio.values, ShouldResemble, []float64{0.5, 0.75})
		_, ok = s.find("a", "s2").get("ratio_to_asio")
		So(ok, ShouldBeFalse)
	})
	Convey("a row says what was checked; one of before there was a choice, everything", t, func() {
		rows, err := parseTable(strings.NewReader(strings.TrimSpace(testHeader) + ",check\n" +
			"a-s2,a,s2,s2,1,1,1,1,1,PASS,-,frames\nb-s2,b,s2,s2,1,1,1,1,1,PASS,-,all\n"))
		So(err, ShouldBeNil)
		s := summarize(rows)
		So(s.checks(), ShouldEqual, "all and frames")
		text, err := json.Marshal(s.find("a", "s2"))
		So(err, ShouldBeNil)
		So(string(text), ShouldContainSubstring, `"check":"frames"`)
		So(summarize(tableOf("a-s2,a,s2,s2,1,1,1,1,1,PASS,-\n")).checks(), ShouldEqual, "all")
	})
	Convey("rounds that failed have no part in the median, and one makes the verdict", t, func() {
		s := summarize(tableOf(
			"a-s2,a,s2,s2,1,1,100,1,1,PASS,-\n" +
				"a-s2,a,s2,s2,2,1,7,1,1,FAIL,wrong_bytes\n" +
				"a-s2,a,s2,s2,3,1,0,,0,SKIP,no_compiler\n" +
				"b-s2,b,s2,s2,1,1,0,,0,SKIP,no_compiler\n"))
		a, b := s.find("a", "s2"), s.find("b", "s2")
		So(a.Verdict, ShouldEqual, fail)
		So([]int{a.Rounds, a.Passed}, ShouldResemble, []int{3, 1})
		So(a.figures["rate"].values, ShouldResemble, []float64{100})
		So(a.Reasons, ShouldResemble, []string{"wrong bytes", "no compiler"})
		So(b.Verdict, ShouldEqual, skip)
		So(b.figures, ShouldBeEmpty)
	})
	Convey("a server that ended badly takes its round back", t, func() {
		a := summarize(tableOf("a-s2,a,s2,s2,1,1,100,1,1,PASS,-\na-s2,a,s2,s2,1,1,0,,0,FAIL,server_ended\n")).results[0]
		So([]int{a.Rounds, a.Passed}, ShouldResemble, []int{1, 0})
		So(a.Verdict, ShouldEqual, fail)
	})
	Convey("s1 is rated by connections a second and has no latency", t, func() {
		a := summarize(tableOf("a-s1,a,s1,s1,1,500,0,250,0.0,PASS,-\n")).results[0]
		So(a.figures["rate"].Median, ShouldEqual, 2000)
		_, ok := a.get("p99_us")
		So(ok, ShouldBeFalse)
	})
	Convey("of a traced run only the calls are summarised", t, func() {
		s := summarize(tableOf("a-s2,a,s2,s2,1,1,100,1,1,PASS,-\na-s2-syscalls,a,s2-syscalls,s2,0,1,5,1,1,PASS,-\n"))
		So(s.find("a", "s2").figures["rate"].values, ShouldResemble, []float64{100})
		So(s.find("a", syscallsLabel).figures, ShouldBeEmpty)
	})
	Convey("summary.json is JSON, and the description in it is read back", t, func() {
		dir := t.TempDir()
		t.Setenv("CCU", "50")
		t.Setenv("TRANSPORT", "tcp")
		t.Setenv("COMMAND", "CCU=50 run")
		i := infoHere()
		So(writeSummary(dir, i, summarize(tableOf("a-s2,a,s2,s2,1,1,100,1,1,PASS,-\n"))), ShouldBeNil)
		text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
		So(err, ShouldBeNil)
		So(json.Valid(text), ShouldBeTrue)
		So(string(text), ShouldContainSubstring, `"rate": {`)
		back, err := readInfo(dir)
		So(err, ShouldBeNil)
		So(back, ShouldResemble, i)
		So(back.Settings["CCU"], ShouldEqual, 50)
		So(back.Command, ShouldEqual, "CCU=50 run")
		So(back.Machine.CPUs, ShouldBeGreaterThan, 0)
	})
	Convey("without summary.json there is no description; a broken one is an error", t, func() {
		dir := t.TempDir()
		i, err := readInfo(dir)
		So(err, ShouldBeNil)
		So(i.Machine.text(), ShouldEqual, "unknown machine")
		So(os.WriteFile(filepath.Join(dir, "summary.json"), []byte("{"), 0o600), ShouldBeNil)
		_, err = readInfo(dir)
		So(err, ShouldNotBeNil)
	})
}

func TestText(t *testing.T) {
	Convey("numbers are shown with three digits, thousands set apart", t, func() {
		So(grouped(1234567.4), ShouldEqual, "1,234,567")
		So(shortText(0.08531), ShouldEqual, "0.0853")
		So(shortText(12.345), ShouldEqual, "12.3")
		So(shortText(123.45), ShouldEqual, "123")
		So(shortText(1599.2), ShouldEqual, "1,599")
		So(latencyText(999), ShouldEqual, "999 us")
		So(latencyText(1970), ShouldEqual, "1.97 ms")
	})
	Convey("the table has a line for every result", t, func() {
		var out bytes.Buffer
		writeText(&out, summarize(tableOf("a-s2,a,s2,s2,1,1,1100,1,1,PASS,-\nb-s2,b,s2,s2,1,1,0,,0,SKIP,no_compiler\n")))
		So(strings.Count(out.String(), "\n"), ShouldEqual, 4)
		So(out.String(), ShouldEndWith, "\ncheck: all\n")
		So(out.String(), ShouldContainSubstring, "1,100 messages/s")
		So(out.String(), ShouldContainSubstring, "SKIP: no compiler")
	})
}

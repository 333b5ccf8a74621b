// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func TestLedger(t *testing.T) {
	now := time.Now()
	Convey("Every message has one fate", t, func() {
		l := newLedger()
		l.sent, l.answered, l.refused, l.cut = 10, 6, 1, 2
		Convey("and one without any is a fault", func() {
			So(l.judge(nil, 0).faults(), ShouldResemble, []string{"of 10 messages 9 have a fate"})
		})
		l.gaps = []time.Time{now}
		Convey("a gap during a cut was told", func() {
			So(l.judge([]span{{now.Add(-time.Second), now.Add(time.Second), "cut"}}, 0).faults(), ShouldBeEmpty)
		})
		Convey("so was one that a gateway counted", func() {
			So(l.judge(nil, 1).faults(), ShouldBeEmpty)
		})
		Convey("any other is a fault", func() {
			So(l.judge([]span{{now.Add(time.Second), now.Add(2 * time.Second), "later"}}, 0).faults()[0], ShouldEqual,
				"1 messages are lost and nobody tells")
		})
		Convey("one count excuses one gap", func() {
			l.sent++
			l.gaps = append(l.gaps, now)
			So(l.judge(nil, 1).gapsUntold, ShouldEqual, 1)
		})
	})
	Convey("Gaps of the group are judged the same way, after those of the clients", t, func() {
		l := newLedger()
		l.sent, l.gaps = 1, []time.Time{now}
		l.castGaps = []gap{{now, now, 2}}
		So(l.judge(nil, 3).faults(), ShouldBeEmpty)
		So(l.judge(nil, 2).castGapsUntold, ShouldEqual, 2)
		So(l.judge([]span{{now, now, "cut"}}, 0).faults(), ShouldBeEmpty)
	})
}

// lone is a client without a connection's life.
func lone() (*client, *ledger) {
	l := newLedger()
	return &client{crowd: &crowd{ledger: l}, lost: map[uint64]bool{}}, l
}

func TestClient(t *testing.T) {
	now := time.Now()
	Convey("A client", t, func() {
		one, l := lone()
		one.waiting = []pending{{1, now}, {2, now}}
		Convey("takes each answer once", func() {
			one.answer(1, now)
			one.answer(1, now)
			So([]uint64{l.answered, l.doubled}, ShouldResemble, []uint64{1, 1})
			So(one.waiting, ShouldHaveLength, 1)
		})
		Convey("counts an answer that nobody asked for", func() {
			one.answer(7, now)
			So(l.doubled, ShouldEqual, 1)
		})
		Convey("knows what was on the way when its connection ended, and that it is away", func() {
			one.answer(1, now)
			one.ended(now)
			So(l.cut, ShouldEqual, 1)
			So(one.away, ShouldEqual, now)
			Convey("until the answer to a later message", func() {
				one.answer(2, now) // came all the same: still one answer
				So([]uint64{l.answered, l.cut, l.doubled}, ShouldResemble, []uint64{2, 0, 0})
				one.waiting = []pending{{3, now.Add(time.Second)}}
				one.answer(3, now.Add(2*time.Second))
				So(one.away.IsZero(), ShouldBeTrue)
				So(l.outages, ShouldResemble, []outage{{0, now, now.Add(2 * time.Second), true}})
			})
		})
		Convey("sees gaps and repetitions in the numbers of the group", func() {
			for _, number := range []uint64{5, 6, 9, 9, 8} {
				one.takeCast(number, now)
			}
			So([]uint64{l.casts, l.castDoubled}, ShouldResemble, []uint64{5, 2})
			So(l.castGaps, ShouldResemble, []gap{{now, now, 2}})
		})
		Convey("keeps what is neither", func() {
			one.take([]byte("no"), now)
			So(l.refusals, ShouldResemble, map[string]int{"no": 1})
		})
	})
}

func TestEventsTakeTheirOutages(t *testing.T) {
	now := time.Now()
	Convey("Time counts from the event, or from the end of the connection if that came later", t, func() {
		e := event{from: now, to: now.Add(10 * time.Second)}
		e.assign([]outage{
			{0, now.Add(-patience / 2), now.Add(time.Second), false},
			{1, now.Add(2 * time.Second), now.Add(3500 * time.Millisecond), true},
			{2, now.Add(-time.Minute), now.Add(time.Second), true},
			{3, now.Add(time.Minute), now.Add(2 * time.Minute), true},
		})
		So(e.back, ShouldResemble, []time.Duration{time.Second, 1500 * time.Millisecond})
	})
}

func TestMetrics(t *testing.T) {
	Convey("Figures are added up over their labels", t, func() {
		m, err := parseMetrics(strings.NewReader("# HELP a\na{x=\"1 2\"} 3\na{x=\"b\"} 4e2\nab 7\n"))
		So(err, ShouldBeNil)
		So([]float64{m.sum("a"), m.sum("ab"), m.sum("c")}, ShouldResemble, []float64{403, 7, 0})
		_, err = parseMetrics(strings.NewReader("a b\n"))
		So(err, ShouldNotBeNil)
	})
}

// pipe is a connection of WebSocket whose other end is a buffer.
func pipe(bytesIn []byte) *wire {
	one, other := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, other) }()
	w := &wire{net: one, in: bufio.NewReader(bytes.NewReader(bytesIn))}
	w.web = &webReader{w: w}
	w.body = w.web
	return w
}

func TestWire(t *testing.T) {
	Convey("Messages of WebSocket are put together, of any length", t, func() {
		long := slices.Repeat([]byte("x"), 70_000)
		in := append([]byte{0x02, 2, 'a', 'b', 0x89, 1, 'p', 0x80, 1, 'c', 0x82, 126, 1, 0}, long[:256]...)
		in = append(append(in, 0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70), long...)
		w := pipe(append(in, 0x88, 5, 0x03, 0xe9, 'b', 'y', 'e'))
		for _, want := range [][]byte{[]byte("abc"), long[:256], long} {
			got, err := w.receive(nil)
			So(err, ShouldBeNil)
			So(bytes.Equal(got, want), ShouldBeTrue)
		}
		_, err := w.receive(nil)
		So(errors.Is(err, errFarewell), ShouldBeTrue)
		So(err.Error(), ShouldEndWith, "code 1001 bye")
	})
	Convey("One that is too long is refused before it is there", t, func() {
		_, err := pipe([]byte{0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0}).receive(nil)
		So(err.Error(), ShouldContainSubstring, "a message of more than")
	})
	Convey("What is queued is masked", t, func() {
		w := pipe(nil)
		w.queue([]byte("hello"))
		So(w.out[:6], ShouldResemble, append([]byte{0x82, 0x85}, mask[:]...))
		body := w.out[6:]
		masked(body)
		So(string(body), ShouldEqual, "hello")
	})
	Convey("A client of NATS reads what comes in pieces", t, func() {
		p := &natsPeer{wire: pipe([]byte("\x02\x09MSG a 1 5\x80\x04\r\nhe\x82\x0bllo\r\nPING\r\n\x82\x13MSG a 1 0\r\n\r\nPONG\r\n")), publish: []byte("PUB b a ")}
		buf := make([]byte, 16)
		got, err := p.receive(buf)
		So(err, ShouldBeNil)
		So(string(got), ShouldEqual, "hello")
		got, err = p.receive(buf)
		So(err, ShouldBeNil)
		So(got, ShouldBeEmpty)
		p.queue([]byte("x"))
		masked(p.out[6:])
		So(string(p.out[6:]), ShouldEqual, "PUB b a 1\r\nx\r\n")
	})
}

func TestReport(t *testing.T) {
	Convey("The report has its charts and figures, in a page and a table", t, func() {
		folder := t.TempDir()
		r := &report{Title: "a <title>", Faults: []string{"f & g"}, Warnings: []string{"w"}}
		r.row("part", "a, b", 12345.6, "ms", "")
		r.chart("bars", "", drawBars("ms", []bar{{"a & b", 1, ours}, {"none", 0, bare}}))
		r.chart("time", "", drawTime([]float64{0, 5, 10}, 0.25, 10, []mark{{0.5, "<kill>"}}))
		So(r.write(folder), ShouldBeNil)
		page, err := os.ReadFile(filepath.Join(folder, "report.html"))
		So(err, ShouldBeNil)
		for _, want := range []string{"a &lt;title&gt;", "f &amp; g", "12,346", "a &amp; b", "&lt;kill&gt;"} {
			So(string(page), ShouldContainSubstring, want)
		}
		for _, c := range r.Charts {
			So(wellFormed(string(c.SVG)), ShouldBeNil)
		}
		table, err := os.Open(filepath.Join(folder, "results.csv"))
		So(err, ShouldBeNil)
		defer table.Close()
		rows, err := csv.NewReader(table).ReadAll()
		So(err, ShouldBeNil)
		So(rows[1], ShouldResemble, []string{"part", "a, b", "12345.6", "ms", ""})
	})
}

func wellFormed(text string) error {
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestNumbers(t *testing.T) {
	Convey("A number is new once", t, func() {
		var s numbers
		So([]bool{s.put(1), s.put(200), s.put(1), s.put(200), s.put(0)}, ShouldResemble, []bool{true, true, false, false, true})
	})
}

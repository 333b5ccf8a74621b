// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math/rand"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
)

// withHeader is a frame of FramingHeaders on the wire.
func withHeader(header, body string) []byte {
	all := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(len(header))), uint32(len(body)))
	return append(append(all, header...), body...)
}

// naiveHeaders is scanHeaders written for being obviously right, and returns what the frames have.
func naiveHeaders(buf []byte, room int, maxBody int64) (s scanned, all []string) {
	for s.frames < room {
		rest := buf[s.used:]
		if len(rest) < 6 {
			return s, all
		}
		header := int64(rest[0])<<8 | int64(rest[1])
		body := int64(rest[2])<<24 | int64(rest[3])<<16 | int64(rest[4])<<8 | int64(rest[5])
		if maxBody >= 0 && header+body > maxBody || 2+header+body >= 1<<32 {
			s.tooLong = true
			return s, all
		}
		if int64(len(rest)) < 6+header+body {
			s.need = uint64(6 + header + body)
			return s, all
		}
		all = append(all, string(rest[6:6+header]), string(rest[6+header:6+header+body]))
		s.frames++
		s.used += int(6 + header + body)
	}
	return s, all
}

// walked returns headers and bodies of a run, as its receiver finds them.
func walked(run []byte) (all []string) {
	for len(run) > 0 {
		size := lengthSize + int(binary.BigEndian.Uint32(run))
		header, body := shm.Split(run[lengthSize:size])
		all = append(all, string(header), string(body))
		run = run[size:]
	}
	return all
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte{}, 1, int64(-1))
	f.Add(append(withHeader("", ""), withHeader("head", "body")...), 9, int64(-1))
	f.Add(append(withHeader("a", "b"), withHeader("", "cd")...), 1, int64(2))
	f.Add(withHeader("abc", ""), 2, int64(2))
	f.Add(withHeader("", strings.Repeat("x", 300))[:305], 2, int64(300))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 1}, 9, int64(-1))
	f.Add([]byte{0, 3, 255, 255, 255, 250}, 9, int64(1)<<40)
	f.Add([]byte{0, 3, 255, 255, 255, 251}, 9, int64(1)<<40)
	f.Fuzz(func(t *testing.T, buf []byte, room int, maxBody int64) {
		want, all := naiveHeaders(buf, room, maxBody)
		got := scanHeaders(buf, room, maxBody)
		if got != want {
			t.Fatalf("scanHeaders (%x, %d, %d) = %+v, not %+v", buf, room, maxBody, got, want)
		}
		run := append([]byte(nil), buf[:got.used]...)
		unwire(run)
		if found := walked(run); strings.Join(found, "|") != strings.Join(all, "|") || len(found) != len(all) {
			t.Fatalf("of %x comes %q, not %q", buf[:got.used], found, all)
		}
	})
}

func TestHeadersHoweverCut(t *testing.T) {
	Convey("Frames with headers arrive whole and in order, wherever the stream is cut", t, func() {
		random := rand.New(rand.NewSource(1))
		g := newStage(t)
		ours, theirs := g.pair()
		g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}, Framing: FramingHeaders}, nil)
		var wire []byte
		for _, size := range []int{0, 1, 2, 5, 300, 65535, 7, 70_000, 0, 500_000, 3} {
			wire = append(wire, withHeader(strings.Repeat("h", min(size, 65535)), strings.Repeat("b", random.Intn(size+1)))...)
			wire = append(wire, withHeader("", strings.Repeat("c", size))...)
		}
		_, want := naiveHeaders(wire, 1<<30, -1)
		var run []byte
		for rest := wire; len(run) < len(wire); g.step() {
			part := min(1+random.Intn(1+random.Intn(100_000)), len(rest))
			n, err := unix.Write(theirs, rest[:part])
			So(err == nil || err == unix.EAGAIN, ShouldBeTrue)
			rest = rest[max(n, 0):]
			more, _ := g.received()
			run = append(run, more...)
		}
		got := walked(run)
		So(len(got), ShouldEqual, len(want))
		So(strings.Join(got, "|") == strings.Join(want, "|"), ShouldBeTrue)
	})
}

func TestHeadersAreCounted(t *testing.T) {
	Convey("Of a peer that does not read, all messages that it did not get are counted as lost, and those only", t, func() {
		g := newStage(t)
		ours, theirs := g.pair()
		q := g.owner.shared
		q.TxHeaders = 1
		c := g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}, Framing: FramingHeaders}, nil)
		header, body := []byte("header"), []byte(strings.Repeat("x", 9988))
		for range 100 {
			c.Shared.AppendHeader(q, c.Shared.Rid.Load(), header, body)
		}
		for range 10 {
			g.step()
		}
		first, all := c.partly()
		So(c.moved.Load()+first, ShouldEqual, 10_000*(c.ledger.frames+1))
		So(all, ShouldEqual, first)
		So(take(theirs, 1<<24)[:18], ShouldResemble, withHeader("header", string(body))[:18])
		So(c.ledger.frames, ShouldBeGreaterThan, 3)
		So(c.ledger.beyond(10_000*3), ShouldEqual, c.ledger.frames-3)
	})
	Convey("The ledger finds the end of each message, however the stream is cut", t, func() {
		for _, cut := range cuts {
			l := newLedger(FramingHeaders)
			var stream []byte
			for i := range 50 {
				stream = append(stream, withHeader(strings.Repeat("h", i%7), strings.Repeat("b", i*i%40))...)
			}
			size := uint64(len(stream))
			for len(stream) > 0 {
				n := cut(len(stream))
				l.add(stream[:n])
				stream = stream[n:]
			}
			So(l.frames, ShouldEqual, 50)
			So(l.ended, ShouldEqual, size)
		}
	})
}

func TestHeadersTooLong(t *testing.T) {
	Convey("A header and a body that are longer than MAXMSGSIZE together cut the connection, once their sizes are read", t, func() {
		g := newStage(t)
		for _, c := range []struct {
			header, body string
			cut          bool
		}{{"123", "4567890", false}, {"1234", "567890+", true}, {"", "1234567890+", true}} {
			ours, theirs := g.pair()
			conn := g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}, Framing: FramingHeaders}, nil)
			conn.limits.MaxMsgSize = 10
			frame := withHeader(c.header, c.body)
			if c.cut {
				frame = frame[:6]
			}
			_, err := unix.Write(theirs, frame)
			So(err, ShouldBeNil)
			for range 4 {
				g.step()
			}
			So(conn.fd < 0, ShouldEqual, c.cut)
			if c.cut {
				So(conn.cause, ShouldEqual, CauseTooLong)
			}
		}
	})
}

func FuzzUnmarked(f *testing.F) {
	f.Add([]byte{3, 200, 0, 90}, []byte{1, 2, 3, 250})
	f.Add([]byte{0, 0, 0}, []byte{1})
	f.Add([]byte{255}, []byte{255, 4})
	f.Fuzz(func(t *testing.T, sizes, cutting []byte) {
		var stream, want []byte
		for i, size := range sizes {
			body := strings.Repeat("\xff", int(size))
			want = append(want, frameOf(body)...)
			marked := []byte(frameOf(body))
			if i%2 == 0 {
				marked[0] |= 0x80
			}
			stream = append(stream, marked...)
		}
		u, wire, at := new(unmarked), []byte(nil), 0
		l := &link{layers: []placed{{Layer: u}}}
		for len(stream) > 0 {
			n := 1
			if len(cutting) > 0 {
				n += int(cutting[at%len(cutting)])
			}
			at++
			part := stream[:min(n, len(stream))]
			stream = stream[len(part):]
			wire = u.Seal(wire, Source{link: l, given: &part})
		}
		if string(wire) != string(want) {
			t.Fatalf("%x becomes %x", want, wire)
		}
	})
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/shm"
)

// wireLayer is a layer that has bytes for the one above, in pieces.
type wireLayer struct {
	Plain
	wire []byte
	cut  func(left int) int
}

func (p *wireLayer) Decode(_ Level, buf []byte) (int, error) {
	if len(p.wire) == 0 {
		return 0, errAgain
	}
	n := copy(buf, p.wire[:p.cut(len(p.wire))])
	p.wire = p.wire[n:]
	return n, nil
}

func (p *wireLayer) Seal(dst []byte, above Source) []byte { return above.Gather(dst, sealBytes) }

// told is a message as the connection sees it.
type told struct {
	text bool
	body string
}

// unpacked reads wire through m, and returns the messages, of which the last may be a part.
func unpacked(m *webMessages, wire []byte, cut, room func(int) int) (got []told, rest string, err error) {
	l := &link{layers: []placed{{Layer: &wireLayer{wire: wire, cut: cut}}, {Layer: m}}, messages: true}
	var stash []byte
	for reads := 0; ; reads++ {
		if reads > 1000+4*len(wire) {
			panic("no end of reads")
		}
		buf := make([]byte, room(4096))
		n, err := l.read(buf, 1<<20)
		stash = append(stash, buf[:n]...)
		found := scan(stash, 1<<20, -1)
		for at := 0; at < found.used; {
			size := int(binary.BigEndian.Uint32(stash[at:]))
			got = append(got, told{m.kind, string(stash[at+lengthSize:][:size])})
			at += lengthSize + size
		}
		stash = stash[found.used:]
		switch {
		case err != nil && err != errAgain:
			return got, string(stash), err
		case n == 0 && !m.keeps() && err == errAgain:
			return got, string(stash), nil
		}
	}
}

func messagesOf(most int64) *webMessages { return newWebMessages(&webSocket{}, most) }

// cuts are ways to cut what comes, and what is read.
var cuts = map[string]func(int) int{"whole": whole, "one byte at a time": oneByte, "in parts": anyPart}

// variety returns messages of all kinds, and how a client sends them.
func variety(client bool) (want []told, wire []byte) {
	frame := func(op ws.OpCode, fin bool, payload string) {
		if client {
			wire = append(wire, masked(op, fin, payload)...)
		} else {
			wire = append(wire, ws.MustCompileFrame(ws.NewFrame(op, fin, []byte(payload)))...)
		}
	}
	kinds := map[bool]ws.OpCode{true: ws.OpText, false: ws.OpBinary}
	sizes := []int{0, 1, 2, 3, 5, 125, 126, 127, 300, 5000, 65535, 65536, 70000}
	if check.On { // slow, and one thread
		sizes[len(sizes)-3], sizes[len(sizes)-1] = 9000, 7000
	}
	for i := range 52 {
		text, size := i/3%2 == 0, sizes[i%len(sizes)]
		body := strings.Repeat("aä€😀", size/10+1)
		body = body[:size]
		for text && !utf8.ValidString(body) {
			body = body[:len(body)-1] + "x"
			body = strings.ToValidUTF8(body, "y")
		}
		want = append(want, told{text, body})
		op := kinds[text]
		for rest := body; ; {
			n := len(rest)
			if i%4 == 0 {
				n = rand.IntN(len(rest) + 1)
			}
			last := n == len(rest) && rand.IntN(3) > 0
			frame(op, last, rest[:n])
			if rest, op = rest[n:], ws.OpContinuation; last {
				break
			}
			if rand.IntN(4) == 0 {
				frame(ws.OpPing, true, "now")
			}
		}
	}
	return want, wire
}

func same(got, want []told) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if got[i] != want[i] {
			return false
		}
	}
	return true
}

func TestMessagesOfWebSocket(t *testing.T) {
	Convey("Each message of WebSocket is one, and text is told, however it comes and is read", t, func() {
		for _, client := range []bool{true, false} {
			want, wire := variety(client)
			for _, cut := range cuts {
				for _, room := range cuts {
					m := newWebMessages(&webSocket{client: !client}, -1)
					got, rest, err := unpacked(m, wire, cut, room)
					So(err, ShouldBeNil)
					So(rest, ShouldEqual, "")
					So(same(got, want), ShouldBeTrue)
					So(m.held(), ShouldEqual, 0)
					So(m.Size(), ShouldEqual, webSize)
				}
			}
		}
	})
	Convey("A Close frame ends the stream behind what came before, also what another read returns", t, func() {
		wire := bytes.Join([][]byte{masked(ws.OpText, true, "a"), masked(ws.OpBinary, false, "b"), masked(ws.OpContinuation, true, "c"),
			masked(ws.OpText, true, "d"), masked(ws.OpClose, true, "\x03\xe8bye")}, nil)
		for _, cut := range cuts {
			m := messagesOf(-1)
			got, _, err := unpacked(m, wire, cut, whole)
			So(err, ShouldEqual, io.EOF)
			So(got, ShouldResemble, []told{{true, "a"}, {false, "bc"}, {true, "d"}})
			_, why, closed := m.heard()
			So(why, ShouldEqual, "bye")
			So(closed, ShouldBeTrue)
		}
	})
}

func TestMessagesOfWebSocketRefused(t *testing.T) {
	type row struct {
		what string
		wire []byte
		code webCode
	}
	text := func(parts ...string) []byte {
		var wire []byte
		op := ws.OpText
		for i, part := range parts {
			wire = append(wire, masked(op, i == len(parts)-1, part)...)
			op = ws.OpContinuation
		}
		return wire
	}
	rows := []row{
		{"text that is not UTF-8", text("a\xff"), 1007},
		{"in a later fragment", text("a", "b", "\xc0\xaf"), 1007},
		{"half a character at the end", text("\xe2\x82"), 1007},
		{"half a character at the end of fragments", text("\xe2", "\x82"), 1007},
		{"and then nothing", text("\xe2", "\x82", ""), 1007},
		{"a surrogate", text("\xed\xa0\x80"), 1007},
		{"beyond the last character", text("\xf4\x90\x80\x80"), 1007},
		{"too many bytes for a character", text("\xe0\x80\x80"), 1007},
		{"text inside of bytes", append(masked(ws.OpBinary, false, "x"), masked(ws.OpText, true, "y")...), 1002},
		{"a continuation of nothing", masked(ws.OpContinuation, true, "x"), 1002},
		{"a reserved bit, as of compression", append([]byte{0xC1, 0x80}, 0, 0, 0, 0), 1002},
	}
	Convey("What is wrong ends with the code of the RFC, and the application does not see it", t, func() {
		for _, r := range rows {
			for _, cut := range cuts {
				wire := append(text("good"), r.wire...)
				got, _, err := unpacked(messagesOf(-1), append(wire, masked(ws.OpBinary, true, "behind")...), cut, whole)
				var web *webError
				So(errors.As(err, &web), ShouldBeTrue)
				So(web.code, ShouldEqual, r.code)
				So(got, ShouldResemble, []told{{true, "good"}})
			}
		}
	})
	Convey("Bytes may be anything, and text may be cut anywhere", t, func() {
		got, _, err := unpacked(messagesOf(-1), append(masked(ws.OpBinary, true, "\xff"), text("\xe2\x82", "\xac\xf0\x9f", "\x98", "\x80")...), oneByte, whole)
		So(err, ShouldBeNil)
		So(got, ShouldResemble, []told{{false, "\xff"}, {true, "€😀"}})
	})
	Convey("Of a message that is longer than it may be, the connection sees the length, and nothing is kept", t, func() {
		for _, wire := range [][]byte{masked(ws.OpBinary, true, strings.Repeat("x", 11)),
			append(masked(ws.OpBinary, false, "123456"), masked(ws.OpContinuation, false, "78901")...)} {
			for _, cut := range cuts {
				m := messagesOf(10)
				got, rest, err := unpacked(m, append(append(masked(ws.OpText, true, "1234567890"), wire...), masked(ws.OpText, true, "")...), cut, whole)
				So(err, ShouldBeNil)
				So(got, ShouldResemble, []told{{true, "1234567890"}})
				So(rest, ShouldEqual, "\x00\x00\x00\x0b")
				So(m.held(), ShouldEqual, 0)
			}
		}
	})
}

func TestSealMessagesOfWebSocket(t *testing.T) {
	Convey("Each frame becomes a message, whatever parts the queue gives, and is read as it was", t, func() {
		for _, client := range []bool{true, false} {
			for _, cut := range cuts {
				want := []told{{false, ""}, {true, "text"}, {false, strings.Repeat("b", 200)}, {true, ""}, {true, strings.Repeat("ä", 40000)}, {false, "end"}}
				var queue, wire []byte
				for _, w := range want {
					length := uint32(len(w.body))
					if w.text {
						length |= 1 << 31
					}
					queue = append(binary.BigEndian.AppendUint32(queue, length), w.body...)
				}
				out := newWebMessages(&webSocket{client: client}, -1)
				out.pongOwed = true
				conn := &Conn{shard: &Shard{}}
				for l := (&link{conn: conn, layers: []placed{{Layer: out}}}); len(queue) > 0; {
					part := queue[:min(cut(len(queue)), 1000)]
					queue = queue[len(part):]
					wire = out.Seal(wire, Source{link: l, given: &part})
				}
				So(out.cut(), ShouldBeFalse)
				So(out.pongOwed, ShouldBeFalse)
				got, _, err := unpacked(newWebMessages(&webSocket{client: !client}, -1), wire, whole, whole)
				So(err, ShouldBeNil)
				So(same(got, want), ShouldBeTrue)
			}
		}
	})
}

func TestFragmentsCount(t *testing.T) {
	fragments := func(g *stage) (c *Conn, write func(op ws.OpCode, fin bool, payload string)) {
		ours, theirs := g.pair()
		l := &link{shaking: newFdConn(ours), layers: []placed{{Layer: &webSocket{}}}}
		l.settle()
		c = g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.WS}, Framing: FramingMessages}, l)
		return c, func(op ws.OpCode, fin bool, payload string) {
			_, err := unix.Write(theirs, masked(op, fin, payload))
			So(err, ShouldBeNil)
			for range 20 {
				g.step()
			}
		}
	}
	body := strings.Repeat("x", 100_000)
	Convey("A message in fragments counts as one that has begun, and as memory, until it is whole", t, func() {
		g := newStage(t)
		c, write := fragments(g)
		before, begun := c.Shared.Memory.Load(), &g.owner.Account().Begun
		write(ws.OpBinary, false, body)
		write(ws.OpContinuation, false, body)
		So(begun.Load(), ShouldBeGreaterThanOrEqualTo, 2*len(body))
		So(begun.Load(), ShouldBeLessThan, 2*len(body)+2*shm.LargeChunkSize)
		So(c.Shared.Memory.Load()-before, ShouldEqual, begun.Load())
		So(c.Received.Load(), ShouldEqual, 0)
		write(ws.OpContinuation, true, "")
		So(c.Received.Load(), ShouldEqual, 1)
		So(c.ReceivedBytes.Load(), ShouldEqual, lengthSize+2*len(body))
		So(begun.Load(), ShouldEqual, 0)
		So(c.Shared.Memory.Load(), ShouldEqual, before)
	})
	Convey("One that is more than its share ends the connection", t, func() {
		g := newStage(t)
		a := g.owner.Account()
		a.Total.Store(1 << 20)
		a.Begun.Store(300_000) // of others
		c, write := fragments(g)
		write(ws.OpBinary, false, body)
		So(c.cause, ShouldEqual, CauseQueueBound)
		So(a.Begun.Load(), ShouldEqual, 300_000)
		a.Begun.Store(0)
	})
	Convey("What is left of one when its connection ends is freed", t, func() {
		g := newStage(t)
		c, write := fragments(g)
		write(ws.OpBinary, false, body)
		c.Abort(CauseAbortedHere)
		So(g.owner.Account().Begun.Load(), ShouldEqual, 0)
		So(c.Shared.Memory.Load(), ShouldEqual, 0)
	})
}

func TestUTF8InPieces(t *testing.T) {
	Convey("Text in pieces is UTF-8 if the whole is, and what cannot become it is seen at once", t, func() {
		for _, text := range []string{"", "a", "aä€😀z", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "é\x80", "\xe2\x82", "😀\xf0\x9f"} {
			for _, cut := range cuts {
				var u utf8Check
				good := true
				for rest := text; good && len(rest) > 0; {
					n := cut(len(rest))
					good = u.add([]byte(rest[:n]))
					rest = rest[n:]
				}
				So(good && u.ends(), ShouldEqual, utf8.ValidString(text))
			}
		}
	})
}

// FuzzMessages compares what the layer makes of any bytes, in one piece and in others.
func FuzzMessages(f *testing.F) {
	f.Add(bytes.Join([][]byte{masked(ws.OpText, false, "ä"), masked(ws.OpPing, true, "now"), masked(ws.OpContinuation, true, "€"),
		masked(ws.OpBinary, true, "b"), masked(ws.OpText, true, "")}, nil), uint64(1), true)
	f.Add([]byte("x\x02\x00\x80\x00"), uint64(5), true)
	f.Add(masked(ws.OpText, true, "\xff"), uint64(2), true)
	f.Add(masked(ws.OpClose, true, "\x03\xe8"), uint64(3), true)
	f.Add([]byte{0x81, 1, 'x', 0x02, 0, 0x80, 0}, uint64(4), false)
	f.Fuzz(func(t *testing.T, wire []byte, seed uint64, server bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		part := func(left int) int { return 1 + random.IntN(min(left, 300)) }
		a, b := newWebMessages(&webSocket{client: !server}, 1000), newWebMessages(&webSocket{client: !server}, 1000)
		all, _, err := unpacked(a, wire, whole, whole)
		pieces, _, err2 := unpacked(b, wire, part, part)
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("%v and %v", err, err2)
		}
		if !same(all, pieces) {
			t.Fatalf("%v and %v", all, pieces)
		}
		for _, m := range all {
			if len(m.body) > 1000 || m.text && !utf8.ValidString(m.body) {
				t.Fatalf("%v passed", m)
			}
		}
		a.Drop()
		b.Drop()
	})
}

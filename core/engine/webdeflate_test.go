// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/check"
)

// squeezed is a body as permessage-deflate has it.
func squeezed(body string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 6)
	_, _ = w.Write([]byte(body))
	_ = w.Flush()
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
}

// closed is a body in blocks of which the last one says so.
func closed(body string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 6)
	_, _ = w.Write([]byte(body))
	_ = w.Close()
	return out.String()
}

// maskedPacked is a client's first frame of a compressed message.
func maskedPacked(op ws.OpCode, fin bool, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	f.Header.Rsv = ws.Rsv(true, false, false)
	return ws.MustCompileFrame(ws.MaskFrame(f))
}

func deflating(client bool, most int64) *webMessages {
	return newWebMessages(&webSocket{client: client, deflates: true}, most)
}

func TestDeflate(t *testing.T) {
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	bodies := []string{"", "a", strings.Repeat("hello, ", 100), strings.Repeat("ä€😀", 30_000), string(noise), "end"}
	if check.On { // slow, and one thread
		bodies[3] = bodies[3][:9*8000]
	}
	Convey("Compressed messages are what they were, in any fragments and pieces, among others", t, func() {
		var wire []byte
		var want []told
		for i, body := range bodies {
			packed, text := squeezed(body), utf8.ValidString(body)
			op := map[bool]ws.OpCode{true: ws.OpText, false: ws.OpBinary}[text]
			cut := i * len(packed) / len(bodies)
			wire = append(wire, maskedPacked(op, false, packed[:cut])...)
			wire = append(wire, masked(ws.OpPing, true, "")...)
			wire = append(wire, masked(ws.OpContinuation, true, packed[cut:])...)
			wire = append(wire, maskedPacked(op, true, packed)...)
			wire = append(wire, masked(ws.OpBinary, true, body)...)
			want = append(want, told{text, body}, told{text, body}, told{false, body})
		}
		for _, cut := range cuts {
			for _, room := range cuts {
				m := deflating(false, 300_000)
				got, rest, err := unpacked(m, wire, cut, room)
				So(err, ShouldBeNil)
				So(rest, ShouldEqual, "")
				So(same(got, want), ShouldBeTrue)
				So(m.held(), ShouldEqual, 0)
			}
		}
	})
	Convey("What is sent is compressed where that gains something, and is read as it was", t, func() {
		for _, client := range []bool{true, false} {
			for _, cut := range cuts {
				var queue, wire []byte
				var want []told
				for _, body := range bodies {
					for _, mark := range []uint32{0, 1 << 31} {
						text := mark != 0
						if text && !utf8.ValidString(body) {
							continue
						}
						queue = append(binary.BigEndian.AppendUint32(queue, uint32(len(body))|mark), body...)
						want = append(want, told{text, body})
					}
				}
				all := len(queue)
				out := deflating(client, -1)
				for l := (&link{conn: &Conn{shard: &Shard{}}, layers: []placed{{Layer: out}}}); len(queue) > 0; {
					part := queue[:min(20_000+cut(len(queue)), len(queue))]
					queue = queue[len(part):]
					wire = out.Seal(wire, Source{link: l, given: &part})
				}
				So(out.cut(), ShouldBeFalse)
				So(len(wire), ShouldBeLessThan, all/3)
				in := deflating(!client, 300_000)
				got, _, err := unpacked(in, wire, whole, whole)
				So(err, ShouldBeNil)
				So(same(got, want), ShouldBeTrue)
			}
		}
	})
}

func TestDeflateRefused(t *testing.T) {
	Convey("What is wrong ends with its code", t, func() {
		for _, r := range []struct {
			wire []byte
			code webCode
		}{
			{maskedPacked(ws.OpBinary, true, "\xff\xff\xff"), 1007},
			{maskedPacked(ws.OpBinary, true, ""), 1007},
			{maskedPacked(ws.OpBinary, true, closed("abc")+closed("def")), 1007},
			{maskedPacked(ws.OpBinary, true, closed("abc")+"\x01"), 1007},
			{maskedPacked(ws.OpText, true, squeezed("\xff")), 1007},
			{maskedPacked(ws.OpText, true, squeezed("\xe2\x82")), 1007},
			{maskedPacked(ws.OpPing, true, "x"), 1002},
			{maskedPacked(ws.OpClose, true, ""), 1002},
			{append(masked(ws.OpBinary, false, "x"), maskedPacked(ws.OpContinuation, true, "x")...), 1002},
		} {
			for _, cut := range cuts {
				_, _, err := unpacked(deflating(false, 1000), r.wire, cut, whole)
				var web *webError
				So(errors.As(err, &web), ShouldBeTrue)
				So(web.code, ShouldEqual, r.code)
			}
		}
	})
	Convey("A last block ends a message, with a byte 0 behind it or without", t, func() {
		for _, packed := range []string{closed("abc"), closed("abc") + "\x00"} {
			got, _, err := unpacked(deflating(false, 1000), maskedPacked(ws.OpBinary, true, packed), whole, whole)
			So(err, ShouldBeNil)
			So(len(got), ShouldEqual, 1)
			So(got[0].body, ShouldEqual, "abc")
		}
	})
	Convey("Without an agreement a compressed message is a breach", t, func() {
		_, _, err := unpacked(messagesOf(1000), maskedPacked(ws.OpText, true, squeezed("x")), whole, whole)
		var web *webError
		So(errors.As(err, &web), ShouldBeTrue)
		So(web.code, ShouldEqual, webProtocolError)
	})
	Convey("A bomb is not decompressed beyond the longest message, and the connection sees that it is longer", t, func() {
		bomb := squeezed(strings.Repeat("\x00", 10_000_000))
		So(len(bomb), ShouldBeLessThan, 20_000)
		m := deflating(false, 30_000)
		m.effort = -1 << 40 // counts what is decompressed
		m.parts, m.size = nil, 0
		So(m.keepPart([]byte(bomb)), ShouldBeNil)
		So(m.inflate(), ShouldBeNil)
		So(m.effort+1<<40, ShouldBeLessThan, 30_000+64<<10)
		So(m.held(), ShouldEqual, 0)
		got, rest, err := unpacked(deflating(false, 30_000), maskedPacked(ws.OpBinary, true, bomb), whole, whole)
		So(err, ShouldBeNil)
		So(got, ShouldBeEmpty)
		So(binary.BigEndian.Uint32([]byte(rest)), ShouldBeGreaterThan, 30_000)
		got, rest, _ = unpacked(deflating(false, 100), maskedPacked(ws.OpBinary, true, strings.Repeat("x", 400)), whole, whole)
		So(got, ShouldBeEmpty)
		So(rest, ShouldEqual, "\x00\x00\x01\x90")
	})
}

func TestDeflateTerms(t *testing.T) {
	Convey("A server takes the offers that it can keep", t, func() {
		for terms, takes := range map[string]bool{
			"permessage-deflate": true, "permessage-deflate; client_max_window_bits": true, "Permessage-Deflate;client_max_window_bits=10": true,
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover": true, "permessage-deflate; server_max_window_bits=15": true,
			"permessage-deflate; server_max_window_bits=10": false, "permessage-deflate; client_max_window_bits=16": false, "x-deflate": false,
			"permessage-deflate; client_max_window_bits=08": false,
			"permessage-deflate; mystery":                   false, "permessage-deflate; client_no_context_takeover=1": false,
			"permessage-deflate; server_no_context_takeover; server_no_context_takeover": false, "permessage-deflate;": false,
		} {
			got, _ := takesTerms(terms, true)
			So(got, ShouldEqual, takes)
		}
	})
	Convey("An answer has the window that an offer has", t, func() {
		for offers, answer := range map[string]string{
			"permessage-deflate": deflateTerms, "x-deflate": "", "permessage-deflate; server_max_window_bits=10": "",
			"permessage-deflate; server_max_window_bits=15":                                     deflateTerms + "; server_max_window_bits=15",
			"permessage-deflate; server_max_window_bits=10, permessage-deflate":                 deflateTerms,
			"permessage-deflate, permessage-deflate; server_max_window_bits=15":                 deflateTerms,
			"permessage-deflate; server_max_window_bits=15; client_max_window_bits, x-webkit-x": deflateTerms + "; server_max_window_bits=15",
		} {
			h, err := parseHead([]byte("GET / HTTP/1.1\r\nSec-WebSocket-Extensions: "+offers+"\r\n"), false)
			So(err, ShouldBeNil)
			So(deflateAnswer(&h), ShouldEqual, answer)
		}
	})
	Convey("A client takes the answers that fit its offer", t, func() {
		for terms, takes := range map[string]bool{
			"permessage-deflate": false, "permessage-deflate; server_no_context_takeover": true,
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover":   true,
			"permessage-deflate; server_no_context_takeover; server_max_window_bits=\"9\"": true,
			"permessage-deflate; server_no_context_takeover; client_max_window_bits=10":    false, "other": false,
		} {
			got, _ := takesTerms(terms, false)
			So(got, ShouldEqual, takes)
		}
	})
}

// FuzzDeflate decompresses anything, in one piece and in others.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte(squeezed(strings.Repeat("hello ", 50))), uint64(1), true)
	f.Add([]byte{0}, uint64(2), false)
	f.Add([]byte(squeezed(strings.Repeat("\x00", 5000))), uint64(3), false)
	f.Fuzz(func(t *testing.T, payload []byte, seed uint64, text bool) {
		op := map[bool]ws.OpCode{true: ws.OpText, false: ws.OpBinary}[text]
		random := rand.New(rand.NewPCG(seed, 0))
		part := func(left int) int { return 1 + random.IntN(min(left, 300)) }
		wire := append(maskedPacked(op, true, string(payload)), masked(ws.OpText, true, "behind")...)
		all, _, err := unpacked(deflating(false, 1000), wire, whole, whole)
		pieces, _, err2 := unpacked(deflating(false, 1000), wire, part, part)
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() || !same(all, pieces) {
			t.Fatalf("%v and %v, %v and %v", err, err2, all, pieces)
		}
		for _, m := range all {
			if len(m.body) > 1000 || m.text && !utf8.ValidString(m.body) {
				t.Fatalf("%v passed", m)
			}
		}
	})
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
)

// masked is a frame as a client sends it; the library's encoder makes it.
func masked(op ws.OpCode, fin bool, payload string) []byte {
	frame := ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))
	return ws.MustCompileFrame(frame)
}

// decodeIn decodes wire in pieces that end where cut says.
func decodeIn(w *webSocket, wire []byte, cut func(left int) int) (string, error) {
	var stream bytes.Buffer
	for len(wire) > 0 {
		piece := bytes.Clone(wire[:cut(len(wire))])
		wire = wire[len(piece):]
		n, err := w.decode(piece)
		stream.Write(piece[:n])
		if err != nil {
			return stream.String(), err
		}
	}
	return stream.String(), nil
}

func whole(left int) int   { return left }
func oneByte(int) int      { return 1 }
func anyPart(left int) int { return 1 + rand.IntN(left) }

func TestDecode(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5000)
	wire := bytes.Join([][]byte{
		masked(ws.OpBinary, true, "one"),
		masked(ws.OpPing, true, "are you there"),
		masked(ws.OpBinary, false, "two, "),
		masked(ws.OpPing, true, ""),
		masked(ws.OpContinuation, false, ""),
		masked(ws.OpPong, true, "nobody asked"),
		masked(ws.OpContinuation, true, "three"),
		masked(ws.OpBinary, true, ""),
		masked(ws.OpBinary, true, strings.Repeat("x", 126)),
		masked(ws.OpBinary, true, long),
	}, nil)
	want := "onetwo, three" + strings.Repeat("x", 126) + long

	Convey("A stream is the payload of all data frames, however the bytes come", t, func() {
		for name, cut := range map[string]func(int) int{"whole": whole, "one byte at a time": oneByte, "in parts": anyPart} {
			Convey(name, func() {
				w := &webSocket{opening: opening{known: true}}
				got, err := decodeIn(w, wire, cut)
				So(err, ShouldBeNil)
				So(got == want, ShouldBeTrue)
				So(w.pongOwed, ShouldBeTrue)
				So(len(w.said().pong), ShouldEqual, 0) // of the last ping
			})
		}
	})
	Convey("A server's frames are not masked", t, func() {
		w := &webSocket{client: true, opening: opening{known: true}}
		got, err := decodeIn(w, ws.MustCompileFrame(ws.NewBinaryFrame([]byte("plain"))), oneByte)
		So(err, ShouldBeNil)
		So(got, ShouldEqual, "plain")
	})
	Convey("A Close frame ends the stream, and its code comes back", t, func() {
		w := &webSocket{opening: opening{known: true}}
		body := binary.BigEndian.AppendUint16(nil, 4321)
		got, err := decodeIn(w, append(masked(ws.OpBinary, true, "last"), masked(ws.OpClose, true, string(body)+"why")...), oneByte)
		So(err, ShouldEqual, io.EOF)
		So(got, ShouldEqual, "last")
		So(w.appendClose(nil), ShouldResemble, append([]byte{0x88, 2}, body...))
	})
	Convey("or without a code, none", t, func() {
		w := &webSocket{}
		_, err := decodeIn(w, masked(ws.OpClose, true, ""), whole)
		So(err, ShouldEqual, io.EOF)
		So(w.appendClose(nil), ShouldResemble, []byte{0x88, 0})
	})
}

func TestDecodeRefuses(t *testing.T) {
	closing := func(code int, reason string) []byte {
		return masked(ws.OpClose, true, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
	}
	patched := func(frame []byte, at int, b byte) []byte { frame[at] = b; return frame }
	type row struct {
		what string
		wire []byte
		code ws.StatusCode
	}
	rows := []row{
		{"a frame without a mask", ws.MustCompileFrame(ws.NewBinaryFrame([]byte("x"))), 1002},
		{"a reserved bit", patched(masked(ws.OpBinary, true, "x"), 0, 0xC2), 1002},
		{"a text message", masked(ws.OpText, true, "x"), 1003},
		{"a reserved data opcode", masked(3, true, "x"), 1002},
		{"a reserved control opcode", masked(11, true, ""), 1002},
		{"a continuation of nothing", masked(ws.OpContinuation, true, "x"), 1002},
		{"a message inside another", append(masked(ws.OpBinary, false, "x"), masked(ws.OpBinary, true, "y")...), 1002},
		{"a ping in fragments", masked(ws.OpPing, false, "x"), 1002},
		{"a ping of 126 bytes", masked(ws.OpPing, true, strings.Repeat("x", 126)), 1002},
		{"125 bytes in the form for more", []byte{0x82, 0xFE, 0, 125}, 1002},
		{"65535 bytes in the form for more", []byte{0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 1002},
		{"2^63 bytes", []byte{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, 1002},
		{"more than the longest message", []byte{0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 4}, 1009},
		{"a Close frame of one byte", masked(ws.OpClose, true, "x"), 1002},
		{"a reason that is not UTF-8", closing(1000, "\xff"), 1007},
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		rows = append(rows, row{fmt.Sprint("the code ", code), closing(code, ""), 1002})
	}
	for _, r := range rows {
		Convey("The reader refuses "+r.what, t, func() {
			for len(r.wire) < webHeaderMax {
				r.wire = append(r.wire, 0) // a mask, where only the length was given
			}
			_, err := decodeIn(&webSocket{}, r.wire, oneByte)
			var refused *webError
			So(errors.As(err, &refused), ShouldBeTrue)
			So(refused.code, ShouldEqual, r.code)
			So(refused.Error(), ShouldStartWith, "websocket: ")
		})
	}
	Convey("It takes the longest frame and every code that can be sent", t, func() {
		w := &webSocket{}
		_, err := w.decode([]byte{0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4})
		So(err, ShouldBeNil)
		for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999} {
			_, err := decodeIn(&webSocket{}, closing(code, "good"), whole)
			So(err, ShouldEqual, io.EOF)
		}
	})
}

func TestSeal(t *testing.T) {
	Convey("What a side writes, the library reads, mask and all", t, func() {
		for _, client := range []bool{false, true} {
			for _, size := range []int{0, 1, 125, 126, 65535, 65536, 200_000} {
				w := &webSocket{client: client}
				payload := bytes.Repeat([]byte("pattern"), size/7+1)[:size]
				wire := w.beginMessage(nil, uint64(size))
				for rest := bytes.Clone(payload); len(rest) > 0; {
					n := min(len(rest), 9973) // no multiple of 4
					w.seal(rest[:n])
					wire = append(wire, rest[:n]...)
					rest = rest[n:]
				}
				So(w.writeLeft, ShouldEqual, 0)
				r := bytes.NewReader(wire)
				header, err := ws.ReadHeader(r)
				So(err, ShouldBeNil)
				So(header.Masked, ShouldEqual, client)
				So(header.OpCode, ShouldEqual, ws.OpBinary)
				So(header.Fin, ShouldBeTrue)
				So(header.Length, ShouldEqual, r.Len())
				sent := wire[len(wire)-r.Len():]
				if client {
					ws.Cipher(sent, header.Mask, 0)
				}
				So(bytes.Equal(sent, payload), ShouldBeTrue)
			}
		}
	})
	Convey("Every message of a client has a key of its own", t, func() {
		w := &webSocket{client: true}
		keys := map[[4]byte]bool{}
		for range 100 {
			w.beginMessage(nil, 1)
			keys[w.writeKey] = true
		}
		So(len(keys), ShouldBeGreaterThan, 95)
	})
}

// FuzzDecode: whatever a peer sends, and however it is split, nothing but its
// own stream ends, and the split makes no difference.
func FuzzDecode(f *testing.F) {
	f.Add(masked(ws.OpBinary, true, "body"), uint8(3))
	f.Add(append(masked(ws.OpPing, true, "p"), masked(ws.OpClose, true, "\x03\xe8")...), uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, step uint8) {
		one, errOne := decodeIn(&webSocket{}, wire, whole)
		other, errOther := decodeIn(&webSocket{}, wire, func(left int) int { return min(left, int(step)+1) })
		if one != other || (errOne == nil) != (errOther == nil) {
			t.Fatalf("%q, %v in one piece; %q, %v in pieces of %d", one, errOne, other, errOther, step+1)
		}
	})
}

// What follows a breach is dropped, in pieces of any size, up to the peer's Close frame.
func TestDecodeAfterBreach(t *testing.T) {
	Convey("Behind a breach only the peer's Close frame counts", t, func() {
		const zeros = "\x00\x00\x00\x00"
		const behind = "\x82\x85" + zeros + "\x88\x82lie" + "\x89\x80" + zeros + "\x81\xFE\x00\x02" + zeros + "xy" + "\x88\x82" + zeros + "\x03\xE8"
		for _, wrong := range []string{
			"\xC2\x81" + zeros + "x", "\x82\x03abc", "\x83\x80" + zeros, "\x89\x00", "\x09\x81" + zeros + "x",
			"\x82\xFE\x00\x01" + zeros + "x", "\x80\x81" + zeros + "x", "\x81\x82" + zeros + "\x88\x80", "\x82\x84" + zeros + "text",
		} {
			for size := 1; size < 40; size++ {
				w, all, breaches := &webSocket{}, []byte(wrong+behind+"more"), 0
				var err error
				for from := 0; from < len(all) && err != io.EOF; from += size {
					var n int
					n, err = w.decode(all[from:min(from+size, len(all))])
					So(n, ShouldBeLessThanOrEqualTo, len("text"))
					if err != nil && err != io.EOF {
						breaches++
					}
				}
				So(breaches, ShouldEqual, 1)
				So(w.peerOver, ShouldBeTrue)
				So(w.peerClosed, ShouldBeFalse)
				So(w.pongOwed, ShouldBeFalse)
			}
		}
	})
}

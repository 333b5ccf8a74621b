// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
)

func TestRawBytes(t *testing.T) {
	Convey("What comes is whole frames without a byte lost, however it comes and is read", t, func() {
		sent := []byte(strings.Repeat("0123456789", 20000))
		for _, cut := range cuts {
			for _, room := range cuts {
				for _, longest := range []int64{-1, 1, 100} {
					wire := sent[:min(len(sent), 100*room(2000))]
					r := newRaw(longest)
					l := &link{layers: []placed{{Layer: &wireLayer{wire: wire, cut: cut}}, {Layer: r}}}
					var stash, got []byte
					for {
						buf := make([]byte, room(8192))
						n, err := l.read(buf, 1<<30)
						stash = append(stash, buf[:n]...)
						if n == 0 && err == errAgain {
							break
						}
					}
					for len(stash) > 0 {
						size := int(binary.BigEndian.Uint32(stash))
						if size < 1 || size > rawMost || longest > 0 && int64(size) > longest {
							t.Fatal("a frame of", size)
						}
						got = append(got, stash[lengthSize:][:size]...)
						stash = stash[lengthSize+size:]
					}
					So(bytes.Equal(got, wire), ShouldBeTrue)
				}
			}
		}
	})
	Convey("What is sent is the bodies of frames, whatever parts the queue gives", t, func() {
		for _, cut := range cuts {
			var queue []byte
			for _, body := range []string{"", "a", "", strings.Repeat("b", 70000), "end"} {
				queue = append(queue, frameOf(body)...)
			}
			r, wire := newRaw(-1), []byte(nil)
			for l := (&link{layers: []placed{{Layer: r}}}); len(queue) > 0; {
				part := queue[:cut(len(queue))]
				queue = queue[len(part):]
				wire = r.Seal(wire, Source{link: l, given: &part})
			}
			So(string(wire) == "a"+strings.Repeat("b", 70000)+"end", ShouldBeTrue)
		}
	})
}

// FuzzRaw passes bytes through the layer both ways, cut as a script says.
func FuzzRaw(f *testing.F) {
	f.Add([]byte("some bytes that come and go"), []byte{3, 1, 200, 7}, int64(-1))
	f.Add([]byte(strings.Repeat("x", 9000)), []byte{255, 255, 0, 1}, int64(100))
	f.Add([]byte("a"), []byte{}, int64(1))
	f.Fuzz(func(t *testing.T, wire, cutting []byte, longest int64) {
		at := 0
		cut := func(n int) int {
			size := 1
			if len(cutting) > 0 {
				size += int(cutting[at%len(cutting)]) * (1 + at%3)
			}
			at++
			return min(size, n)
		}
		r := newRaw(longest)
		l := &link{layers: []placed{{Layer: &wireLayer{wire: bytes.Clone(wire), cut: cut}}, {Layer: r}}}
		var stash, got, back []byte
		for len(stash) < len(wire)*(1+lengthSize)+1 {
			buf := make([]byte, cut(1<<20))
			n, err := l.read(buf, 1<<30)
			stash = append(stash, buf[:n]...)
			if n == 0 && err == errAgain {
				break
			}
		}
		for rest := stash; len(rest) > 0; {
			if len(rest) < lengthSize {
				t.Fatalf("%d bytes are no frame", len(rest))
			}
			size := int(binary.BigEndian.Uint32(rest))
			if size < 1 || size > rawMost || longest > 0 && int64(size) > longest || size > len(rest)-lengthSize {
				t.Fatal("a frame of", size)
			}
			got = append(got, rest[lengthSize:][:size]...)
			rest = rest[lengthSize+size:]
		}
		for l := (&link{layers: []placed{{Layer: r}}}); len(stash) > 0; { // what came is sent back
			part := stash[:cut(len(stash))]
			stash = stash[len(part):]
			back = r.Seal(back, Source{link: l, given: &part})
		}
		if !bytes.Equal(got, wire) || !bytes.Equal(back, wire) {
			t.Fatalf("%x comes as %x and goes as %x", wire, got, back)
		}
	})
}

func TestRawConnection(t *testing.T) {
	Convey("A raw connection over a descriptor passes bytes both ways", t, func() {
		g := newStage(t)
		ours, theirs := g.pair()
		c := g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}, Framing: FramingRaw}, nil)
		_, err := unix.Write(theirs, []byte("GET / HTTP/1.0\r\n\r\n"))
		So(err, ShouldBeNil)
		for range 4 {
			g.step()
		}
		So(c.Received.Load(), ShouldEqual, 1)
		So(c.ReceivedBytes.Load(), ShouldEqual, lengthSize+18)
		q := g.owner.shared
		for _, body := range []string{"HTTP/1.0 ", "", "200 OK", strings.Repeat("x", 100000)} {
			c.Shared.Append(q, c.Shared.Rid.Load(), []byte(body), nil)
		}
		var wire []byte
		for range 20 {
			g.step()
			wire = append(wire, take(theirs, 1<<20)...)
		}
		So(string(wire) == "HTTP/1.0 200 OK"+strings.Repeat("x", 100000), ShouldBeTrue)
		So(c.Traffic().BytesQueued, ShouldEqual, 0)
		So(c.abandon(), ShouldEqual, 0)
	})
	Convey("Of a peer that does not read, all messages that it did not get are counted as lost, and those only", t, func() {
		g := newStage(t)
		ours, theirs := g.pair()
		c := g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}, Framing: FramingRaw}, nil)
		q := g.owner.shared
		for range 100 {
			c.Shared.Append(q, c.Shared.Rid.Load(), []byte(strings.Repeat("x", 10000)), nil)
		}
		for range 10 {
			g.step()
		}
		had := len(take(theirs, 1<<24)) / 10000
		for range 10 {
			g.step()
		}
		c.ledger.forget(0)
		So(c.ledger.offset(c.moved.Load()), ShouldEqual, c.moved.Load()-lengthSize*c.ledger.frames-min(lengthSize, c.moved.Load()-(lengthSize+10000)*c.ledger.frames))
		So(had, ShouldBeGreaterThan, 0)
		So(c.ledger.beyond(10000*3), ShouldEqual, c.ledger.frames-3)
	})
}

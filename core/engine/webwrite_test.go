// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// webStream returns the payload of whole frames of a server, one after another.
func webStream(t *testing.T, wire []byte) []byte {
	var stream bytes.Buffer
	for r := bytes.NewReader(wire); r.Len() > 0; {
		head, err := ws.ReadHeader(r)
		if err != nil || !head.Fin || head.Length > int64(r.Len()) {
			t.Fatalf("%d bytes from the end: %v, %+v", r.Len(), err, head)
		}
		payload := make([]byte, head.Length)
		_, _ = r.Read(payload)
		if head.OpCode == ws.OpBinary {
			stream.Write(payload)
		}
	}
	return stream.Bytes()
}

// take reads up to n bytes of what a descriptor has.
func take(fd, n int) []byte {
	buf := make([]byte, n)
	n, _ = unix.Read(fd, buf)
	return buf[:max(n, 0)]
}

func TestMessagesInPlace(t *testing.T) {
	text := strings.Repeat("0123456789abcdefghijk", 16<<10)
	for _, row := range []struct {
		name string
		size func() int
	}{
		{"short bodies", func() int { return rand.IntN(300) }},
		{"bodies of about a chunk", func() int { return 900 + rand.IntN(4000) }},
		{"long bodies", func() int { return rand.IntN(300 << 10) }},
		{"all kinds of bodies", func() int { return rand.IntN(1 << rand.IntN(19)) }},
	} {
		Convey("Messages that are written from where they are queued arrive whole, however little the kernel takes: "+row.name, t, func() {
			g := newStage(t)
			conn, fd, _ := g.linked(false, true)
			var want, wire []byte
			lent, given := 0, 0
			for queued := 0; queued < 4<<20; {
				for range 1 + rand.IntN(20) {
					body := text[:row.size()]
					queued += len(body) + 1000
					if len(body) >= 32<<10 && rand.IntN(2) == 0 {
						bytes := []byte(body)
						conn.Shared.Append(g.owner.shared, conn.Shared.Rid.Load(), bytes, OwnBody(bytes, func() { given++ }))
						lent++
					} else {
						g.queue(conn, body)
					}
					want = append(binary.BigEndian.AppendUint32(want, uint32(len(body))), body...)
				}
				if rand.IntN(4) == 0 {
					conn.link.manners().ask(true)
				}
				if g.step(); conn.blocked {
					wire = append(wire, take(fd, 1+rand.IntN(256<<10))...)
				}
			}
			for range 100000 {
				g.step()
				more := take(fd, 1+rand.IntN(256<<10))
				if wire = append(wire, more...); len(more) == 0 && conn.flushHead == nil && conn.link.rest == nil {
					break
				}
			}
			So(bytes.Equal(webStream(t, wire), want), ShouldBeTrue)
			So(conn.Traffic().MsgsQueued, ShouldEqual, 0)
			So(conn.Traffic().BytesQueued, ShouldEqual, 0)
			So(given, ShouldEqual, lent)
		})
	}
}

func TestMessagesOfOneWrite(t *testing.T) {
	const count, frame, header = 3, lengthSize + 64<<10, 10
	prepared := func() (*stage, *Conn, int) {
		g := newStage(t)
		conn, fd, _ := g.linked(false, true)
		for range count {
			g.queue(conn, strings.Repeat("a", frame-lengthSize))
		}
		return g, conn, fd
	}
	Convey("Long messages that are queued together are written together, though each has a header", t, func() {
		g, _, fd := prepared()
		g.step()
		So(writeRound-g.sh.roundLeft, ShouldEqual, count*(header+frame)+writePrice)
		So(len(webStream(t, take(fd, 1<<20))), ShouldEqual, count*frame)
	})
	Convey("Of one that has room for a part only, nothing is written with others", t, func() {
		_, conn, _ := prepared()
		conn.Shared.Lock()
		conn.takeMain()
		conn.Shared.Unlock()
		So(len(conn.lineUp(count*frame)), ShouldEqual, count)
		So(len(conn.lineUp(count*frame-1)), ShouldEqual, count-1)
		line := conn.lineUp(frame - 1)
		So(len(line), ShouldEqual, 1)
		So(line[0].offered, ShouldEqual, frame-1)
	})
	Convey("Of bodies in more places than one call can name, the others follow in order", t, func() {
		g := newStage(t)
		conn, fd, _ := g.linked(false, true)
		var want []byte
		for i := range 300 { // two places each
			body := bytes.Repeat([]byte{byte(i)}, 700)
			conn.Shared.Append(g.owner.shared, conn.Shared.Rid.Load(), body, OwnBody(body, func() {}))
			want = append(binary.BigEndian.AppendUint32(want, uint32(len(body))), body...)
		}
		for range 20 {
			g.step()
		}
		So(bytes.Equal(webStream(t, take(fd, 1<<20)), want), ShouldBeTrue)
	})
	Convey("A message begins where the last one ends, so they are apart where that is within a chunk", t, func() {
		first, second := shm.NewChunk(0, shm.ClassLarge), shm.NewChunk(0, shm.ClassLarge)
		Reset(func() { shm.FreeChain(first) })
		first.End, first.Msgs = sealBytes+100, 1
		second.End, second.Msgs = 100, 1
		first.Link(second)
		size, behind := wholeFrames(first)
		So(size, ShouldEqual, sealBytes+100)
		So(behind, ShouldEqual, second)
		first.Open = 50
		size, behind = wholeFrames(first)
		So(size, ShouldEqual, sealBytes+50)
		So(behind, ShouldBeNil)
	})
}

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

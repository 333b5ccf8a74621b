// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

func TestPassing(t *testing.T) {
	body := func(size int) []byte { return bytes.Repeat([]byte("0123456789"), size/10+1)[:size] }
	framed := func(bodies ...[]byte) (all []byte) {
		for _, b := range bodies {
			all = append(append(all, frames(len(b))[:lengthSize]...), b...)
		}
		return all
	}
	Convey("A long message that is written from where its sender has it", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		pass := func(data []byte) bool {
			sent := bytes.Clone(data)
			ok := g.sh.pass(c.Shared, g.owner.shared, c.Shared.Rid, shm.NewChunk(0, shm.ClassTiny), sent)
			clear(sent) // it is the caller's again
			return ok
		}
		arrives := func(want []byte) {
			got, buf := []byte(nil), make([]byte, 64<<10)
			for rounds := 0; len(got) < len(want); rounds++ {
				So(rounds, ShouldBeLessThan, 10_000)
				if n, _ := unix.Read(fd, buf); n > 0 {
					got = append(got, buf[:n]...)
					continue
				}
				g.step()
			}
			So(bytes.Equal(got, want), ShouldBeTrue)
			g.step()
			So(c.flushHead == nil, ShouldBeTrue)
			So(c.Shared.TxDone.Load(), ShouldEqual, c.Shared.TxQueued.Load())
			So(c.Traffic().BytesQueued, ShouldEqual, 0)
			So(c.Shared.Memory.Load(), ShouldEqual, 0)
			So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
		}
		Convey("takes no memory when the kernel takes all of it", func() {
			So(pass(body(100_000)), ShouldBeTrue)
			So(c.Shared.Memory.Load(), ShouldEqual, 0)
			arrives(framed(body(100_000)))
		})
		Convey("is kept as far as the kernel does not take it, and what follows waits behind it", func() {
			So(pass(body(3_000_000)), ShouldBeTrue)
			So(c.flushHead == nil && c.Shared.TxHead == nil, ShouldBeFalse)
			So(pass(body(50_000)), ShouldBeFalse) // it would have to wait
			g.queue(c, string(body(40_000)))
			arrives(framed(body(3_000_000), body(40_000)))
		})
		Convey("is written behind what was queued before", func() {
			g.queue(c, "first")
			So(pass(body(1_000_000)), ShouldBeTrue)
			arrives(framed([]byte("first"), body(1_000_000)))
		})
		Convey("is not passed when the kernel takes nothing, or the peer is another one", func() {
			for !c.blocked {
				g.queue(c, string(body(60_000)))
				g.step()
			}
			So(pass(body(50_000)), ShouldBeFalse)
			So(g.sh.pass(c.Shared, g.owner.shared, c.Shared.Rid+1, shm.NewChunk(0, shm.ClassTiny), body(50_000)), ShouldBeFalse)
		})
		Convey("is gone with its connection", func() {
			_ = unix.Close(fd)
			pass(body(1_000_000))
			for c.fd >= 0 {
				g.step()
			}
			So(g.sh.borrowed == nil, ShouldBeTrue)
			So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
		})
	})
}

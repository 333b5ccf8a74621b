// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// received takes what the socket has and returns its bytes, and how many runs lay in a slab of their own.
func (g *stage) received() (all []byte, own int) {
	k := g.owner.shared
	for k.NextRun() {
		r := k.RxRun
		k.RxLeft = 0
		k.EndRun()
		if r.Kind != shm.RunData {
			continue
		}
		all = append(all, unsafe.Slice(r.Data, r.Size)...)
		if r.Slab.Class != shm.ClassSlab {
			own++
		}
		r.Session.RxTake(r)
		k.RxWaiting.Add(-int64(r.Size))
		r.Slab.Release()
	}
	return all, own
}

// carry writes all bytes to a peer's descriptor, at most most at a time, and returns what the socket got.
func (g *stage) carry(fd int, all []byte, most int) (got []byte, own int) {
	for len(all) > 0 || g.sh.ready.len() > 0 {
		n, err := unix.Write(fd, all[:min(len(all), 1+rand.IntN(most))])
		if err == unix.EPIPE {
			return got, own
		}
		if err != nil && err != unix.EAGAIN {
			g.t.Fatal(err)
		}
		all = all[max(n, 0):]
		g.step()
		some, of := g.received()
		got, own = append(got, some...), own+of
	}
	return got, own
}

// tellable returns a frame with a body of a length, in which no two places look alike.
func tellable(body int) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(body))
	for at := 0; len(frame) < lengthSize+body; at++ {
		frame = binary.LittleEndian.AppendUint64(frame, uint64(body)<<32|uint64(at))
	}
	return frame[:lengthSize+body]
}

// shortWrite makes several reads of each long frame.
const shortWrite = 20_000

// TestAhead: long frames that follow each other are read to where they stay, and whatever
// follows them comes in order.
func TestAhead(t *testing.T) {
	Convey("Behind a long frame, others of its length are not copied", t, func() {
		for _, body := range []int{expectedLeast, 200_000, 300_000, 1 << 20} {
			g := newStage(t)
			c, fd := g.plain()
			frame := tellable(body)
			got, _ := g.carry(fd, bytes.Repeat(frame, 2), shortWrite)
			So(len(got), ShouldEqual, 2*len(frame))
			So(c.rare.expected, ShouldEqual, len(frame))
			at, slab := g.sh.slabPos, g.sh.slab
			got, own := g.carry(fd, bytes.Repeat(frame, 9), kernelBytes)
			So(bytes.Equal(got, bytes.Repeat(frame, 9)), ShouldBeTrue)
			So(own, ShouldEqual, 9)
			So(g.sh.slab, ShouldEqual, slab)
			So(g.sh.slabPos, ShouldEqual, at) // nothing went through the shard's slab
			So(c.Shared.Memory.Load(), ShouldEqual, 0)
			So(c.begun, ShouldEqual, 0)
		}
	})
	Convey("Frames of any lengths come in order, however they are cut", t, func() {
		bodies := []int{0, 1, 300, 4000, stashMax - lengthSize, stashMax - lengthSize + 1, 66_000, 70_000,
			131_000, 140_000, 260_000, 270_000, 500_000, 1_200_000, 1_200_000}
		for range 5 {
			g := newStage(t)
			c, fd := g.plain()
			var sent []byte
			for len(sent) < 3<<20 {
				body := bodies[rand.IntN(len(bodies))]
				for range 1 + rand.IntN(4) {
					sent = append(sent, tellable(max(0, body-rand.IntN(3)))...)
				}
			}
			got, _ := g.carry(fd, sent, 1+rand.IntN(kernelBytes))
			So(bytes.Equal(got, sent), ShouldBeTrue)
			So(c.Shared.Memory.Load(), ShouldEqual, 0)
			So(c.begun, ShouldEqual, 0)
			So(g.sh.ahead, ShouldResemble, ahead{length: g.sh.ahead.length})
		}
	})
	Convey("A frame of about the length that is expected comes with one read, with what follows it", t, func() {
		for _, body := range []int{149_999, 150_000, 150_001, 156_000} {
			g := newStage(t)
			c, fd := g.plain()
			_, _ = g.carry(fd, bytes.Repeat(tellable(150_000), 2), shortWrite)
			So(c.rare.expected, ShouldEqual, lengthSize+150_000)
			sent := append(tellable(body), tellable(20_000)...)
			n, err := unix.Write(fd, sent)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, len(sent))
			for range 4 {
				g.step()
			}
			got, own := g.received()
			So(bytes.Equal(got, sent), ShouldBeTrue)
			So(own, ShouldEqual, 1)
		}
	})
	Convey("A read brings whole frames where one fits into it", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		_, _ = g.carry(fd, bytes.Repeat(tellable(140_000), 2), shortWrite)
		sent := bytes.Repeat(tellable(140_000), 3)[:300_000]
		n, err := unix.Write(fd, sent)
		So(err, ShouldBeNil)
		So(n, ShouldEqual, len(sent))
		c.receive()
		So(unread(int(c.fd)), ShouldEqual, len(sent)-2*(lengthSize+140_000))
		So(c.bigSlab(), ShouldBeNil)
		c.receive()
		So(unread(int(c.fd)), ShouldEqual, 0)
		So(c.bigSlab() != nil, ShouldBeTrue)
	})
	Convey("A frame above MAXMSGSIZE cuts the connection also where a long one is expected", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		c.limits.MaxMsgSize = 200_000
		got, _ := g.carry(fd, bytes.Repeat(tellable(200_000), 3), shortWrite)
		So(len(got), ShouldEqual, 3*(lengthSize+200_000))
		got, _ = g.carry(fd, tellable(200_001), kernelBytes)
		So(len(got), ShouldEqual, 0)
		So(c.cause, ShouldEqual, CauseTooLong)
	})
	Convey("A peer that brings a little and waits has a slab for what it brought", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		_, _ = g.carry(fd, bytes.Repeat(tellable(200_000), 2), shortWrite)
		_, _ = g.carry(fd, tellable(200_000)[:lengthSize-1], kernelBytes)
		So(c.stashed(), ShouldEqual, lengthSize-1)
		So(c.bigSlab(), ShouldBeNil)
	})
}

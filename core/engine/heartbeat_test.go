// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"io"
	"math"
	"net"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// noFd is a descriptor that is not open.
const noFd = 1 << 20

// beating returns the heartbeat of a connection that has nothing but a descriptor.
func beating(fd int, interval, timeout time.Duration) *heartbeat {
	t := &Transport{Heartbeat: Heartbeat{Interval: interval, Timeout: timeout}}
	c := &Conn{origin: &origin{transport: t}, shard: &Shard{}, fd: int32(fd),
		link: &link{shaking: newFdConn(fd), layers: []placed{{Layer: &webSocket{}}}}}
	c.link.conn = c
	c.link.settle()
	c.startDeadlines()
	return c.link.beat
}

// waits is what the heartbeat waits for, and how many pings are unanswered.
func (h *heartbeat) waits() string {
	return fmt.Sprintf("%v %d", h.delay, h.unanswered)
}

// advance lets the time pass until the heartbeat is due.
func (h *heartbeat) advance() string {
	sh := h.conn.shard
	sh.now = h.begun + tick(h.delay/time.Millisecond)
	h.conn.beatLeft()
	return h.waits()
}

func TestHeartbeatTimes(t *testing.T) {
	const silence, answer = false, true
	steps := func(interval, timeout time.Duration, heard ...bool) (waits []string) {
		h := beating(noFd, interval*time.Millisecond, timeout*time.Millisecond)
		h.conn.blocked = true // pings stay owed
		h.conn.parked = true  // who is judged is excused
		waits = append(waits, h.waits())
		for _, answered := range heard {
			h.conn.link.wire.heard = answered
			waits = append(waits, h.advance())
		}
		return waits
	}
	Convey("A peer is pinged at the interval, and judged when the timeout is over", t, func() {
		So(steps(10, 0, silence, silence, answer), ShouldResemble, []string{"10ms 0", "10ms 1", "10ms 2", "10ms 1"})
		Convey("that is the interval", func() {
			So(steps(10, 10, silence, answer, silence, answer), ShouldResemble,
				[]string{"10ms 0", "10ms 1", "10ms 1", "10ms 1", "10ms 1"})
		})
		Convey("that is shorter", func() {
			So(steps(10, 4, silence, answer, silence, silence, answer), ShouldResemble,
				[]string{"10ms 0", "4ms 1", "6ms 0", "4ms 1", "4ms 1", "6ms 0"})
		})
		Convey("that is longer", func() {
			So(steps(10, 25, silence, silence, silence, silence, answer), ShouldResemble,
				[]string{"10ms 0", "10ms 1", "10ms 2", "5ms 3", "25ms 3", "5ms 0"})
		})
	})
}

// connected returns both ends of a connection, and the first one's descriptor.
func connected(t *testing.T) (end, peer *net.TCPConn, fd int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	end, peer = accepted.(*net.TCPConn), dialled.(*net.TCPConn)
	t.Cleanup(func() { _, _ = end.Close(), peer.Close() })
	raw, err := end.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(n uintptr) { fd = int(n) })
	return end, peer, fd
}

func TestHeartbeatExcuses(t *testing.T) {
	until := func(what string, holds func() bool) {
		for begun := time.Now(); !holds(); time.Sleep(time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatal(what)
			}
		}
	}
	Convey("A silent peer", t, func() {
		end, peer, fd := connected(t)
		h := beating(fd, time.Second, time.Second)
		c := h.conn
		Convey("that has the ping is not excused", func() {
			_, _ = end.Write([]byte("ping"))
			c.link.sent, h.pingAt = 4, 4
			until("not acknowledged", func() bool { return c.taken() == 4 })
			So(h.excused(), ShouldBeFalse)
		})
		Convey("that is not read is", func() {
			c.parked = true
			So(h.excused(), ShouldBeTrue)
			c.parked = false
			So(h.excused(), ShouldBeFalse)
			_, _ = peer.Write([]byte("pong"))
			until("nothing came", func() bool { return c.unread() > 0 })
			So(h.excused(), ShouldBeTrue)
		})
		Convey("that is not read because it does not take what it asked for is only as long as it takes some", func() {
			_, _ = peer.Write([]byte("more questions"))
			until("nothing came", func() bool { return c.unread() > 0 })
			c.link.paused = true
			h.pingAt, c.link.sent, h.taken = math.MaxInt64, 10, 9
			So(h.excused(), ShouldBeTrue)
			So(h.excused(), ShouldBeFalse)
		})
		Convey("that takes what is in front of the ping is, and then has a timeout for it", func() {
			_ = end.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			written, _ := io.CopyN(end, endless{}, 64<<20)
			c.link.sent, h.pingAt = uint64(written), written
			h.taken = c.taken()
			So(h.taken, ShouldBeLessThan, h.pingAt)
			So(h.excused(), ShouldBeFalse) // nothing moves

			_, _ = io.CopyN(io.Discard, peer, written/2)
			until("no progress", func() bool { return c.taken() > h.taken })
			So(h.excused(), ShouldBeTrue)
			_, _ = io.CopyN(io.Discard, peer, written-written/2)
			until("not all acknowledged", func() bool { return c.taken() == h.pingAt })
			So(h.excused(), ShouldBeTrue)
			So(h.excused(), ShouldBeFalse)
		})
		Convey("whose turn to get the ping is still to come is, and one that has it is not, whatever else is to be written", func() {
			c.unwritten = true
			h.pingAt, c.link.sent = math.MaxInt64, 0
			h.taken = c.taken()
			So(h.excused(), ShouldBeTrue)
			So(h.excused(), ShouldBeTrue)
			h.pingAt = h.taken
			So(h.excused(), ShouldBeTrue) // a timeout for it
			So(h.excused(), ShouldBeFalse)
		})
		Convey("whose ping is not even sealed is excused as long as it takes something", func() {
			c.link.manners().ask(true)
			h.pingAt, c.link.sent = math.MaxInt64, 10
			h.taken = 9
			So(h.excused(), ShouldBeTrue)
			So(h.excused(), ShouldBeFalse)
		})
	})
}

// endless is bytes without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

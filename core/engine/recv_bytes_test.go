// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// offer has the peer write what the kernel takes, while the shard reads what it does.
func (r *rated) offer() {
	for range 40 {
		for len(r.wire) > 0 {
			n, e := sys.Send(r.fd, r.wire)
			if e != 0 {
				break
			}
			r.wire = r.wire[n:]
		}
		r.step()
	}
}

// held is what a connection has for its receiver, with what has begun to come.
func held(c *Conn) (bytes int64) {
	if slab := c.bigSlab(); slab != nil {
		bytes = int64(slab.Have)
	}
	return bytes + c.Shared.RxBytes() + int64(c.stashed())
}

// takeRun receives one run, as a receiver does that looks for the marks.
func (r *rated) takeRun() bool {
	q := r.owner.shared
	if !q.NextRun() {
		return false
	}
	run := q.RxRun
	if run.Kind != shm.RunData {
		q.EndRun()
		q.RxEvents.Add(-1)
		if run.Kind == shm.RunDisconnected {
			r.ends++
			run.Of().Release()
		}
		return true
	}
	for q.RxLeft > 0 {
		r.got = append(r.got, string(q.NextBody()))
	}
	q.EndRun()
	s := run.Session
	queued := s.RxTake(run)
	q.RxWaiting.Add(-int64(run.Size))
	run.Slab.Release()
	if queued < s.RxStalled.Load() {
		r.sh.Resume(q)
	}
	return true
}

func TestRecvBytes(t *testing.T) {
	const bound = 100_000
	for _, kind := range []string{"tcp", "tls", "ws", "wss"} {
		for _, size := range []int{20, 3000, 30_000} {
			Convey(fmt.Sprintf("Over %s a connection with messages of %d is read up to its bound, and on when half is taken", kind, size), t, func() {
				g := newStage(t)
				c, fd, seal := ratedConn(g, kind)
				c.limits.RecvBytes = bound
				r := &rated{stage: g, c: c, fd: fd}
				count := 600_000 / (size + 4)
				r.wire = seal(numbered(count, size))
				r.offer()
				So(c.parked, ShouldBeTrue)
				So(held(c), ShouldBeBetweenOrEqual, bound-64, bound+64*8)
				for len(r.got) < count {
					if !r.takeRun() {
						r.offer()
						if !r.takeRun() {
							t.Fatalf("%d of %d messages came", len(r.got), count)
						}
					}
					So(held(c), ShouldBeLessThanOrEqualTo, bound+64*8)
				}
				So(r.inOrder(), ShouldBeTrue)
			})
		}
		Convey("Over "+kind+" a longer message passes when nothing else waits", t, func() {
			g := newStage(t)
			c, fd, seal := ratedConn(g, kind)
			c.limits.RecvBytes = 10_000
			r := &rated{stage: g, c: c, fd: fd}
			for _, size := range []int{20, 50_000, 400_000, 20} {
				r.wire = append(r.wire, seal(numbered(1, size))...)
			}
			for len(r.got) < 4 {
				r.offer()
				if !r.takeRun() {
					t.Fatalf("%d messages came", len(r.got))
				}
			}
			So(len(r.got[1])+len(r.got[2]), ShouldEqual, 450_000)
		})
	}
	Convey("A connection at its bound", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		c.limits.RecvBytes = 10_000
		r := &rated{stage: g, c: c, fd: fd}
		Convey("waits for half of what is left when that is still too much", func() {
			var sizes []int
			for range 20 {
				sizes = append(sizes, 400)
			}
			r.wire = frames(append(sizes, 1500, 1500)...)
			for len(r.wire) > 0 { // each message has a run of its own
				n := 404
				if len(r.wire) < 4000 && len(r.wire)%1504 == 0 {
					n = 1504
				}
				_, _ = sys.Send(fd, r.wire[:n])
				r.wire = r.wire[n:]
				g.step()
				g.step()
			}
			r.wire = frames(4)
			r.offer()
			So(c.parked, ShouldBeTrue)
			before := c.Shared.RxStalled.Load()
			c.limits.RecvBytes = 100 // as if the others had been short
			for c.Shared.RxMsgs() >= before {
				r.takeRun()
			}
			g.step()
			So(c.parked, ShouldBeTrue)
			So(c.Shared.RxStalled.Load(), ShouldBeLessThan, before)
			So(c.Shared.RxStalled.Load(), ShouldBeGreaterThan, 0)
			for r.takeRun() {
			}
			g.step()
			g.step()
			So(c.parked, ShouldBeFalse)
		})
		Convey("ends when its peer is gone, before anything is received", func() {
			r.wire = numbered(5000, 40)
			r.offer()
			So(c.parked, ShouldBeTrue)
			So(unread(int(c.fd)), ShouldBeGreaterThan, 0)
			_ = unix.Shutdown(fd, unix.SHUT_WR)
			r.offer()
			So(c.announced, ShouldBeTrue)
			for r.takeRun() {
			}
			So(len(r.got), ShouldEqual, 5000)
			So(r.ends, ShouldEqual, 1)
		})
	})
}

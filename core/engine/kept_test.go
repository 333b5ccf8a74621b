// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// keepRun receives a run and keeps all of it, as an application may.
func (r *rated) keepRun() (*shm.Slab, bool) {
	q := r.owner.shared
	if !q.NextRun() {
		return nil, false
	}
	run := q.RxRun
	if run.Kind != shm.RunData {
		q.EndRun()
		q.RxEvents.Add(-1)
		return nil, true
	}
	for q.RxLeft > 0 {
		r.got = append(r.got, string(q.NextBody()))
	}
	q.EndRun()
	queued := run.Session.RxTake(run)
	q.RxWaiting.Add(-int64(run.Size))
	if queued < run.Session.RxStalled.Load() || q.RxThrottled.Load() != 0 {
		q.RxThrottled.Store(0)
		r.sh.Resume(q)
	}
	return run.Slab, true
}

func TestKeptMessages(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "ws"} {
		for _, size := range []int{100, 30_000, 200_000} {
			Convey(fmt.Sprintf("Over %s an application that keeps messages of %d stops reading at the total, until it gives them back", kind, size), t, func() {
				const total = 2 << 20
				g := newStage(t)
				c, fd, seal := ratedConn(g, kind)
				a := g.owner.Account()
				a.Total.Store(total)
				r := &rated{stage: g, c: c, fd: fd}
				count := 6_000_000 / (size + 4)
				r.wire = seal(numbered(count, size))
				var kept []*shm.Slab
				keep := func() {
					for still := 0; still < 5; still++ {
						r.offer()
						for {
							slab, any := r.keepRun()
							if !any {
								break
							}
							still = 0
							if slab != nil {
								kept = append(kept, slab)
							}
						}
					}
				}
				rounds := 0
				for ; len(r.got) < count && rounds < 100; rounds++ {
					before := len(r.got)
					keep()
					So(len(r.got), ShouldBeGreaterThan, before)
					So(a.Kept.Load(), ShouldBeLessThanOrEqualTo, total+shm.BigSlabSize)
					if len(r.got) < count {
						So(c.parked, ShouldBeTrue)
						So(a.Full(0), ShouldBeTrue)
						So(len(g.sh.kept), ShouldEqual, 1)
					}
					for _, slab := range kept {
						slab.Release()
					}
					kept = nil
					g.sh.timers.run(time.Now().Add(time.Hour))
				}
				So(rounds, ShouldBeGreaterThan, 1)
				So(len(r.got), ShouldEqual, count)
				So(r.inOrder(), ShouldBeTrue)
				g.sh.timers.run(time.Now().Add(time.Hour))
				So(len(g.sh.kept), ShouldEqual, 0)
				So(a.Begun.Load(), ShouldEqual, 0)
			})
		}
	}
	Convey("Reading goes on when an eighth of the total is free, or after a while when anything is", t, func() {
		const total = 8 << 20
		g := newStage(t)
		c, fd := g.plain()
		a := g.owner.Account()
		a.Total.Store(total)
		a.Kept.Store(total)
		fill(t, fd, 20, 4)
		g.step()
		g.step()
		So(c.parked, ShouldBeTrue)
		waits := func(kept int64) time.Duration { // how long the last pause was
			a.Kept.Store(kept)
			for n := 0; c.parked && n < 20; n++ {
				g.sh.timers.run(time.Now().Add(time.Hour))
				g.step()
			}
			return g.sh.keptPause
		}
		waits(total)
		So(c.parked, ShouldBeTrue)
		for kept, pause := range map[int64]time.Duration{total - 1: keptMost, total - total/8: keptMost, total - total/8 - 1: keptFirst} {
			waits(0)
			So(c.parked, ShouldBeFalse)
			a.Kept.Store(total)
			fill(t, fd, 20, 4)
			g.step()
			g.step()
			So(c.parked, ShouldBeTrue)
			So(waits(kept), ShouldEqual, pause)
			So(c.parked, ShouldBeFalse)
		}
		a.Kept.Store(0)
	})
	Convey("A slab that two sockets fill counts for none", t, func() {
		g := newStage(t)
		_, fd := g.plain()
		mine := g.owner.Account()
		fill(t, fd, 20, 4)
		g.step()
		g.step()
		So(g.sh.slab.Account.Load(), ShouldEqual, mine)
		g.owner.account = shm.NewAccount()
		_, other := g.plain()
		fill(t, other, 20, 4)
		g.step()
		g.step()
		So(g.sh.slab.Account.Load(), ShouldBeNil)
		fill(t, fd, 20, 4)
		g.step()
		g.step()
		So(g.sh.slab.Account.Load(), ShouldBeNil)
		g.owner.takeAll()
	})
}

func TestBegunMessages(t *testing.T) {
	const total = 4 << 20
	peers := func(t *testing.T, g *stage, n int) (conns []*Conn, fds []int) {
		for range n {
			c, fd := g.plain()
			conns, fds = append(conns, c), append(fds, fd)
		}
		return conns, fds
	}
	Convey("However many messages begin, their memory has a bound, and others get through", t, func() {
		g := newStage(t)
		a := g.owner.Account()
		a.Total.Store(total)
		conns, fds := peers(t, g, 1000)
		good, goodFd := g.plain()
		const rounds, part = 10, 30_000
		wire := frames(1 << 20)
		most := int64(0)
		for round := range rounds {
			for i, fd := range fds {
				if conns[i].fd >= 0 {
					_, _ = unix.Write(fd, wire[round*part:][:part])
				}
			}
			fill(t, goodFd, 500, 500)
			for range 200 {
				g.step()
				most = max(most, a.Begun.Load())
			}
			g.owner.takeAll()
		}
		So(most, ShouldBeLessThanOrEqualTo, total/2+longRead)
		watchdog(t, "the good one gets through", func() bool { g.step(); g.owner.takeAll(); return good.Received.Load() == rounds })
		cut := 0
		for _, c := range conns {
			So(c.parked, ShouldBeFalse)
			if c.fd < 0 {
				cut++
				So(c.cause, ShouldEqual, CauseQueueBound)
			}
		}
		So(cut, ShouldBeGreaterThan, 0)
		for _, c := range conns {
			c.Abort(CauseAbortedHere)
		}
		So(a.Begun.Load(), ShouldEqual, 0)
	})
	Convey("A message longer than the total passes, and leaves the others half of it", t, func() {
		g := newStage(t)
		a := g.owner.Account()
		a.Total.Store(total)
		c, fd := g.plain()
		other, otherFd := g.plain()
		r := &rated{stage: g, c: c, fd: fd}
		r.wire = frames(3 * total)
		for range 1000 {
			r.offer()
			if c.Received.Load() > 0 {
				break
			}
			if a.Begun.Load() == total/4 && other.Received.Load() == 0 && other.bigSlab() == nil {
				_, err := unix.Write(otherFd, frames(100_000)[:90_000])
				So(err, ShouldBeNil)
			}
			So(a.Begun.Load(), ShouldBeLessThanOrEqualTo, total/4+200_000)
		}
		So(c.Received.Load(), ShouldEqual, 1)
		So(other.bigSlab() != nil, ShouldBeTrue)
		g.owner.takeAll()
	})
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

func TestAbsence(t *testing.T) {
	const away, short = absenceMost / 4, absenceMost / 8
	Convey("A receiver has the visits", t, func() {
		var a absence
		now := time.Now().Add(time.Hour)
		turn := func(drive, away time.Duration) {
			a.drives = now
			now = now.Add(drive)
			a.begin(now)
			now = now.Add(away)
			a.end(now)
		}
		Convey("while it drives for four times as long as it is away", func() {
			for range 1000 {
				turn(awayPrice*away, away)
			}
			So(a.trusts(), ShouldBeTrue)
		})
		Convey("until it is away for longer", func() {
			turns := 0
			for ; a.trusts() && turns < 100; turns++ {
				turn(short, away)
			}
			So(turns, ShouldEqual, 2)
		})
		Convey("and what it drove for long counts as little", func() {
			turn(time.Minute, 0)
			turn(0, absenceMost*3/4)
			So(a.trusts(), ShouldBeFalse)
		})
		Convey("until it is away once for too long, however long it drove before", func() {
			turn(time.Minute, absenceMost/awayPrice)
			So(a.trusts(), ShouldBeTrue)
			turn(time.Minute, absenceMost)
			So(a.trusts(), ShouldBeFalse)
		})
		Convey("again after a pause, which becomes longer when that was soon, and short again when it was not", func() {
			for _, pause := range []time.Duration{4, 16, 64, 256, 1024, 1024} {
				turn(0, 2*absenceMost)
				So(a.doubt.Sub(now), ShouldEqual, pause*time.Millisecond)
				now = now.Add(a.pause)
			}
			turn(wellMost+1, 0)
			now = now.Add(a.pause)
			turn(0, 4*absenceMost)
			So(a.doubt.Sub(now), ShouldEqual, firstPause)
			a.doubt = time.Now().Add(-1)
			So(a.trusts(), ShouldBeTrue)
		})
		Convey("and what was before the last visit does not count", func() {
			for range 100 {
				turn(0, absenceMost/awayPrice)
				a.begin(now)
				a.over()
				a.end(now.Add(time.Minute))
			}
			So(a.trusts(), ShouldBeTrue)
		})
	})
}

// castToMany queues a message for many connections, and returns the list of visits.
func (g *stage) castToMany(peers int) (list *shm.Visits, all []*Conn) {
	m := shm.NewCast(g.owner.shared, nil, make([]byte, 100), false)
	for range peers {
		conn, _ := g.plain()
		conn.Shared.AppendCast(g.owner.shared, conn.Shared.Rid.Load(), m, false)
		all = append(all, conn)
	}
	m.Release(g.owner.shared)
	for range briskRounds {
		g.step() // the connections are new
	}
	return visitsOf(all), all
}

// threadless ends the shard's thread, so that nobody takes the role of the test.
func (g *stage) threadless() {
	g.sh.stopping.Store(true)
	g.sh.thread.waiter.Signal()
	<-g.sh.thread.done
	g.sh.stopping.Store(false)
	g.sh.thread.wanted.Store(false)
	g.sh.thread.summoned.Store(false)
}

func TestReceiverVisits(t *testing.T) {
	Convey("A receiver that drives", t, func() {
		g := newStage(t)
		g.threadless()
		list, all := g.castToMany(300)
		Convey("leaves the visits to nobody, however often it comes back", func() {
			g.sh.Visit(list)
			for rounds := 0; ; rounds++ {
				g.step()
				left := g.sh.hasVisits()
				g.sh.Leave()
				g.sh.TryFlush(false)
				So(g.sh.thread.summoned.Load(), ShouldBeFalse)
				So(g.sh.absence.since.IsZero(), ShouldEqual, !left)
				So(g.sh.TryDrive(), ShouldBeTrue)
				So(g.sh.absence.since.IsZero(), ShouldBeTrue)
				So(g.sh.absence.drives.IsZero(), ShouldEqual, !left)
				if g.sh.absence.doubt = (time.Time{}); !left { // it is not for this test to be in time
					So(rounds, ShouldBeGreaterThan, 10)
					return
				}
			}
		})
		Convey("leaves them to the thread while it is not trusted", func() {
			g.sh.Visit(list)
			g.step()
			g.sh.absence.doubt = time.Now().Add(time.Hour)
			g.sh.Leave()
			g.sh.TryFlush(false)
			So(g.sh.thread.summoned.Load(), ShouldBeTrue)
			So(g.sh.TryDrive(), ShouldBeTrue)
		})
		Convey("postpones nothing where nobody waits for a visit", func() {
			for g.sh.hasVisits() {
				g.step()
			}
			_, fd := g.plain()
			g.step()
			for range 3 {
				So(unix.Sendto(fd, []byte(frameOf("hello")), 0, nil), ShouldBeNil)
				_ = g.sh.poll()
				_ = g.sh.step(g.owner.shared, false, time.Time{})
				So(g.owner.waiting(), ShouldEqual, len(frameOf("hello")))
				g.owner.takeAll()
				So(g.sh.postponed, ShouldEqual, 0)
			}
		})
		Convey("gets what it waits for before the next visits, and not twice in a row", func() {
			g.sh.Visit(list)
			_, fd := g.plain()
			g.step()
			written := func() (n int) {
				for _, conn := range all {
					n += int(conn.moved.Load())
				}
				return n
			}
			round := func() int {
				So(unix.Sendto(fd, []byte(frameOf("hello")), 0, nil), ShouldBeNil)
				_ = g.sh.poll()
				before := written()
				_ = g.sh.step(g.owner.shared, false, time.Time{})
				So(g.owner.waiting(), ShouldEqual, len(frameOf("hello")))
				g.owner.takeAll()
				return written() - before
			}
			for range 5 {
				So(round(), ShouldEqual, 0)
				So(round(), ShouldBeGreaterThan, 0)
			}
		})
	})
	Convey("The shard's thread hands visits over to a receiver that it trusts, and to no other", t, func() {
		g := newStage(t)
		handsOver := func() bool {
			list, _ := g.castToMany(300)
			g.sh.Leave()
			g.sh.Summon()
			for g.sh.Shared.Driver.Load() != shm.DriverThread {
				time.Sleep(10 * time.Microsecond)
			}
			for g.sh.Visit(list); !g.sh.TryDrive(); time.Sleep(10 * time.Microsecond) {
				g.sh.Post(func() { g.sh.handOver = awakeSocket })
			}
			left := g.sh.hasVisits()
			for g.sh.hasVisits() || g.sh.hasMail.Load() {
				g.step()
			}
			return left
		}
		for range 10 {
			g.sh.absence.doubt = time.Now().Add(time.Hour)
			So(handsOver(), ShouldBeFalse)
		}
		tries := 0 // the thread may take the role back before the test has it
		for g.sh.absence.doubt = (time.Time{}); tries < 1000 && !handsOver(); tries++ {
			g.sh.absence.doubt = time.Time{}
		}
		So(tries, ShouldBeLessThan, 1000)
	})
}

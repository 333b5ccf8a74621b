// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sys"
)

// flooded is a stage with connections that always have more, all of which have had turns.
func flooded(t *testing.T, connections int) (g *stage, more func() (total uint64)) {
	g = newStage(t)
	var all []*Conn
	var floods []*flood
	for range connections {
		c, fd := g.plain()
		all = append(all, c)
		floods = append(floods, &flood{fd: fd, next: func() []byte { return again(frameOf("a small one")) }})
	}
	more = func() (total uint64) {
		for i, f := range floods {
			f.offer()
			total += all[i].ReceivedBytes.Load()
		}
		g.owner.takeAll()
		return total
	}
	for range 8 * connections {
		more()
		g.step()
	}
	for _, c := range all {
		if c.spending.much < much {
			t.Fatal("a flooder is not busy")
		}
	}
	return g, more
}

func TestReadyOrder(t *testing.T) {
	Convey("Beside many that bring much", t, func() {
		const flooders = 40
		g, more := flooded(t, flooders)
		Convey("one that brings little waits for a few turns, and not for one of each", func() {
			quiet, fd := g.plain()
			for range 20 {
				got, before := quiet.Received.Load(), more()
				_, e := sys.Send(fd, []byte(frameOf("hello")))
				So(e, ShouldEqual, sys.Errno(0))
				for quiet.Received.Load() == got {
					g.step()
				}
				So(more()-before, ShouldBeLessThanOrEqualTo, pollTurns*longRead)
			}
		})
		Convey("one that brings much has its turns as they have", func() {
			other, fd := g.plain()
			f := &flood{fd: fd, next: func() []byte { return again(frameOf("a small one")) }}
			before, had := more(), other.ReceivedBytes.Load()
			for range 8 * flooders {
				f.offer()
				more()
				g.step()
			}
			each := (more() - before) / flooders
			So(other.ReceivedBytes.Load()-had, ShouldBeLessThan, 2*each+aheadRead)
			So(other.ReceivedBytes.Load()-had, ShouldBeGreaterThan, each/2)
		})
		Convey("one that is new and has much has no turn ahead of them", func() {
			other, fd := g.plain()
			(&flood{fd: fd, next: func() []byte { return again(frameOf("a small one")) }}).offer()
			before := more()
			for other.ReceivedBytes.Load() == 0 {
				more()
				g.step()
			}
			So(more()-before, ShouldBeGreaterThan, (flooders/2)*(64<<10))
		})
	})
}

func TestBackOnTheReadyList(t *testing.T) {
	Convey("A connection that has more after its turn is on the list once, and what it brought is counted", t, func() {
		g := newStage(t)
		c, fd := g.plain()
		(&flood{fd: fd, next: func() []byte { return again(frameOf("a small one")) }}).offer()
		So(g.sh.poll(), ShouldBeNil)
		g.sh.readReady()
		So(c.pending, ShouldBeTrue)
		So(g.sh.ready.busy.len(), ShouldEqual, 1)
		So(g.sh.ready.len(), ShouldEqual, 1)
	})
}

// take takes the next one, which brings something.
func (r *ready) take(brings int) *Conn {
	c, _, _ := r.pop()
	r.brought(c, brings)
	return c
}

// endPass ends the pass as its time would.
func (r *ready) endPass() {
	r.since = time.Now().Add(-passTime)
	before := r.pass
	r.begin()
	So(r.pass, ShouldNotEqual, before)
}

func TestReady(t *testing.T) {
	Convey("On the ready list", t, func() {
		r := &ready{pass: 1}
		a, b := &Conn{}, &Conn{}
		busy := func(c *Conn) bool {
			before := r.busy.len()
			r.push(c)
			return r.busy.len() > before
		}
		Convey("a connection is sparse until its turns have brought much", func() {
			for range much {
				So(busy(a), ShouldBeFalse)
				r.take(lookPrice + lengthSize)
			}
			So(busy(a), ShouldBeTrue)
			Convey("and no longer in the next pass", func() {
				r.take(1)
				r.endPass()
				So(busy(a), ShouldBeFalse)
			})
		})
		Convey("it is busy for one more pass if it brought very much, whether it has a turn in that or not", func() {
			r.push(a)
			r.take(longRead)
			r.endPass()
			So(busy(a), ShouldBeTrue)
			r.take(1)
			So(busy(a), ShouldBeTrue)
			r.take(1)
			r.endPass()
			So(busy(a), ShouldBeFalse)
			r.take(longRead)
			r.endPass()
			r.endPass()
			So(busy(a), ShouldBeFalse)
		})
		Convey("a small message every 33 ms keeps it sparse", func() {
			for range 10 {
				for range 30 {
					So(busy(a), ShouldBeFalse)
					r.take(lookPrice + 132)
				}
				r.endPass()
			}
		})
		Convey("little is little for hours, however little all bring", func() {
			for range 10 * much {
				r.since = r.since.Add(-passTime / 30)
				r.begin()
				So(busy(a), ShouldBeFalse)
				r.take(1)
			}
		})
		Convey("it has a turn as long as the others' when nobody else waits, and a short one ahead of them", func() {
			r.push(a)
			_, turn, isNew := r.pop()
			So(isNew, ShouldBeTrue)
			So(turn, ShouldEqual, longRead)
			r.push(b)
			r.take(longRead)
			So(busy(b), ShouldBeTrue)
			r.push(a)
			c, turn, isNew := r.pop()
			So(isNew, ShouldBeFalse)
			So(c, ShouldEqual, a)
			So(turn, ShouldEqual, aheadRead)
			c, turn, _ = r.pop()
			So(c, ShouldEqual, b)
			So(turn, ShouldEqual, longRead)
		})
		Convey("a pass lasts until those that were busy when it began have had a turn", func() {
			r.push(b)
			r.take(longRead)
			r.push(b)
			r.endPass()
			r.since = time.Time{}
			now := r.pass
			r.begin()
			So(r.pass, ShouldEqual, now)
			r.take(1)
			r.begin()
			So(r.pass, ShouldEqual, now+1)
			Convey("and until a second has passed", func() {
				r.begin()
				So(r.pass, ShouldEqual, now+1)
			})
		})
		Convey("new ones without end do not keep busy ones from their turns", func() {
			r.push(b)
			r.take(longRead)
			r.push(b)
			turns := 0
			for r.busy.len() > 0 {
				r.push(&Conn{})
				r.take(firstRead)
				turns++
			}
			So(turns, ShouldEqual, 1+aheadMost/firstRead)
		})
		Convey("a crowd's memory is given back once nobody waits", func() {
			for range 2 * ringKept {
				r.push(&Conn{})
			}
			r.sparse.trim()
			So(r.len(), ShouldEqual, 2*ringKept)
			for r.len() > 0 {
				r.take(1)
			}
			r.sparse.trim()
			So(len(r.sparse.items), ShouldEqual, 0)
			r.push(a)
			So(r.take(1), ShouldEqual, a)
		})
		Convey("no pass has the number 0, which says that there was none", func() {
			r.pass = 255
			r.endPass()
			So(r.pass, ShouldEqual, 1)
		})
	})
}

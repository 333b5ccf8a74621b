// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sys"
)

// recordsOf is the lowest layer of a connection of TLS 1.3.
func recordsOf(c *Conn) *records { return c.link.layers[0].Layer.(*records) }

func rekeysOf(c *Conn) *rekeys { return &recordsOf(c).rekeys }

// later lets time go by for what a connection earns. All timers fire, too early or not.
func (g *stage) later(c *Conn, passed time.Duration) {
	r := rekeysOf(c)
	r.earned = r.earned.Add(-passed)
	g.sh.timers.run(time.Now().Add(time.Hour))
}

// paid lets as much time go by as the changes of keys so far are to be paid with.
func (g *stage) paid(c *Conn) {
	rekeysOf(c).spent = 0
	g.later(c, 0)
}

// give has the peer write all of wire, while the shard reads what it does.
func (g *stage) give(fd int, wire []byte) {
	for steps := 0; len(wire) > 0 || steps < 20; steps++ {
		if n, e := sys.Send(fd, wire); e == 0 && n > 0 {
			wire = wire[n:]
		}
		g.step()
		swallow(fd)
		g.owner.takeAll()
	}
}

// changing returns records that change the keys n times, with little data between them.
func (p *tlsPeer) changing(n int, answer bool) (wire []byte) {
	wire = p.record(23, []byte{16, 0, 0, 0}) // a message that goes on
	for i := range n {
		wire = append(wire, p.keyUpdate(answer)...)
		if i%14 == 13 {
			wire = append(wire, p.record(23, []byte{1})...)
		}
	}
	return wire
}

func TestChangesOfKeysArePaidFor(t *testing.T) {
	const each = 27
	for _, answer := range []bool{false, true} {
		Convey(fmt.Sprintf("Of a peer that changes keys, answer %v,", answer), t, func() {
			g := newStage(t)
			c, fd, peer := g.linked(true, false)
			done := func() int { // changes so far
				return slices.IndexFunc(peer.secrets, func(secret []byte) bool { return bytes.Equal(secret, recordsOf(c).in.secret) })
			}
			Convey("a few changes are read at once", func() {
				g.give(fd, peer.changing(rekeyMost-10, answer))
				So(unread(int(c.fd)), ShouldEqual, 0)
				So(c.link.resting, ShouldBeNil)
			})
			Convey("no more are, but with time and data", func() {
				wire := peer.changing(2000, answer)
				wire = append(wire, peer.records(make([]byte, 90*rekeyWorth), 16<<10)...)
				g.give(fd, wire[:150*each])
				first := done()
				So(c.link.resting != nil, ShouldBeTrue)
				So(first, ShouldBeBetween, rekeyMost-5, 100) // time that passes meanwhile earns some
				had := unread(int(c.fd))
				for range 20 {
					c.wantRead()
					g.step()
				}
				So(done(), ShouldEqual, first)
				So(unread(int(c.fd)), ShouldEqual, had)

				g.later(c, rekeyTime/2) // it is still more than it may
				So(done(), ShouldEqual, first)
				wire = wire[150*each:]
				rounds := 0
				for ; (unread(int(c.fd)) > 0 || recordsOf(c).kept != nil) && rounds < 2000; rounds++ {
					n, _ := sys.Send(fd, wire[:min(len(wire), 32<<10)])
					wire = wire[max(0, n):]
					g.later(c, 10*rekeyTime)
					g.step()
					swallow(fd)
					g.owner.takeAll()
				}
				So(wire, ShouldBeEmpty)
				So(rounds, ShouldBeGreaterThan, 100) // 2,000 changes, 10 in a round
				So(rekeysOf(c).spent, ShouldEqual, 0)
			})
			Convey("that ends while it is not read, the connection ends too, in time", func() {
				g.give(fd, peer.changing(200, answer))
				So(c.link.resting != nil, ShouldBeTrue)
				c.hangup = true
				c.wantRead()
				g.step()
				So(c.watched(), ShouldBeTrue)
				c.look()
				So(c.watched(), ShouldBeTrue)
			})
			Convey("that goes while it is not read, nothing stays behind", func() {
				before := len(g.sh.timers)
				g.give(fd, peer.changing(200, answer))
				So(c.link.resting != nil, ShouldBeTrue)
				c.Abort(CauseReset)
				So(len(g.sh.timers), ShouldEqual, before)
			})
			Convey("what is reckoned as left in Go's heap is what was allocated", func() {
				const changes = 10 * rekeyMost
				wire := peer.changing(changes, answer)
				g.step()
				var before, after runtime.MemStats
				reckoned := garbage.bytes.Load()
				runtime.ReadMemStats(&before)
				for from := 0; from < len(wire); from += 10 * each {
					_, e := sys.Send(fd, wire[from:min(from+10*each, len(wire))])
					So(e, ShouldEqual, sys.Errno(0))
					g.step()
					g.step()
					g.paid(c)
				}
				So(unread(int(c.fd)), ShouldEqual, 0)
				runtime.ReadMemStats(&after)
				reckoned = garbage.bytes.Load() - reckoned
				allocated := int64(after.TotalAlloc - before.TotalAlloc)
				So(reckoned, ShouldBeBetween, allocated*2/3, allocated*3/2)
			})
		})
	}
	Convey("A peer that changes no keys never rests, whatever its records hold", t, func() {
		g := newStage(t)
		c, fd, peer := g.linked(true, false)
		for _, size := range []int{1, 5, 100, 16 << 10, 16000} {
			g.give(fd, peer.records([]byte(frameOf(string(make([]byte, 400<<10))))[:max(2000, size*20)], size))
			So(c.link.resting, ShouldBeNil)
			So(rekeysOf(c).spent, ShouldBeLessThanOrEqualTo, 4*rekeyTime) // those of the handshake
		}
	})
}

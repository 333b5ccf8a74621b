// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"runtime"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/sys"
)

// accept gives the shard a connection that has a handshake to make, and returns
// the peer's descriptor.
func (g *stage) accept(transport *Transport) int {
	ours, theirs := g.pair()
	from := newOrigin(g.owner, transport, Limits{MaxMsgSize: -1}, nil)
	g.sh.conns.Add(1)
	g.sh.welcome(arrival{origin: &from, fd: ours})
	return theirs
}

func (g *stage) secureTransport(limit time.Duration) *Transport {
	transport := &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TLS}, HandshakeTime: limit}
	transport.SetTLS(&tls.Config{Certificates: []tls.Certificate{certificate(g.t)}, MinVersion: tls.VersionTLS13})
	return transport
}

// begun counts the handshakes of the shard that have a goroutine.
func (g *stage) begun() (n int) {
	for h := range g.sh.handshakes {
		if h.running {
			n++
		}
	}
	return n
}

// until drives the shard until the condition holds.
func (g *stage) until(what string, holds func() bool) {
	watchdog(g.t, what, func() bool {
		g.step()
		return holds()
	})
}

func TestGateOfTheShard(t *testing.T) {
	const peers, most = 10, 3
	Convey("Of many connections that have said something", t, func() {
		g := newStage(t)
		g.sh.gate = newGate(most, 1)
		var fds []int
		open := func(limit time.Duration) {
			transport := g.secureTransport(limit)
			for range peers {
				fds = append(fds, g.accept(transport))
			}
			g.step()
			So(g.begun(), ShouldEqual, 0)
			So(g.owner.held.Load(), ShouldEqual, peers*waitingSize)
		}
		finish := func() { // a Reset would come after that of the shard
			g.sh.EndHandshakes(g.owner, CauseClosedHere)
			g.until("the end of all handshakes", func() bool { return len(g.sh.handshakes) == 0 })
			So(g.owner.held.Load(), ShouldEqual, 0)
			So(len(g.sh.gate.begun)+g.sh.gate.accepted.Len(), ShouldEqual, 0)
			So(len(g.sh.gate.computing), ShouldEqual, 0)
		}

		Convey("a few begin, and the others wait without a goroutine", func() {
			open(0)
			before := runtime.NumGoroutine()
			for _, fd := range fds {
				_, _ = sys.Send(fd, []byte{22})
			}
			g.until("the gate is full", func() bool { return g.sh.gate.accepted.Len() == peers-most })
			So(g.begun(), ShouldEqual, most)
			watchdog(t, "as many goroutines as have begun", func() bool { return runtime.NumGoroutine()-before <= most })
			watchdog(t, "nobody computes, as all wait for their peers", func() bool { return len(g.sh.gate.computing) == 0 })
			So(g.owner.held.Load(), ShouldBeLessThan, peers*waitingSize+most*2*begunSize)
			So(g.owner.held.Load(), ShouldBeGreaterThanOrEqualTo, peers*waitingSize+most*begunSize)
			finish()
		})
		Convey("all come up in the end, in the order of their first bytes", func() {
			open(0)
			done := make(chan bool, peers)
			for _, fd := range fds {
				go func() {
					dialTLS(t, fd)
					done <- true
				}()
			}
			g.until("all peers are up", func() bool {
				So(g.begun(), ShouldBeLessThanOrEqualTo, most)
				return len(done) == peers && len(g.sh.handshakes) == 0
			})
			finish()
		})
		Convey("each ends when its time is over, whether it has begun or not", func() {
			open(200 * time.Millisecond)
			for _, fd := range fds[:peers-1] { // one says nothing
				_, _ = sys.Send(fd, []byte{22})
			}
			g.until("the gate is full", func() bool { return g.sh.gate.accepted.Len() == peers-1-most })
			g.until("their time is over", func() bool { return g.owner.gone == peers })
			finish()
		})
		Convey("one that goes while it waits is forgotten at once", func() {
			open(0)
			for _, fd := range fds {
				_, _ = sys.Send(fd, []byte{22})
			}
			g.until("the gate is full", func() bool { return g.sh.gate.accepted.Len() == peers-most })
			for h := range g.sh.handshakes {
				if !h.running {
					h.ready(sys.Gone)
					break
				}
			}
			So(g.sh.gate.accepted.Len(), ShouldEqual, peers-most-1)
			So(g.owner.gone, ShouldEqual, 1)
			finish()
		})
		Convey("those whose peers are slow go when others wait, and only then", func() {
			open(0)
			for _, fd := range fds[:most] {
				_, _ = sys.Send(fd, []byte{22})
			}
			g.until("the first ones begin", func() bool { return g.begun() == most })
			slow := 0
			for h := range g.sh.gate.begun {
				if slow++; slow < most {
					h.conn.waitedNs.Store(int64(peerTime))
				}
			}
			g.sh.gate.sweep()
			g.step()
			So(g.owner.gone, ShouldEqual, 0)
			for _, fd := range fds[most : most+1] {
				_, _ = sys.Send(fd, []byte{22})
			}
			g.until("another one waits", func() bool { return g.sh.gate.accepted.Len() == 1 })
			g.sh.gate.sweep()
			g.until("one gives its place away", func() bool { return g.owner.gone == 1 && g.begun() == most })
			So(g.sh.gate.accepted.Len(), ShouldEqual, 0)
			finish()
		})
	})
}

func TestGate(t *testing.T) {
	Convey("A gate", t, func() {
		g := newStage(t)
		gate := newGate(4, 1)
		made := func(dialled bool) *handshake {
			h := &handshake{shard: g.sh, conn: newFdConn(-1), over: true} // so that its start does nothing
			from := newOrigin(g.owner, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TLS}}, Limits{}, nil)
			if dialled {
				from.dialer = &Dialer{}
			}
			h.origin = &from
			return h
		}
		enter := func(dialled bool) (*handshake, bool) {
			h := made(dialled)
			return h, gate.enter(h)
		}
		waits := func(h *handshake) bool { return h.ticket.waits != nil }

		Convey("lets at most half of its places to connections of this side", func() {
			var all []*handshake
			for i := range 4 {
				h, ok := enter(true)
				So(ok, ShouldEqual, i < 2)
				all = append(all, h)
			}
			_, ok := enter(false)
			So(ok, ShouldBeTrue)
			gate.leave(all[0])
			gate.leave(all[0]) // twice is once
			So(waits(all[2]), ShouldBeFalse)
			So(waits(all[3]), ShouldBeTrue)
		})
		Convey("gives its places in the order of arrival, whoever dialled", func() {
			var begun, waiting []*handshake
			for range 4 {
				h, ok := enter(false)
				So(ok, ShouldBeTrue)
				begun = append(begun, h)
			}
			for i := range 6 {
				h, ok := enter(i%2 == 1)
				So(ok, ShouldBeFalse)
				waiting = append(waiting, h)
			}
			gate.leave(waiting[1]) // gives up
			So(waits(waiting[1]), ShouldBeFalse)
			for i, h := range begun {
				gate.leave(h)
				gate.leave(h) // twice is once
				next := []int{0, 2, 3, 4}[i]
				for j, w := range waiting {
					So(waits(w), ShouldEqual, j != 1 && j > next)
				}
			}
			So(len(gate.begun), ShouldEqual, 4)
		})
		Convey("has the less patience with slow peers, the more others wait", func() {
			So(gate.patience(0), ShouldEqual, peerTime)
			So(gate.patience(4), ShouldEqual, peerTime/2)
			So(gate.patience(1_000_000), ShouldEqual, leastPeerTime)
		})
		Convey("keeps refused ones that wait for their peer's end as long as nobody waits for a place", func() {
			lingering := func() (c *fdConn, over func() bool) {
				c = newFdConn(-1)
				e := gate.lingers(c)
				Reset(func() {
					gate.gone(e)
					gate.gone(e)
					So(gate.refused.Len(), ShouldEqual, 0)
				})
				return c, func() bool { return c.aborted != nil }
			}
			for range 4 {
				enter(false)
			}
			_, first := lingering()
			_, second := lingering()
			So(first() || second(), ShouldBeFalse)
			enter(false) // has to wait
			So(first(), ShouldBeTrue)
			So(second(), ShouldBeFalse)
			enter(true)
			So(second(), ShouldBeTrue)
			_, third := lingering()
			So(third(), ShouldBeTrue)
			enter(false) // nobody lingers
		})
		Convey("knows whose peers are the slowest, of those that it accepted", func() {
			var all []*handshake
			for i := range 4 {
				h, ok := enter(i == 0)
				So(ok, ShouldBeTrue)
				h.conn.waitedNs.Store(int64([]time.Duration{9, 1, 3, 2}[i] * peerTime))
				all = append(all, h)
			}
			So(gate.slowest(2, nil), ShouldResemble, []*handshake{all[2], all[3]})
			So(gate.slowest(9, nil), ShouldResemble, []*handshake{all[2], all[3], all[1]})
			all[1].conn.waitedNs.Store(int64(gate.patience(9)))
			So(len(gate.slowest(9, nil)), ShouldEqual, 3)
			all[1].conn.waitedNs.Add(-1)
			So(len(gate.slowest(9, nil)), ShouldEqual, 2)
			So(len(gate.slowest(8, nil)), ShouldEqual, 2)
			gate.lingers(all[2].conn) // refused: its end has a reason, and it goes by dismiss
			So(len(gate.slowest(9, nil)), ShouldEqual, 1)
		})
		Convey("ends the slow ones in portions, so that others do not wait for all of that", func() {
			gate = newGate(2*sweepMost, 1)
			gate.window = gate.most
			for range 2 * sweepMost {
				h, _ := enter(false)
				h.conn.waitedNs.Store(int64(peerTime))
			}
			some, next := gate.portion(gate.slowest(sweepMost, nil))
			So(len(some), ShouldEqual, sweepMost)
			So(next, ShouldEqual, sweepEvery)
			some, next = gate.portion(gate.slowest(2*sweepMost, nil))
			So(len(some), ShouldEqual, sweepMost)
			So(next, ShouldEqual, sweepNext)
		})
	})
}

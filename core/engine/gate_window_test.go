// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net"
	"net/netip"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
)

// knock makes a handshake of a socket enter the gate. Its start does nothing.
func knock(g *stage, gate *gate, owner *ownerStub) (*handshake, bool) {
	h := &handshake{shard: g.sh, conn: newFdConn(-1), over: true}
	from := newOrigin(owner, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TLS}}, Limits{}, nil)
	h.origin = &from
	return h, gate.enter(h)
}

func TestWindowOfTheGate(t *testing.T) {
	Convey("A gate with many places", t, func() {
		g := newStage(t)
		gate := newGate(4*leastWindow, 1)
		gate.byHand = true
		var all []*handshake
		enter := func() (*handshake, bool) {
			h, ok := knock(g, gate, g.owner)
			all = append(all, h)
			return h, ok
		}
		for range leastWindow {
			_, ok := enter()
			So(ok, ShouldBeTrue)
		}
		next, ok := enter()
		So(ok, ShouldBeFalse)
		begun := func(h *handshake) bool { return h.ticket.waits == nil }
		finish := func() {
			for _, h := range all {
				gate.leave(h)
				gate.leave(h)
			}
			So(len(gate.begun)+gate.moving+int(gate.queued.Load())+g.owner.admission.entrance.begun, ShouldEqual, 0)
		}

		Convey("lets the next one begin when one has left", func() {
			gate.leave(all[0])
			So(begun(next), ShouldBeTrue)
			finish()
		})
		Convey("lets the next one begin when a peer keeps its handshake waiting, which keeps its place", func() {
			gate.aside(all[0])
			gate.aside(all[0]) // twice is once
			So(begun(next), ShouldBeTrue)
			So(len(gate.begun), ShouldEqual, leastWindow+1)
			another, ok := enter()
			So(ok, ShouldBeFalse)
			gate.leave(all[0]) // it has been out of the window already
			So(begun(another), ShouldBeFalse)
			finish()
		})
		Convey("has a larger window while peers are quick, and a smaller one while they are busy", func() {
			gate.up(all[0])
			So(gate.window, ShouldEqual, leastWindow+1)
			all[1].conn.waitedNs.Store(int64(quickPeer))
			gate.up(all[1])
			So(gate.window, ShouldEqual, leastWindow+1)
			all[2].conn.waitedNs.Store(int64(slowPeer) + 1)
			gate.up(all[2])
			gate.up(all[2])
			So(gate.window, ShouldEqual, leastWindow)
			gate.window = gate.most
			gate.up(all[0])
			So(gate.window, ShouldEqual, gate.most)
			finish()
		})
		Convey("takes those with slow peers out of the window at a sweep, and ends none while there are places", func() {
			for _, h := range all[:leastWindow] {
				h.conn.waitedNs.Store(int64(answerTime))
			}
			gate.sweep()
			g.step()
			So(begun(next), ShouldBeTrue)
			So(gate.moving, ShouldEqual, 1)
			So(g.owner.gone, ShouldEqual, 0)
			finish()
		})
		Convey("has more patience with peers that were answered, until too many of them are slow", func() {
			for i, h := range all[:3] {
				h.conn.waitedNs.Store(int64(answerTime) - 1)
				h.conn.answered.Store(i > 0)
			}
			So(gate.slowest(9, nil), ShouldResemble, all[:1])
			gate.most = leastWindow
			for i := 1; ; i++ {
				gate.sweep() // ends more than come up
				if gate.answer == leastPeerTime {
					break
				}
				So(i, ShouldBeLessThan, 9)
			}
			So(len(gate.slowest(9, nil)), ShouldEqual, 3)
			gate.lostAt = time.Now().Add(-calmTime)
			for _, h := range all[:3] {
				h.conn.waitedNs.Store(0)
			}
			gate.sweep()
			So(gate.answer, ShouldEqual, answerTime)
			g.step()
			finish()
		})
	})
}

func TestHandshakesOfASocket(t *testing.T) {
	Convey("Of the handshakes of a socket with STREAM_HANDSHAKES", t, func() {
		const most = 2
		g := newStage(t)
		gate := newGate(10, 1)
		gate.byHand = true
		other := &ownerStub{shared: g.owner.shared}
		g.owner.admission.SetRules(&Rules{Handshakes: most})
		var all []*handshake
		for i := range 6 {
			h, ok := knock(g, gate, g.owner)
			So(ok, ShouldEqual, i < most)
			all = append(all, h)
		}
		begun := func() (n int) {
			for _, h := range all {
				if _, here := gate.begun[h]; here {
					n++
				}
			}
			return n
		}
		Reset(func() {
			for _, h := range all {
				gate.leave(h)
				gate.leave(h)
			}
			So(g.owner.admission.entrance.begun, ShouldEqual, 0)
			So(len(gate.begun)+len(gate.full)+int(gate.queued.Load()), ShouldEqual, 0)
		})

		Convey("that many are begun, and the next one when one is over; other sockets do not wait for them", func() {
			h, ok := knock(g, gate, other)
			So(ok, ShouldBeTrue)
			gate.leave(h)
			So(begun(), ShouldEqual, most)
			gate.leave(all[4]) // gives up
			gate.leave(all[0])
			So(begun(), ShouldEqual, most)
			So(all[2].ticket.waits, ShouldBeNil)
			So(all[3].ticket.waits != nil, ShouldBeTrue)
			gate.leave(all[1])
			gate.leave(all[2])
			So(begun(), ShouldEqual, most)
			gate.leave(all[3])
			So(begun(), ShouldEqual, 1)
		})
		Convey("a slow one loses its place when others of that socket wait", func() {
			all[0].conn.waitedNs.Store(int64(peerTime))
			So(gate.slowest(1, &g.owner.admission), ShouldResemble, all[:1])
			So(gate.slowest(1, &other.admission), ShouldBeEmpty)
		})
		Convey("those that are held back stop the listeners of that socket only", func() {
			for range gateQueue - len(all) + most {
				h, _ := knock(g, gate, g.owner)
				all = append(all, h)
			}
			So(gate.crowded(&g.owner.admission), ShouldBeTrue)
			So(gate.crowded(&other.admission), ShouldBeFalse)
			gate.leave(all[len(all)-1])
			So(gate.crowded(&g.owner.admission), ShouldBeFalse)
		})
		Convey("all begin when the limit goes", func() {
			g.owner.admission.SetRules(&Rules{})
			gate.leave(all[0])
			So(begun(), ShouldEqual, 5)
		})
	})
}

func TestListenersWaitForTheGate(t *testing.T) {
	Convey("While too many handshakes wait, a listener of tls accepts nobody, and one of tcp does", t, func() {
		g := newStage(t)
		g.sh.gate = newGate(4, 1)
		listen := func(transport *Transport) *Listener {
			at := Address{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
			l, err := Listen(g.sh, transport, at, g.owner, TCPOptions{Backlog: 9}, Limits{MaxMsgSize: -1}, func() *Shard { return g.sh })
			So(err, ShouldBeNil)
			c, err := net.Dial("tcp", l.Local.String())
			So(err, ShouldBeNil)
			Reset(func() { _ = c.Close() })
			return l
		}
		g.sh.gate.crowd.Store(gateQueue)
		secure := listen(g.secureTransport(0))
		plain := listen(&Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}})
		g.until("the one of tcp is there", func() bool { return g.sh.Connections() == 1 })
		for range 100 {
			g.step()
		}
		So(len(g.sh.handshakes), ShouldEqual, 0)
		g.sh.gate.crowd.Store(gateQueue - 1)
		g.until("the one of tls is there", func() bool { return len(g.sh.handshakes) == 1 })
		g.sh.gate.crowd.Store(0)
		g.sh.EndHandshakes(g.owner, CauseClosedHere)
		secure.Close()
		plain.Close()
		g.until("their end", func() bool { return secure.fd < 0 && plain.fd < 0 })
	})
}

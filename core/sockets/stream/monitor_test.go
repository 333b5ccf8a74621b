// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"slices"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// kinds receives events up to the one of kind last.
func kinds(t testing.TB, m *sockets.Monitor, last engine.EventKind) (all []engine.EventKind) {
	t.Helper()
	within(t, patience, "the event", func() {
		for {
			e, err := m.Recv(false)
			if err != nil {
				return
			}
			if all = append(all, e.Kind); e.Kind == last {
				return
			}
		}
	})
	return all
}

func TestMonitor(t *testing.T) {
	Convey("A monitor", t, func() {
		k := newSocket(t, newContext(t))
		m, err := k.Monitor(0xFFFF)
		So(err, ShouldBeNil)
		Reset(func() { _ = m.Close() })

		Convey("tells the life of a socket in the order it happens", func() {
			endpoint := bind(t, k)
			p, id := accept(t, k, endpoint)
			must(t, p.Close(), "close")
			So(want(t, k, disconnected), ShouldEqual, id)
			eventually(t, "the connection is gone", func() bool { n, _ := k.PeerCount(); return n == 0 })
			must(t, k.Unbind(endpoint), "Unbind")
			eventually(t, "everything is closed", func() bool {
				k.mu.Lock()
				defer k.mu.Unlock()
				return k.parts == 2 // the open socket and its receiver
			})
			must(t, k.Close(), "Close")
			got := kinds(t, m, engine.EventStopped)
			So(got[:3], ShouldResemble, []engine.EventKind{engine.EventListening, engine.EventAccepted, engine.EventReady})
			So(slices.Contains(got, engine.EventDisconnected), ShouldBeTrue)
			So(got[len(got)-1], ShouldEqual, engine.EventStopped)
		})
		Convey("gives the last event only once, then nothing", func() {
			must(t, k.Close(), "Close")
			So(kinds(t, m, engine.EventStopped), ShouldResemble, []engine.EventKind{engine.EventStopped})
			_, err := m.Recv(true)
			So(err, shouldBeErrno, errno.EAGAIN)
		})
		Convey("tells how the connections ended after the context's shutdown, then ETERM", func() {
			accept(t, k, bind(t, k))
			k.ctx.Shutdown()
			must(t, k.Close(), "Close")
			var last engine.Event
			for {
				e, err := m.Recv(true)
				if err != nil && errno.Of(err) == errno.ETERM {
					if last.Kind == engine.EventStopped {
						break
					}
					continue
				}
				So(err, ShouldBeNil)
				if e.Kind == engine.EventDisconnected {
					So(e.Value, ShouldEqual, uint64(engine.ReasonCtxTerm))
				}
				last = e
			}
		})
		Convey("shows only the kinds it was asked for", func() {
			few, err := k.Monitor(engine.EventAccepted)
			So(err, ShouldBeNil)
			accept(t, k, bind(t, k))
			must(t, k.Close(), "Close")
			So(kinds(t, few, engine.EventStopped), ShouldResemble,
				[]engine.EventKind{engine.EventAccepted, engine.EventStopped})
			So(few.Close(), ShouldBeNil)
		})
		Convey("that is slow loses the oldest events, and says how many", func() {
			for n := range sockets.MonitorEvents + 10 {
				k.monitors.Observe(engine.Event{Kind: engine.EventAccepted, Value: uint64(n)})
			}
			e, err := m.Recv(true)
			So(err, ShouldBeNil)
			So([]uint64{uint64(e.Kind), e.Value}, ShouldResemble, []uint64{uint64(sockets.EventLost), 10})
			for n := range uint64(sockets.MonitorEvents) {
				if e, err := m.Recv(true); err != nil || e.Value != n+10 {
					t.Fatalf("event %d: %v %v", n, e.Value, err)
				}
			}
			_, err = m.Recv(true)
			So(err, shouldBeErrno, errno.EAGAIN)
		})
		Convey("names the endpoint when a host's name leads to no address", func() {
			endpoint := "tcp://" + strings.Repeat("x", 64) + ":5" // too long for a name
			must(t, k.Connect(endpoint), "Connect")
			var e engine.Event
			within(t, patience, "the event", func() { e, err = m.Recv(false) })
			So(err, ShouldBeNil)
			So(e, ShouldResemble, engine.Event{Kind: engine.EventConnectRetried, Value: 100, Remote: endpoint})
		})
		Convey("is polled beside sockets", func() {
			items := []sockets.PollItem{{Socket: m, Events: sockets.PollIn | sockets.PollOut}, {Socket: k, Events: sockets.PollIn}}
			n, err := sockets.Poll(items, 0)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, 0)
			bind(t, k)
			n, err = sockets.Poll(items, -1)
			So(err, ShouldBeNil)
			So(n, ShouldEqual, 1)
			So(items[0].Revents, ShouldEqual, sockets.PollIn)
		})
		Convey("is closed once", func() {
			So(m.Close(), ShouldBeNil)
			So(m.Close(), shouldBeErrno, errno.ENOTSOCK)
			_, err := m.Recv(true)
			So(err, shouldBeErrno, errno.ENOTSOCK)
			So(k.monitors.Watched(), ShouldBeFalse)
		})
	})
}

func TestPeers(t *testing.T) {
	Convey("A socket tells its peers", t, func() {
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		p, first := accept(t, k, endpoint)
		accept(t, k, endpoint)
		p.send("a", "b")
		want(t, k, "a")
		want(t, k, "b")
		mustSend(t, k, first, "c")

		n, err := k.PeerCount()
		So(err, ShouldBeNil)
		So(n, ShouldEqual, 2)
		one, err := k.Peer([]byte(first))
		So(err, ShouldBeNil)
		So(one.Remote, ShouldEqual, "tcp://"+p.LocalAddr().String())
		So([]uint64{one.Sent, one.Received}, ShouldResemble, []uint64{1, 2})
		all, err := k.Peers(-1)
		So(err, ShouldBeNil)
		So(len(all), ShouldEqual, 2)
		for i := range all {
			id, err := k.ForC().PeerID(i)
			So(err, ShouldBeNil)
			So(id, ShouldResemble, all[i].RoutingID)
		}
		some, _ := k.Peers(1)
		So(len(some), ShouldEqual, 1)
		_, err = k.ForC().PeerID(2)
		So(err, shouldBeErrno, errno.EINVAL)
		_, err = k.ForC().PeerID(-1)
		So(err, shouldBeErrno, errno.EINVAL)
		_, err = k.Peer([]byte(id(99)))
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
		_, err = k.Peer(nil)
		So(err, shouldBeErrno, errno.EINVAL)
		must(t, p.Close(), "close")
		want(t, k, disconnected)
		n, _ = k.PeerCount()
		So(n, ShouldEqual, 1)
	})
}

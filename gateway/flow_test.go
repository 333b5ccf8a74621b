// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func sum(t *testing.T, g *Gateway, names ...string) (all uint64) {
	t.Helper()
	for _, name := range names {
		n, err := strconv.ParseUint(metric(g, name), 10, 64)
		if err != nil {
			t.Fatal(name, err)
		}
		all += n
	}
	return all
}

func TestSlowClient(t *testing.T) {
	for _, slow := range slowKinds {
		Convey("A client that does not read has a bound, and delays nobody: "+slow, t, func() {
			const many, size = 400, 60000
			g := start(t, func(c *Config) { c.Slow, c.SendBytes = slow, new(int); *c.SendBytes = 200000 })
			conn := backEnd(t, g.NATS())
			come, gone := listenTo(conn, "zl.event.*.connect.>"), listenTo(conn, "zl.event.*.disconnect.>")
			stuck := dial(t, g)
			noError(stuck.conn.(*net.TCPConn).SetReadBuffer(4096))
			stuck.send("")
			out := "zl.out." + g.Server() + "." + idOf(next(come))
			other := dial(t, g)
			other.send("")
			id := idOf(next(come))
			for range many {
				noError(conn.Publish(out, make([]byte, size)))
			}
			noError(conn.Publish("zl.out."+g.Server()+"."+id, []byte("for the other")))
			So(must(other.read()), ShouldEqual, "for the other")
			So(sum(t, g, "send_queue_bytes"), ShouldBeLessThan, uint64(1<<20))
			switch slow {
			case "cut":
				So(first(next(gone).Header, headerReasonName), ShouldEqual, "QUEUE_BOUND")
			case "refuse":
				So(until(func() bool { return sum(t, g, `dropped_total{way="out",reason="queue_full"}`) > many/2 }), ShouldBeTrue)
				So(until(func() bool { // the kernel may still take some
					status, _ := ask(conn, out, nil, make([]byte, size))
					return status == "429"
				}), ShouldBeTrue)
			default:
				So(until(func() bool { return sum(t, g, "client_dropped_messages_total") > many/2 }), ShouldBeTrue)
			}
			So(until(func() bool { // a client may have its message before it is counted
				lost := sum(t, g, `dropped_total{way="out",reason="queue_full"}`, `dropped_total{way="out",reason="unknown_peer"}`)
				came := sum(t, g, "out_messages_total")
				return came > many && came == sum(t, g, "sent_messages_total")+lost
			}), ShouldBeTrue)
		})
	}
}

func TestPendingHasABound(t *testing.T) {
	Convey("What waits for the gateway has a limit in bytes, and what is beyond it is counted", t, func() {
		var q inbound
		q.start(100 << 10)
		go q.pump()
		for range 100 {
			q.channel <- natsMessage(10 << 10)
		}
		So(until(func() bool { return len(q.channel) == 0 && q.dropped.Load() > 0 }), ShouldBeTrue)
		some := q.all(nil)
		So(uint64(len(some))+q.dropped.Load(), ShouldEqual, uint64(100))
		So(len(some), ShouldEqual, 9)
		q.less(sizeOf(some[0]) * 9)
		q.channel <- natsMessage(1)
		So(len(q.all(some)), ShouldEqual, 1)
		q.close()
		So(len(q.all(nil)), ShouldEqual, 0)
	})
}

func TestNATSGoesAway(t *testing.T) {
	Convey("While NATS is away clients wait, and nothing is lost", t, func() {
		hub := natsServer(t, -1)
		port := hub.Addr().(*net.TCPAddr).Port
		url := hub.ClientURL()
		g := start(t, at(url))
		p := dial(t, g)
		p.send("before")
		So(until(func() bool { return g.bus.published.Load() > 0 && g.bus.confirmed.Load() == g.bus.published.Load() }), ShouldBeTrue)
		So(g.Ready(), ShouldEqual, "")
		hub.Shutdown()
		hub.WaitForShutdown()
		So(until(func() bool { return g.Ready() != "" }), ShouldBeTrue)
		const many = 300
		for i := range many {
			p.send(fmt.Sprint(i))
		}
		So(until(func() bool { return g.counts.natsStalls.Load() > 0 }), ShouldBeTrue)
		natsServer(t, port)
		conn := backEnd(t, url)
		in := listenTo(conn, "zl.in.>")
		seen := 0
		So(until(func() bool { return g.Ready() == "" }), ShouldBeTrue)
		p.send("after")
		for body := ""; body != "after"; seen++ {
			body = string(next(in).Data)
		}
		// The back end may have come after the first of them, which NATS then tells.
		So(until(func() bool {
			return uint64(seen)+g.counts.dropped[wayIn][reasonNoBackend].Load() == many+1+1 // with "before"
		}), ShouldBeTrue)
		So(g.counts.natsLost.Load(), ShouldEqual, uint64(1))
		So(g.counts.inDoubt.Load(), ShouldEqual, uint64(0))
	})
}

func TestDrain(t *testing.T) {
	Convey("A drain ends clients, and what they sent reaches NATS", t, func() {
		g := start(t)
		conn := backEnd(t, g.NATS())
		in, gone := listenTo(conn, "zl.in.>"), listenTo(conn, "zl.event.*.disconnect.>")
		b := must(open(g, "/", nil))
		b.text("last words")
		So(string(next(in).Data), ShouldEqual, "last words")
		So(g.Drain(0, 0), ShouldBeNil)
		code, _ := b.closed()
		So(code, ShouldEqual, 1001)
		So(first(next(gone).Header, headerReasonName), ShouldEqual, "DRAINED")
		So(g.Wait(), ShouldBeNil)
	})
}

func TestTakeover(t *testing.T) {
	Convey("The next gateway takes the listeners, and the old one drains", t, func() {
		hub := natsServer(t, -1)
		path := t.TempDir() + "/gateway"
		with := func(c *Config) { c.TakeoverPath, c.Drain = path, 100*time.Millisecond }
		old := start(t, at(hub.ClientURL()), with)
		p := dial(t, old)
		p.send("")
		So(until(func() bool { return old.clients.count() == 1 }), ShouldBeTrue)
		var young *Gateway
		So(until(func() bool { // until the old one waits at the path
			g, err := Start(small(at(hub.ClientURL()), with))
			noError(err)
			if address(g) == address(old) {
				young = g
				return true
			}
			noError(g.Close())
			return false
		}), ShouldBeTrue)
		defer func() { _ = young.Close() }()
		So(old.Wait(), ShouldBeNil)
		_, err := p.read()
		So(err, ShouldNotBeNil)
		q := dial(t, young)
		q.send("")
		So(until(func() bool { return young.clients.count() == 1 }), ShouldBeTrue)
		So(strings.HasPrefix(young.Endpoints()[0], "any://"), ShouldBeTrue)
	})
}

func TestDrainWithoutNATS(t *testing.T) {
	Convey("A drain ends although NATS is away, and what NATS did not take is counted", t, func() {
		hub := natsServer(t, -1)
		g := start(t, at(hub.ClientURL()), func(c *Config) { c.DrainPatience, c.Presence = 300*time.Millisecond, false })
		p := dial(t, g)
		p.send("before")
		So(until(func() bool { return g.counts.inMessages.Load() == 1 }), ShouldBeTrue)
		hub.Shutdown()
		hub.WaitForShutdown()
		So(until(func() bool { return g.Ready() != "" }), ShouldBeTrue)
		p.send("meanwhile")
		So(until(func() bool { return g.counts.natsStalls.Load() > 0 }), ShouldBeTrue)
		So(g.Drain(0, 0), ShouldBeNil)
		So(g.Wait(), ShouldBeNil)
		So(g.counts.dropped[wayIn][reasonNATS].Load(), ShouldEqual, uint64(1))
	})
}

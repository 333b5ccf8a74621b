// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
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

func TestSlowGateway(t *testing.T) {
	Convey("What waits for a slow gateway has a bound in bytes; what is beyond it is counted, and answered where somebody asks", t, func() {
		const size, pending = 50000, 1 << 20
		g := start(t, func(c *Config) {
			c.NATSPending, c.Auth, c.SendBytes, c.SendTotal = pending, authMessage, new(int), new(int64)
		})
		conn := backEnd(t, g.NATS())
		_ = must(conn.Subscribe("zl.auth.app", func(m *nats.Msg) {
			noError(m.RespondMsg(&nats.Msg{Header: nats.Header{headerStatus: {"200"}, headerGroups: {"all"}}}))
		}))
		events := listenTo(conn, "zl.event.*.connect.>")
		p := dial(t, g)
		p.send("hello")
		out := "zl.out." + g.Server() + "." + idOf(next(events))
		g.clients.mu.Lock() // the goroutine that delivers looks for the client
		for range 200 {
			noError(conn.Publish(out, make([]byte, size)))
		}
		for range 50 {
			noError(conn.Publish("zl.group.all", make([]byte, size)))
		}
		status, _ := ask(conn, out, nil, make([]byte, size))
		So(status, ShouldEqual, "429")
		So(g.bus.data.Waiting(), ShouldBeLessThan, pending+256<<10)
		lost := g.counts.dropped[wayOut][reasonSlow].Load()
		So(lost, ShouldBeGreaterThan, 201-pending/size-2)
		So(g.counts.dropped[wayGroup][reasonSlow].Load(), ShouldBeGreaterThan, 40)
		g.clients.mu.Unlock()
		So(until(func() bool { return g.counts.sentMessages.Load()+lost == 201 }), ShouldBeTrue)
		So(metric(g, "out_messages_total"), ShouldEqual, "201")
		So(metric(g, "group_messages_total"), ShouldEqual, "50")
		So(until(func() bool {
			return sum(t, g, "group_deliveries_total", `dropped_total{way="group",reason="gateway_slow"}`) == 50
		}), ShouldBeTrue)
		So(sum(t, g, `dropped_total{way="out",reason="gateway_slow"}`), ShouldEqual, lost)
		So(until(func() bool { return sum(t, g, "nats_waiting_bytes") < 512<<10 }), ShouldBeTrue)
		status, _ = ask(conn, out, nil, []byte("later"))
		So(status, ShouldEqual, "200")
	})
}

func TestSlowNATS(t *testing.T) {
	Convey("While NATS takes nothing clients are not read, what waits has a bound, and all of it arrives", t, func() {
		const many, size = 500, 30000
		g := start(t, func(c *Config) { c.RecvTotal = new(int64); *c.RecvTotal = 1 << 20 })
		conn := backEnd(t, g.NATS())
		in := must(conn.SubscribeSync("zl.in.>"))
		noError(in.SetPendingLimits(-1, -1))
		noError(conn.Flush())
		free := g.bus.data.Hold()
		p := dial(t, g)
		sent := make(chan bool)
		go func() {
			defer close(sent)
			for range many {
				p.send(strings.Repeat("x", size))
			}
		}()
		So(until(func() bool { return g.bus.data.Stalls() > 0 }), ShouldBeTrue)
		So(g.bus.data.Buffered(), ShouldBeLessThan, 512<<10)
		So(sum(t, g, "memory_bytes"), ShouldBeLessThan, uint64(16<<20))
		free()
		for range many {
			next(in)
		}
		<-sent
		So(until(func() bool { return g.counts.inMessages.Load() == many }), ShouldBeTrue)
		So(g.counts.dropped[wayIn][reasonNATS].Load(), ShouldEqual, uint64(0))
	})
}

func TestForbiddenByNATS(t *testing.T) {
	Convey("What NATS does not let the gateway publish is counted", t, func() {
		hub := natsServer(t, -1, func(o *server.Options) {
			o.Users = []*server.User{{Username: "gw", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"zl.in.>", "zl.event.>"}}}}}
		})
		g := start(t, at("nats://gw:x@"+hub.Addr().String()), func(c *Config) { c.Presence = false })
		p := dial(t, g)
		p.send("to nobody")
		So(until(func() bool {
			return g.counts.dropped[wayIn][reasonNATS].Load() == 1 && g.counts.dropped[wayEvent][reasonNATS].Load() == 1
		}), ShouldBeTrue)
	})
}

// A gate lets clients of NATS in while it is open, and counts the others: those for messages, and those for control.
type gate struct {
	open    atomic.Bool
	refused [2]atomic.Int64
}

func (g *gate) Check(c server.ClientAuthentication) bool {
	if g.open.Load() {
		return true
	}
	which := 0
	if !strings.HasSuffix(c.GetOpts().Name, ", messages") {
		which = 1
	}
	g.refused[which].Add(1)
	return false
}

func TestCredentialsComeRight(t *testing.T) {
	Convey("A gateway that NATS refuses for a while comes back when NATS takes it again", t, func() {
		var door gate
		door.open.Store(true)
		guarded := func(o *server.Options) { o.CustomClientAuthentication = &door }
		hub := natsServer(t, -1, guarded)
		port := hub.Addr().(*net.TCPAddr).Port
		g := start(t, at(hub.ClientURL()), func(c *Config) { c.Presence = false })
		door.open.Store(false)
		hub.Shutdown()
		hub.WaitForShutdown()
		natsServer(t, port, guarded)
		So(until(func() bool { return door.refused[0].Load() > 3 && door.refused[1].Load() > 3 }), ShouldBeTrue)
		So(g.Ready(), ShouldNotEqual, "")
		door.open.Store(true)
		So(until(func() bool { return g.Ready() == "" }), ShouldBeTrue)
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
		So(until(func() bool { return g.counts.inMessages.Load() > 0 && g.bus.data.Unconfirmed() == 0 }), ShouldBeTrue)
		So(g.Ready(), ShouldEqual, "")
		hub.Shutdown()
		hub.WaitForShutdown()
		So(until(func() bool { return g.Ready() != "" }), ShouldBeTrue)
		const many = 300
		for i := range many {
			p.send(fmt.Sprint(i))
		}
		So(until(func() bool { return g.bus.data.Stalls() > 0 }), ShouldBeTrue)
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
		So(g.counts.natsLost[lostMessages].Load(), ShouldEqual, uint64(1))
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
		So(until(func() bool { return g.bus.data.Stalls() > 0 }), ShouldBeTrue)
		So(g.Drain(0, 0), ShouldBeNil)
		So(g.Wait(), ShouldBeNil)
		So(g.counts.dropped[wayIn][reasonNATS].Load(), ShouldEqual, uint64(1))
		So(Default().DrainPatience+shutMost, ShouldEqual, 25*time.Second) // as README.md says
	})
}

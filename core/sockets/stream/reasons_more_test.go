// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
)

// TestReasonsOfSockets: ends that the socket's application does not see any more.
func TestReasonsOfSockets(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		Convey(fmt.Sprintf("A socket closes, after its context: %v", shutdown), t, func() {
			for _, linger := range []time.Duration{0, 50 * time.Millisecond, -1} {
				e := newEnded(t, "tcp", WithLinger(linger))
				if linger > 0 {
					must(t, e.k.Set(WithCloseTimeout(-1)), "Set")
					e.fill()
				}
				why := engine.CauseClosedHere
				if shutdown {
					e.k.ctx.Shutdown()
					why = engine.CauseContext
				}
				must(t, e.k.Close(), "Close")
				if linger < 0 {
					_ = e.conn.Close()
				}
				e.checkMonitor(why)
			}
		})
	}
}

// TestReasonsOfHandshakes: connections that never become peers are told of, too.
func TestReasonsOfHandshakes(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"sends something else":     func(c net.Conn) { _, _ = io.WriteString(c, "hello\r\n\r\n") },
		"goes in between":          func(c net.Conn) { _, _ = io.WriteString(c, "GET"); _ = c.Close() },
		"is reset":                 func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"says nothing for so long": func(net.Conn) {},
	} {
		for _, scheme := range []string{"tls", "ws", "wss"} {
			Convey(fmt.Sprintf("Over %s a client %s", scheme, name), t, func() {
				k, m := watched(t, scheme+"://127.0.0.1:*", WithMode(ModeFast), WithHandshakeTimeout(300*time.Millisecond))
				e := &ended{t: t, k: k, m: m}
				c := plain(t, lastEndpoint(t, k))
				end(c)
				e.checkMonitor(engine.CauseHandshake)
				e.checkStats(engine.CauseHandshake, 1)
			})
		}
	}
	Convey("A socket that closes ends handshakes", t, func() {
		k, m := watched(t, "tls://127.0.0.1:*", WithMode(ModeFast))
		plain(t, lastEndpoint(t, k))
		wantEvents(t, m, engine.EventAccepted)
		must(t, k.Close(), "Close")
		(&ended{t: t, m: m}).checkMonitor(engine.CauseClosedHere)
	})
}

// TestReasonsOfRefusals: a connection that a limit refuses is told of when it is accepted.
func TestReasonsOfRefusals(t *testing.T) {
	for _, scheme := range strings.Fields(everyScheme) {
		for name, limit := range map[string]Setting{"its address is denied": WithDeny("127.0.0.0/8"), "there is one": WithMaxConnections(1)} {
			Convey(fmt.Sprintf("Over %s a connection is refused because %s", scheme, name), t, func() {
				k, _ := watched(t, scheme+"://127.0.0.1:*", WithMode(ModeFast), limit)
				m, err := k.Monitor(engine.EventAcceptFailed)
				must(t, err, "Monitor")
				defer func() { _ = m.Close() }()
				_, address, _ := strings.Cut(strings.TrimSuffix(lastEndpoint(t, k), "/"), "://")
				for range 2 {
					if c, err := net.Dial("tcp", address); err == nil { // it may be reset at once
						defer func() { _ = c.Close() }()
					}
				}
				var event engine.Event
				within(t, patience, "an event", func() { event, _ = m.Recv(false) })
				So(event.Cause, ShouldEqual, engine.CauseLimit)
				So(event.Detail, ShouldNotBeEmpty)
				var stats Stats
				eventually(t, "it counts", func() bool { stats, _ = k.Stats(); return stats.TurnedAway > 0 })
				So(stats.EndedBy[engine.CauseLimit], ShouldEqual, stats.TurnedAway)
			})
		}
	}
}

// TestReasonsOfDialled: the side that dialled tells them, too.
func TestReasonsOfDialled(t *testing.T) {
	for _, scheme := range []string{"tcp", "ws", "wss", "tls"} {
		for name, why := range map[string]engine.Cause{
			"ClosePeer by the server": engine.CausePeerClosed, "AbortPeer by the server": engine.CauseReset,
			"Disconnect": engine.CauseClosedHere,
		} {
			Convey(fmt.Sprintf("Over %s: %s", scheme, name), t, func() {
				server, client := newSocket(t, newContext(t)), newSocket(t, newContext(t))
				newIdentity(t, "one").use(t, server, client)
				must(t, server.Set(WithMode(ModeFast)), "Set")
				must(t, client.Set(WithMode(ModeFast), WithReconnect(-1, 0)), "Set")
				must(t, server.Bind(scheme+"://127.0.0.1:*"), "Bind")
				endpoint := lastEndpoint(t, server)
				must(t, client.Connect(endpoint), "Connect")
				e := &ended{t: t, k: client}
				e.up = e.next()
				atServer := (&ended{t: t, k: server}).next()
				switch strings.Fields(name)[0] {
				case "ClosePeer":
					must(t, server.ClosePeer(atServer.Peer), "ClosePeer")
				case "AbortPeer":
					must(t, server.AbortPeer(atServer.Peer), "AbortPeer")
				default:
					must(t, client.Disconnect(endpoint), "Disconnect")
				}
				down := e.next()
				So(down.Kind, ShouldEqual, Disconnected)
				So(down.Reason(), ShouldEqual, why)
				_, address, _ := strings.Cut(endpoint, "://")
				So(down.Address().String(), ShouldEqual, strings.TrimSuffix(address, "/"))
				e.checkStats(why, 0)
			})
		}
	}
	Convey("A client whose certificate is refused after its handshake", t, func() {
		server, client := newSocket(t, newContext(t)), newSocket(t, newContext(t))
		id := newIdentity(t, "server")
		id.use(t, server)
		must(t, server.Set(WithTLSClientCert(true)), "Set")
		must(t, client.Set(WithMode(ModeFast), WithReconnect(-1, 0), WithTLSAuthorities(id.cert, false)), "Set")
		must(t, server.Bind("tls://127.0.0.1:*"), "Bind")
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		e := &ended{t: t, k: client}
		for down := e.next(); down.Kind != Disconnected; down = e.next() {
			So(down.Kind, ShouldEqual, Connected)
		}
		e.checkStats(engine.CauseHandshake, 0)
	})
}

// TestReasonsHaveWords: each has a sentence of its own.
func TestReasonsHaveWords(t *testing.T) {
	Convey("Each reason has a sentence of its own", t, func() {
		var seen []string
		for why := engine.CausePeerClosed; why <= engine.CauseUndecided; why++ {
			So(slices.Contains(seen, why.String()), ShouldBeFalse)
			So(why.String(), ShouldNotEqual, engine.CauseUnknown.String())
			So(why.Reason(), ShouldNotEqual, engine.ReasonUnknown)
			seen = append(seen, why.String())
		}
	})
	Convey("A message that is no end has no reason, and data has no address", t, func() {
		e := newEnded(t, "tcp")
		So(e.up.Reason(), ShouldEqual, engine.CauseUnknown)
		e.frame(2, string(frame("hello")))
		m := e.next()
		So(m.Reason(), ShouldEqual, engine.CauseUnknown)
		So(m.Address().IsValid(), ShouldBeFalse)
		m.Release()
	})
	Convey("A peer of ipc has no address", t, func() {
		server := newSocket(t, newContext(t))
		must(t, server.Set(WithMode(ModeFast)), "Set")
		must(t, server.Bind(fresh("ipc://@")), "Bind")
		client := newSocket(t, server.ctx)
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		m := (&ended{t: t, k: server}).next()
		So(m.Address().IsValid(), ShouldBeFalse)
	})
}

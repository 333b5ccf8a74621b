// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// proxyLine is a header of the PROXY protocol for a client.
func proxyLine(client string) string { return "PROXY TCP4 " + client + " 192.0.2.9 4711 443\r\n" }

// behindProxy returns a socket in the mode FAST that a proxy on this machine is in front of, and a monitor.
func behindProxy(t testing.TB, endpoint string, settings ...Setting) (*Socket, *sockets.Monitor) {
	t.Helper()
	k := newSocket(t, newContext(t))
	newIdentity(t, "server").use(t, k)
	must(t, k.Set(append(settings, WithMode(ModeFast), WithProxyFrom("127.0.0.0/8"))...), "settings")
	m, err := k.Monitor(engine.EventAccepted | engine.EventAcceptFailed | engine.EventReady | engine.EventDisconnected |
		engine.EventHandshakeFailed | engine.EventHandshakeProtocol)
	must(t, err, "Monitor")
	t.Cleanup(func() { _ = m.Close() })
	must(t, k.Bind(endpoint), "Bind")
	return k, m
}

// through connects as a proxy and writes what it has to say.
func through(t testing.TB, k *Socket, said ...string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address(lastEndpoint(t, k)))
	must(t, err, "Dial")
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, strings.Join(said, ""))
	must(t, err, "write")
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func nextEvent(t testing.TB, m *sockets.Monitor) (e engine.Event) {
	t.Helper()
	within(t, patience, "an event", func() { e, _ = m.Recv(false) })
	return e
}

func TestPeersBehindAProxy(t *testing.T) {
	Convey("The peer's address is the one in the header, for the application, its peers and its monitors", t, func() {
		k, m := behindProxy(t, "tcp://127.0.0.1:*", WithProperties("Proxy-Address"))
		conn := through(t, k, proxyLine("203.0.113.7"), string(frame("hello")))
		up := recvKind(t, k, Connected)
		So(up.Address().String(), ShouldEqual, "203.0.113.7:4711")
		via, _ := up.Property("Proxy-Address")
		So(via, ShouldEqual, "127.0.0.1")
		So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
		peers, _ := k.Peers(-1)
		So(peers[0].Remote, ShouldEqual, "tcp://203.0.113.7:4711")
		for _, kind := range []engine.EventKind{engine.EventAccepted, engine.EventReady} {
			e := nextEvent(t, m)
			So(e.Kind, ShouldEqual, kind)
			So(e.Remote, ShouldEqual, "tcp://203.0.113.7:4711")
		}
		must(t, k.Send(t.Context(), up.Peer, []byte("back")), "send")
		got := make([]byte, 8)
		_, err := io.ReadFull(conn, got)
		So(err, ShouldBeNil)
		So(string(got[4:]), ShouldEqual, "back")
	})
	Convey("A header may come in any pieces", t, func() {
		k, _ := behindProxy(t, "tcp://127.0.0.1:*")
		said := proxyLine("203.0.113.7") + string(frame("hello"))
		conn := through(t, k)
		for i := range said {
			_, err := io.WriteString(conn, said[i:i+1])
			must(t, err, "write")
		}
		So(fromWhom(t, k), ShouldEqual, "203.0.113.7:4711")
		So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
	})
	Convey("It comes before TLS and WebSocket", t, func() {
		k, _ := behindProxy(t, "ws://127.0.0.1:*/chat", WithProperties("WS-Path"))
		through(t, k, proxyLine("203.0.113.7"), "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		up := recvKind(t, k, Connected)
		So(up.Address().Addr().String(), ShouldEqual, "203.0.113.7")
		path, _ := up.Property("WS-Path")
		So(path, ShouldEqual, "/chat")
		secure, m := behindProxy(t, "tls://127.0.0.1:*")
		through(t, secure, "\x16\x03\x01\x00\x05hello") // TLS at once
		So(nextEvent(t, m).Kind, ShouldEqual, engine.EventAccepted)
		So(nextEvent(t, m).Detail, ShouldContainSubstring, "the PROXY header is wrong")
	})
}

func TestLimitsBehindAProxy(t *testing.T) {
	Convey("Limits and lists of addresses count the clients, not their proxy", t, func() {
		k, m := behindProxy(t, "tcp://127.0.0.1:*", WithAddressConnections(1), WithDeny("203.0.113.66 127.0.0.0/8"))
		first := through(t, k, proxyLine("203.0.113.1"))
		recvKind(t, k, Connected)
		through(t, k, proxyLine("203.0.113.2"))
		recvKind(t, k, Connected)
		for range 4 {
			nextEvent(t, m)
		}
		for client, why := range map[string]string{"203.0.113.1": "STREAM_ADDRESS_CONNECTIONS", "203.0.113.66": "STREAM_DENY"} {
			refused := through(t, k, proxyLine(client), string(frame("hello")))
			e := nextEvent(t, m)
			So(e.Kind, ShouldEqual, engine.EventAcceptFailed)
			So(e.Detail, ShouldContainSubstring, why)
			So(e.Remote, ShouldEqual, "tcp://"+client+":4711")
			So(e.Cause, ShouldEqual, engine.CauseLimit)
			_, err := refused.Read(make([]byte, 1))
			So(err, ShouldNotBeNil)
		}
		must(t, first.Close(), "close")
		recvKind(t, k, Disconnected)
		nextEvent(t, m)
		eventually(t, "the place is free", func() bool {
			again := through(t, k, proxyLine("203.0.113.1"))
			defer again.Close()
			return nextEvent(t, m).Kind == engine.EventAccepted
		})
		stats, _ := k.Stats()
		So(stats.TurnedAway, ShouldBeGreaterThanOrEqualTo, 2)
		So(stats.EndedBy[engine.CauseLimit], ShouldBeGreaterThanOrEqualTo, 2)
	})
	Convey("A connection that is not from a proxy is reset", t, func() {
		k, m := behindProxy(t, "tcp://127.0.0.1:*")
		must(t, k.Unbind(lastEndpoint(t, k)), "Unbind")
		must(t, k.Set(WithProxyFrom("192.0.2.0/24")), "set")
		must(t, k.Bind("tcp://127.0.0.1:*"), "Bind")
		conn, err := net.Dial("tcp", address(lastEndpoint(t, k)))
		if err == nil { // else it was reset before that
			defer conn.Close()
		}
		e := nextEvent(t, m)
		So(e.Kind, ShouldEqual, engine.EventAcceptFailed)
		So(e.Detail, ShouldContainSubstring, "STREAM_PROXY_FROM")
	})
	Convey("Places come back, whatever the header says", t, func() {
		k, _ := behindProxy(t, "tcp://127.0.0.1:*", WithMaxConnections(1000), WithAddressConnections(100))
		for i := range 50 {
			conn := through(t, k, []string{proxyLine("203.0.113.1"), "PROXY UNKNOWN\r\n", "wrong", "PROXY TC", ""}[i%5])
			_ = conn.Close()
		}
		eventually(t, "nobody has a place", func() bool { return k.admission.Idle() })
	})
}

func TestWrongProxies(t *testing.T) {
	Convey("A wrong header ends the connection with a sentence, and a slow one with HANDSHAKE_IVL", t, func() {
		for said, why := range map[string]string{
			"GET / HTTP/1.1\r\n\r\n": "the PROXY header is wrong: it begins with something else",
			"PROXY TCP4 1.2.3.4":     errno.ETIMEDOUT.Error(),
			string(frame("hello")):   "the PROXY header is wrong: it begins with something else",
		} {
			k, m := behindProxy(t, "tcp://127.0.0.1:*")
			if why == errno.ETIMEDOUT.Error() {
				k, m = behindProxy(t, "tcp://127.0.0.1:*", WithHandshakeTimeout(50*time.Millisecond))
			}
			conn := through(t, k, said)
			So(nextEvent(t, m).Kind, ShouldEqual, engine.EventAccepted)
			e := nextEvent(t, m)
			So(e.Kind, ShouldEqual, engine.EventHandshakeFailed)
			So(e.Detail, ShouldContainSubstring, why)
			e = nextEvent(t, m)
			So(e.Kind, ShouldEqual, engine.EventDisconnected)
			So(e.Cause, ShouldEqual, engine.CauseHandshake)
			_ = conn.Close()
			n, _ := k.PeerCount()
			So(n, ShouldEqual, 0)
		}
	})
	Convey("A check of the proxy that says nothing never becomes a peer, and one that does is from the proxy", t, func() {
		k, m := behindProxy(t, "tcp://127.0.0.1:*")
		for _, check := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "itself"} {
			conn := through(t, k)
			if check == "itself" { // as HAProxy does in version 1
				host, port, _ := net.SplitHostPort(conn.LocalAddr().String())
				check = fmt.Sprintf("PROXY TCP4 %s 127.0.0.1 %s 80\r\n", host, port)
			}
			_, err := io.WriteString(conn, check)
			must(t, err, "write")
			must(t, conn.Close(), "close")
			So(nextEvent(t, m).Kind, ShouldEqual, engine.EventAccepted)
			e := nextEvent(t, m)
			So(e.Kind, ShouldEqual, engine.EventDisconnected)
			So(e.Cause, ShouldEqual, engine.CausePeerClosed)
			if strings.Contains(check, "TCP4") {
				continue
			}
			conn = through(t, k, check, string(frame("hello")))
			So(fromWhom(t, k), ShouldEqual, conn.LocalAddr().String())
			So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
			must(t, conn.Close(), "close")
			recvKind(t, k, Disconnected)
			for range 3 {
				nextEvent(t, m)
			}
		}
	})
	Convey("A list with a wrong entry is an error", t, func() {
		k := newSocket(t, newContext(t))
		err := k.Set(WithProxyFrom("proxy.example"))
		So(err, shouldBeErrno, errno.EINVAL)
		So(errno.Detail(err), ShouldContainSubstring, fmt.Sprintf("%q", "proxy.example"))
	})
}

// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sys"
)

// plain connects to an endpoint without its handshake.
func plain(t testing.TB, endpoint string) net.Conn {
	t.Helper()
	_, address, _ := strings.Cut(endpoint, "://")
	c, err := net.Dial("tcp", address)
	must(t, err, "dial %s", endpoint)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// watched returns a socket that listens, and a monitor of its handshakes.
func watched(t testing.TB, endpoint string, settings ...Setting) (*Socket, *sockets.Monitor) {
	t.Helper()
	k := newSocket(t, newContext(t))
	newIdentity(t, "server").use(t, k)
	must(t, k.Set(settings...), "settings")
	m, err := k.Monitor(engine.EventAccepted | engine.EventReady | engine.EventDisconnected |
		engine.EventHandshakeFailed | engine.EventHandshakeProtocol | engine.EventHandshakeAuth)
	must(t, err, "Monitor")
	t.Cleanup(func() { _ = m.Close() })
	must(t, k.Bind(endpoint), "Bind")
	return k, m
}

// wantEvents receives events of these kinds, one after the other, and returns
// the last but one.
func wantEvents(t testing.TB, m *sockets.Monitor, kinds ...engine.EventKind) (before engine.Event) {
	t.Helper()
	var last engine.Event
	for _, kind := range kinds {
		before = last
		within(t, patience, "an event", func() { last, _ = m.Recv(false) })
		if last.Kind != kind {
			t.Fatalf("event %x (%s), not %x", last.Kind, last.Detail, kind)
		}
	}
	return before
}

func TestFailedHandshakes(t *testing.T) {
	Convey("A silent peer loses its connection after HANDSHAKE_IVL", t, func() {
		for _, endpoint := range []string{"ws://127.0.0.1:*", "tls://127.0.0.1:*", "wss://127.0.0.1:*"} {
			k, m := watched(t, endpoint, WithHandshakeTimeout(50*time.Millisecond))
			c := plain(t, lastEndpoint(t, k))
			failed := wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeFailed, engine.EventDisconnected)
			So(failed.Value, ShouldEqual, errno.ETIMEDOUT)
			_, err := c.Read(make([]byte, 1))
			So(err, ShouldNotBeNil)
			count, _ := k.PeerCount()
			So(count, ShouldEqual, 0)
		}
	})
	Convey("What is no handshake is told to the monitor with its reason", t, func() {
		for _, r := range []struct {
			endpoint, sent string
			kind           engine.EventKind
			value          uint64
		}{
			{"tls://127.0.0.1:*", "GET / HTTP/1.1\r\n\r\n", engine.EventHandshakeProtocol, engine.ProtocolCrypto},
			{"ws://127.0.0.1:*", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", engine.EventHandshakeProtocol, engine.ProtocolWeb},
			{"ws://127.0.0.1:*", "GET /" + strings.Repeat("x", engine.DefaultHeaderMax), engine.EventHandshakeProtocol, engine.ProtocolWeb},
			{"ws://127.0.0.1:*", "", engine.EventHandshakeFailed, uint64(errno.ECONNRESET)},
		} {
			k, m := watched(t, r.endpoint)
			c := plain(t, lastEndpoint(t, k))
			_, err := c.Write([]byte(r.sent))
			So(err, ShouldBeNil)
			_ = c.(*net.TCPConn).CloseWrite()
			failed := wantEvents(t, m, engine.EventAccepted, r.kind, engine.EventDisconnected)
			So(failed.Value, ShouldEqual, r.value)
			So(failed.Detail, ShouldNotBeEmpty)
		}
	})
	Convey("A handshake that this side ends is told to the monitor as one that failed", t, func() {
		for _, end := range []func(*Socket) error{(*Socket).Close, func(k *Socket) error { return k.Drain(0, 0) }} {
			k, m := watched(t, "ws://127.0.0.1:*")
			c := plain(t, lastEndpoint(t, k))
			_, err := c.Write([]byte("GET /"))
			So(err, ShouldBeNil)
			wantEvents(t, m, engine.EventAccepted)
			So(end(k), ShouldBeNil)
			failed := wantEvents(t, m, engine.EventHandshakeFailed, engine.EventDisconnected)
			So(failed.Value, ShouldEqual, uint64(sys.ECONNABORTED))
		}
		k, m := watched(t, "ws://127.0.0.1:*", WithReconnect(-1, 0))
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err, "listen")
		defer silent.Close()
		endpoint := "ws://" + silent.Addr().String()
		must(t, k.Connect(endpoint), "Connect")
		conn, err := silent.Accept() // the handshake has begun, and has no answer
		must(t, err, "accept")
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
		must(t, err, "read")
		must(t, k.Disconnect(endpoint), "Disconnect")
		failed := wantEvents(t, m, engine.EventHandshakeFailed, engine.EventDisconnected)
		So(failed.Value, ShouldEqual, uint64(sys.ECONNABORTED))
	})
	Convey("A client without the certificate that it needs is refused", t, func() {
		k, m := watched(t, "tls://127.0.0.1:*", WithTLSClientCert(true))
		c := tls.Client(plain(t, lastEndpoint(t, k)), &tls.Config{InsecureSkipVerify: true})
		_, err := c.Read(make([]byte, 1)) // TLS 1.3 tells a client of it behind its handshake
		So(err, ShouldNotBeNil)
		failed := wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeAuth, engine.EventDisconnected)
		So(failed.Value, ShouldEqual, errno.EACCES)
	})
}

func TestPendingHandshakes(t *testing.T) {
	for _, endpoint := range []string{"ws://127.0.0.1:*", "tls://127.0.0.1:*", "wss://127.0.0.1:*"} {
		Convey("Handshakes that are under way over "+endpoint, t, func() {
			k, _ := watched(t, endpoint, WithHandshakeTimeout(0))
			at := lastEndpoint(t, k)
			var clients []net.Conn
			for i := range 20 {
				c := plain(t, at)
				if i%2 == 0 { // half of them have begun
					begin := "\x16\x03\x01" // of TLS
					if strings.HasPrefix(endpoint, "ws:") {
						begin = "GET / H"
					}
					_, err := c.Write([]byte(begin))
					So(err, ShouldBeNil)
				}
				clients = append(clients, c)
			}
			Convey("do not keep others from coming up", func() {
				client := newSocket(t, k.ctx)
				must(t, client.Set(WithTLSVerify(false, "")), "settings")
				must(t, client.Connect(at), "Connect")
				id := want(t, k, connected)
				mustSend(t, k, id, "hello")
				want(t, client, connected)
				want(t, client, "hello")
			})
			Convey("end with the socket, and the context does not wait for them", func() {
				So(k.Close(), ShouldBeNil)
				within(t, patience, "Term", func() { _ = k.ctx.Term() })
				for _, c := range clients {
					_, err := c.Read(make([]byte, 1))
					So(err, ShouldNotBeNil)
				}
			})
		})
	}
	Convey("A dialler whose peer says nothing ends with disconnect, and with its socket", t, func() {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		So(err, ShouldBeNil)
		defer func() { _ = silent.Close() }()
		for _, transport := range []string{"ws", "tls", "wss"} {
			k := newSocket(t, newContext(t))
			at := transport + "://" + silent.Addr().String()
			So(k.Connect(at), ShouldBeNil)
			c, err := silent.Accept()
			So(err, ShouldBeNil)
			_, err = c.Read(make([]byte, 1)) // it has begun
			So(err, ShouldBeNil)
			So(k.Disconnect(at), ShouldBeNil)
			So(k.Connect(at), ShouldBeNil)
			_, err = silent.Accept()
			So(err, ShouldBeNil)
			So(k.Close(), ShouldBeNil)
			within(t, patience, "Term", func() { _ = k.ctx.Term() })
		}
	})
}

func TestCertificateReload(t *testing.T) {
	Convey("A certificate that is set on a listening socket is that of later connections", t, func() {
		k, _ := watched(t, "tls://127.0.0.1:*")
		at := lastEndpoint(t, k)
		names := func() string {
			c := tls.Client(plain(t, at), &tls.Config{InsecureSkipVerify: true})
			must(t, c.Handshake(), "handshake")
			return c.ConnectionState().PeerCertificates[0].Subject.CommonName
		}
		So(names(), ShouldEqual, "server")
		second := newIdentity(t, "second")
		Convey("once its key is set too", func() {
			So(k.SetOption(sockets.OptTLSCert, []byte(second.cert)), ShouldBeNil)
			So(names(), ShouldEqual, "server")
			So(k.SetOption(sockets.OptTLSKey, []byte(second.key)), ShouldBeNil)
			So(names(), ShouldEqual, "second")
		})
		Convey("in the other order as well", func() {
			So(k.SetOption(sockets.OptTLSKey, []byte(second.key)), ShouldBeNil)
			So(names(), ShouldEqual, "server")
			So(k.SetOption(sockets.OptTLSCert, []byte(second.cert)), ShouldBeNil)
			So(names(), ShouldEqual, "second")
		})
		Convey("and a file that cannot be used changes nothing", func() {
			So(k.SetOption(sockets.OptTLSCert, []byte("/no/such.pem")), shouldBeErrno, errno.EINVAL)
			So(k.SetOption(sockets.OptTLSKey, []byte(second.cert)), shouldBeErrno, errno.EINVAL)
			So(names(), ShouldEqual, "server")
			So(k.SetOption(sockets.OptTLSKey, []byte(second.key)), ShouldBeNil)
			So(k.SetOption(sockets.OptTLSCert, []byte(second.cert)), ShouldBeNil)
			So(names(), ShouldEqual, "second")
		})
	})
}

func TestNamesAreFreeAtOnce(t *testing.T) {
	Convey("An ipc endpoint can be bound again as soon as it is unbound", t, func() {
		k := newSocket(t, newContext(t))
		for _, endpoint := range []string{fresh("ipc://@"), "ipc://" + t.TempDir() + "/socket"} {
			for range 20 {
				So(k.Bind(endpoint), ShouldBeNil)
				So(newSocket(t, k.ctx).Bind(endpoint), shouldBeErrno, errno.EADDRINUSE)
				So(k.Unbind(endpoint), ShouldBeNil)
			}
		}
	})
}

func TestManyDialsToOneself(t *testing.T) {
	Convey("A process that dials itself a thousand times is not in its own way", t, func() {
		const dials = 1000
		ctx := newContext(t)
		server, client := newSocket(t, ctx), newSocket(t, ctx)
		for _, k := range []*Socket{server, client} {
			set(t, k, sockets.OptHandshakeIvl, 0) // or the handshakes that hang end, and others begin
		}
		must(t, server.Bind("ws://127.0.0.1:*"), "bind")
		for range dials {
			must(t, client.Connect(lastEndpoint(t, server)), "connect")
		}
		eventually(t, "all are there", func() bool {
			stats, err := client.Stats()
			return err == nil && stats.Connections == dials
		})
	})
}

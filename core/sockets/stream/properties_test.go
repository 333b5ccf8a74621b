// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// address returns the address that an endpoint of a server listens on.
func address(endpoint string) string {
	_, rest, _ := strings.Cut(endpoint, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// knock sends a request for a WebSocket with more fields, and returns the connection and the answer.
func knock(t testing.TB, endpoint, target string, fields ...string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", address(endpoint))
	must(t, err, "Dial %s", endpoint)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", target,
		strings.Join(append(fields, ""), "\r\n"))
	must(t, err, "request")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err, "answer")
	return conn, answer
}

// cardMemory is what the socket counts for what is kept of peers.
func cardMemory(k *Socket) int64 { return k.account.Cards.Load() }

// noCards waits until nothing is kept: the engine may have a connection a moment longer.
func noCards(t testing.TB, k *Socket) {
	t.Helper()
	eventually(t, "nothing is kept of peers", func() bool { return cardMemory(k) == 0 })
}

// fromWhom receives a Connected message, and returns its peer's address.
func fromWhom(t testing.TB, k *Socket) string {
	t.Helper()
	up := recvKind(t, k, Connected)
	return up.Address().String()
}

// recvKind receives the next message, which must be of a kind.
func recvKind(t testing.TB, k *Socket, kind Kind) Message {
	t.Helper()
	m, err := k.Recv(t.Context())
	must(t, err, "Recv")
	if m.Kind != kind {
		t.Fatalf("received a message of the kind %d, not %d", m.Kind, kind)
	}
	return m
}

func TestEndsOfEveryPeer(t *testing.T) {
	Convey("Without an option, the two ends and the transport of every peer are known", t, func() {
		k, err := Listen("ws://127.0.0.1:*/chat", WithRecvTimeout(patience))
		must(t, err, "Listen")
		defer k.Close()
		conn, _ := knock(t, lastEndpoint(t, k), "/chat")
		up := recvKind(t, k, Connected)
		host, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		for name, want := range map[string]string{"Peer-Address": host, "Peer-Port": port, "Local-Address": "127.0.0.1",
			"Local-Port": strings.TrimPrefix(address(lastEndpoint(t, k)), "127.0.0.1:"), "Transport": "ws"} {
			got, err := k.PeerProperty(up.Peer, name)
			So(err, ShouldBeNil)
			So(got, ShouldEqual, want)
		}
		got, has := up.Property("Peer-Port")
		So(has, ShouldBeTrue)
		So(got, ShouldEqual, port)
		_, has = up.Property("WS-Path")
		So(has, ShouldBeFalse)
		_, err = k.PeerProperty(up.Peer, "WS-Path")
		So(err, shouldBeErrno, errno.EINVAL)
		_, err = k.PeerProperty(0, "WS-Path")
		So(err, shouldBeErrno, errno.EINVAL)
		_, err = k.PeerProperty(up.Peer+1, "Peer-Address")
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
		So(cardMemory(k), ShouldEqual, 0)
	})
}

func TestWebProperties(t *testing.T) {
	Convey("What the application has named of a request is known with every event, and goes with the peer", t, func() {
		k, err := Listen("ws://127.0.0.1:*/chat", WithRecvTimeout(patience),
			WithProperties("WS-Path,WS-Query,WS-Origin,WS-Header:Cookie,Local-Address,Peer-Port"))
		must(t, err, "Listen")
		defer k.Close()
		conn, _ := knock(t, lastEndpoint(t, k), "/chat?token=1", "Cookie: a=b", "Origin: https://a")
		up := recvKind(t, k, Connected)
		want := map[string]string{"WS-Path": "/chat", "WS-Query": "token=1", "WS-Origin": "https://a",
			"WS-Header:cookie": "a=b", "Local-Address": "127.0.0.1", "Peer-Address": "127.0.0.1"}
		has := func(m Message) {
			for name, value := range want {
				got, _ := m.Property(name)
				So(got, ShouldEqual, value)
			}
			So(m.Address().Addr().String(), ShouldEqual, "127.0.0.1")
		}
		has(up)
		got, err := k.PeerProperty(up.Peer, "WS-Header:COOKIE")
		So(err, ShouldBeNil)
		So(got, ShouldEqual, "a=b")
		peers, err := k.Peers(-1)
		So(err, ShouldBeNil)
		So(peers[0].Remote, ShouldEqual, "ws://"+conn.LocalAddr().String())
		So(cardMemory(k), ShouldBeGreaterThan, 0)
		stats, err := k.Stats()
		So(err, ShouldBeNil)
		must(t, conn.Close(), "close")
		down := recvKind(t, k, Disconnected)
		has(down)
		noCards(t, k)
		after, err := k.Stats()
		So(err, ShouldBeNil)
		So(after.Memory, ShouldBeLessThan, stats.Memory)
		_, err = k.PeerProperty(up.Peer, "WS-Path")
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
	})
	Convey("The next peer in a place has its own, or none", t, func() {
		k, err := Listen("ws://127.0.0.1:*", WithRecvTimeout(patience), WithProperties("WS-Header:Cookie"))
		must(t, err, "Listen")
		defer k.Close()
		for i := range 20 {
			var fields []string
			if i%2 == 0 {
				fields = []string{fmt.Sprintf("Cookie: id=%d", i)}
			}
			conn, _ := knock(t, lastEndpoint(t, k), "/", fields...)
			up := recvKind(t, k, Connected)
			got, _ := up.Property("WS-Header:Cookie")
			So(got, ShouldEqual, strings.TrimPrefix(strings.Join(fields, ""), "Cookie: "))
			must(t, conn.Close(), "close")
			down := recvKind(t, k, Disconnected)
			gone, _ := down.Property("WS-Header:Cookie")
			So(gone, ShouldEqual, got)
		}
		noCards(t, k)
	})
	Convey("A request with more than may be kept is answered 431", t, func() {
		k, m := watched(t, "ws://127.0.0.1:*", WithProperties("WS-Header:Cookie"), WithPropertyBytes(64))
		_, answer := knock(t, lastEndpoint(t, k), "/", "Cookie: "+strings.Repeat("x", 100))
		So(answer.StatusCode, ShouldEqual, http.StatusRequestHeaderFieldsTooLarge)
		So(wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeProtocol, engine.EventDisconnected).Detail,
			ShouldContainSubstring, "431")
		So(cardMemory(k), ShouldEqual, 0)
	})
	Convey("A wrong name is an error, and the list stays", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithProperties("WS-Path")), "set")
		err := k.Set(WithProperties("WS-Path Cookie"))
		So(err, shouldBeErrno, errno.EINVAL)
		So(errno.Detail(err), ShouldContainSubstring, `"Cookie" is not the name of a property`)
		list, _ := get(k, sockets.OptProperties)
		So(list, ShouldEqual, "WS-Path\x00")
	})
}

func TestTLSProperties(t *testing.T) {
	everything := WithProperties("TLS-Version TLS-Cipher TLS-SNI TLS-ALPN TLS-Peer-Subject TLS-Peer-SAN TLS-Peer-SHA256 Transport")
	for _, transport := range []string{"tls", "wss"} {
		Convey("Both sides of "+transport+" know whom they have verified", t, func() {
			id := newIdentity(t, "one")
			ctx := newContext(t)
			server, client := newSocket(t, ctx), newSocket(t, ctx)
			id.use(t, server, client)
			must(t, server.Set(everything, WithMode(ModeFast), WithTLSClientCert(true)), "server")
			must(t, client.Set(everything, WithMode(ModeFast), WithTLSVerify(true, "one")), "client")
			must(t, server.Bind(transport+"://127.0.0.1:*"), "Bind")
			for range 2 { // the second may resume a session
				must(t, client.Connect(lastEndpoint(t, server)), "Connect")
				for _, k := range []*Socket{server, client} {
					up := recvKind(t, k, Connected)
					for name, want := range map[string]string{"TLS-Version": "TLSv1.3", "TLS-SNI": "one",
						"TLS-Peer-Subject": "CN=one", "TLS-Peer-SAN": "DNS:one, IP:127.0.0.1", "Transport": transport} {
						got, err := k.PeerProperty(up.Peer, name)
						So(err, ShouldBeNil)
						So(got, ShouldEqual, want)
					}
					sum, _ := up.Property("TLS-Peer-SHA256")
					So(len(sum), ShouldEqual, 64)
					cipher, _ := up.Property("TLS-Cipher")
					So(cipher, ShouldStartWith, "TLS_")
					_, has := up.Property("TLS-ALPN")
					So(has, ShouldBeFalse)
				}
			}
		})
	}
	Convey("A certificate that nobody has verified is not shown", t, func() {
		ctx := newContext(t)
		server, client := newSocket(t, ctx), newSocket(t, ctx)
		newIdentity(t, "one").use(t, server)
		must(t, client.Set(everything, WithMode(ModeFast), WithTLSVerify(false, "")), "client")
		must(t, server.Bind("tls://127.0.0.1:*"), "Bind")
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		up := recvKind(t, client, Connected)
		_, has := up.Property("TLS-Peer-Subject")
		So(has, ShouldBeFalse)
		_, has = up.Property("TLS-Version")
		So(has, ShouldBeTrue)
	})
	Convey("A client whose names are longer than what may be kept is refused", t, func() {
		id := newIdentity(t, strings.Repeat("long.", 20)+"one")
		k, m := watched(t, "tls://127.0.0.1:*", WithTLSKeyPair(id.cert, id.key), WithTLSAuthorities(id.cert, false),
			WithProperties("TLS-Peer-SAN"), WithPropertyBytes(64))
		client := newSocket(t, newContext(t))
		id.use(t, client)
		must(t, client.Set(WithTLSVerify(false, "")), "client")
		must(t, client.Connect(lastEndpoint(t, k)), "Connect")
		e := wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeFailed, engine.EventDisconnected)
		So(e.Value, ShouldEqual, uint64(errno.EMSGSIZE))
		So(e.Detail, ShouldContainSubstring, "STREAM_PROPERTY_BYTES")
	})
}

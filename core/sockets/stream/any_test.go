// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

const anyPort = "any://127.0.0.1:*/chat"

const upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// webFrame is a frame of a WebSocket client, whose mask is 0.
func webFrame(payload []byte) []byte {
	return append([]byte{0x82, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// anySocket returns a socket in the mode FAST that takes every transport on a port.
func anySocket(t testing.TB, settings ...Setting) (*Socket, *sockets.Monitor) {
	t.Helper()
	return watched(t, anyPort, append(settings, WithMode(ModeFast))...)
}

// choppy is a connection whose writes are cut behind so many bytes, or, with 0, behind each.
type choppy struct {
	net.Conn
	behind int
}

func (c *choppy) Write(data []byte) (n int, err error) {
	for n < len(data) && err == nil {
		size := 1
		if c.behind > 0 {
			size = min(c.behind, len(data)-n)
		}
		var wrote int
		wrote, err = c.Conn.Write(data[n : n+size])
		n += wrote
		runtime.Gosched()
	}
	return n, err
}

// client is a way to say "hello" to a socket of any://: it writes what comes before, and the message.
type anyClient struct {
	name   string
	secure bool
	first  string
	hello  []byte
	skip   string // the end of what the server says before its messages
	frame  int    // the length of the server's header of a message
}

var anyClients = []anyClient{
	{"tcp", false, "", frame("hello"), "", 4},
	{"tls", true, "", frame("hello"), "", 4},
	{"ws", false, upgrade, webFrame(frame("hello")), "\r\n\r\n", 6},
	{"wss", true, upgrade, webFrame(frame("hello")), "\r\n\r\n", 6},
}

// open connects; writes are cut.
func (c anyClient) open(t testing.TB, k *Socket, behind int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address(lastEndpoint(t, k)))
	must(t, err, "Dial")
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if behind >= 0 {
		conn = &choppy{conn, behind}
	}
	if c.secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	return conn
}

// serve has the client say hello and be answered.
func (c anyClient) serve(t testing.TB, k *Socket, conn net.Conn, said string) Message {
	t.Helper()
	_, err := io.WriteString(conn, said)
	must(t, err, "write")
	up := recvKind(t, k, Connected)
	So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
	must(t, k.Send(t.Context(), up.Peer, []byte("back")), "send")
	var got []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(got), c.skip) || len(got) == 0 && c.skip != ""; got = append(got, b[0]) {
		_, err = io.ReadFull(conn, b)
		must(t, err, "read the answer")
	}
	answer := make([]byte, c.frame+4)
	_, err = io.ReadFull(conn, answer)
	must(t, err, "read")
	So(string(answer[c.frame:]), ShouldEqual, "back")
	return up
}

func TestAnyFirstMessage(t *testing.T) {
	Convey("Each has a time for its first message, which begins when it is up", t, func() {
		k, _ := anySocket(t, WithFirstMessageTimeout(50*time.Millisecond))
		for _, c := range anyClients {
			conn := c.open(t, k, -1)
			// On a busy machine its time is over before it says this.
			_, _ = io.WriteString(conn, c.first+string(c.hello[:len(c.hello)-1]))
			recvKind(t, k, Connected)
			down := recvKind(t, k, Disconnected)
			So(down.Reason(), ShouldEqual, engine.CauseFirstMessage)
		}
		eventually(t, "the count of them", func() bool {
			stats, err := k.Stats()
			return err == nil && stats.EndedBy[engine.CauseFirstMessage] == uint64(len(anyClients))
		})
	})
	Convey("One that says nothing has a time to say what it is", t, func() {
		k, _ := anySocket(t, WithFirstMessageTimeout(50*time.Millisecond), WithHandshakeTimeout(300*time.Millisecond))
		anyClients[0].open(t, k, -1)
		eventually(t, "the end of who said nothing", func() bool {
			stats, err := k.Stats()
			return err == nil && stats.EndedBy[engine.CauseHandshake] == 1
		})
		stats, err := k.Stats()
		must(t, err, "statistics")
		So(stats.EndedBy[engine.CauseFirstMessage], ShouldEqual, 0)
	})
}

func TestAnyTransport(t *testing.T) {
	Convey("One port takes clients of tcp, tls, ws and wss, and the application and monitors know which each is", t, func() {
		k, m := anySocket(t, WithProperties("Transport TLS-Version WS-Path"))
		for _, c := range anyClients {
			conn := c.open(t, k, -1)
			up := c.serve(t, k, conn, c.first+string(c.hello))
			transport, _ := up.Property("Transport")
			So(transport, ShouldEqual, c.name)
			_, secure := up.Property("TLS-Version")
			So(secure, ShouldEqual, c.secure)
			_, web := up.Property("WS-Path")
			So(web, ShouldEqual, c.first != "")
			peers, err := k.Peers(-1)
			So(err, ShouldBeNil)
			So(peers[0].Remote, ShouldEqual, c.name+"://"+conn.LocalAddr().String())
			for _, kind := range []engine.EventKind{engine.EventAccepted, engine.EventReady} {
				e := nextEvent(t, m)
				So(e.Kind, ShouldEqual, kind)
				So(e.Local, ShouldEqual, c.name+"://"+address(lastEndpoint(t, k)))
				So(e.Remote, ShouldEqual, c.name+"://"+conn.LocalAddr().String())
			}
			_ = conn.Close()
			recvKind(t, k, Disconnected)
			So(nextEvent(t, m).Kind, ShouldEqual, engine.EventDisconnected)
		}
		stats, err := k.Stats()
		So(err, ShouldBeNil)
		So(stats.Accepted, ShouldEqual, 4)
		So(lastEndpoint(t, k), ShouldStartWith, "any://127.0.0.1:")
		So(lastEndpoint(t, k), ShouldEndWith, "/chat")
		must(t, k.Unbind(lastEndpoint(t, k)), "Unbind")
		_, err = net.Dial("tcp", address(lastEndpoint(t, k)))
		So(err, ShouldNotBeNil)
	})
	Convey("What a client says may come in any pieces", t, func() {
		k, _ := anySocket(t)
		for _, c := range anyClients {
			said := c.first + string(c.hello)
			for _, behind := range []int{0, 1, 2, 3, 4, 5, 6, 7, 100, len(said) - 1} {
				conn := c.open(t, k, behind)
				c.serve(t, k, conn, said)
				_ = conn.Close()
				recvKind(t, k, Disconnected)
			}
		}
	})
	Convey("Who sends a message and goes is heard", t, func() {
		k, _ := anySocket(t)
		for _, c := range anyClients[:2] {
			conn := c.open(t, k, -1)
			_, err := conn.Write(c.hello)
			must(t, err, "write")
			must(t, conn.Close(), "close")
			recvKind(t, k, Connected)
			So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
			recvKind(t, k, Disconnected)
		}
	})
	Convey("Behind a proxy the header comes first", t, func() {
		k, m := behindProxy(t, anyPort, WithProperties("Transport"))
		for _, c := range anyClients {
			for _, apart := range []bool{false, true} {
				conn, err := net.Dial("tcp", address(lastEndpoint(t, k)))
				must(t, err, "Dial")
				_ = conn.SetDeadline(time.Now().Add(patience))
				said := proxyLine("203.0.113.7")
				if apart || c.secure {
					_, err = io.WriteString(conn, said)
					must(t, err, "write")
					said = ""
				}
				if c.secure {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
				}
				up := c.serve(t, k, conn, said+c.first+string(c.hello))
				So(up.Address().String(), ShouldEqual, "203.0.113.7:4711")
				transport, _ := up.Property("Transport")
				So(transport, ShouldEqual, c.name)
				e := nextEvent(t, m)
				So(e.Kind, ShouldEqual, engine.EventAccepted)
				So(e.Remote, ShouldEqual, c.name+"://203.0.113.7:4711")
				_ = conn.Close()
				recvKind(t, k, Disconnected)
				for range 2 {
					nextEvent(t, m)
				}
			}
		}
	})
	Convey("IPv6, and sockets of this library, find the port as well", t, func() {
		k := newSocket(t, newContext(t))
		id := newIdentity(t, "one")
		client := newSocket(t, newContext(t))
		id.use(t, k, client)
		must(t, k.Set(WithMode(ModeFast), WithIPv6(true)), "settings")
		must(t, client.Set(WithMode(ModeFast), WithIPv6(true), WithTLSVerify(true, "one")), "client")
		must(t, k.Bind("any://[::1]:*"), "Bind")
		for _, transport := range []string{"tcp", "tls", "ws", "wss"} {
			must(t, client.Connect(transport+"://"+address(lastEndpoint(t, k))), "Connect")
			if transport == "tcp" || transport == "tls" { // the server knows them by their first message
				must(t, client.Send(t.Context(), recvKind(t, client, Connected).Peer, []byte("hello")), "Send")
			} else {
				recvKind(t, client, Connected)
			}
			up := recvKind(t, k, Connected)
			So(up.Address().Addr().String(), ShouldEqual, "::1")
			if transport == "tcp" || transport == "tls" {
				recvKind(t, k, Data)
			}
		}
	})
}

func TestAnyRefuses(t *testing.T) {
	Convey("A connection whose first bytes are of no transport ends, with a reason for monitors", t, func() {
		k, m := anySocket(t)
		for _, c := range []struct {
			client anyClient
			said   string
			why    string
		}{
			{anyClients[0], "\x01\x00\x00\x00", "neither of a frame"},
			{anyClients[0], "get / HTTP/1.1", "neither of a frame"},
			{anyClients[0], "\xFF", "neither of a frame"},
			{anyClients[1], "\x16\x03\x01", "within TLS"},
			{anyClients[1], "\x80", "neither of a frame"},
		} {
			conn := c.client.open(t, k, -1)
			_, err := io.WriteString(conn, c.said)
			must(t, err, "write")
			e := wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeProtocol, engine.EventDisconnected)
			So(e.Detail, ShouldContainSubstring, c.why)
			_, err = io.ReadAll(conn)
			_ = err // an end, or a reset
			_ = conn.Close()
		}
	})
	Convey("HTTP that is no upgrade is answered, within TLS as well", t, func() {
		k, _ := anySocket(t, WithWebHealth("/health"))
		for _, c := range []anyClient{anyClients[2], anyClients[3]} {
			for request, status := range map[string]string{"GET /health HTTP/1.1\r\nHost: a\r\n\r\n": " 200 ", "POST / HTTP/1.1\r\nHost: a\r\n\r\n": " 405 "} {
				conn := c.open(t, k, -1)
				_, err := io.WriteString(conn, request)
				must(t, err, "write")
				answer := make([]byte, 13)
				_, err = io.ReadFull(conn, answer)
				must(t, err, "read")
				So(string(answer), ShouldContainSubstring, status)
				_ = conn.Close()
			}
		}
	})
	Convey("Without a certificate who begins TLS is refused, and the others are not", t, func() {
		k := newSocket(t, newContext(t))
		m, err := k.Monitor(engine.EventHandshakeProtocol)
		must(t, err, "Monitor")
		defer m.Close()
		must(t, k.Set(WithMode(ModeFast)), "settings")
		must(t, k.Bind(anyPort), "Bind")
		conn := anyClients[1].open(t, k, -1)
		_, err = conn.Write([]byte("x"))
		So(err, ShouldNotBeNil)
		So(nextEvent(t, m).Detail, ShouldContainSubstring, "TLS_CERT")
		for _, c := range []anyClient{anyClients[0], anyClients[2]} {
			c.serve(t, k, c.open(t, k, -1), c.first+string(c.hello))
		}
	})
	Convey("Who says nothing has HANDSHAKE_IVL for it, within TLS as well", t, func() {
		k, m := anySocket(t, WithHandshakeTimeout(200*time.Millisecond))
		for _, c := range anyClients[:2] {
			conn := c.open(t, k, -1)
			if c.secure {
				must(t, conn.(*tls.Conn).Handshake(), "handshake")
			}
			e := wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeFailed, engine.EventDisconnected)
			So(e.Value, ShouldEqual, uint64(errno.ETIMEDOUT))
		}
		for _, c := range anyClients[:2] { // and who goes is reset
			conn := c.open(t, k, -1)
			if c.secure {
				must(t, conn.(*tls.Conn).Handshake(), "handshake")
			}
			_ = conn.Close()
			wantEvents(t, m, engine.EventAccepted, engine.EventHandshakeFailed, engine.EventDisconnected)
		}
	})
	Convey("A socket that drains answers HTTP, and ends other clients, about whom nobody is asked", t, func() {
		k, _ := anySocket(t, WithWebHealth("/health"), WithAcceptTimeout(time.Hour))
		staying := anyClients[0].open(t, k, -1)
		_, err := staying.Write(frame("hello"))
		must(t, err, "write")
		So(k.AcceptPeer(recvKind(t, k, Asking).Peer), ShouldBeNil)
		recvKind(t, k, Connected)
		data := recvKind(t, k, Data)
		data.Release()
		must(t, k.Drain(2*patience, 1001), "Drain")
		for _, c := range anyClients[:2] {
			conn := c.open(t, k, -1)
			_, err := conn.Write(frame("hello"))
			must(t, err, "write")
			_, err = conn.Read(make([]byte, 1))
			So(err, ShouldNotBeNil)
			_ = conn.Close()
		}
		for _, c := range anyClients[2:] {
			conn := c.open(t, k, -1)
			_, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
			must(t, err, "write")
			answer := make([]byte, 13)
			_, err = io.ReadFull(conn, answer)
			must(t, err, "read")
			So(string(answer), ShouldContainSubstring, " 503 ")
			_ = conn.Close()
		}
		n, err := k.PeerCount()
		So(err, ShouldBeNil)
		So(n, ShouldBeLessThan, 2)
		must(t, staying.Close(), "close")
		recvKind(t, k, Disconnected)
		recvKind(t, k, Drained)
	})
	Convey("A connect has to choose, and a wrong endpoint is an error", t, func() {
		k := newSocket(t, newContext(t))
		err := k.Connect("any://127.0.0.1:1")
		So(err, shouldBeErrno, errno.ENOCOMPATPROTO)
		So(errno.Detail(err), ShouldContainSubstring, "any:// is for a bind")
		So(k.Bind("any://127.0.0.1"), shouldBeErrno, errno.EINVAL)
		So(k.Disconnect("any://127.0.0.1:1"), shouldBeErrno, errno.ENOENT)
	})
}

func TestSilentClientsOfAny(t *testing.T) {
	Convey("Silent clients, of tcp and within TLS, take no handshake and no goroutine from others", t, func() {
		k, _ := anySocket(t, WithHandshakes(2))
		before := runtime.NumGoroutine()
		var silent []net.Conn
		for range 300 {
			silent = append(silent, anyClients[0].open(t, k, -1))
		}
		for range 50 { // with a place for two, none of these keeps it
			conn := anyClients[1].open(t, k, -1)
			must(t, conn.(*tls.Conn).Handshake(), "handshake")
			silent = append(silent, conn)
		}
		for _, c := range anyClients {
			c.serve(t, k, c.open(t, k, -1), c.first+string(c.hello))
		}
		eventually(t, "no goroutine waits for the silent ones", func() bool { return runtime.NumGoroutine() <= before+10 })
		stats, err := k.Stats()
		So(err, ShouldBeNil)
		So(stats.Memory, ShouldBeLessThan, 350*6<<10)
		for _, conn := range silent[299:301] { // each may still speak
			_, err := conn.Write(frame("hello"))
			must(t, err, "write")
			recvKind(t, k, Connected)
			So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
		}
		must(t, k.Close(), "Close")
		for _, conn := range silent[:10] {
			_, err := conn.Read(make([]byte, 1))
			So(err == nil || errors.Is(err, net.ErrClosed), ShouldBeFalse)
		}
	})
}

// FuzzAny writes something to a port of any:// in two pieces. What begins as a frame is a peer and
// its messages; nothing else becomes a peer, and the next client is served.
func FuzzAny(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello\x00\x00\x00\x00"), 1)
	f.Add([]byte("\x00\x01\x00\x00hello"), 2)
	f.Add([]byte("\x16\x03\x01\x00\x05hello"), 3)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 4)
	f.Add([]byte("\x01"), 0)
	f.Add([]byte{}, 0)
	k, _ := anySocket(f, WithMaxMessageSize(1000))
	f.Fuzz(func(t *testing.T, said []byte, split int) {
		if len(said) > 10_000 {
			return
		}
		at := min(max(split, 0), len(said))
		conn, err := net.Dial("tcp", address(lastEndpoint(t, k)))
		must(t, err, "Dial")
		_ = conn.SetDeadline(time.Now().Add(patience))
		for _, part := range [][]byte{said[:at], said[at:]} {
			_, _ = conn.Write(part) // the server may have refused it
			runtime.Gosched()
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		if len(said) > 0 && said[0] == 0 {
			recvKind(t, k, Connected)
			m := Message{}
			for m.Kind != Disconnected {
				m, err = k.Recv(t.Context())
				must(t, err, "Recv")
				if m.Kind == Data {
					if size := int(said[2])<<8 | int(said[3]); said[1] != 0 || size != len(m.Body) || string(m.Body) != string(said[4:4+size]) {
						t.Fatalf("the message %q is none of %q", m.Body, said)
					}
					said = said[4+len(m.Body):]
				}
			}
		}
		_, _ = io.ReadAll(conn)
		_ = conn.Close()
		good := dial(t, "tcp://"+address(lastEndpoint(t, k)))
		good.send("after")
		recvKind(t, k, Connected)
		if got := string(recvKind(t, k, Data).Body); got != "after" {
			t.Fatalf("received %q", got)
		}
		_ = good.Close()
		recvKind(t, k, Disconnected)
	})
}

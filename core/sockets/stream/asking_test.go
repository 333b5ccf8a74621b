// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// asked listens on an endpoint, and decides about each peer.
func asked(t testing.TB, endpoint string, timeout time.Duration, settings ...Setting) *Socket {
	t.Helper()
	k := newFastSocket(t, newContext(t))
	must(t, k.Set(append(settings, WithAcceptTimeout(timeout), WithRecvTimeout(patience))...), "settings")
	must(t, k.Bind(endpoint), "Bind")
	return k
}

// request sends a request for a WebSocket, and reads no answer.
func request(t testing.TB, k *Socket, path string) (net.Conn, func() *http.Response) {
	t.Helper()
	conn := plain(t, "tcp://"+address(lastEndpoint(t, k)))
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	must(t, err, "request")
	return conn, func() *http.Response {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err, "answer")
		return answer
	}
}

// wantEnd receives a Disconnected message, and returns why.
func wantEnd(t testing.TB, k *Socket) engine.Cause {
	t.Helper()
	down := recvKind(t, k, Disconnected)
	return down.Reason()
}

func TestAcceptPeer(t *testing.T) {
	Convey("A request for a WebSocket waits for the application, which sees what it asks for", t, func() {
		k := asked(t, "ws://127.0.0.1:*/chat", time.Hour, WithProperties("WS-Query"), WithPeerData(), WithHandshakeTimeout(0))
		conn, answer := request(t, k, "/chat?user=one")
		m := recvKind(t, k, Asking)
		query, _ := m.Property("WS-Query")
		So(query, ShouldEqual, "user=one")
		So(m.Address().Addr().String(), ShouldEqual, "127.0.0.1")
		query, err := k.PeerProperty(m.Peer, "WS-Query")
		So(err, ShouldBeNil)
		So(query, ShouldEqual, "user=one")
		So(k.SetPeerData(m.Peer, "one"), ShouldBeNil)
		So(k.Send(t.Context(), m.Peer, []byte("x")), shouldBeErrno, errno.EHOSTUNREACH)
		So(k.ClosePeer(m.Peer), shouldBeErrno, errno.EHOSTUNREACH)
		So(k.AbortPeer(m.Peer), shouldBeErrno, errno.EHOSTUNREACH)
		So(k.Join(m.Peer, "all"), shouldBeErrno, errno.EHOSTUNREACH)
		must(t, conn.SetReadDeadline(time.Now().Add(20*time.Millisecond)), "deadline")
		_, err = conn.Read(make([]byte, 1))
		So(err, ShouldNotBeNil) // no answer yet
		must(t, conn.SetReadDeadline(time.Now().Add(patience)), "deadline")

		So(k.AcceptPeer(m.Peer), ShouldBeNil)
		So(answer().StatusCode, ShouldEqual, http.StatusSwitchingProtocols)
		up := recvKind(t, k, Connected)
		So(up.Peer, ShouldEqual, m.Peer)
		So(up.PeerData(), ShouldEqual, "one")
		query, _ = up.Property("WS-Query")
		So(query, ShouldEqual, "user=one")
		So(k.AcceptPeer(m.Peer), shouldBeErrno, errno.EFSM)
		So(k.RefusePeer(m.Peer, 0, ""), shouldBeErrno, errno.EFSM)
		So(k.Send(t.Context(), up.Peer, []byte("x")), ShouldBeNil)
		must(t, conn.Close(), "close")
		recvKind(t, k, Disconnected)
		noCards(t, k)
	})
	for _, transport := range []string{"tcp", "ipc"} {
		Convey("A peer of "+transport+" asks before anything of it is read", t, func() {
			k := asked(t, map[string]string{"tcp": "tcp://127.0.0.1:*", "ipc": "ipc://*"}[transport], time.Hour)
			client, err := Dial(lastEndpoint(t, k), WithRecvTimeout(patience))
			must(t, err, "Dial")
			defer client.Close()
			there := recvKind(t, client, Connected)
			must(t, client.Send(t.Context(), there.Peer, []byte("early")), "Send")
			m := recvKind(t, k, Asking)
			for name, want := range map[string]string{"Transport": transport, "Local-Address": "", "Local-Port": ""} {
				value, err := k.PeerProperty(m.Peer, name)
				if transport == "ipc" && name == "Local-Port" {
					So(err, shouldBeErrno, errno.EINVAL)
					continue
				}
				So(err, ShouldBeNil)
				So(value, ShouldNotBeEmpty)
				So(value, ShouldContainSubstring, want)
			}
			So(k.AcceptPeer(m.Peer), ShouldBeNil)
			So(recvKind(t, k, Connected).Peer, ShouldEqual, m.Peer)
			data := recvKind(t, k, Data)
			So(string(data.Body), ShouldEqual, "early")
			data.Release()
		})
	}
	Convey("On a port for all transports both ask when it is clear what they are", t, func() {
		k := asked(t, "any://127.0.0.1:*/", time.Hour)
		request(t, k, "/")
		So(k.AcceptPeer(recvKind(t, k, Asking).Peer), ShouldBeNil)
		recvKind(t, k, Connected)
		conn := plain(t, "tcp://"+address(lastEndpoint(t, k)))
		_, err := conn.Write(frame("hello"))
		must(t, err, "write")
		So(k.AcceptPeer(recvKind(t, k, Asking).Peer), ShouldBeNil)
		recvKind(t, k, Connected)
		data := recvKind(t, k, Data)
		So(string(data.Body), ShouldEqual, "hello")
		data.Release()
	})
	Convey("A peer of tls asks when its handshake is over", t, func() {
		id := newIdentity(t, "one")
		k := asked(t, "tls://127.0.0.1:*", time.Hour, WithTLSKeyPair(id.cert, id.key))
		client := newFastSocket(t, newContext(t))
		must(t, client.Set(WithTLSVerify(false, ""), WithReconnect(-1, 0), WithRecvTimeout(patience)), "Set")
		for _, accept := range []bool{true, false} {
			must(t, client.Connect(lastEndpoint(t, k)), "Connect")
			m := recvKind(t, k, Asking)
			recvKind(t, client, Connected)
			if accept {
				So(k.AcceptPeer(m.Peer), ShouldBeNil)
				recvKind(t, k, Connected)
				continue
			}
			So(k.RefusePeer(m.Peer, 0, ""), ShouldBeNil)
			recvKind(t, k, Disconnected)
			recvKind(t, client, Disconnected)
		}
	})
}

// offering sends a request for a WebSocket that offers subprotocols, if there are any.
func offering(t testing.TB, k *Socket, offers string) func() *http.Response {
	t.Helper()
	if offers != "" {
		offers = "Sec-WebSocket-Protocol: " + offers + "\r\n"
	}
	conn := plain(t, "tcp://"+address(lastEndpoint(t, k)))
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+offers+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	must(t, err, "request")
	return func() *http.Response {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err, "answer")
		return answer
	}
}

func TestAcceptPeerWith(t *testing.T) {
	Convey("The application chooses one of the subprotocols that a request offers, or none", t, func() {
		for _, c := range []struct {
			offers, listed string
			choose         func(k *Socket, peer uint32) error
			want           string
		}{
			{"chat.v2, chat.v1", "", func(k *Socket, peer uint32) error { return k.AcceptPeerWith(peer, "chat.v1") }, "chat.v1"},
			{"chat.v2,chat.v1", "chat.v2", func(k *Socket, peer uint32) error { return k.AcceptPeerWith(peer, "chat.v1") }, "chat.v1"},
			{"chat.v2", "chat.v2", func(k *Socket, peer uint32) error { return k.AcceptPeerWith(peer, "") }, ""},
			{"chat.v2", "chat.v2", (*Socket).AcceptPeer, "chat.v2"},
			{"", "", func(k *Socket, peer uint32) error { return k.AcceptPeerWith(peer, "") }, ""},
		} {
			k := asked(t, "ws://127.0.0.1:*", time.Hour, WithWebProtocols(c.listed), WithProperties("WS-Header:Sec-WebSocket-Protocol"))
			answer := offering(t, k, c.offers)
			m := recvKind(t, k, Asking)
			offers, _ := m.Property("WS-Header:Sec-WebSocket-Protocol")
			So(offers, ShouldEqual, c.offers)
			for _, wrong := range []string{"other", "chat", "chat.v1, chat.v2", "CHAT.V1", "chat.v1\r\nX: y"} {
				err := k.AcceptPeerWith(m.Peer, wrong)
				So(err, shouldBeErrno, errno.EINVAL)
				So(errno.Detail(err), ShouldContainSubstring, "does not offer")
			}
			So(c.choose(k, m.Peer), ShouldBeNil)
			So(recvKind(t, k, Connected).Peer, ShouldEqual, m.Peer)
			got := answer()
			So(got.StatusCode, ShouldEqual, http.StatusSwitchingProtocols)
			So(got.Header.Get("Sec-WebSocket-Protocol"), ShouldEqual, c.want)
			So(len(got.Header.Values("Sec-WebSocket-Protocol")), ShouldEqual, min(1, len(c.want)))
			So(k.AcceptPeerWith(m.Peer, ""), shouldBeErrno, errno.EFSM)
			So(k.AcceptPeerWith(m.Peer+1, ""), shouldBeErrno, errno.EHOSTUNREACH)
		}
	})
	Convey("Who asks otherwise has no subprotocol, and still may be accepted or refused", t, func() {
		k := asked(t, "tcp://127.0.0.1:*", time.Hour)
		plain(t, lastEndpoint(t, k))
		peer := recvKind(t, k, Asking).Peer
		err := k.AcceptPeerWith(peer, "")
		So(err, shouldBeErrno, errno.EINVAL)
		So(errno.Detail(err), ShouldContainSubstring, "WebSocket")
		So(k.AcceptPeer(peer), ShouldBeNil)
		recvKind(t, k, Connected)
	})
}

func TestRefusePeer(t *testing.T) {
	Convey("A refused request gets the status and the text, and the application the end", t, func() {
		k := asked(t, "ws://127.0.0.1:*", time.Hour)
		for status, want := range map[int]int{0: 403, 401: 401, 429: 429, 599: 599} {
			_, answer := request(t, k, "/")
			m := recvKind(t, k, Asking)
			So(k.RefusePeer(m.Peer, status, "not you"), ShouldBeNil)
			So(k.AcceptPeer(m.Peer) != nil, ShouldBeTrue)
			got := answer()
			So(got.StatusCode, ShouldEqual, want)
			text, _ := io.ReadAll(got.Body)
			So(string(text), ShouldEqual, "not you\n")
			down := recvKind(t, k, Disconnected)
			So(down.Peer, ShouldEqual, m.Peer)
			So(down.Reason(), ShouldEqual, engine.CauseRefused)
			So(down.Address().IsValid(), ShouldBeTrue)
		}
		stats, err := k.Stats()
		So(err, ShouldBeNil)
		So(stats.Accepted, ShouldEqual, 0)
	})
	Convey("A refused peer of tcp is closed", t, func() {
		k := asked(t, "tcp://127.0.0.1:*", time.Hour)
		conn := plain(t, lastEndpoint(t, k))
		So(k.RefusePeer(recvKind(t, k, Asking).Peer, 0, ""), ShouldBeNil)
		_, err := conn.Read(make([]byte, 1))
		So(err, ShouldEqual, io.EOF)
		So(wantEnd(t, k), ShouldEqual, engine.CauseRefused)
	})
	Convey("The time of a decision may end while a refused peer takes its own to go", t, func() {
		k := asked(t, "tcp://127.0.0.1:*", 200*time.Millisecond)
		for _, refuse := range []bool{true, false} { // the second one's time ends behind the first one's
			plain(t, lastEndpoint(t, k)) // closed when the test is over
			m := recvKind(t, k, Asking)
			if !refuse || k.RefusePeer(m.Peer, 0, "") != nil { // on a busy machine it may be too late
				So(wantEnd(t, k), ShouldEqual, engine.CauseUndecided)
				continue
			}
			So(wantEnd(t, k), ShouldEqual, engine.CauseRefused)
		}
	})
	Convey("When the time is over, a request is answered 503", t, func() {
		k := asked(t, "ws://127.0.0.1:*", 20*time.Millisecond)
		_, answer := request(t, k, "/")
		m := recvKind(t, k, Asking)
		So(answer().StatusCode, ShouldEqual, http.StatusServiceUnavailable)
		So(wantEnd(t, k), ShouldEqual, engine.CauseUndecided)
		eventually(t, "the place is free", func() bool { return errno.Of(k.AcceptPeer(m.Peer)) == errno.EHOSTUNREACH })
	})
	Convey("Whoever asks and goes, is drained, or asks a socket that is closed, asks no more", t, func() {
		for _, transport := range []string{"ws", "tcp"} {
			k := asked(t, transport+"://127.0.0.1:*", time.Hour)
			conn, _ := request(t, k, "/")
			m := recvKind(t, k, Asking)
			if tcp, is := conn.(*net.TCPConn); is && transport == "tcp" {
				must(t, tcp.SetLinger(0), "linger") // a reset: one that only ends its side may still read
			}
			must(t, conn.Close(), "close")
			down := recvKind(t, k, Disconnected)
			So(down.Peer, ShouldEqual, m.Peer)
			So(k.AcceptPeer(m.Peer) != nil, ShouldBeTrue)

			request(t, k, "/")
			recvKind(t, k, Asking)
			must(t, k.Drain(0, 0), "Drain")
			So(wantEnd(t, k), ShouldEqual, engine.CauseDrained)
			recvKind(t, k, Drained)

			other := asked(t, transport+"://127.0.0.1:*", time.Hour)
			for range 5 {
				request(t, other, "/")
			}
			recvKind(t, other, Asking)
			must(t, other.Shutdown(t.Context()), "Shutdown")
		}
	})
	Convey("Bad input is told", t, func() {
		k := asked(t, "ws://127.0.0.1:*", time.Hour)
		request(t, k, "/")
		peer := recvKind(t, k, Asking).Peer
		So(k.AcceptPeer(0), shouldBeErrno, errno.EINVAL)
		So(k.AcceptPeer(peer+9), shouldBeErrno, errno.EHOSTUNREACH)
		for _, status := range []int{-1, 1, 101, 200, 302, 399, 600} {
			So(k.RefusePeer(peer, status, ""), shouldBeErrno, errno.EINVAL)
		}
		for _, text := range []string{"a\r\nSet-Cookie: b", "\x00", "a\tb", string(make([]byte, 257))} {
			So(k.RefusePeer(peer, 403, text), shouldBeErrno, errno.EINVAL)
		}
		So(k.AcceptPeer(peer), ShouldBeNil)
		compat := newSocket(t, newContext(t))
		must(t, compat.Set(WithAcceptTimeout(time.Second)), "set")
		So(compat.Bind("tcp://127.0.0.1:*"), shouldBeErrno, errno.EINVAL)
	})
}

func TestMonitorOfWhoAsks(t *testing.T) {
	kinds := engine.EventAccepted | engine.EventReady | engine.EventDisconnected | engine.EventHandshakeFailed | engine.EventHandshakeProtocol
	for _, c := range []struct {
		transport string
		end       func(k *Socket, peer uint32, conn net.Conn) error
		kind      engine.EventKind
		value     uint64
		why       engine.Cause
	}{
		{"ws", func(_ *Socket, _ uint32, conn net.Conn) error { return conn.Close() },
			engine.EventHandshakeFailed, uint64(errno.ECONNRESET), engine.CausePeerClosed},
		{"tcp", func(_ *Socket, _ uint32, conn net.Conn) error {
			_ = conn.(*net.TCPConn).SetLinger(0)
			return conn.Close()
		}, engine.EventHandshakeFailed, uint64(errno.ECONNRESET), engine.CauseReset},
		{"ws", func(k *Socket, _ uint32, _ net.Conn) error { return k.Drain(0, 0) },
			engine.EventHandshakeFailed, uint64(sys.ECONNABORTED), engine.CauseDrained},
		{"tcp", func(k *Socket, _ uint32, _ net.Conn) error { return k.Drain(0, 0) },
			engine.EventHandshakeFailed, uint64(sys.ECONNABORTED), engine.CauseDrained},
		{"ws", func(k *Socket, _ uint32, _ net.Conn) error { return k.Close() },
			engine.EventHandshakeFailed, uint64(sys.ECONNABORTED), engine.CauseClosedHere},
		{"ws", func(k *Socket, peer uint32, _ net.Conn) error { return k.RefusePeer(peer, 418, "") },
			engine.EventHandshakeProtocol, engine.ProtocolWeb + 418, engine.CauseRefused},
		{"ws", func(k *Socket, peer uint32, _ net.Conn) error { return k.RefusePeer(peer, 0, "") },
			engine.EventHandshakeProtocol, engine.ProtocolWeb + 403, engine.CauseRefused},
		{"tcp", func(k *Socket, peer uint32, _ net.Conn) error { return k.RefusePeer(peer, 418, "") },
			engine.EventHandshakeFailed, uint64(errno.EACCES), engine.CauseRefused},
	} {
		Convey(fmt.Sprintf("Monitors see that a peer of %s which asks does not come up: %v, %x", c.transport, c.why, c.value), t, func() {
			k := asked(t, c.transport+"://127.0.0.1:*", time.Hour)
			m, err := k.Monitor(kinds)
			must(t, err, "Monitor")
			defer m.Close()
			conn, _ := request(t, k, "/")
			peer := recvKind(t, k, Asking).Peer
			must(t, c.end(k, peer, conn), "end")
			failed := wantEvents(t, m, engine.EventAccepted, c.kind, engine.EventDisconnected)
			So(failed.Value, ShouldEqual, c.value)
			So(failed.Detail, ShouldNotBeEmpty)
		})
	}
}

// TestAskingStress: of several threads that decide about the same ones at once, one does, and each
// that asks becomes a peer or ends, once.
func TestAskingStress(t *testing.T) {
	const deciders, clients, rounds = 3, 6, 40
	for _, transport := range []string{"ws", "tcp"} {
		k := asked(t, transport+"://127.0.0.1:*", 30*time.Millisecond)
		endpoint := address(lastEndpoint(t, k))
		var mu sync.Mutex
		accepted, refused := map[uint32]int{}, map[uint32]int{}
		var all, asking sync.WaitGroup
		ids := make([]chan uint32, deciders)
		for i := range ids {
			ids[i] = make(chan uint32, clients*rounds)
			all.Go(func() {
				for peer := range ids[i] {
					choice := int(peer)%4 + i
					var err errno.Errno
					switch {
					case peer%8 == 7: // nobody decides
						continue
					case choice%2 == 0:
						err = errno.Of(k.AcceptPeer(peer))
					default:
						err = errno.Of(k.RefusePeer(peer, 0, ""))
					}
					mu.Lock()
					switch {
					case err == 0 && choice%2 == 0:
						accepted[peer]++
					case err == 0:
						refused[peer]++
					case err != errno.EFSM && err != errno.EHOSTUNREACH:
						t.Errorf("a decision failed with %v", err)
					}
					mu.Unlock()
				}
			})
		}
		for c := range clients {
			asking.Go(func() {
				for range rounds {
					conn, err := net.Dial("tcp", endpoint)
					if err != nil {
						t.Error(err)
						return
					}
					if transport == "ws" {
						_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
							"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
					}
					if c%2 == 0 { // does not wait
						time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
					} else {
						_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
						_, _ = conn.Read(make([]byte, 1))
					}
					_ = conn.Close()
				}
			})
		}
		done := make(chan struct{})
		go func() { asking.Wait(); close(done) }()
		wantOneEnd(t, k, done, ids)
		all.Wait()
		mu.Lock()
		for peer, n := range accepted {
			if n+refused[peer] != 1 {
				t.Errorf("the peer %d was accepted %d times and refused %d times", peer, n, refused[peer])
			}
		}
		if len(accepted) == 0 || len(refused) == 0 {
			t.Errorf("%d were accepted and %d refused", len(accepted), len(refused))
		}
		mu.Unlock()
	}
}

// wantOneEnd receives until all clients are done and nobody is left, and passes those who ask on.
func wantOneEnd(t *testing.T, k *Socket, done chan struct{}, ids []chan uint32) {
	states := map[uint32]Kind{}
	left := 0
	for over := false; !over || left > 0; {
		select {
		case <-done:
			over = true
		default:
		}
		m, err := k.TryRecv()
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		was, known := states[m.Peer]
		switch {
		case m.Kind == Asking && !known:
			left++
			for _, to := range ids {
				to <- m.Peer
			}
		case m.Kind == Connected && known && was == Asking:
		case m.Kind == Disconnected && known && (was == Asking || was == Connected):
			left--
		default:
			t.Fatalf("the peer %d was %d and is %d", m.Peer, was, m.Kind)
		}
		states[m.Peer] = m.Kind
		m.Release()
	}
	for _, to := range ids {
		close(to)
	}
}

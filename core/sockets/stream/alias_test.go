// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"net"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// listenPlain listens on a port of this machine and returns its endpoint's
// address.
func listenPlain(t testing.TB) (l net.Listener, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err, "listen")
	t.Cleanup(func() { _ = l.Close() })
	return l, l.Addr().String()
}

func acceptPlain(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	var c net.Conn
	within(t, patience, "Accept", func() { c, _ = l.Accept() })
	return c
}

// connectAs connects with a name for the peer.
func connectAs(t testing.TB, k *Socket, name, endpoint string) error {
	t.Helper()
	must(t, alias(k, name), "CONNECT_ROUTING_ID")
	return k.Connect(endpoint)
}

// nameIsFree reports whether a connect may have the name, and leaves none behind.
func nameIsFree(t testing.TB, k *Socket, name string) bool {
	t.Helper()
	dead := deadEndpoint(t)
	if err := connectAs(t, k, name, dead); err != nil {
		So(err, shouldBeErrno, errno.EINVAL)
		return false
	}
	So(k.Disconnect(dead), ShouldBeNil)
	return true
}

func TestAliasWaitsForAPeer(t *testing.T) {
	for _, scheme := range []string{"tcp", "tls", "ws", "wss"} {
		Convey("CONNECT_ROUTING_ID over "+scheme, t, func() {
			ctx := newContext(t)
			server, client := newSocket(t, ctx), newSocket(t, ctx)
			newIdentity(t, "one").use(t, server, client)
			set(t, client, sockets.OptReconnectIvl, 10)
			l, address := listenPlain(t)
			endpoint := scheme + "://" + address
			handshakes := scheme != "tcp"

			Convey("is for the first peer, however many tries that takes", func() {
				if !handshakes {
					must(t, l.Close(), "close") // refused; else accepted, and closed in the handshake
				}
				So(connectAs(t, client, "server", endpoint), ShouldBeNil)
				for range 3 {
					if handshakes {
						must(t, acceptPlain(t, l).Close(), "close")
					}
				}
				So(nameIsFree(t, client, "server"), ShouldBeFalse)
				_ = l.Close()
				eventually(t, "the port is free", func() bool { return server.Bind(endpoint) == nil })
				So(want(t, client, connected), ShouldEqual, "server")
				toClient := want(t, server, connected)
				mustSend(t, client, "server", "hello")
				So(want(t, server, "hello"), ShouldEqual, toClient)

				So(nameIsFree(t, client, "server"), ShouldBeFalse)
				mustSend(t, server, toClient, disconnected)
				So(want(t, client, disconnected), ShouldEqual, "server")
				So(want(t, client, connected), ShouldHaveLength, 4) // dialled again: a number
				So(nameIsFree(t, client, "server"), ShouldBeTrue)
			})
			Convey("is free when no peer will come", func() {
				set(t, client, sockets.OptReconnectIvl, -1)
				if !handshakes {
					must(t, l.Close(), "close")
				}
				So(connectAs(t, client, "server", endpoint), ShouldBeNil)
				if handshakes {
					must(t, acceptPlain(t, l).Close(), "close")
				}
				eventually(t, "the name is free", func() bool { return nameIsFree(t, client, "server") })
				So(client.Disconnect(endpoint), ShouldBeNil)
				So(client.Disconnect(endpoint), shouldBeErrno, errno.ENOENT)
			})
			if !handshakes {
				return
			}
			Convey("is free at once after a disconnect in the handshake", func() {
				So(connectAs(t, client, "server", endpoint), ShouldBeNil)
				acceptPlain(t, l)
				So(client.Disconnect(endpoint), ShouldBeNil)
				So(nameIsFree(t, client, "server"), ShouldBeTrue)
			})
		})
	}
	Convey("A name that a disconnect has freed stays with who reserves it then", t, func() {
		ctx := newContext(t)
		server, client := newSocket(t, ctx), newSocket(t, ctx)
		endpoint, dead := bind(t, server), deadEndpoint(t)
		set(t, client, sockets.OptReconnectIvl, 60_000)
		for range 300 {
			So(connectAs(t, client, "x", endpoint), ShouldBeNil)
			So(client.Disconnect(endpoint), ShouldBeNil) // its connection may be coming up
			reserved := connectAs(t, client, "x", dead) == nil
			eventually(t, "the first connection is gone", func() bool {
				client.mu.Lock()
				defer client.mu.Unlock()
				return client.parts == 2+len(client.dialers)
			})
			must(t, alias(client, "x"), "CONNECT_ROUTING_ID")
			if err := client.Connect(dead); (err != nil) != reserved {
				t.Fatalf("reserved: %v; another connect with that name: %v", reserved, err)
			}
			So(client.Disconnect(dead), ShouldBeNil)
		}
	})
}

func dialers(k *Socket) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.dialers)
}

func TestDialersAreForgotten(t *testing.T) {
	Convey("A dialer is forgotten", t, func() {
		ctx := newContext(t)
		server, client := newSocket(t, ctx), newSocket(t, ctx)
		endpoint := bind(t, server)

		Convey("when its peer is closed, before the event tells", func() {
			for range 20 {
				must(t, client.Connect(endpoint), "Connect")
				mustSend(t, client, want(t, client, connected), disconnected)
				want(t, client, disconnected)
				So(dialers(client), ShouldEqual, 0)
			}
			So(client.Disconnect(endpoint), ShouldBeNil)
			So(client.Disconnect(endpoint), shouldBeErrno, errno.ENOENT)
		})
		Convey("when its only connection ends, before the event tells", func() {
			set(t, client, sockets.OptReconnectIvl, -1)
			for range 3 {
				must(t, client.Connect(endpoint), "Connect")
				want(t, client, connected)
				mustSend(t, server, want(t, server, connected), disconnected)
				want(t, server, disconnected)
				want(t, client, disconnected)
				So(dialers(client), ShouldEqual, 0)
			}
			So(client.Disconnect(endpoint), ShouldBeNil)
			So(client.Disconnect(endpoint), shouldBeErrno, errno.ENOENT)
		})
		Convey("when its only try fails", func() {
			set(t, client, sockets.OptReconnectIvl, -1)
			must(t, client.Connect(deadEndpoint(t)), "Connect")
			eventually(t, "it is forgotten", func() bool { return dialers(client) == 0 })
		})
		Convey("but not while it will dial again", func() {
			set(t, client, sockets.OptReconnectIvl, 1)
			must(t, client.Connect(endpoint), "Connect")
			for range 3 {
				want(t, client, connected)
				mustSend(t, server, want(t, server, connected), disconnected)
				want(t, server, disconnected)
				want(t, client, disconnected)
			}
			So(dialers(client), ShouldEqual, 1)
			So(client.Disconnect(endpoint), ShouldBeNil)
			So(client.Disconnect(endpoint), shouldBeErrno, errno.ENOENT)
			So(dialers(client), ShouldEqual, 0)
		})
		Convey("and the endpoints of the last ones are remembered", func() {
			set(t, client, sockets.OptReconnectIvl, -1)
			for port := range maxOver + 5 {
				must(t, client.Connect(fmt.Sprintf("tcp://127.0.0.1:%d", 1+port)), "Connect")
			}
			eventually(t, "all are over", func() bool { return dialers(client) == 0 })
			client.mu.Lock()
			remembered := len(client.over)
			client.mu.Unlock()
			So(remembered, ShouldBeLessThanOrEqualTo, maxOver)
		})
	})
}

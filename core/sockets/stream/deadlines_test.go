// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"net"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
)

// soon is a deadline that a test waits for.
const soon = 30 * time.Millisecond

// next returns the kind of the next message, its peer, and why that peer ended.
func next(t testing.TB, k *Socket) (Kind, uint32, engine.Cause) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := k.Recv(ctx)
	must(t, err, "Recv")
	defer m.Release()
	return m.Kind, m.Peer, m.Reason()
}

// TestDeadlines: over each transport and several shards, two ends of zlink.
func TestDeadlines(t *testing.T) {
	both := func(endpoint string, atServer, atClient []Setting) (server, client *Socket) {
		ctx := newContext(t, core.OptIOThreads, 4)
		server, client = newSocket(t, ctx), newSocket(t, ctx)
		newIdentity(t, "one").use(t, server, client)
		fast := []Setting{WithMode(ModeFast), WithAffinity(0xf)}
		must(t, server.Set(append(fast, atServer...)...), "Set")
		must(t, client.Set(append(fast, atClient...)...), "Set")
		must(t, client.Set(WithReconnect(time.Millisecond, 0)), "Set")
		must(t, server.Bind(fresh(endpoint)), "Bind")
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		return server, client
	}
	endsAndComesBack := func(k *Socket, why engine.Cause) {
		for range 3 {
			kind, up, _ := next(t, k)
			So(kind, ShouldEqual, Connected)
			kind, down, cause := next(t, k)
			So(kind, ShouldEqual, Disconnected)
			So(down, ShouldEqual, up)
			So(cause.String(), ShouldEqual, why.String())
		}
	}
	for _, endpoint := range everyTransport {
		Convey("Over "+endpoint, t, func() {
			Convey("an accepted peer that says nothing is ended, and dials again", func() {
				server, _ := both(endpoint, []Setting{WithIdleTimeout(soon)}, nil)
				endsAndComesBack(server, engine.CauseIdle)
			})
			Convey("a dialled peer that says nothing is ended, and dialled again", func() {
				_, client := both(endpoint, nil, []Setting{WithIdleTimeout(soon), WithMaxAge(time.Millisecond), WithFirstMessageTimeout(time.Millisecond)})
				endsAndComesBack(client, engine.CauseIdle)
			})
			Convey("a peer without a first message is ended", func() {
				server, _ := both(endpoint, []Setting{WithFirstMessageTimeout(soon)}, nil)
				endsAndComesBack(server, engine.CauseFirstMessage)
			})
			Convey("a peer that is old is ended, and gets what is queued", func() {
				server, client := both(endpoint, []Setting{WithMaxAge(20 * soon)}, nil)
				_, up, _ := next(t, server)
				_, _, _ = next(t, client)
				sent := 0
				for server.TrySend(up, []byte("news")) == nil {
					sent++
					time.Sleep(time.Millisecond)
				}
				So(sent, ShouldBeGreaterThan, 0)
				kind, peer, why := next(t, server)
				So(kind, ShouldEqual, Disconnected)
				So(peer, ShouldEqual, up)
				So(why, ShouldEqual, engine.CauseAge)
				for kind, _, _ = next(t, client); kind == Data; kind, _, _ = next(t, client) {
					sent--
				}
				So(kind, ShouldEqual, Disconnected)
				So(sent, ShouldEqual, 0)
			})
		})
	}
}

func TestDeadlinesWhileNobodyReceives(t *testing.T) {
	Convey("A peer whose messages nobody receives is not idle", t, func() {
		server := newSocket(t, newContext(t))
		must(t, server.Set(WithMode(ModeFast), WithIdleTimeout(soon), WithRecvHWM(1)), "Set")
		p := dial(t, bind(t, server))
		kind, up, _ := next(t, server)
		So(kind, ShouldEqual, Connected)
		const messages = 20_000 // more than a read brings
		for range messages {
			_, err := p.Write(frame("more"))
			must(t, err, "Write")
		}
		time.Sleep(5 * soon)
		for range messages {
			if kind, peer, why := next(t, server); kind != Data || peer != up {
				t.Fatalf("%v of %d: %v", kind, peer, why)
			}
		}
		_, _, why := next(t, server)
		So(why, ShouldEqual, engine.CauseIdle)
	})
}

func TestDeadlinesOfManyThatVanish(t *testing.T) {
	Convey("Peers that come and vanish leave nothing behind that ends others", t, func() {
		server := newSocket(t, newContext(t, core.OptIOThreads, 4))
		must(t, server.Set(WithMode(ModeFast), WithIdleTimeout(time.Hour), WithFirstMessageTimeout(10*soon), WithAffinity(0xf)), "Set")
		endpoint := bind(t, server)
		stays := dial(t, endpoint)
		_, up, _ := next(t, server)
		_, err := stays.Write(frame("here"))
		must(t, err, "Write")
		_, _, _ = next(t, server)
		const peers = 2000
		causes := map[engine.Cause]int{}
		for n := range peers {
			p := dial(t, endpoint)
			if n%2 == 0 {
				must(t, p.Conn.(*net.TCPConn).SetLinger(0), "SetLinger")
			}
			_ = p.Close()
			for {
				kind, peer, why := next(t, server)
				if peer == up {
					t.Fatalf("%v of the one that stays: %v", kind, why)
				}
				if kind == Disconnected {
					causes[why]++
					break
				}
			}
		}
		So(causes[engine.CausePeerClosed]+causes[engine.CauseReset], ShouldEqual, peers)
		_, err = stays.Write(frame("still here"))
		must(t, err, "Write")
		kind, peer, _ := next(t, server)
		So(kind, ShouldEqual, Data)
		So(peer, ShouldEqual, up)
	})
}

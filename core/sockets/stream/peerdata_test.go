// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// met returns a server and its client.
func met(t testing.TB, settings ...Setting) (server, client *Socket) {
	t.Helper()
	server, err := Listen("tcp://127.0.0.1:*", append(settings, WithRecvTimeout(patience))...)
	must(t, err, "Listen")
	client, err = Dial(lastEndpoint(t, server), WithRecvTimeout(patience))
	must(t, err, "Dial")
	return server, client
}

func TestPeerData(t *testing.T) {
	type user struct{ name string }
	Convey("What is given for a peer is on all of its messages", t, func() {
		server, client := met(t, WithPeerData())
		defer server.Close()
		up := recvKind(t, server, Connected)
		there := recvKind(t, client, Connected)
		So(up.PeerData(), ShouldBeNil)
		So(client.Send(t.Context(), there.Peer, []byte("first")), ShouldBeNil)
		first := recvKind(t, server, Data)
		So(server.SetPeerData(up.Peer, user{"one"}), ShouldBeNil)
		for _, m := range []Message{up, first} { // also those received before
			So(m.PeerData(), ShouldResemble, user{"one"})
		}
		got, err := server.PeerData(up.Peer)
		So(err, ShouldBeNil)
		So(got, ShouldResemble, user{"one"})
		So(there.PeerData(), ShouldBeNil) // the other side's
		So(server.SetPeerData(up.Peer, nil), ShouldBeNil)
		So(first.PeerData(), ShouldBeNil)
		So(server.SetPeerData(up.Peer, &user{"two"}), ShouldBeNil)
		must(t, client.Close(), "close")
		down := recvKind(t, server, Disconnected)
		So(down.PeerData(), ShouldResemble, &user{"two"})
		noCards(t, server)
		So(server.SetPeerData(up.Peer, 1), shouldBeErrno, errno.EHOSTUNREACH)
		first.Release()
		So(first.PeerData(), ShouldResemble, &user{"two"})
	})
	Convey("A socket without the option takes none, and unknown peers have none", t, func() {
		server, client := met(t)
		defer server.Close()
		defer client.Close()
		up := recvKind(t, server, Connected)
		So(server.SetPeerData(up.Peer, 1), shouldBeErrno, errno.EINVAL)
		So(server.SetPeerData(0, 1), shouldBeErrno, errno.EINVAL)
		_, err := server.PeerData(up.Peer + 1)
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
		So(cardMemory(server), ShouldEqual, 0)
	})
}

// lingering returns a socket, and a peer that has ended its side and takes nothing, although much is
// queued for it: the descriptor stays open. free counts what was freed.
func lingering(t testing.TB) (k *Socket, peer uint32, freed *atomic.Int32) {
	t.Helper()
	freed = new(atomic.Int32)
	was := shm.FreePeerData
	shm.FreePeerData = func(shm.Given) { freed.Add(1) }
	k = newFastSocket(t, newContext(t))
	t.Cleanup(func() { shm.FreePeerData = was })
	must(t, k.Set(WithPeerData(), WithCloseTimeout(-1), WithRecvTimeout(patience), WithSendBuffer(4096)), "Set")
	unbounded(t, k)
	must(t, k.Bind("tcp://127.0.0.1:*"), "Bind")
	conn := plain(t, lastEndpoint(t, k)).(*net.TCPConn)
	must(t, conn.SetReadBuffer(4096), "SetReadBuffer")
	_, err := conn.Write(frame("hello"))
	must(t, err, "write")
	up, data := recvKind(t, k, Connected), recvKind(t, k, Data)
	data.Release()
	must(t, k.ForC().GiveData(up.Peer, shm.Given{Data: 1, Free: 1}), "GiveData")
	for range 200 {
		must(t, k.Send(t.Context(), up.Peer, make([]byte, 60_000)), "Send")
	}
	must(t, conn.CloseWrite(), "CloseWrite")
	return k, up.Peer, freed
}

func TestPeerDataOfAnEnd(t *testing.T) {
	Convey("What was given is freed with the disconnect event, although the connection still closes", t, func() {
		k, peer, freed := lingering(t)
		So(freed.Load(), ShouldEqual, 0)
		recvKind(t, k, Disconnected)
		So(freed.Load(), ShouldEqual, 1)
		So(k.SetPeerData(peer, 1), shouldBeErrno, errno.EHOSTUNREACH)
		_, err := k.PeerData(peer)
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
		So(k.ForC().GiveData(peer, shm.Given{Data: 2, Free: 1}), shouldBeErrno, errno.EHOSTUNREACH)
		stats, err := k.Stats()
		So(err, ShouldBeNil)
		So(stats.Connections, ShouldEqual, 1) // it is not over
		So(k.AbortPeer(peer), ShouldBeNil)
		noCards(t, k)
		So(freed.Load(), ShouldEqual, 1)
	})
	Convey("Of a socket that is closed it is freed at once", t, func() {
		k, _, freed := lingering(t)
		must(t, k.Set(WithLinger(-1)), "Set")
		So(k.Close(), ShouldBeNil)
		So(freed.Load(), ShouldEqual, 1)
		So(cardMemory(k), ShouldBeGreaterThan, 0) // the connection is not over
	})
}

// TestPeerDataOfACrowd: goroutines give data for peers that come and go; each message has that of
// its own peer.
func TestPeerDataOfACrowd(t *testing.T) {
	const givers, rounds = 3, 60
	server, err := Listen("tcp://127.0.0.1:*", WithRecvTimeout(patience), WithPeerData())
	must(t, err, "Listen")
	defer server.Close()
	var last atomic.Uint32
	var over atomic.Bool
	var all sync.WaitGroup
	for range givers {
		all.Go(func() {
			for !over.Load() {
				peer := last.Load()
				if err := server.SetPeerData(peer, peer); err != nil && errno.Of(err) != errno.EHOSTUNREACH && peer != 0 {
					t.Errorf("SetPeerData: %v", err)
				}
			}
		})
	}
	defer all.Wait()
	defer over.Store(true)
	for range rounds {
		client, err := Dial(lastEndpoint(t, server))
		must(t, err, "Dial")
		up := recvKind(t, server, Connected)
		last.Store(up.Peer)
		eventually(t, "data is given", func() bool {
			data, err := server.PeerData(up.Peer)
			return err == nil && data != nil
		})
		must(t, client.Close(), "close")
		down := recvKind(t, server, Disconnected)
		if down.PeerData() != up.Peer || up.PeerData() != up.Peer {
			t.Fatalf("the peer %d has the data %v and %v", up.Peer, up.PeerData(), down.PeerData())
		}
	}
	noCards(t, server)
}

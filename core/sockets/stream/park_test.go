// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"

	"github.com/zlink/zlink/core/sockets"
)

// flood writes count frames with bodies of size bytes that begin with their
// number.
func (p peer) flood(count, size int) {
	var batch []byte
	body := make([]byte, size)
	for n := range count {
		binary.BigEndian.PutUint32(body, uint32(n))
		batch = append(batch, frame(string(body))...)
		if len(batch) >= 32<<10 || n == count-1 {
			if _, err := p.Write(batch); err != nil {
				return // the receiver tells
			}
			batch = batch[:0]
		}
	}
}

// takeFlood receives what peers flood: every frame of each, in order. It polls for
// messages all the time, because a receiver that is asleep does not race with a shard
// that parks.
func takeFlood(k *Socket, peers, count int) error {
	next := map[string]int{}
	over := time.Now().Add(patience)
	for left := peers * count; left > 0; {
		if !k.readable() {
			if time.Now().After(over) {
				return fmt.Errorf("%d messages are missing", left)
			}
			continue
		}
		m, err := receive(k)
		if err != nil {
			return err
		}
		over = time.Now().Add(patience)
		if m.body == connected {
			continue
		}
		if got := int(binary.BigEndian.Uint32([]byte(m.body))); got != next[m.id] {
			return fmt.Errorf("message %d of %x, not %d", got, m.id, next[m.id])
		}
		next[m.id]++
		left--
	}
	return nil
}

// TestParkStress has a receiver that catches up all the time while shards park
// their sessions: in the window between a shard's look at the counts and its mark.
// One peer alone is never read again once that went wrong; of several, each has
// the others read too.
func TestParkStress(t *testing.T) {
	cases := []struct {
		name                      string
		peers, hwm, size, perPeer int
	}{
		{"of one peer, with an RCVHWM of one message", 1, 1, 4, 40_000},
		{"of one peer, with an RCVHWM of three messages", 1, 3, 4, 40_000},
		{"of one peer, when the socket has enough to read", 1, 0, throttle, 200},
		{"of eight peers, for both reasons", 8, 2, throttle / 3, 40},
	}
	Convey("No parked session is forgotten", t, func() {
		for _, c := range cases {
			Convey(c.name, func() {
				const threads = 4
				k := newSocket(t, newContext(t, core.OptIOThreads, threads))
				setInt64(t, k, sockets.OptAffinity, 1<<threads-1)
				set(t, k, sockets.OptRcvHwm, c.hwm)
				endpoint := bind(t, k)
				for range threads { // so that the receiver drives none of them
					accept(t, k, endpoint)
				}
				if raceBuild {
					c.perPeer /= 8 // the detector is slow
				}
				for range c.peers {
					p := dial(t, endpoint)
					go p.flood(c.perPeer, c.size)
				}
				So(takeFlood(k, c.peers, c.perPeer), ShouldBeNil)
				So(shardsOf(k), ShouldEqual, threads)
			})
		}
	})
}

// throttle is what may wait in a socket before its shards stop reading.
const throttle = 1 << 20

// attached returns how many connections of the socket have a descriptor.
func attached(k *Socket) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns)
}

// TestDeadWhileParked: an application that does not receive keeps no descriptors
// of connections that are over and have nothing more to give.
func TestDeadWhileParked(t *testing.T) {
	const dead = 20
	end := map[string]func(p peer, i int){
		"close": func(p peer, _ int) { _ = p.Close() },
		"reset": func(p peer, _ int) {
			_ = p.Conn.(*net.TCPConn).SetLinger(0)
			_ = p.Close()
		},
	}
	for how, finish := range end {
		Convey("While nothing is received, peers that "+how, t, func() {
			k := newSocket(t, newContext(t))
			set(t, k, sockets.OptRcvHwm, 1)
			endpoint := bind(t, k)
			var peers []peer
			for range dead {
				peers = append(peers, dial(t, endpoint))
			}
			eventually(t, "all are there", func() bool { return attached(k) == dead })

			Convey("leave no descriptor if they have sent nothing", func() {
				for i, p := range peers {
					finish(p, i)
				}
				eventually(t, "their descriptors are closed", func() bool { return attached(k) == 0 })
			})
			Convey("leave no descriptor once they are read", func() {
				if how == "close" {
					return // they may wait for answers to what they sent
				}
				for _, p := range peers {
					p.send("one")
				}
				eventually(t, "all has come", func() bool { s, _ := k.Stats(); return s.MsgsIn == dead })
				for i, p := range peers {
					finish(p, i)
				}
				eventually(t, "their descriptors are closed", func() bool { return attached(k) == 0 })
				for range dead {
					id := want(t, k, connected)
					So(id, ShouldNotBeEmpty)
				}
				got := map[string]int{}
				for range 2 * dead {
					m, err := receive(k)
					So(err, ShouldBeNil)
					got[m.body]++
				}
				So(got, ShouldResemble, map[string]int{"one": dead, disconnected: dead})
			})
			Convey("lose nothing that the system has of them", func() {
				for _, p := range peers {
					p.send("one", "two", "three")
				}
				eventually(t, "the first ones have come", func() bool { s, _ := k.Stats(); return s.MsgsIn >= dead })
				for i, p := range peers {
					finish(p, i)
				}
				got := map[string]int{}
				for range 5 * dead {
					m, err := receive(k)
					So(err, ShouldBeNil)
					got[m.body]++
				}
				So(got, ShouldResemble, map[string]int{connected: dead, "one": dead, "two": dead, "three": dead,
					disconnected: dead})
			})
		})
	}
	for _, scheme := range []string{"tcp", "tls", "ws"} {
		Convey("So do idle peers of a throttled socket over "+scheme, t, func() {
			ctx := newContext(t)
			k, client := newSocket(t, ctx), newSocket(t, ctx)
			newIdentity(t, "one").use(t, k, client)
			must(t, k.Set(WithRecvBytes(0)), "Set") // one peer may throttle the socket
			flooder := dial(t, bind(t, k))
			must(t, k.Bind(scheme+"://127.0.0.1:*"), "Bind")
			for range dead {
				must(t, client.Connect(lastEndpoint(t, k)), "Connect")
			}
			eventually(t, "all are there", func() bool { return attached(k) == dead+1 })
			go flooder.flood(3000, 1000) // more than may wait
			eventually(t, "the socket is throttled", func() bool {
				return k.shared.RxWaiting.Load() >= 1<<20
			})
			must(t, client.Disconnect(lastEndpoint(t, k)), "Disconnect")
			eventually(t, "their descriptors are closed", func() bool { return attached(k) == 1 })
		})
	}
}

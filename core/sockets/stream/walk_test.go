// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"net"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// TestWalks: the lists and counters of many connections do not keep the socket's
// lock, and are right also when connections go meanwhile.
func TestWalks(t *testing.T) {
	Convey("Of more connections than are looked at at a time", t, func() {
		const peers = 2*walkSlice + 50
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		var all []peer
		ids := map[string]bool{}
		for range peers {
			p := dial(t, endpoint)
			p.send("one")
			all = append(all, p)
			for range 2 {
				m, err := receive(k)
				So(err, ShouldBeNil)
				ids[m.id] = true
			}
		}
		eventually(t, "all has come", func() bool { s, _ := k.Stats(); return s.MsgsIn == peers })
		calls := 0
		// Some go between two slices: of those that were looked at, and of the others.
		betweenSlices = func() {
			if calls++; calls > 1 {
				return
			}
			for i := 0; i < peers; i += 4 {
				_ = all[i].Conn.(*net.TCPConn).SetLinger(0) // to be gone at once
				_ = all[i].Close()
			}
			eventually(t, "they are gone", func() bool { return attached(k) == peers-(peers+3)/4 })
			p := dial(t, endpoint) // and one comes
			eventually(t, "it is there", func() bool { return attached(k) == peers-(peers+3)/4+1 })
			all = append(all, p)
		}
		defer func() { betweenSlices = func() {} }()

		Convey("the counters are those of the beginning", func() {
			stats, err := k.Stats()
			So(err, ShouldBeNil)
			So(calls, ShouldEqual, 2)
			So(stats.MsgsIn, ShouldEqual, peers)
			So(stats.Connections, ShouldEqual, peers)
			So(stats.Closed, ShouldEqual, 0)
			So(k.finals, ShouldBeNil)
			stats, _ = k.Stats()
			So(stats.MsgsIn, ShouldEqual, peers)
			So(stats.Closed, ShouldEqual, (peers+3)/4)
		})
		Convey("the list has none twice, and all that stayed", func() {
			list, err := k.Peers(-1)
			So(err, ShouldBeNil)
			So(calls, ShouldEqual, 2)
			seen := map[string]bool{}
			for _, p := range list {
				seen[string(p.RoutingID)] = true
				So(ids[string(p.RoutingID)], ShouldBeTrue)
			}
			So(len(seen), ShouldEqual, len(list))
			So(len(seen), ShouldBeGreaterThanOrEqualTo, peers-(peers+3)/4)
			few, err := k.Peers(3)
			So(err, ShouldBeNil)
			So(len(few), ShouldEqual, 3)
		})
		Convey("each is found by its id", func() {
			count, err := k.PeerCount()
			So(err, ShouldBeNil)
			So(count, ShouldEqual, peers)
			last, err := k.ForC().PeerID(peers - 1)
			So(err, ShouldBeNil)
			betweenSlices = func() { calls++ }
			p, err := k.Peer(last)
			So(err, ShouldBeNil)
			So(p.Received, ShouldEqual, 1)
			So(calls, ShouldEqual, 2)
			_, err = k.Peer([]byte("nobody"))
			So(err, shouldBeErrno, errno.EHOSTUNREACH)
		})
	})
}

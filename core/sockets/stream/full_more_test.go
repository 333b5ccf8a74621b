// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"net"
	"sync"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

func TestPoliciesDoNotWait(t *testing.T) {
	for _, policy := range []int{FullDropNewest, FullDropOldest} {
		Convey(fmt.Sprintf("Senders that take each other's room do not wait for a stuck peer; policy %d", policy), t, func() {
			senders, each := 8, fewer(50_000)
			k, _, id := stalled(t, WithSendBytes(2000), WithFullPolicy(policy))
			var all sync.WaitGroup
			for range senders {
				all.Go(func() {
					for n := range each {
						if err := k.Send(t.Context(), id, numbered(n, 700)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			within(t, patience, "the senders", all.Wait)
		})
	}
}

// useUp leaves the queues of a socket hardly any memory. The result ends that.
func useUp(k *Socket) func() {
	const much = 1 << 40
	k.shared.TxMemory.Add(much)
	return func() { k.shared.TxMemory.Add(-much) }
}

func TestCutBecauseOfOthers(t *testing.T) {
	Convey("CUT spares a peer whose queue has no room because of others, as long as the kernel takes it", t, func() {
		k := newFastSocket(t, newContext(t))
		must(t, k.Set(WithFullPolicy(FullCut)), "settings")
		p, id := fastPeer(t, k, bind(t, k))
		var refused error
		onDriver(t, k, func() bool { // so that nothing is written
			defer useUp(k)()
			refused = k.TrySend(id, numbered(0, 900))
			if refused == nil {
				refused = k.TrySend(id, numbered(1, 9000))
			}
			return true
		})
		So(refused, shouldBeErrno, errno.EAGAIN)
		So(numbersOf(t, p, 0, 900), ShouldResemble, []int{0})
		So(event(t, k, Writable).Peer, ShouldEqual, id)
		So(k.TrySend(id, numbered(1, 9000)), ShouldBeNil)
	})
	Convey("One that waits for that is told when the kernel takes no more: then the peer is cut", t, func() {
		k, _, id := stalled(t, WithSendBytes(0), WithFullPolicy(FullCut))
		result := make(chan error, 1)
		var end func()
		onDriver(t, k, func() bool {
			must(t, k.TrySend(id, numbered(0, 12<<20)), "a message for an empty queue")
			end = useUp(k)
			go func() { result <- k.Send(t.Context(), id, numbered(1, 9000)) }()
			eventually(t, "the sender waits", func() bool { return k.blocked.Load() == 1 })
			return true
		})
		var err error
		within(t, patience, "the cut", func() { err = <-result })
		end()
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
	})
}

func TestRoomOfAPeerThatIsReset(t *testing.T) {
	Convey("The memory of a peer that was reset serves others while its last messages wait", t, func() {
		for range 20 { // the sender may be slower to wake
			k, p, id := stalled(t, WithSendBytes(0), WithSendBytesTotal(1<<20), WithRecvHWM(1), WithCloseTimeout(-1), WithSendTimeout(-1))
			_, otherID := fastPeer(t, k, lastEndpoint(t, k))
			p.flood(600, 100)
			eventually(t, "it is not read any more", func() bool { return k.shared.Find(id).RxStalled.Load() != 0 })
			So(k.TrySend(id, numbered(0, 12<<20)), ShouldBeNil)
			eventually(t, "the kernel takes no more", func() bool { return k.shared.TxHeld.Load() == 1 })
			sent := make(chan error, 1)
			go func() { sent <- k.Send(t.Context(), otherID, numbered(1, 100_000)) }()
			eventually(t, "the sender waits", func() bool { return k.blocked.Load() == 1 })
			must(t, p.Conn.(*net.TCPConn).SetLinger(0), "a reset")
			_ = p.Close()
			var err error
			within(t, patience, "the sender", func() { err = <-sent })
			So(err, ShouldBeNil)
		}
	})
}

func TestRoomBehindAnID(t *testing.T) {
	Convey("A body whose id did not have to wait has room", t, func() {
		for _, bounds := range [][]Setting{
			{WithSendBytes(10_000), WithSendBytesTotal(0)},
			{WithSendBytes(0), WithSendBytesTotal(1 << 20)},
		} {
			k := newSocket(t, newContext(t))
			must(t, k.Set(append(bounds, WithSendBuffer(4096))...), "settings")
			p := dial(t, bind(t, k))
			id := want(t, k, connected)
			bodies := []string{pattern(4<<10, 1), pattern(1<<20, 2), pattern(100, 3)}
			sent := 0
			for ; ; sent++ {
				if err := k.SendFrame([]byte(id), true, true); err != nil {
					So(err, shouldBeErrno, errno.EAGAIN)
					break
				}
				So(k.SendFrame([]byte(bodies[sent%len(bodies)]), false, true), ShouldBeNil)
			}
			So(sent, ShouldBeGreaterThan, 0)
			for n := range sent {
				p.want(bodies[n%len(bodies)])
			}
		}
	})
}

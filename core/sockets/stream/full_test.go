// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// stalled returns a socket in the mode FAST with these settings, a peer that reads nothing
// until told, and its id. What the kernel takes is small.
func stalled(t *testing.T, settings ...Setting) (*Socket, peer, uint32) {
	k := newFastSocket(t, newContext(t))
	must(t, k.Set(append([]Setting{WithSendBuffer(64 << 10)}, settings...)...), "settings")
	endpoint := bind(t, k)
	p, id := fastPeer(t, k, endpoint)
	must(t, p.Conn.(*net.TCPConn).SetReadBuffer(64<<10), "a small buffer")
	return k, p, id
}

// numbered is the body of message number n.
func numbered(n, size int) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(n))[:size]
}

// numbersOf reads messages until the number of the last one is last, and returns all numbers.
func numbersOf(t *testing.T, p peer, last, size int) (all []int) {
	for {
		body, err := p.body()
		must(t, err, "a message")
		if len(body) != size {
			t.Fatalf("a message of %d bytes, not %d", len(body), size)
		}
		n := int(binary.BigEndian.Uint32([]byte(body)))
		if all = append(all, n); n == last {
			return all
		}
	}
}

func inOrder(all []int) bool {
	for i := range all {
		if i > 0 && all[i] <= all[i-1] {
			return false
		}
	}
	return true
}

// fillUntil sends numbered messages without waiting until a send ends with an error, and
// returns their number and the error.
func fillUntil(k *Socket, id uint32, from, size int) (int, error) {
	for n := from; ; n++ {
		if err := k.TrySend(id, numbered(n, size)); err != nil {
			return n, err
		}
	}
}

// event waits for an event of a kind.
func event(t *testing.T, k *Socket, kind Kind) Message {
	m, err := k.Recv(t.Context())
	must(t, err, "an event")
	if m.Kind != kind {
		t.Fatalf("an event of kind %d, not %d", m.Kind, kind)
	}
	return m
}

func TestSendBytes(t *testing.T) {
	Convey("A peer that reads nothing has at most SEND_BYTES queued", t, func() {
		for _, bound := range []int{1, 1000, 64 << 10, 1 << 20} {
			for _, size := range []int{4, 100, 5000, 100_000} {
				k, p, id := stalled(t, WithSendBytes(bound))
				sent, err := fillUntil(k, id, 0, size)
				So(err, shouldBeErrno, errno.EAGAIN)
				stats, err := k.Stats()
				So(err, ShouldBeNil)
				So(stats.BytesQueued, ShouldBeLessThanOrEqualTo, max(bound, size+4))
				So(stats.Refused, ShouldEqual, 1)
				all := numbersOf(t, p, sent-1, size)
				So(len(all), ShouldEqual, sent)
				So(event(t, k, Writable).Peer, ShouldEqual, id)
				So(k.TrySend(id, numbered(sent, size)), ShouldBeNil)
				So(numbersOf(t, p, sent, size), ShouldResemble, []int{sent})
			}
		}
	})
	Convey("A message longer than the bound passes through an empty queue", t, func() {
		k, p, id := stalled(t, WithSendBytes(1000))
		const size = 3 << 20
		So(k.TrySend(id, numbered(7, size)), ShouldBeNil)
		So(k.TrySend(id, numbered(8, 4)), shouldBeErrno, errno.EAGAIN)
		So(numbersOf(t, p, 7, size), ShouldResemble, []int{7})
		So(event(t, k, Writable).Peer, ShouldEqual, id)
		So(k.TrySend(id, numbered(8, 4)), ShouldBeNil)
	})
	Convey("A sender that waits goes on when there is room", t, func() {
		k, p, id := stalled(t, WithSendBytes(10_000))
		const messages, size = 500, 3000
		go func() {
			for n := range messages {
				if k.Send(t.Context(), id, numbered(n, size)) != nil {
					return
				}
			}
		}()
		all := numbersOf(t, p, messages-1, size)
		So(len(all), ShouldEqual, messages)
	})
	Convey("0 is no bound", t, func() {
		k, _, id := stalled(t, WithSendBytes(0), WithSendBytesTotal(0))
		for n := range 200 {
			must(t, k.TrySend(id, numbered(n, 100_000)), "a send without bounds")
		}
	})
	Convey("The settings have their ranges", t, func() {
		k := newSocket(t, newContext(t))
		So(k.Set(WithSendBytes(-1)), shouldBeErrno, errno.EINVAL)
		So(k.Set(WithSendBytesTotal(-1)), shouldBeErrno, errno.EINVAL)
		So(k.Set(WithSendBytesTotal(math.MaxInt64)), ShouldBeNil)
		So(k.Set(WithFullPolicy(4)), shouldBeErrno, errno.EINVAL)
		So(k.SetOption(sockets.OptSendBytesTotal, []byte{1, 2, 3, 4}), shouldBeErrno, errno.EINVAL)
	})
}

func TestWritableBehindConnected(t *testing.T) {
	Convey("A queue that was full before its connect event was taken has room after that event", t, func() {
		k := newFastSocket(t, newContext(t))
		must(t, k.Set(WithSendBytes(100)), "settings")
		p := dial(t, bind(t, k))
		eventually(t, "the peer is there", func() bool { return k.shared.RxEvents.Load() == 1 })
		id := connOf(k).Shared.Rid4()
		So(onDriver(t, k, func() bool { // so that nothing is written
			return k.TrySend(id, []byte("first")) == nil && errors.Is(k.TrySend(id, make([]byte, 200)), errno.EAGAIN)
		}), ShouldBeTrue)
		p.want("first")
		eventually(t, "the mark is gone", func() bool { return k.shared.TxRefusals.Load() == 0 })
		So(event(t, k, Connected).Peer, ShouldEqual, id)
		So(event(t, k, Writable).Peer, ShouldEqual, id)
		_, err := k.TryRecv()
		So(err, shouldBeErrno, errno.EAGAIN)
	})
}

func TestFullPolicies(t *testing.T) {
	const messages = 3000
	for _, size := range []int{4, 300, 3000, 70_000} {
		Convey(fmt.Sprintf("DROP_NEWEST counts what it drops of messages of %d bytes, and the rest comes in order", size), t, func() {
			k, p, id := stalled(t, WithSendBytes(200_000), WithFullPolicy(FullDropNewest))
			for n := range messages {
				must(t, k.TrySend(id, numbered(n, size)), "a send that never fails")
			}
			checkLedger(t, k, p, id, messages, size)
		})
		Convey(fmt.Sprintf("DROP_OLDEST drops from the other end; %d bytes", size), t, func() {
			k, p, id := stalled(t, WithSendBytes(200_000))
			sent := 0
			eventually(t, "the kernel takes no more", func() bool { // what the driver has cannot be dropped
				sent, _ = fillUntil(k, id, sent, size)
				return k.shared.TxHeld.Load() == 1
			})
			must(t, k.Set(WithFullPolicy(FullDropOldest)), "the policy")
			for dropped, more := uint64(0), 0; more < 500 || dropped == 0; more++ { // the kernel may take some after all
				must(t, k.TrySend(id, numbered(sent, size)), "a send that never fails")
				sent++
				stats, err := k.Stats()
				must(t, err, "Stats")
				dropped = stats.MsgsDropped
			}
			all := checkLedger(t, k, p, id, sent, size)
			So(len(all)-1, ShouldBeLessThan, sent)
			So(all[len(all)-2], ShouldEqual, sent-1) // the newest is there
		})
	}
	Convey("CUT ends the peer with EHOSTUNREACH and its reason", t, func() {
		k, _, id := stalled(t, WithSendBytes(100_000), WithFullPolicy(FullCut))
		_, err := fillUntil(k, id, 0, 3000)
		So(err, shouldBeErrno, errno.EHOSTUNREACH)
		So(err.Error(), ShouldContainSubstring, "STREAM_SEND_BYTES")
		m := event(t, k, Disconnected)
		So(m.Peer, ShouldEqual, id)
		So(m.Reason(), ShouldEqual, engine.CauseQueueBound)
		So(k.TrySend(id, nil), shouldBeErrno, errno.EHOSTUNREACH)
	})
	Convey("DROP_OLDEST never refuses, however many senders take the room that one has made", t, func() {
		k, _, id := stalled(t, WithSendBytes(64<<10), WithFullPolicy(FullDropOldest))
		var refused atomic.Int32
		var senders sync.WaitGroup
		for g := range 4 {
			senders.Go(func() {
				for n := range 20_000 {
					if k.TrySend(id, numbered(n, 4+(n*(g+7)*31)%3000)) != nil {
						refused.Add(1)
					}
				}
			})
		}
		within(t, patience, "sending", senders.Wait)
		So(refused.Load(), ShouldEqual, 0)
	})
	for _, policy := range []int{FullDropNewest, FullDropOldest, FullCut} {
		Convey(fmt.Sprintf("Who waits does so no longer once the policy is %d", policy), t, func() {
			k, _, id := stalled(t, WithSendBytes(100_000))
			var err error
			var changed atomic.Bool
			ended := make(chan error)
			go func() {
				for {
					if err := k.Send(t.Context(), id, numbered(0, 3000)); err != nil || changed.Load() && policy != FullCut { // a write may have made room just then
						ended <- err
						return
					}
				}
			}()
			eventually(t, "it waits", func() bool { return k.blocked.Load() == 1 })
			must(t, k.Set(WithFullPolicy(policy)), "the policy")
			changed.Store(true)
			within(t, patience, "the send", func() { err = <-ended })
			if policy == FullCut {
				So(err, shouldBeErrno, errno.EHOSTUNREACH)
			} else {
				So(err, ShouldBeNil)
			}
		})
	}
	Convey("Bodies that are not copied are given back, whatever the policy does with them", t, func() {
		for _, policy := range []int{FullAgain, FullDropNewest, FullDropOldest, FullCut} {
			k, p, id := stalled(t, WithSendBytes(300_000), WithFullPolicy(policy), WithSendTimeout(0))
			var done, taken atomic.Int32
			for n := range 50 {
				if k.SendOwned(t.Context(), id, numbered(n, 50_000), func() { done.Add(1) }) == nil {
					taken.Add(1)
				}
			}
			_ = p.Close()
			eventually(t, "all are back", func() bool { return done.Load() == taken.Load() })
			So(taken.Load(), ShouldBeGreaterThan, 0)
		}
	})
}

// checkLedger has the peer read to the end and compares what came with what was counted as
// dropped.
func checkLedger(t *testing.T, k *Socket, p peer, id uint32, messages, size int) []int {
	var all []int
	read := make(chan struct{})
	go func() {
		defer close(read)
		all = numbersOf(t, p, math.MaxUint32, size)
	}()
	must(t, k.Set(WithFullPolicy(FullAgain)), "the policy")
	must(t, k.Send(t.Context(), id, numbered(math.MaxUint32, size)), "the last message")
	within(t, patience, "reading", func() { <-read })
	stats, err := k.Stats()
	So(err, ShouldBeNil)
	So(inOrder(all), ShouldBeTrue)
	So(len(all)-1+int(stats.MsgsDropped), ShouldEqual, messages)
	So(stats.BytesDropped, ShouldEqual, stats.MsgsDropped*uint64(size+4))
	So(stats.MsgsOut, ShouldEqual, messages+1)
	eventually(t, "nothing is queued", func() bool { // the peer may read before the count
		stats, err = k.Stats()
		return err == nil && stats.MsgsQueued == 0 && stats.BytesQueued == 0
	})
	return all
}

func TestSendBytesTotal(t *testing.T) {
	Convey("Many stuck peers stay below the total, and a good one is still served", t, func() {
		const peers, total = 200, 4 << 20
		k := newFastSocket(t, newContext(t))
		must(t, k.Set(WithSendBytesTotal(total), WithSendBuffer(64<<10)), "settings")
		endpoint := bind(t, k)
		var ids []uint32
		for range peers {
			p, id := fastPeer(t, k, endpoint)
			must(t, p.Conn.(*net.TCPConn).SetReadBuffer(64<<10), "a small buffer")
			ids = append(ids, id)
		}
		good, goodID := fastPeer(t, k, endpoint)
		go func() { // what comes is of no interest while it fills the others
			for {
				if m, err := k.Recv(t.Context()); err != nil {
					return
				} else {
					m.Release()
				}
			}
		}()
		sent := 0
		for round := range 1000 {
			for _, id := range ids {
				_ = k.TrySend(id, numbered(round, 1000))
			}
			if memory := k.shared.TxMemory.Load(); memory > total+(64<<10) {
				t.Fatalf("the queues take %d bytes", memory)
			}
			if round%30 == 0 {
				must(t, k.TrySend(goodID, numbered(sent, 1000)), "to the good peer")
				So(numbersOf(t, good, sent, 1000), ShouldResemble, []int{sent})
				sent++
			}
		}
		So(k.shared.TxMemory.Load(), ShouldBeGreaterThan, total/3)
	})
	Convey("An empty queue that the total refused is told of room", t, func() {
		k, p, id := stalled(t, WithSendBytes(0), WithSendBytesTotal(1<<20))
		other, otherID := fastPeer(t, k, lastEndpoint(t, k))
		So(k.TrySend(id, numbered(0, 12<<20)), ShouldBeNil) // more than the total, through an empty queue
		eventually(t, "the kernel takes no more", func() bool { return k.shared.TxHeld.Load() == 1 })
		So(k.TrySend(otherID, numbered(1, 500)), ShouldBeNil) // the smallest block is always there
		So(numbersOf(t, other, 1, 500), ShouldResemble, []int{1})
		eventually(t, "it is refused while it is empty", func() bool {
			So(k.TrySend(otherID, numbered(2, 100_000)), shouldBeErrno, errno.EAGAIN)
			return k.shared.TxStarved.Load() == 1
		})
		read := make(chan struct{})
		go func() { _ = numbersOf(t, p, 0, 12<<20); close(read) }()
		So(event(t, k, Writable).Peer, ShouldEqual, otherID)
		So(k.TrySend(otherID, numbered(2, 100_000)), ShouldBeNil)
		So(numbersOf(t, other, 2, 100_000), ShouldResemble, []int{2})
		within(t, patience, "the long message", func() { <-read })
	})
}

// TestRefusalsEnd: every EAGAIN is followed by Writable or Disconnected.
func TestRefusalsEnd(t *testing.T) {
	Convey("Every refusal is followed by room or by the end of the peer, and nothing is lost", t, func() {
		const peers, senders, each, size = 8, 6, 3000, 700
		k := newFastSocket(t, newContext(t))
		must(t, k.Set(WithSendBytes(8000), WithSendBuffer(64<<10)), "settings")
		endpoint := bind(t, k)
		var ids []uint32
		var got [peers]atomic.Int64
		var readers, writers sync.WaitGroup
		for i := range peers {
			p, id := fastPeer(t, k, endpoint)
			ids = append(ids, id)
			readers.Go(func() {
				for {
					body, err := p.body()
					if err != nil || body == "end" {
						return
					}
					got[i].Add(1)
				}
			})
		}
		waiting := make([]chan struct{}, peers) // room for peer i
		for i := range waiting {
			waiting[i] = make(chan struct{}, senders)
		}
		stop := make(chan struct{})
		go func() {
			for {
				m, err := k.Recv(t.Context())
				if err != nil {
					return
				}
				for i, id := range ids {
					if id == m.Peer && m.Kind == Writable {
						for range senders {
							select {
							case waiting[i] <- struct{}{}:
							default:
							}
						}
					}
				}
				m.Release()
			}
		}()
		var refused atomic.Int64
		for s := range senders {
			writers.Go(func() {
				body := []byte(strings.Repeat("x", size))
				for n := range each {
					i := (s + n) % peers
					for {
						err := k.TrySend(ids[i], body)
						if err == nil {
							break
						}
						if !errors.Is(err, errno.EAGAIN) {
							t.Error(err)
							return
						}
						refused.Add(1)
						select { // forever, if the signal is lost
						case <-waiting[i]:
						case <-stop:
							return
						}
					}
				}
			})
		}
		within(t, patience, "the senders", writers.Wait)
		close(stop)
		for _, id := range ids {
			must(t, k.Send(t.Context(), id, []byte("end")), "the end")
		}
		within(t, patience, "the readers", readers.Wait)
		total := int64(0)
		for i := range got {
			total += got[i].Load()
		}
		So(total, ShouldEqual, senders*each)
		So(refused.Load(), ShouldBeGreaterThan, 0)
	})
}

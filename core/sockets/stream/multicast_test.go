// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// audience returns a socket in a mode with n plain peers and their routing ids.
func audience(t *testing.T, mode, n int) (k *Socket, peers []peer, ids []uint32) {
	k = newSocket(t, newContext(t))
	set(t, k, sockets.OptMode, mode)
	endpoint := bind(t, k)
	for range n {
		if mode == ModeFast {
			p, id := fastPeer(t, k, endpoint)
			peers, ids = append(peers, p), append(ids, id)
		} else {
			p, id := accept(t, k, endpoint)
			peers, ids = append(peers, p), append(ids, binary.BigEndian.Uint32([]byte(id)))
		}
	}
	return k, peers, ids
}

func statsOf(t *testing.T, k *Socket) Stats {
	stats, err := k.Stats()
	must(t, err, "statistics")
	return stats
}

func TestMulticast(t *testing.T) {
	for _, mode := range []int{ModeFast, ModeCompat} {
		for _, count := range []int{3, promptMost + 20} {
			Convey(fmt.Sprintf("A message for %d peers in mode %d", count, mode), t, func() {
				k, peers, ids := audience(t, mode, count)
				Convey("reaches all of them, between what they get alone, at every size", func() {
					for i, size := range []int{0, 1, 63, 64, 100, 1 << 10, 16 << 10, 60 << 10, 64 << 10, 300 << 10} {
						one, all := fmt.Sprint("one ", i), pattern(size, i)
						if mode == ModeFast {
							must(t, k.TrySend(ids[1], []byte(one)), "TrySend")
						} else {
							mustSend(t, k, id(ids[1]), one)
						}
						took, err := k.Multicast(ids, []byte(all))
						So(err, ShouldBeNil)
						So(took, ShouldEqual, count)
						for n, p := range peers {
							if n == 1 {
								p.want(one)
							}
							p.want(all)
						}
					}
					stats := statsOf(t, k)
					So(stats.Publishes, ShouldEqual, 10)
					So(stats.Deliveries, ShouldEqual, 10*count)
					So(stats.MsgsOut, ShouldEqual, 10*count+10)
					So(stats.Undelivered, ShouldEqual, 0)
					eventually(t, "nothing is kept", func() bool { return k.shared.TxMemory.Load() == 0 })
				})
				Convey("reaches those that are there, and the others are told", func() {
					must(t, peers[0].Close(), "Close")
					if mode == ModeFast {
						event(t, k, Disconnected)
					} else {
						want(t, k, disconnected)
					}
					to := append([]uint32{0, ids[2] + 1<<20}, ids...)
					missed := map[int]errno.Errno{}
					took, err := k.Multicast(to, []byte("hello"), UndeliveredAt(func(i int, err error) { missed[i] = errno.Of(err) }))
					So(err, ShouldBeNil)
					So(took, ShouldEqual, count-1)
					So(missed, ShouldResemble, map[int]errno.Errno{0: errno.EHOSTUNREACH, 1: errno.EHOSTUNREACH, 2: errno.EHOSTUNREACH})
					for _, p := range peers[1:] {
						p.want("hello")
					}
					So(statsOf(t, k).Undelivered, ShouldEqual, 3)
				})
				Convey("leaves one out, and reaches one twice that is named twice", func() {
					took, err := k.Multicast(append(ids, ids[1]), []byte("hello"), Except(ids[0]))
					So(err, ShouldBeNil)
					So(took, ShouldEqual, count)
					peers[1].want("hello")
					peers[1].want("hello")
					_, err = k.Multicast(ids[:1], []byte("you"))
					So(err, ShouldBeNil)
					peers[0].want("you")
				})
			})
		}
	}
	Convey("A message for nobody is taken by nobody", t, func() {
		k, _, _ := audience(t, ModeFast, 0)
		took, err := k.Multicast(nil, []byte("hello"))
		So(took, ShouldEqual, 0)
		So(err, ShouldBeNil)
	})
	Convey("A closed socket takes none", t, func() {
		k, _, ids := audience(t, ModeFast, 1)
		must(t, k.Close(), "Close")
		_, err := k.Multicast(ids, nil)
		So(err, shouldBeErrno, errno.ENOTSOCK)
	})
}

func TestMulticastOrder(t *testing.T) {
	Convey("What a goroutine says to all and to one stays in order at each peer", t, func() {
		k, peers, ids := audience(t, ModeFast, 100)
		const rounds, senders = 200, 3
		var all sync.WaitGroup
		for g := range senders {
			all.Go(func() {
				for n := range rounds {
					body := binary.BigEndian.AppendUint32([]byte{byte(g)}, uint32(n))
					body = append(body, make([]byte, rand.IntN(200))...)
					if n%2 == 0 {
						_, _ = k.Multicast(ids, body)
						continue
					}
					for _, id := range ids {
						_ = k.TrySend(id, body)
					}
				}
			})
		}
		var readers sync.WaitGroup
		for _, p := range peers {
			readers.Go(func() {
				var next [senders]uint32
				for range rounds * senders {
					body, err := p.body()
					if err != nil || binary.BigEndian.Uint32([]byte(body)[1:]) != next[body[0]] {
						t.Errorf("%v: %d", err, next)
						return
					}
					next[body[0]]++
				}
			})
		}
		within(t, patience, "all", func() { all.Wait(); readers.Wait() })
	})
}

// TestMulticastFreesWhatItDoesNotNeed: the block for a list of visits, when nobody has to be visited.
func TestMulticastFreesWhatItDoesNotNeed(t *testing.T) {
	if raceBuild {
		t.Skip("it counts pages, which the race detector also takes")
	}
	Convey("Messages for many who have all gone take no memory for good", t, func() {
		k, _, _ := audience(t, ModeFast, 1)
		gone := make([]uint32, 3000)
		for i := range gone {
			gone[i] = 1<<31 + uint32(i)
		}
		pages := func() (n int) {
			text, err := os.ReadFile("/proc/self/statm")
			must(t, err, "statm")
			_, err = fmt.Sscan(strings.Fields(string(text))[1], &n)
			must(t, err, "statm")
			return n
		}
		before := 0
		for i := range 4000 {
			if took, err := k.cast(gone, []byte("hello"), true, nil); took != 0 || err != nil {
				t.Fatal(took, err)
			}
			if i == 1000 {
				before = pages()
			}
		}
		So(pages()-before, ShouldBeLessThan, 1500) // of 3,000
	})
}

func TestMulticastOverEveryTransport(t *testing.T) {
	for _, endpoint := range everyTransport {
		Convey("Over "+endpoint+" a message for many comes whole, whatever its length", t, func() {
			ctx := newContext(t)
			server, client := newSocket(t, ctx), newSocket(t, ctx)
			newIdentity(t, "one").use(t, server, client)
			unbounded(t, server)
			must(t, server.Bind(fresh(endpoint)), "Bind")
			must(t, client.Connect(lastEndpoint(t, server)), "Connect")
			to := []uint32{binary.BigEndian.Uint32([]byte(want(t, server, connected)))}
			want(t, client, connected)
			for i, size := range sizes {
				for n := range 3 {
					var options []CastOption
					if n == 1 {
						options = append(options, WithKey(uint64(i)<<8|uint64(n)))
					}
					took, err := server.Multicast(to, []byte(pattern(size, i+n)), options...)
					So(err, ShouldBeNil)
					So(took, ShouldEqual, 1)
				}
				for n := range 3 {
					want(t, client, pattern(size, i+n))
				}
			}
			So(statsOf(t, server).Abandoned, ShouldEqual, 0)
			eventually(t, "nothing is kept", func() bool { return server.shared.TxMemory.Load() == 0 })
		})
	}
}

func TestMulticastToFullQueues(t *testing.T) {
	body := []byte(strings.Repeat("x", 3000))
	fill := func(k *Socket, id uint32) (n int, err error) {
		for ; err == nil && n < 10000; n++ {
			_, _ = k.Multicast([]uint32{id}, body, Undelivered(func(_ uint32, e error) { err = e }))
		}
		return n - 1, err
	}
	Convey("A peer whose queue is full does not take it, and hears when there is room", t, func() {
		k, p, id := stalled(t, WithSendBytes(100_000))
		n, err := fill(k, id)
		So(err, shouldBeErrno, errno.EAGAIN)
		So(err.Error(), ShouldContainSubstring, "STREAM_SEND_BYTES")
		So(n, ShouldBeGreaterThan, 20)
		for range n {
			p.want(string(body))
		}
		So(event(t, k, Writable).Peer, ShouldEqual, id)
		took, err := k.Multicast([]uint32{id}, body)
		So(took, ShouldEqual, 1)
		So(err, ShouldBeNil)
	})
	Convey("SNDHWM counts it", t, func() {
		k, _, id := stalled(t, WithSendBytes(0), WithSendHWM(10))
		eventually(t, "the kernel takes no more", func() bool {
			held := k.shared.TxHeld.Load() == 1
			_, err := fill(k, id)
			So(err, shouldBeErrno, errno.EAGAIN)
			return held
		})
		So(k.shared.Find(id).TxQueued.Load()-k.shared.Find(id).TxDone.Load(), ShouldEqual, 10)
	})
	for _, policy := range []int{FullDropNewest, FullDropOldest} {
		Convey(fmt.Sprintf("Policy %d drops, and all is counted", policy), t, func() {
			k, p, id := stalled(t, WithSendBytes(100_000), WithFullPolicy(policy))
			const messages = 2000
			for n := range messages {
				took, err := k.Multicast([]uint32{id, id}, numbered(n, 300))
				if took != 2 || err != nil {
					t.Fatal(took, err)
				}
			}
			stats := statsOf(t, k)
			So(stats.MsgsOut, ShouldEqual, 2*messages)
			So(stats.MsgsDropped, ShouldBeGreaterThan, 0)
			So(stats.BytesDropped, ShouldEqual, 304*stats.MsgsDropped)
			So(stats.Undelivered, ShouldEqual, 0)
			must(t, k.Set(WithFullPolicy(FullAgain), WithSendBytes(0)), "Set")
			got := 0
			for range stats.MsgsOut - stats.MsgsDropped {
				_, err := p.body()
				must(t, err, "a message")
				got++
			}
			eventually(t, "all of it is written", func() bool { return k.shared.TxMemory.Load() == 0 })
		})
	}
	Convey("CUT ends the peer, and the others are served", t, func() {
		k, _, id := stalled(t, WithSendBytes(100_000), WithFullPolicy(FullCut))
		p, other := fastPeer(t, k, lastEndpoint(t, k))
		for cut := error(nil); cut == nil; {
			_, err := k.Multicast([]uint32{id, other}, body, Undelivered(func(_ uint32, err error) { cut = err }))
			must(t, err, "Multicast")
			p.want(string(body))
			if cut != nil {
				So(cut, shouldBeErrno, errno.EHOSTUNREACH)
			}
		}
		ended := event(t, k, Disconnected)
		So(ended.Reason(), ShouldEqual, engine.CauseQueueBound)
	})
	Convey("The total counts a message once, and when it is used up nobody gets another one", t, func() {
		k, p, id := stalled(t, WithSendBytes(0), WithSendBytesTotal(64<<10))
		ids := []uint32{id}
		for range 20 {
			other, more := fastPeer(t, k, lastEndpoint(t, k))
			must(t, other.Conn.(*net.TCPConn).SetReadBuffer(4<<10), "a small buffer")
			ids = append(ids, more)
		}
		const size = 8 << 20 // more than the kernel takes
		took, err := k.Multicast(ids, make([]byte, size))
		So(took, ShouldEqual, len(ids))
		So(err, ShouldBeNil)
		So(k.shared.TxMemory.Load(), ShouldBeBetween, size, size+size/8)
		So(statsOf(t, k).BytesQueued, ShouldBeGreaterThan, 4*size)
		_, err = k.Multicast(ids, []byte("more"))
		So(err, shouldBeErrno, errno.EAGAIN)
		So(err.Error(), ShouldContainSubstring, "STREAM_SEND_BYTES_TOTAL")
		for _, id := range ids[1:] {
			must(t, k.AbortPeer(id), "AbortPeer")
		}
		p.want(string(make([]byte, size)))
		eventually(t, "it has room again", func() bool { took, err = k.Multicast(ids[:1], nil); return took == 1 })
	})
}

func TestNewestState(t *testing.T) {
	Convey("A slow peer gets the newest of each key and everything else in order", t, func() {
		k, p, id := stalled(t)
		sent := 0
		eventually(t, "the kernel takes no more", func() bool {
			sent, _ = fillUntil(k, id, sent, 3000)
			return k.shared.TxHeld.Load() == 1
		})
		must(t, k.Set(WithSendBytes(0)), "the bound is of new connections")
		before := statsOf(t, k)
		numbersOf := func(all ...string) { // what is read
			for _, want := range all {
				p.want(want)
			}
		}
		must(t, k.Set(WithFullPolicy(FullDropOldest)), "room for the rest")
		for i := range 100 {
			must(t, k.SendKey(id, 7, fmt.Appendf(nil, "state %d", i)), "SendKey")
			if i == 0 {
				must(t, k.TrySend(id, []byte("behind")), "TrySend")
			}
			_, err := k.Multicast([]uint32{id}, fmt.Appendf(nil, "world %d", i), WithKey(8))
			must(t, err, "Multicast")
		}
		stats := statsOf(t, k)
		So(stats.Replaced, ShouldEqual, 198)
		So(stats.MsgsOut-before.MsgsOut, ShouldEqual, 201)
		for range sent - int(stats.MsgsDropped) {
			_, err := p.body()
			must(t, err, "a message")
		}
		numbersOf("state 99", "behind", "world 99")
		So(k.SendKey(0, 1, nil), shouldBeErrno, errno.EINVAL)
		So(k.SendKey(id+1<<20, 1, nil), shouldBeErrno, errno.EHOSTUNREACH)
	})
}

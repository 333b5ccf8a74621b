// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func TestGroups(t *testing.T) {
	for _, mode := range []int{ModeFast, ModeCompat} {
		Convey(fmt.Sprintf("Groups in mode %d", mode), t, func() {
			k, peers, ids := audience(t, mode, 4)
			join := func(group string, some ...int) {
				for _, i := range some {
					must(t, k.Join(ids[i], group), "Join")
				}
			}
			says := func(group, body string, options ...CastOption) int {
				took, err := k.Publish(group, []byte(body), options...)
				must(t, err, "Publish")
				return took
			}
			join("red", 0, 1, 2)
			join("blue", 2, 3)
			Convey("get what is published to them, and nobody else does", func() {
				So(says("red", "to red"), ShouldEqual, 3)
				So(says("blue", "to blue"), ShouldEqual, 2)
				So(says("green", "to nobody"), ShouldEqual, 0)
				So(says("red", "not to one", Except(ids[1])), ShouldEqual, 2)
				peers[0].want("to red")
				peers[0].want("not to one")
				peers[1].want("to red")
				peers[2].want("to red")
				peers[2].want("to blue")
				peers[2].want("not to one")
				peers[3].want("to blue")
			})
			Convey("have a member once, however often it joins", func() {
				join("red", 0, 0)
				So(says("red", "once"), ShouldEqual, 3)
				Convey("and however many they are", func() {
					many := make([]uint32, smallGroup+1)
					for i := range many {
						many[i] = ids[3] + 100 + uint32(i) // nobody has these
					}
					k.groups.mu.Lock()
					defer k.groups.mu.Unlock()
					number, c := k.groups.byName["blue"], k.shared.Find(ids[3])
					in := k.groups.all[number]
					all := in.peers
					in.peers = append(many, all...)
					So(k.groups.has(c, ids[3], number), ShouldBeTrue)
					So(k.groups.has(k.shared.Find(ids[0]), ids[0], number), ShouldBeFalse)
					in.peers = all
				})
			})
			Convey("are left", func() {
				must(t, k.Leave(ids[0], "red"), "Leave")
				must(t, k.Leave(ids[0], "red"), "twice")
				must(t, k.Leave(ids[0], "never joined"), "Leave")
				must(t, k.Leave(ids[2], "blue"), "Leave")
				So(says("red", "hello"), ShouldEqual, 2)
				So(says("blue", "hello"), ShouldEqual, 1)
			})
			Convey("are left by those who go, and whoever comes to their place is in none", func() {
				slot := k.table().Mask + 1
				must(t, peers[2].Close(), "Close")
				for {
					if m, err := k.TryRecv(); mode == ModeFast && err == nil && m.Kind == Disconnected {
						break
					} else if mode == ModeCompat {
						want(t, k, disconnected)
						break
					}
				}
				eventually(t, "it has left", func() bool { return says("blue", "x") == 1 })
				setNextID(t, k, ids[2]+uint32(slot)-1)
				endpoint := lastEndpoint(t, k)
				p, newcomer := peer{}, uint32(0)
				if mode == ModeFast {
					p, newcomer = fastPeer(t, k, endpoint)
				} else {
					var id string
					p, id = accept(t, k, endpoint)
					newcomer = binary.BigEndian.Uint32([]byte(id))
				}
				So(newcomer&uint32(slot-1), ShouldEqual, ids[2]&uint32(slot-1))
				So(says("red", "old ones"), ShouldEqual, 2)
				So(k.Join(ids[2], "red"), shouldBeErrno, errno.EHOSTUNREACH)
				must(t, k.Join(newcomer, "green"), "Join")
				So(says("green", "new ones"), ShouldEqual, 1)
				p.want("new ones")
			})
			Convey("refuse what is no peer or no name", func() {
				So(k.Join(0, "red"), shouldBeErrno, errno.EINVAL)
				So(k.Leave(0, "red"), shouldBeErrno, errno.EINVAL)
				So(k.Join(ids[3]+1000, "red"), shouldBeErrno, errno.EHOSTUNREACH)
				So(k.Leave(ids[3]+1000, "red"), shouldBeErrno, errno.EHOSTUNREACH)
				for _, name := range []string{"", strings.Repeat("x", 256)} {
					err := k.Join(ids[0], name)
					So(err, shouldBeErrno, errno.EINVAL)
					So(err.Error(), ShouldContainSubstring, "1 to 255 bytes")
					So(k.Leave(ids[0], name), shouldBeErrno, errno.EINVAL)
					_, err = k.Publish(name, nil)
					So(err, shouldBeErrno, errno.EINVAL)
				}
				longest := strings.Repeat("x", 255)
				must(t, k.Join(ids[0], longest), "Join")
				So(says(longest, "hello"), ShouldEqual, 1)
			})
			Convey("end with their last member", func() {
				for i := range ids {
					must(t, k.Leave(ids[i], "red"), "Leave")
					must(t, k.Leave(ids[i], "blue"), "Leave")
				}
				So(k.groups.byName, ShouldBeEmpty)
				So(k.groups.memory(), ShouldEqual, 0)
			})
		})
	}
}

func TestMembershipsAreSmall(t *testing.T) {
	Convey("A membership takes at most 32 bytes", t, func() {
		k, _, ids := audience(t, ModeFast, 40)
		const groups = 2000
		for _, id := range ids {
			for n := range groups {
				must(t, k.Join(id, fmt.Sprint("group ", n)), "Join")
			}
		}
		names := uint64(0)
		for n := range groups {
			names += uint64(groupSize) + uint64(len(fmt.Sprint("group ", n)))
		}
		So(float64(k.groups.memory()-names)/float64(groups*len(ids)), ShouldBeLessThanOrEqualTo, 32)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		k.groups.mu.Lock()
		kept := k.groups.all
		k.groups.byName, k.groups.all, k.groups.free, k.groups.seats.pages = nil, nil, nil, nil
		k.groups.mu.Unlock()
		runtime.KeepAlive(kept)
		kept = nil
		runtime.GC()
		runtime.ReadMemStats(&after)
		So(float64(before.HeapAlloc-after.HeapAlloc-names)/float64(groups*len(ids)), ShouldBeLessThanOrEqualTo, 32)
		k.groups.mu.Lock()
		defer k.groups.mu.Unlock()
		for _, id := range ids {
			k.shared.Find(id).SetGroups(0)
		}
		k.groups.seats, k.groups.bytes = seats{}, 0
	})
}

// TestGroupStress: peers come, join, leave and go on several threads while others publish. Whoever
// has joined and has not left gets everything, in order, and nobody else gets anything.
func TestGroupStress(t *testing.T) {
	Convey("Peers that come and go while others publish", t, func() {
		k := newFastSocket(t, newContext(t))
		set(t, k, sockets.OptSndHwm, 0)
		endpoint := bind(t, k)
		var over atomic.Bool
		var published atomic.Uint32
		var publishers, clients sync.WaitGroup
		for g := range 3 {
			publishers.Go(func() {
				for n := uint32(0); !over.Load(); n++ {
					body := binary.BigEndian.AppendUint32([]byte{byte(g)}, n)
					body = append(body, make([]byte, n%150)...)
					if _, err := k.Publish(fmt.Sprint("room ", g), body); err != nil && errno.Of(err) != errno.EAGAIN {
						t.Error(err)
					}
					published.Add(1)
					if n%64 == 0 {
						runtime.Gosched()
					}
				}
			})
		}
		received := make(chan struct{})
		go func() { // the application: a peer joins when it asks, and leaves when it asks
			defer close(received)
			for m := range k.Messages(t.Context()) {
				switch {
				case m.Kind == Data && m.Body[0] == '+':
					_ = k.Join(m.Peer, fmt.Sprint("room ", m.Body[1]))
				case m.Kind == Data && m.Body[0] == '-':
					_ = k.Leave(m.Peer, fmt.Sprint("room ", m.Body[1]))
					_ = k.TrySend(m.Peer, []byte("left"))
				}
			}
		}()
		for c := range 8 {
			clients.Go(func() {
				for range 25 {
					room := byte(rand.IntN(3))
					p := dial(t, endpoint)
					p.send("+" + string([]byte{room}))
					next, begun := uint32(0), false
					for range rand.IntN(50) {
						body, err := p.body()
						if err != nil || body[0] != room {
							t.Errorf("client %d: %v, %q", c, err, body)
							return
						}
						n := binary.BigEndian.Uint32([]byte(body)[1:])
						if begun && n != next || len(body) != 5+int(n%150) {
							t.Errorf("client %d got %d, not %d", c, n, next)
							return
						}
						next, begun = n+1, true
					}
					if rand.IntN(2) == 0 {
						p.send("-" + string([]byte{room}))
						for body := ""; body != "left"; {
							var err error
							if body, err = p.body(); err != nil {
								t.Error(err)
								return
							}
						}
						for range 3 { // nothing follows that begins now
							before := published.Load()
							eventually(t, "they publish", func() bool { return published.Load() > before+30 || over.Load() })
						}
						p.send("-" + string([]byte{room}))
						body, err := p.body()
						if err == nil && body != "left" { // of the publish that ran meanwhile
							body, err = p.body()
						}
						if err != nil || body != "left" {
							t.Errorf("client %d: %v, a message of %d bytes behind the end", c, err, len(body))
						}
					}
					_ = p.Close()
				}
			})
		}
		within(t, patience, "the clients", clients.Wait)
		over.Store(true)
		publishers.Wait()
		eventually(t, "all have left", func() bool {
			k.groups.mu.Lock()
			defer k.groups.mu.Unlock()
			return k.groups.seats.used == 0
		})
		eventually(t, "nothing is kept", func() bool { return k.shared.TxMemory.Load() == 0 })
		must(t, k.Close(), "Close")
		<-received
	})
}

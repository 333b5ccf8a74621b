// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

func id(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func alias(k *Socket, name string) error {
	return k.SetOption(sockets.OptConnectRoutingID, []byte(name))
}

// accept dials and returns the peer with its id.
func accept(t testing.TB, k *Socket, endpoint string) (peer, string) {
	t.Helper()
	p := dial(t, endpoint)
	return p, want(t, k, connected)
}

// setNextID has the socket count on from n, in a block that no other socket has.
func setNextID(t testing.TB, k *Socket, n uint32) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.idsLeft > 0 && blockOf(k.nextID) != blockOf(n+1) {
		if k.idsLeft = 0; ids.block(blockOf(k.nextID)).inUse == 0 {
			ids.drop(blockOf(k.nextID), 0)
		}
	}
	ids.mu.Lock()
	defer ids.mu.Unlock()
	block := blockOf(n + 1)
	if b := ids.block(block); b != nil && b.taken && b.owner.Load() != k {
		rest := slices.IndexFunc(ids.rests, func(r idRest) bool { return r.block == block })
		if rest < 0 {
			t.Fatalf("the block %d is another socket's", block)
		}
		ids.rests = slices.Delete(ids.rests, rest, rest+1)
	}
	ids.give(k, block)
	k.nextID, k.idsLeft = n+1, idsInBlock-(n+1)%idsInBlock
}

var blocksOfTests atomic.Uint32

// ownBlock returns where the ids of a block begin that no other test has.
func ownBlock() uint32 { return (100_000 + blocksOfTests.Add(1)) << shm.IDBlockBits }

func TestIDs(t *testing.T) {
	Convey("Routing ids", t, func() {
		base := ownBlock()
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		setNextID(t, k, base)

		Convey("count up, and none comes back soon", func() {
			for n := range uint32(40) {
				p, got := accept(t, k, endpoint)
				So(got, ShouldEqual, id(base+n+1))
				if n%2 == 0 {
					must(t, p.Close(), "close")
					So(want(t, k, disconnected), ShouldEqual, got)
				}
			}
		})
		Convey("wrap around, leaving out 0 and the live ones", func() {
			one, _ := accept(t, k, endpoint)
			two, _ := accept(t, k, endpoint)
			setNextID(t, k, math.MaxUint32-1)
			last, lastID := accept(t, k, endpoint)
			So(lastID, ShouldEqual, id(math.MaxUint32))
			So(k.mayGive(0), ShouldBeFalse)
			three, threeID := accept(t, k, endpoint) // of the next block, whichever that is
			for name, p := range map[string]peer{id(base + 1): one, id(base + 2): two, lastID: last, threeID: three} {
				mustSend(t, k, name, fmt.Sprintf("to %x", name))
				p.want(fmt.Sprintf("to %x", name))
			}
		})
		Convey("leave out those whose slot is taken", func() {
			accept(t, k, endpoint)
			setNextID(t, k, base+8)
			_, got := accept(t, k, endpoint)
			So(got, ShouldEqual, id(base+10)) // 9 shares a slot with 1
		})
		Convey("of a new socket are none of those that other sockets have given", func() {
			_, last := accept(t, k, endpoint)
			next := newSocket(t, newContext(t))
			_, got := accept(t, next, bind(t, next))
			So(blockOfText(got), ShouldNotEqual, blockOfText(last))
		})
		Convey("go on in the next socket where a closed one ended", func() {
			_, last := accept(t, k, endpoint)
			must(t, k.Shutdown(t.Context()), "Shutdown")
			next := newSocket(t, newContext(t))
			_, got := accept(t, next, bind(t, next))
			So(got, ShouldEqual, id(binary.BigEndian.Uint32([]byte(last))+1))
		})
		Convey("of ended connections reach nobody, also when their slot is taken again", func() {
			p, old := accept(t, k, endpoint)
			must(t, p.Close(), "close")
			want(t, k, disconnected)
			setNextID(t, k, base+4)
			_, got := accept(t, k, endpoint)
			So(got, ShouldEqual, id(base+5))
			So(send(k, old, "x"), shouldBeErrno, errno.EHOSTUNREACH)
		})
	})
}

func blockOfText(id string) uint32 { return blockOf(binary.BigEndian.Uint32([]byte(id))) }

func TestTableGrowth(t *testing.T) {
	Convey("A socket finds each of more than a thousand peers, and forgets them all", t, func() {
		const many = 1100
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		peers := map[string]peer{}
		for range many {
			p, id := accept(t, k, endpoint)
			peers[id] = p
		}
		So(len(peers), ShouldEqual, many)
		So(k.table().Mask, ShouldBeGreaterThanOrEqualTo, 2*many-1)
		for id := range peers {
			mustSend(t, k, id, "to "+id)
		}
		for id, p := range peers {
			p.want("to " + id)
			must(t, p.Close(), "close")
		}
		for range many {
			m, err := receive(k)
			must(t, err, "receive")
			if _, known := peers[m.id]; !known || m.body != disconnected {
				t.Fatalf("%x: %q", m.id, m.body)
			}
			delete(peers, m.id)
		}
		So(peers, ShouldBeEmpty)
		eventually(t, "all sessions are gone", func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return len(k.conns) == 0 && k.parts == 3
		})
	})
}

func TestAlias(t *testing.T) {
	Convey("CONNECT_ROUTING_ID", t, func() {
		ctx := newContext(t)
		server, client := newSocket(t, ctx), newSocket(t, ctx)
		endpoint := bind(t, server)
		connect := func(name string) error {
			if name != "" {
				must(t, alias(client, name), "CONNECT_ROUTING_ID")
			}
			return client.Connect(endpoint)
		}

		Convey("names the peer of one connect", func() {
			long := strings.Repeat("é", 127) + "x"
			for _, name := range []string{"a", "four", "server one", long} {
				So(connect(name), ShouldBeNil)
				So(want(t, client, connected), ShouldEqual, name)
				toClient := want(t, server, connected)
				mustSend(t, client, name, "to "+name)
				So(want(t, server, "to "+name), ShouldEqual, toClient)
				mustSend(t, server, toClient, "back")
				So(want(t, client, "back"), ShouldEqual, name)
			}
			So(connect(""), ShouldBeNil)
			So(want(t, client, connected), ShouldHaveLength, 4)
		})
		Convey("in use is EINVAL at the connect", func() {
			So(connect("x"), ShouldBeNil)
			So(connect("x"), shouldBeErrno, errno.EINVAL) // reserved at least
			want(t, client, connected)
			So(connect("x"), shouldBeErrno, errno.EINVAL)
			So(errno.Detail(client.Connect(endpoint)), ShouldContainSubstring, `"x"`)
		})
		Convey("is free again after the end of the connection", func() {
			So(connect("x"), ShouldBeNil)
			want(t, client, connected)
			So(client.Disconnect(endpoint), ShouldBeNil)
			So(want(t, client, disconnected), ShouldEqual, "x")
			So(send(client, "x", "late"), shouldBeErrno, errno.EHOSTUNREACH)
			So(connect("x"), ShouldBeNil)
			So(want(t, client, connected), ShouldEqual, "x")
		})
		Convey("of four bytes may not be the number of a peer", func() {
			So(connect(""), ShouldBeNil)
			number := want(t, client, connected)
			So(connect(number), shouldBeErrno, errno.EINVAL)
		})
		Convey("of four bytes is left out by the numbers", func() {
			base := ownBlock()
			setNextID(t, client, base)
			three := id(base + 3)
			So(connect(three), ShouldBeNil)
			So(want(t, client, connected), ShouldEqual, three)
			toClient := want(t, server, connected)
			var got []string
			for range 4 {
				So(connect(""), ShouldBeNil)
				got = append(got, want(t, client, connected))
				want(t, server, connected)
			}
			So(got, ShouldNotContain, three)
			mustSend(t, client, three, "to the alias")
			So(want(t, server, "to the alias"), ShouldEqual, toClient)
		})
		Convey("reserved by one connect stays so when an older one with that name is disconnected", func() {
			So(connect("x"), ShouldBeNil)
			want(t, client, connected)
			id := want(t, server, connected)
			mustSend(t, server, id, disconnected) // the client dials again, without the name
			want(t, client, disconnected)
			dead := deadEndpoint(t)
			must(t, alias(client, "x"), "alias")
			So(client.Connect(dead), ShouldBeNil)
			So(client.Disconnect(endpoint), ShouldBeNil)
			must(t, alias(client, "x"), "alias")
			So(client.Connect(dead), shouldBeErrno, errno.EINVAL)
		})
	})
}

// deadEndpoint returns an endpoint where nobody listens.
func deadEndpoint(t testing.TB) string {
	t.Helper()
	k := newSocket(t, newContext(t))
	endpoint := bind(t, k)
	must(t, k.Unbind(endpoint), "Unbind")
	return endpoint
}

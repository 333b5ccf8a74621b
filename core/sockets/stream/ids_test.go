// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
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

// setNextID has the socket count on from n.
func setNextID(k *Socket, n uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shared.LastID = n
}

func TestIDs(t *testing.T) {
	Convey("Routing ids", t, func() {
		k := newSocket(t, newContext(t))
		endpoint := bind(t, k)
		setNextID(k, 0)

		Convey("count up, and none comes back soon", func() {
			for n := range uint32(40) {
				p, got := accept(t, k, endpoint)
				So(got, ShouldEqual, id(n+1))
				if n%2 == 0 {
					must(t, p.Close(), "close")
					So(want(t, k, disconnected), ShouldEqual, got)
				}
			}
		})
		Convey("wrap around, leaving out 0 and the live ones", func() {
			one, _ := accept(t, k, endpoint)
			two, _ := accept(t, k, endpoint)
			setNextID(k, math.MaxUint32-1)
			last, lastID := accept(t, k, endpoint)
			three, threeID := accept(t, k, endpoint)
			So([]string{lastID, threeID}, ShouldResemble, []string{id(math.MaxUint32), id(3)})
			for n, p := range map[uint32]peer{1: one, 2: two, math.MaxUint32: last, 3: three} {
				mustSend(t, k, id(n), fmt.Sprint("to ", n))
				p.want(fmt.Sprint("to ", n))
			}
		})
		Convey("leave out those whose slot is taken", func() {
			accept(t, k, endpoint)
			setNextID(k, 8)
			_, got := accept(t, k, endpoint)
			So(got, ShouldEqual, id(10)) // 9 shares a slot with 1
		})
		Convey("of a new socket begin behind those of all sockets before", func() {
			_, last := accept(t, k, endpoint)
			next := newSocket(t, newContext(t))
			_, got := accept(t, next, bind(t, next))
			So(int32(binary.BigEndian.Uint32([]byte(got))-binary.BigEndian.Uint32([]byte(last))), ShouldBeGreaterThan, 0)
		})
		Convey("of ended connections reach nobody, also when their slot is taken again", func() {
			p, old := accept(t, k, endpoint)
			must(t, p.Close(), "close")
			want(t, k, disconnected)
			setNextID(k, 4)
			_, got := accept(t, k, endpoint)
			So(got, ShouldEqual, id(5))
			So(send(k, old, "x"), shouldBeErrno, errno.EHOSTUNREACH)
		})
	})
}

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
			So(connect(id(3)), ShouldBeNil)
			So(want(t, client, connected), ShouldEqual, id(3))
			toClient := want(t, server, connected)
			var got []string
			for range 4 {
				So(connect(""), ShouldBeNil)
				got = append(got, want(t, client, connected))
				want(t, server, connected)
			}
			So(got, ShouldNotContain, id(3))
			mustSend(t, client, id(3), "to the alias")
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

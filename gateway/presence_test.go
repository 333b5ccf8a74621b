// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	. "github.com/smartystreets/goconvey/convey"
)

func quick(c *Config) {
	c.Auth, c.HeartbeatEvery, c.DeadAfter = authMessage, 100*time.Millisecond, 500*time.Millisecond
}

// whoever takes everybody for who they say they are.
func whoever(conn *nats.Conn) {
	must(conn.Subscribe("zl.auth.>", func(m *nats.Msg) {
		answer := nats.NewMsg(m.Reply)
		answer.Header = nats.Header{headerStatus: {"200"}, headerUser: {string(m.Data)}}
		noError(m.RespondMsg(answer))
	}))
	noError(conn.Flush())
}

// whereIs returns the server of a user; "": it is nowhere.
func whereIs(conn *nats.Conn, user string) string {
	js := must(jetstream.New(conn))
	bucket, err := js.KeyValue(context.Background(), usersBucket)
	if err != nil {
		return ""
	}
	e, err := bucket.Get(context.Background(), presenceKey(user))
	if err != nil {
		return ""
	}
	var at place
	noError(json.Unmarshal(e.Value(), &at))
	return at.Server
}

func TestPresence(t *testing.T) {
	Convey("Who looks for a user finds the gateway that has it", t, func() {
		hub := natsServer(t, -1)
		conn := backEnd(t, hub.ClientURL())
		whoever(conn)
		one, two := start(t, at(hub.ClientURL()), quick), start(t, at(hub.ClientURL()), quick)
		is := func(user string, g *Gateway) bool {
			return until(func() bool { return whereIs(conn, user) == g.Server() })
		}
		gone := func(user string) bool { return until(func() bool { return whereIs(conn, user) == "" }) }

		p := dial(t, one)
		p.send("eve")
		So(is("eve", one), ShouldBeTrue)
		odd := dial(t, one)
		odd.send("名前 with blanks")
		So(is("名前 with blanks", one), ShouldBeTrue)
		So(odd.conn.Close(), ShouldBeNil)
		So(gone("名前 with blanks"), ShouldBeTrue)

		moved := dial(t, two) // the last one stays, whatever becomes of the first
		moved.send("eve")
		So(is("eve", two), ShouldBeTrue)
		So(p.conn.Close(), ShouldBeNil)
		So(until(func() bool { return one.presence.entries() == 0 && one.presence.out.Load() == 0 }), ShouldBeTrue)
		So(whereIs(conn, "eve"), ShouldEqual, two.Server())

		stays, lost := dial(t, one), dial(t, two)
		stays.send("adam")
		lost.send("abel")
		So(is("adam", one) && is("abel", two), ShouldBeTrue)
		two.presence.cancel() // a crash: it says nothing more
		two.presence.over.Wait()
		two.bus.conn.Close()
		So(gone("abel") && gone("eve"), ShouldBeTrue)
		So(whereIs(conn, "adam"), ShouldEqual, one.Server())
		So(until(func() bool { return one.counts.presenceCleared.Load() == 2 }), ShouldBeTrue) // counted once it is done

		So(one.Close(), ShouldBeNil) // it clears up before it goes
		So(whereIs(conn, "adam"), ShouldEqual, "")
	})
}

func TestPresenceAfterALoss(t *testing.T) {
	Convey("Buckets that are lost are made again, with who is there", t, func() {
		hub := natsServer(t, -1)
		conn := backEnd(t, hub.ClientURL())
		whoever(conn)
		g := start(t, at(hub.ClientURL()), quick)
		p := dial(t, g)
		p.send("eve")
		So(until(func() bool { return whereIs(conn, "eve") == g.Server() }), ShouldBeTrue)
		js := must(jetstream.New(conn))
		So(js.DeleteKeyValue(context.Background(), usersBucket), ShouldBeNil)
		So(js.DeleteKeyValue(context.Background(), serversBucket), ShouldBeNil)
		So(until(func() bool { return whereIs(conn, "eve") == g.Server() }), ShouldBeTrue)
	})
}

func TestBackEndsActOnAnEventAtOnce(t *testing.T) {
	Convey("A client that back ends are told of gets messages and may join, whatever the gateway has still to do", t, func() {
		g := start(t, quick, func(c *Config) { c.AuthTimeout = patience })
		conn := backEnd(t, g.NATS())
		whoever(conn)
		come := listenTo(conn, "zl.event.*.connect.>")
		p, key := g.presence, presenceKey("eve")
		work := p.work[maphash.String(p.seed, key)%presenceWorkers]
		p.mu.Lock() // its worker is stuck, and the queue of that full
		for full := 0; full < 2; {
			select {
			case work <- errand{key: key, id: 1 << 31, remove: true}:
				p.out.Add(1)
			default:
				time.Sleep(10 * time.Millisecond) // until it has taken the first
				full++
			}
		}
		eve := dial(t, g)
		eve.send("eve")
		id := idOf(next(come))
		joined := command(conn, g, `{"op":"join","id":%s,"group":"a"}`, id)
		sent, _ := ask(conn, "zl.out."+g.Server()+"."+id, nil, []byte("hello"))
		p.mu.Unlock()
		So(joined, ShouldEqual, "200")
		So(sent, ShouldEqual, "200")
		So(must(eve.read()), ShouldEqual, "hello")
		So(until(func() bool { return whereIs(conn, "eve") == g.Server() }), ShouldBeTrue)
	})
}

// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"sync/atomic"
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

// A failing bucket reports errors: before it does something, or after that.
type failing struct {
	jetstream.KeyValue
	before, after atomic.Bool
}

var errTest = errors.New("a test")

func (f *failing) result(do func() (uint64, error)) (uint64, error) {
	if f.before.Load() {
		return 0, errTest
	}
	revision, err := do()
	if f.after.Load() {
		return 0, errTest
	}
	return revision, err
}

func (f *failing) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	return f.result(func() (uint64, error) { return f.KeyValue.Put(ctx, key, value) })
}

func (f *failing) Create(ctx context.Context, key string, value []byte, o ...jetstream.KVCreateOpt) (uint64, error) {
	return f.result(func() (uint64, error) { return f.KeyValue.Create(ctx, key, value, o...) })
}

func (f *failing) Purge(ctx context.Context, key string, o ...jetstream.KVDeleteOpt) error {
	_, err := f.result(func() (uint64, error) { return 0, f.KeyValue.Purge(ctx, key, o...) })
	return err
}

func TestPresenceWhileJetStreamFails(t *testing.T) {
	// fail puts a failing bucket between a gateway and its own.
	fail := func(p *presence) *failing {
		So(until(func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.users != nil }), ShouldBeTrue)
		p.mu.Lock()
		defer p.mu.Unlock()
		f := &failing{KeyValue: p.users}
		p.users = f
		return f
	}
	Convey("Who comes and who goes meanwhile is there, or not, when it works again", t, func() {
		g := start(t, quick)
		conn := backEnd(t, g.NATS())
		whoever(conn)
		count := func() uint64 { return g.counts.presenceErrors.Load() }
		eve, bucket := dial(t, g), fail(g.presence)
		eve.send("eve")
		So(until(func() bool { return whereIs(conn, "eve") == g.Server() }), ShouldBeTrue)
		bucket.before.Store(true)
		dial(t, g).send("adam")
		So(until(func() bool { return count() == 1 }), ShouldBeTrue)
		So(eve.conn.Close(), ShouldBeNil)
		So(until(func() bool { return count() >= 2 && g.clients.count() == 1 }), ShouldBeTrue)
		So(whereIs(conn, "eve")+whereIs(conn, "adam"), ShouldEqual, g.Server())
		bucket.before.Store(false)
		So(until(func() bool { return whereIs(conn, "eve") == "" && whereIs(conn, "adam") == g.Server() }), ShouldBeTrue)

		bucket.after.Store(true) // it is written, and seems not to be
		abel := dial(t, g)
		abel.send("abel")
		So(until(func() bool { return whereIs(conn, "abel") == g.Server() && g.presence.out.Load() == 0 }), ShouldBeTrue)
		bucket.after.Store(false)
		written := func() bool { // the gateway knows
			g.presence.mu.Lock()
			defer g.presence.mu.Unlock()
			return g.presence.mine["abel"].revision != 0
		}
		So(until(written), ShouldBeTrue)
		So(abel.conn.Close(), ShouldBeNil)
		So(until(func() bool { return whereIs(conn, "abel") == "" }), ShouldBeTrue)
	})
	Convey("Of two gateways the one that a user came to last has it", t, func() {
		hub := natsServer(t, -1)
		conn := backEnd(t, hub.ClientURL())
		whoever(conn)
		one, two := start(t, at(hub.ClientURL()), quick), start(t, at(hub.ClientURL()), quick)
		first := dial(t, one)
		first.send("eve")
		So(until(func() bool { return whereIs(conn, "eve") == one.Server() }), ShouldBeTrue)
		bucket := fail(two.presence)
		bucket.before.Store(true)
		dial(t, two).send("eve")
		So(until(func() bool { return two.counts.presenceErrors.Load() > 0 }), ShouldBeTrue)
		bucket.before.Store(false)
		So(until(func() bool { return whereIs(conn, "eve") == two.Server() }), ShouldBeTrue)
	})
	Convey("Once it has failed it is asked again with the next heartbeat only, so that no queue fills", t, func() {
		g := start(t, quick, func(c *Config) { c.HeartbeatEvery, c.DeadAfter = time.Hour, 3*time.Hour })
		bucket := fail(g.presence)
		bucket.before.Store(true)
		So(g.presence.do(errand{key: "a", id: 1}), ShouldEqual, errTest)
		So(g.presence.do(errand{key: "b", id: 2}), ShouldEqual, errBroken)
		So(g.presence.delete("c", 3), ShouldEqual, errBroken)
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

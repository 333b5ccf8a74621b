// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	. "github.com/smartystreets/goconvey/convey"
)

func TestGroups(t *testing.T) {
	Convey("A group has members at two gateways", t, func() {
		hub := natsServer(t, -1)
		conn := backEnd(t, hub.ClientURL())
		events := listenTo(conn, "zl.event.*.connect.>")
		var gateways [2]*Gateway
		var peers [4]*peer
		var ids [4]string
		for i := range gateways {
			gateways[i] = start(t, at(hub.ClientURL()))
		}
		for i := range peers {
			g := gateways[i/2]
			peers[i] = dial(t, g)
			peers[i].send("") // a client of any:// speaks first
			ids[i] = idOf(next(events))
			So(command(conn, g, `{"op":"join","id":%s,"group":"room.17"}`, ids[i]), ShouldEqual, "200")
			So(command(conn, g, `{"op":"join","id":%s,"group":"room.17"}`, ids[i]), ShouldEqual, "200")
		}
		publish := func(header nats.Header, body string) int {
			inbox := conn.NewInbox()
			answers := listenTo(conn, inbox)
			noError(conn.PublishMsg(&nats.Msg{Subject: "zl.group.room.17", Reply: inbox, Header: header, Data: []byte(body)}))
			sum := 0
			for range gateways {
				m, n := next(answers), 0
				So(first(m.Header, headerStatus), ShouldEqual, "200")
				fmt.Sscan(first(m.Header, headerCount), &n)
				sum += n
			}
			return sum
		}
		So(publish(nil, "to all"), ShouldEqual, 4)
		So(publish(nats.Header{headerExcept: {gateways[0].Server() + "." + ids[0]}}, "but one"), ShouldEqual, 3)
		So(command(conn, gateways[1], `{"op":"leave","id":%s,"group":"room.17"}`, ids[3]), ShouldEqual, "200")
		So(command(conn, gateways[1], `{"op":"leave","id":%s,"group":"room.17"}`, ids[3]), ShouldEqual, "200")
		So(publish(nil, "to the rest"), ShouldEqual, 3)
		for i, want := range []string{"to all,to the rest", "to all,but one,to the rest", "to all,but one,to the rest", "to all,but one"} {
			for body := range strings.SplitSeq(want, ",") {
				So(must(peers[i].read()), ShouldEqual, body)
			}
		}
		for i := range gateways {
			So(until(func() bool { return metric(gateways[i], "group_messages_total") == "3" }), ShouldBeTrue)
			So(metric(gateways[i], "groups"), ShouldEqual, "1")
		}
		So(gateways[0].counts.deliveries.Load()+gateways[1].counts.deliveries.Load(), ShouldEqual, uint64(10))

		for _, p := range peers[:2] {
			So(p.conn.Close(), ShouldBeNil)
		}
		So(until(func() bool { return gateways[0].groups.count() == 0 }), ShouldBeTrue)
		So(command(conn, gateways[1], `{"op":"leave","id":%s,"group":"room.17"}`, ids[2]), ShouldEqual, "200")
		So(until(func() bool { // once NATS knows that nobody subscribes; before that nobody answers
			_, err := conn.Request("zl.group.room.17", nil, 100*time.Millisecond)
			return errors.Is(err, nats.ErrNoResponders)
		}), ShouldBeTrue)
		status, _ := ask(conn, "zl.group.none", nil, nil)
		So(status, ShouldEqual, nats.ErrNoResponders.Error())
	})
}

func TestJoinWhileMessagesAreAway(t *testing.T) {
	Convey("Who joins a group is told so when the server that is there now has its subscription, whatever another one had", t, func() {
		hub := natsServer(t, -1)
		g := start(t, at(hub.ClientURL()), func(c *Config) { c.Presence = false })
		conn := backEnd(t, hub.ClientURL())
		events := listenTo(conn, "zl.event.*.connect.>")
		var ids [2]string
		for i := range ids {
			dial(t, g).send("")
			ids[i] = idOf(next(events))
		}
		join := func(id string) string { return command(conn, g, `{"op":"join","id":%s,"group":"a"}`, id) }
		So(join(ids[0]), ShouldEqual, "200")
		free := g.bus.data.Hold() // the next server gets no subscription yet
		for _, one := range must(hub.Connz(&server.ConnzOptions{})).Conns {
			if strings.HasSuffix(one.Name, ", messages") {
				noError(hub.DisconnectClientByID(one.Cid))
			}
		}
		So(until(func() bool { return g.counts.natsLost[lostMessages].Load() == 1 && g.bus.data.Connected() }), ShouldBeTrue)
		So(join(ids[1]), ShouldEqual, "503")
		free()
		So(until(func() bool { return join(ids[1]) == "200" }), ShouldBeTrue)
		answer := must(conn.Request("zl.group.a", nil, patience))
		So(first(answer.Header, headerCount), ShouldEqual, "2")
	})
}

func TestControl(t *testing.T) {
	Convey("Requests to zl.ctl have answers with codes", t, func() {
		g := start(t)
		conn := backEnd(t, g.NATS())
		events := listenTo(conn, "zl.event.>")
		p := dial(t, g)
		p.send("")
		id := idOf(next(events))
		for _, c := range [][2]string{
			{`{"op":"join","id":` + id + `,"group":"a"}`, "200"},
			{`{"op":"join","id":` + id + `,"group":"a.*"}`, "400"},
			{`{"op":"join","id":` + id + `,"group":""}`, "400"},
			{`{"op":"join","id":` + id + `,"group":"` + strings.Repeat("x", 256) + `"}`, "400"},
			{`{"op":"join","id":4294967295,"group":"a"}`, "404"},
			{`{"op":"leave","id":` + id + `,"group":"b"}`, "200"},
			{`{"op":"close","id":4294967295}`, "404"},
			{`{"op":"close","id":` + id + `,"code":99}`, "400"},
			{`{"op":"close"}`, "400"},
			{`{"op":"abort","id":-1}`, "400"},
			{`{"op":"abort","id":4294967295}`, "404"},
			{`{"op":"dance"}`, "501"},
			{`{}`, "400"}, {`[]`, "400"}, {`{"op":`, "400"}, {``, "400"},
			{`{"op":"drain","spread_ms":-1}`, "400"},
			{`{"op":"drain","code":99}`, "400"},
			{`{"op":"info","id":4294967295}`, "404"},
		} {
			So(c[0]+" "+command(conn, g, "%s", c[0]), ShouldEqual, c[0]+" "+c[1])
		}
		_, body := ask(conn, "zl.ctl."+g.Server(), nil, []byte(`{"op":"info","id":`+id+`}`))
		So(body, ShouldContainSubstring, `"groups":["a"]`)
		So(body, ShouldContainSubstring, `"Transport":"tcp"`)
		status, body := ask(conn, "zl.ctl.all", nil, []byte(`{"op":"info"}`))
		So(status, ShouldEqual, "200")
		So(body, ShouldContainSubstring, `"server":"`+g.Server()+`"`)
		So(body, ShouldContainSubstring, `"version":1`)
		status, _ = ask(conn, "zl.ctl.all", nil, []byte(`{"op":"abort","id":`+id+`}`))
		So(status, ShouldEqual, "400")
		So(metric(g, `control_total{op="unknown",status="501"}`), ShouldEqual, "1")

		p.send("it is still there")
		So(command(conn, g, `{"op":"abort","id":%s}`, id), ShouldEqual, "200")
		So(first(next(events).Header, headerReasonName), ShouldEqual, "ABORTED_HERE")
		So(command(conn, g, `{"op":"drain","spread_ms":0}`), ShouldEqual, "200")
		So(g.Wait(), ShouldBeNil)
	})
}

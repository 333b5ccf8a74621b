// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	. "github.com/smartystreets/goconvey/convey"
	"github.com/zlink/zlink/gateway/natswire"
)

func TestExchange(t *testing.T) {
	Convey("Clients of tcp and ws, and a back end that responds", t, func() {
		g := start(t, func(c *Config) { c.Routes = []Route{{"/rooms/*", "rooms"}} })
		conn := backEnd(t, g.NATS())
		events := listenTo(conn, "zl.event.>")
		for _, service := range []string{"app", "rooms"} {
			must(conn.QueueSubscribe("zl.in."+service+".>", "all", func(m *nats.Msg) {
				answer := nats.NewMsg(m.Reply)
				answer.Data = []byte("you said " + string(m.Data))
				if m.Header != nil {
					answer.Header[headerText] = m.Header[headerText]
				}
				noError(m.RespondMsg(answer))
			}))
		}
		noError(conn.Flush())

		one := dial(t, g)
		one.send("hello")
		So(must(one.read()), ShouldEqual, "you said hello")
		come := next(events)
		So(come.Subject, ShouldStartWith, "zl.event.app.connect."+g.Server()+".")
		So(first(come.Header, "Transport"), ShouldEqual, "tcp")
		So(first(come.Header, "Peer-Address"), ShouldEqual, "127.0.0.1")
		So(first(come.Header, headerVersion), ShouldEqual, "1")

		two := must(open(g, "/rooms/7?a=b", http.Header{}))
		two.text("text")
		body, text, err := two.read()
		So(err, ShouldBeNil)
		So(body, ShouldEqual, "you said text")
		So(text, ShouldBeTrue)
		two.bytes("bytes")
		body, text, err = two.read()
		So(err, ShouldBeNil)
		So(body, ShouldEqual, "you said bytes")
		So(text, ShouldBeFalse)
		come = next(events)
		So(come.Subject, ShouldStartWith, "zl.event.rooms.connect.")
		So(first(come.Header, "WS-Path"), ShouldEqual, "/rooms/7")
		So(first(come.Header, "WS-Query"), ShouldEqual, "a=b")

		So(one.conn.Close(), ShouldBeNil)
		gone := next(events)
		So(gone.Subject, ShouldEqual, "zl.event.app.disconnect."+g.Server()+"."+first(gone.Header, headerID))
		So(first(gone.Header, headerReasonName), ShouldEqual, "PEER_CLOSED")
		So(first(gone.Header, headerReason), ShouldEqual, "1")

		So(command(conn, g, `{"op":"close","id":%s,"code":4321,"reason":"enough"}`, idOf(come)), ShouldEqual, "200")
		code, why := two.closed()
		So(code, ShouldEqual, 4321)
		So(why, ShouldEqual, "enough")
		So(first(next(events).Header, headerReasonName), ShouldEqual, "CLOSED_HERE")
		So(until(func() bool { return metric(g, "in_messages_total") == "3" }), ShouldBeTrue)
		So(metric(g, "out_messages_total"), ShouldEqual, "3")
		So(until(func() bool { return metric(g, "sent_messages_total") == "3" }), ShouldBeTrue)
		So(metric(g, `disconnects_total{reason="closed_here"}`), ShouldEqual, "1")
	})
}

func TestOrder(t *testing.T) {
	Convey("Messages keep their order both ways, and a queue group shares them", t, func() {
		const many = 5000
		g := start(t)
		conn := backEnd(t, g.NATS())
		in, events := listenTo(conn, "zl.in.>"), listenTo(conn, "zl.event.*.connect.>")
		shared := [2]*nats.Subscription{}
		for i := range shared {
			shared[i] = must(conn.QueueSubscribeSync("zl.in.app.>", "share"))
		}
		noError(conn.Flush())
		p := dial(t, g)
		for i := range many {
			p.send(fmt.Sprint(i))
		}
		for i := range many {
			if got := string(next(in).Data); got != fmt.Sprint(i) {
				So(got, ShouldEqual, fmt.Sprint(i))
			}
		}
		sum := func() int {
			all := 0
			for _, sub := range shared {
				n, _, err := sub.Pending()
				noError(err)
				all += n
			}
			return all
		}
		So(until(func() bool { return sum() == many }), ShouldBeTrue)
		for _, sub := range shared {
			n, _, _ := sub.Pending()
			So(n, ShouldBeGreaterThan, 0)
		}
		out := "zl.out." + g.Server() + "." + idOf(next(events))
		for i := range many {
			noError(conn.Publish(out, fmt.Append(nil, i)))
		}
		for i := range many {
			if got := must(p.read()); got != fmt.Sprint(i) {
				So(got, ShouldEqual, fmt.Sprint(i))
			}
		}
		So(until(func() bool { return g.counts.sentMessages.Load() == many && g.counts.inMessages.Load() == many }), ShouldBeTrue)
	})
}

func TestNoBackEnd(t *testing.T) {
	Convey("NATS tells that nobody gets what a client sends", t, func() {
		g := start(t)
		p := dial(t, g)
		p.send("hello?")
		p.send("")
		So(until(func() bool { return g.counts.dropped[wayIn][reasonNoBackend].Load() == 2 }), ShouldBeTrue)
		So(metric(g, `dropped_total{way="in",reason="no_backend"}`), ShouldEqual, "2")
		So(metric(g, "out_messages_total"), ShouldEqual, "0")
	})
}

func TestAnswersToClients(t *testing.T) {
	Convey("A status does not go to clients, whatever the reply subject", t, func() {
		g := start(t)
		conn := backEnd(t, g.NATS())
		in := listenTo(conn, "zl.in.>")
		p := dial(t, g)
		p.send("here")
		id := idOf(next(in))
		So(command(conn, g, `{"op":"join","id":%s,"group":"g"}`, id), ShouldEqual, "200")
		out := "zl.out." + g.Server() + "." + id
		for i, reply := range []string{out, "zl.group.g", out} {
			noError(conn.PublishRequest(out, reply, fmt.Append(nil, i)))
			So(must(p.read()), ShouldEqual, fmt.Sprint(i))
		}
		noError(conn.Publish(out, []byte("last")))
		So(must(p.read()), ShouldEqual, "last")
		So(g.counts.unanswered.Load(), ShouldEqual, 3)
	})
}

func TestBadInput(t *testing.T) {
	Convey("What is wrong is answered with a code, and counted, and others go on", t, func() {
		g := start(t, func(c *Config) { c.MaxMessage = 1000 })
		conn := backEnd(t, g.NATS())
		in := listenTo(conn, "zl.in.>")
		p := dial(t, g)
		p.send("here")
		id := idOf(next(in))
		out := "zl.out." + g.Server() + "."
		long := []byte(strings.Repeat("x", 1001))
		for _, bad := range []struct {
			rest, status string
			header       nats.Header
			body         []byte
		}{
			{"0", "400", nil, nil}, {"01", "400", nil, nil}, {"-1", "400", nil, nil}, {"a", "400", nil, nil}, {"4294967296", "400", nil, nil},
			{"99999999999999999999", "400", nil, nil}, {id + ".1", "400", nil, nil}, {id, "400", nats.Header{headerKey: {"x"}}, nil},
			{id, "400", nats.Header{headerKey: {""}}, nil}, {id, "413", nats.Header{"X": {strings.Repeat("x", headerRoom)}}, nil},
			{id, "400", nats.Header{headerKey: {"01"}}, nil}, {id, "400", nats.Header{headerKey: {"00"}}, nil}, {id, "400", nats.Header{headerKey: {"+1"}}, nil},
			{id, "400", nats.Header{headerKey: {"18446744073709551616"}}, nil},
			{id, "400", nats.Header{headerText: {"0"}}, nil}, {id, "400", nats.Header{headerText: {"true"}}, nil}, {id, "400", nats.Header{headerText: {""}}, nil},
			{id, "400", nats.Header{headerText: {"1"}}, []byte{0xff}}, {"4294967295", "404", nil, nil}, {id, "413", nil, long},
			{id, "200", nil, []byte("good")}, {id, "200", nats.Header{headerKey: {"7"}}, []byte("keyed")},
			{id, "200", nats.Header{headerKey: {"0"}}, []byte("0")}, {id, "200", nats.Header{headerKey: {"18446744073709551615"}}, []byte("most")},
			{id, "200", nats.Header{headerText: {"1"}}, []byte("text")},
		} {
			status, _ := ask(conn, out+bad.rest, bad.header, bad.body)
			So(bad.rest+" "+status, ShouldEqual, bad.rest+" "+bad.status)
		}
		noError(conn.Publish(out+"x", nil)) // nobody asked for an answer
		noError(conn.Publish(out+"4294967295", nil))
		noError(conn.Publish(out+id, []byte("last")))
		for _, body := range []string{"good", "keyed", "0", "most", "text", "last"} {
			So(must(p.read()), ShouldEqual, body)
		}
		So(metric(g, `dropped_total{way="out",reason="malformed"}`), ShouldEqual, "18")
		So(metric(g, `dropped_total{way="out",reason="unknown_peer"}`), ShouldEqual, "2")
		So(metric(g, `dropped_total{way="out",reason="oversized"}`), ShouldEqual, "2")
		So(metric(g, "out_messages_total"), ShouldEqual, "28")
		So(until(func() bool { return metric(g, "sent_messages_total") == "6" }), ShouldBeTrue)

		events := listenTo(conn, "zl.event.*.disconnect.>")
		p.send(string(long))
		So(first(next(events).Header, headerReasonName), ShouldEqual, "TOO_LONG")
	})
}

func TestBadHeaders(t *testing.T) {
	Convey("A block of headers that is none is answered with a code, and counted, and others go on", t, func() {
		g := start(t)
		conn := backEnd(t, g.NATS())
		in := listenTo(conn, "zl.in.>")
		p := dial(t, g)
		p.send("here")
		out := "zl.out." + g.Server() + "." + idOf(next(in))
		answers := listenTo(conn, "answers")
		raw := must(net.Dial("tcp", strings.TrimPrefix(g.NATS(), "nats://")))
		defer func() { _ = raw.Close() }()
		_, err := io.WriteString(raw, "CONNECT {\"headers\":true,\"verbose\":false}\r\n")
		noError(err)
		bad := []string{"NATS/1.0\r\nno colon\r\n\r\n", "nonsense", "NATS/1.0\r\nZl-Key: 1\r\n"}
		for _, header := range bad {
			_, err = fmt.Fprintf(raw, "HPUB %s answers %d %d\r\n%sbody\r\n", out, len(header), len(header)+4, header)
			noError(err)
			So(first(next(answers).Header, headerStatus), ShouldEqual, "400")
		}
		long := natswire.Header("X", strings.Repeat("x", headerRoom+int(g.config.MaxMessage)))
		_, err = fmt.Fprintf(raw, "HPUB %s answers %d %d\r\n%s\r\n", out, len(long), len(long), long)
		noError(err)
		So(first(next(answers).Header, headerStatus), ShouldEqual, "413")
		good := "NATS/1.0\r\nZl-Key:  7 \r\n\r\n"
		_, err = fmt.Fprintf(raw, "HPUB %s answers %d %d\r\n%sgood\r\n", out, len(good), len(good)+4, good)
		noError(err)
		So(first(next(answers).Header, headerStatus), ShouldEqual, "200")
		So(must(p.read()), ShouldEqual, "good")
		So(metric(g, `dropped_total{way="out",reason="malformed"}`), ShouldEqual, "3")
		So(metric(g, `dropped_total{way="out",reason="oversized"}`), ShouldEqual, "1")
	})
}

func TestBadGroupMessages(t *testing.T) {
	Convey("A message to a group that is wrong is answered with a code, and counted, and its members get the next one", t, func() {
		g := start(t, func(c *Config) { c.MaxMessage = 1000 })
		conn := backEnd(t, g.NATS())
		events := listenTo(conn, "zl.event.*.connect.>")
		p := dial(t, g)
		p.send("")
		So(command(conn, g, `{"op":"join","id":%s,"group":"a"}`, idOf(next(events))), ShouldEqual, "200")
		for _, bad := range []struct {
			header nats.Header
			body   []byte
			status string
		}{
			{nil, make([]byte, 1001), "413"}, {nil, make([]byte, 200000), "413"}, {nats.Header{headerKey: {"-1"}}, nil, "400"},
			{nats.Header{headerExcept: {""}}, nil, "400"}, {nats.Header{"X": {strings.Repeat("x", headerRoom)}}, nil, "413"},
			{nats.Header{headerText: {"yes"}}, nil, "400"}, {nats.Header{headerKey: {"007"}}, nil, "400"},
			{nats.Header{headerExcept: {"x"}}, nil, "400"}, {nats.Header{headerExcept: {g.Server() + ".0"}}, nil, "400"},
			{nats.Header{headerText: {"1"}}, []byte{0xff}, "400"}, {nats.Header{headerExcept: {"other.1"}}, []byte("good"), "200"},
		} {
			status, _ := ask(conn, "zl.group.a", bad.header, bad.body)
			So(status, ShouldEqual, bad.status)
		}
		So(must(p.read()), ShouldEqual, "good")
		So(metric(g, `dropped_total{way="group",reason="malformed"}`), ShouldEqual, "7")
		So(metric(g, `dropped_total{way="group",reason="oversized"}`), ShouldEqual, "3")
		So(metric(g, "group_messages_total"), ShouldEqual, "11")
	})
}

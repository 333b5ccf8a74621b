// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	. "github.com/smartystreets/goconvey/convey"
)

func bundled(c *Config) { c.Bundle = true }

func TestBundles(t *testing.T) {
	Convey("Messages of clients come in bundles, in order, between the events of their client, and a back end answers all of one at once", t, func() {
		const many = 3000
		g := start(t, bundled)
		conn := backEnd(t, g.NATS())
		all := listenTo(conn, "zl.>")
		must(conn.QueueSubscribe("zl.bundle.in.app.>", "all", func(m *nats.Msg) { noError(m.Respond(m.Data)) }))
		noError(conn.Flush())
		p, b := dial(t, g), must(open(g, "/", nil))
		for i := range many {
			p.send(fmt.Sprint(i))
		}
		b.text("text")
		b.bytes("bytes")
		for i := range many {
			if got := must(p.read()); got != fmt.Sprint(i) {
				So(got, ShouldEqual, fmt.Sprint(i))
			}
		}
		for _, want := range []string{"text", "bytes"} {
			body, text, err := b.read()
			So(err, ShouldBeNil)
			So(body, ShouldEqual, want)
			So(text, ShouldEqual, want == "text")
		}
		p.send("last words")
		So(must(p.read()), ShouldEqual, "last words")
		So(p.conn.Close(), ShouldBeNil)
		here, ended, bundles, seen := map[string]bool{}, "", 0, 0
		for ended == "" {
			m := next(all)
			switch {
			case first(m.Header, headerReason) != "":
				ended = first(m.Header, headerID)
			case first(m.Header, headerID) != "":
				here[first(m.Header, headerID)] = true
			case m.Reply != "":
				bundles++
				for rest := m.Data; len(rest) > 0; seen++ {
					id, _, _, after, good := nextOf(rest)
					So(good, ShouldBeTrue)
					So(here[fmt.Sprint(id)], ShouldBeTrue)
					rest = after
				}
			}
		}
		So(seen, ShouldEqual, many+3)
		So(bundles, ShouldBeLessThan, many)
		So(metric(g, "in_messages_total"), ShouldEqual, fmt.Sprint(many+3))
		So(metric(g, "out_messages_total"), ShouldEqual, fmt.Sprint(many+3))
		So(until(func() bool { return metric(g, "sent_messages_total") == fmt.Sprint(many+3) }), ShouldBeTrue)
	})
	Convey("What waited for the answer about a client comes in a bundle too", t, func() {
		g := start(t, bundled, func(c *Config) { c.Auth = authMessage })
		conn := backEnd(t, g.NATS())
		in, questions := listenTo(conn, "zl.bundle.in.>"), listenTo(conn, "zl.auth.>")
		p := dial(t, g)
		p.send("who")
		question := next(questions)
		p.send("early")
		So(until(func() bool { return g.clients.count() == 1 }), ShouldBeTrue)
		noError(question.RespondMsg(&nats.Msg{Header: nats.Header{headerStatus: {"200"}}}))
		_, _, body, _, _ := nextOf(next(in).Data)
		So(string(body), ShouldEqual, "early")
	})
}

func TestBundlesOfManyServices(t *testing.T) {
	Convey("However many services clients have, so many bundles are kept, and nothing is lost", t, func() {
		const clients = servicesMost + servicesMost/2
		g := start(t, bundled, func(c *Config) { c.Auth, c.Presence = authMessage, false })
		conn := backEnd(t, g.NATS())
		in := listenTo(conn, "zl.bundle.in.>")
		must(conn.Subscribe("zl.auth.app", func(m *nats.Msg) {
			noError(m.RespondMsg(&nats.Msg{Header: nats.Header{headerStatus: {"200"}, headerService: {string(m.Data)}}}))
		}))
		noError(conn.Flush())
		for i := range clients {
			p, service := dial(t, g), fmt.Sprint("s", i)
			p.send(service)
			p.send(service)
			m := next(in)
			_, _, body, _, good := nextOf(m.Data)
			So(good, ShouldBeTrue)
			So(m.Subject+" "+string(body), ShouldEqual, "zl.bundle.in."+service+"."+g.Server()+" "+service)
			p.send("once more")
			_, _, body, _, _ = nextOf(next(in).Data)
			So(string(body), ShouldEqual, "once more")
		}
		So(g.Close(), ShouldBeNil)
		So(len(g.bundles), ShouldBeBetweenOrEqual, clients-servicesMost, servicesMost)
	})
}

func TestBadBundles(t *testing.T) {
	Convey("A bundle that is none is answered with a code, and nobody gets a part of it; of others each message has its fate", t, func() {
		g := start(t, bundled, func(c *Config) { c.MaxMessage = 1000 })
		conn := backEnd(t, g.NATS())
		p := dial(t, g)
		p.send("1")
		p.send("2")
		So(until(func() bool { return g.counts.dropped[wayIn][reasonNoBackend].Load() == 2 }), ShouldBeTrue) // nobody subscribes
		in := listenTo(conn, "zl.bundle.in.>")
		p.send("3")
		m := next(in)
		So(m.Reply, ShouldEqual, "zl.bundle.out."+g.Server()+".1")
		id, _, _, _, _ := nextOf(m.Data)
		var good bundle
		good.add(id, []byte("good"), false)
		out := "zl.bundle.out." + g.Server() + ".0"
		for _, bad := range [][]byte{nil, good.body[:5], good.body[:len(good.body)-1], append(append([]byte{}, good.body...), 0), {0, 0, 0, 1, 2, 0, 0, 0, 0},
			{0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff}} {
			status, _ := ask(conn, out, nil, bad)
			So(status, ShouldEqual, "400")
		}
		status, _ := ask(conn, out, nil, make([]byte, bundleMost+1))
		So(status, ShouldEqual, "413")
		good.add(0, []byte("nobody"), false)
		good.add(4294967295, []byte("nobody"), false)
		good.add(id, make([]byte, 1001), false)
		good.add(id, []byte{0xff}, true)
		good.add(id, []byte("text"), true)
		answer := must(conn.Request(out, good.body, patience))
		So(first(answer.Header, headerStatus), ShouldEqual, "200")
		So(first(answer.Header, headerCount), ShouldEqual, "2")
		So(must(p.read()), ShouldEqual, "good")
		So(must(p.read()), ShouldEqual, "text")
		So(metric(g, `dropped_total{way="out",reason="malformed"}`), ShouldEqual, "7")
		So(metric(g, `dropped_total{way="out",reason="unknown_peer"}`), ShouldEqual, "2")
		So(metric(g, `dropped_total{way="out",reason="oversized"}`), ShouldEqual, "2")
		So(metric(g, "out_messages_total"), ShouldEqual, "13")
	})
}

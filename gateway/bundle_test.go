// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	. "github.com/smartystreets/goconvey/convey"
)

func bundled(c *Config) { c.Bundle = bundleOn }

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
	Convey("However many services clients have, so many bundles are kept, so many are asked, and nothing is lost", t, func() {
		const clients = servicesMost + servicesMost/2
		g := start(t, bundled, func(c *Config) { c.Auth, c.Presence = authMessage, false })
		conn := backEnd(t, g.NATS())
		in := listenTo(conn, "zl.bundle.in.>")
		must(conn.Subscribe("zl.auth.app", func(m *nats.Msg) {
			noError(m.RespondMsg(&nats.Msg{Header: nats.Header{headerStatus: {"200"}, headerService: {string(m.Data)}}}))
		}))
		noError(conn.Flush())
		var all []*peer
		for i := range clients {
			p, service := dial(t, g), fmt.Sprint("s", i)
			all = append(all, p)
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
		kept := func() (services, kept int) {
			g.services.mu.Lock()
			defer g.services.mu.Unlock()
			return len(g.services.all), g.services.kept
		}
		services, some := kept()
		So([]int{services, some}, ShouldResemble, []int{clients, servicesMost})
		first, last := named(g, "s0"), named(g, fmt.Sprint("s", clients-1))
		for _, p := range all {
			So(p.conn.Close(), ShouldBeNil)
		}
		So(until(func() bool { services, some := kept(); return services+some == 0 }), ShouldBeTrue)
		So(g.Close(), ShouldBeNil)
		So(cap(first.body), ShouldBeGreaterThan, 0)
		So(cap(last.body), ShouldEqual, 0)
	})
}

// named is a service that has clients; nil: it has none.
func named(g *Gateway, name string) *service {
	g.services.mu.Lock()
	defer g.services.mu.Unlock()
	return g.services.all[name]
}

func TestBundlesOfSeveralServices(t *testing.T) {
	Convey("A message does not wait while another service has more and more of them", t, func() {
		g := start(t, bundled) // nobody is connected: what is called here is nobody else's
		conn := backEnd(t, g.NATS())
		quiet, loud := listenTo(conn, "zl.bundle.in.quiet.>"), listenTo(conn, "zl.bundle.in.loud.>")
		one, two := &client{id: 1, to: g.enter("quiet")}, &client{id: 2, to: g.enter("loud")}
		g.gather(one, []byte("lone"), false)
		for range 2*bundleFull/(bundleHead+1000) + 1 { // the last ones stay
			g.gather(two, make([]byte, 1000), false)
		}
		id, _, body, rest, good := nextOf(next(quiet).Data)
		So([]any{id, string(body), len(rest), good}, ShouldResemble, []any{uint32(1), "lone", 0, true})
		for range 2 {
			size := len(next(loud).Data)
			So(size, ShouldBeLessThanOrEqualTo, bundleFull)
			So(size, ShouldBeGreaterThan, bundleFull-bundleHead-1000)
		}
		So(len(g.filling), ShouldEqual, 1)
		g.publishBundles()
		So(len(g.filling), ShouldEqual, 0)
	})
}

func TestBundlesTogether(t *testing.T) {
	Convey("Bundles that come together are sent together, in order, and an answer counts those of its own", t, func() {
		g := start(t, bundled, func(c *Config) { c.Auth = authMessage })
		conn := backEnd(t, g.NATS())
		must(conn.Subscribe("zl.auth.app", func(m *nats.Msg) { noError(m.RespondMsg(&nats.Msg{Header: nats.Header{headerStatus: {"200"}}})) }))
		events, answers := listenTo(conn, "zl.event.*.connect.>"), listenTo(conn, "answers")
		p := dial(t, g)
		p.send("")
		id := idOf(next(events))
		peer, _ := parseID(id)
		var three, two bundle
		for _, body := range []string{"1", "2", "3"} {
			three.add(peer, []byte(body), false)
		}
		two.add(peer, []byte("5"), false)
		two.add(peer, []byte("6"), false)
		out, many := "zl.out."+g.Server()+"."+id, "zl.bundle.out."+g.Server()+".0"
		g.clients.mu.Lock() // the goroutine that delivers looks for the client
		noError(conn.Publish(many, three.body))
		noError(conn.Publish(out, []byte("4")))
		noError(conn.PublishRequest(many, "answers", two.body))
		noError(conn.Publish(many, three.body))
		noError(conn.Flush())
		g.clients.mu.Unlock()
		for _, want := range []string{"1", "2", "3", "4", "5", "6", "1", "2", "3"} {
			So(must(p.read()), ShouldEqual, want)
		}
		So(first(next(answers).Header, headerCount), ShouldEqual, "2")
	})
}

// unasked is a service that takes bundles, and whose back ends nobody asks.
func unasked(g *Gateway, name string) *service {
	s := &service{bundle: bundle{subject: "zl.bundle.in." + name + "." + g.Server()}}
	s.takes.Store(true)
	s.asked.Store(true)
	g.services.mu.Lock()
	g.services.all[name] = s
	g.services.mu.Unlock()
	return s
}

func TestBundlesAuto(t *testing.T) {
	auto := func(c *Config) { c.Bundle = bundleAuto }
	takes := func(g *Gateway) func() bool { return func() bool { return named(g, "app").takes.Load() } }
	Convey("Who answers the question about bundles gets them, and who does not gets messages", t, func() {
		g := start(t, auto)
		conn, old := backEnd(t, g.NATS()), backEnd(t, g.NATS())
		spy := listenTo(conn, "zl.>") // it listens, and answers nothing
		var alone atomic.Uint64
		must(old.Subscribe("zl.in.>", func(m *nats.Msg) {
			alone.Add(1)
			noError(m.Respond(append([]byte("alone "), m.Data...)))
		}))
		noError(old.Flush())
		p := dial(t, g)
		echo := func(want string) {
			p.send("x")
			So(must(p.read()), ShouldEqual, want)
		}
		echo("alone x")
		for m := next(spy); m.Subject != "zl.bundle.in.app."+g.Server(); m = next(spy) {
		}
		echo("alone x") // nobody has answered
		bundles := must(conn.Subscribe("zl.bundle.in.app.>", func(m *nats.Msg) { noError(m.Respond(m.Data)) }))
		noError(conn.Flush())
		p.send("x") // there is something to ask for
		So(must(p.read()), ShouldBeIn, "x", "alone x")
		So(until(takes(g)), ShouldBeTrue)
		echo("x")

		So(bundles.Unsubscribe(), ShouldBeNil)
		So(spy.Unsubscribe(), ShouldBeNil)
		noError(conn.Flush())
		before, lost := alone.Load(), func() uint64 { return g.counts.dropped[wayIn][reasonNoBackend].Load() }
		p.send("lost, or not")
		So(until(func() bool { return !takes(g)() && lost()+alone.Load() == before+1 }), ShouldBeTrue)
		if lost() == 0 {
			So(must(p.read()), ShouldEqual, "alone lost, or not")
		}
		echo("alone x")
	})
	Convey("A bundle that nobody gets ends them at once", t, func() {
		g := start(t, auto)
		s := unasked(g, "app")
		g.gather(&client{id: 1, to: s}, nil, false)
		g.publishBundles()
		So(until(func() bool { return !s.takes.Load() }), ShouldBeTrue)
		So(s.asked.Load(), ShouldBeFalse)
		So(g.counts.dropped[wayIn][reasonNoBackend].Load(), ShouldEqual, 1)
	})
	Convey("What is too long for a bundle goes alone", t, func() {
		g := start(t, auto)
		s := unasked(g, "app")
		So(g.bundled(s, make([]byte, maxPayload-bundleHead)), ShouldBeTrue)
		So(g.bundled(s, make([]byte, maxPayload-bundleHead+1)), ShouldBeFalse)
	})
	Convey("Messages of a client stay in order when bundles begin and end", t, func() {
		const many = 3000
		g := start(t, auto)
		conn := backEnd(t, g.NATS())
		all := listenTo(conn, "zl.>")
		p := dial(t, g)
		p.send("0")
		So(until(func() bool { return g.counts.inMessages.Load() == 1 }), ShouldBeTrue)
		s := named(g, "app")
		for i := 1; i < many; i++ {
			s.takes.Store(i/7%2 == 0)
			p.send(fmt.Sprint(i))
		}
		seen := 0
		want := func(body []byte) {
			if string(body) != fmt.Sprint(seen) {
				So(string(body), ShouldEqual, fmt.Sprint(seen))
			}
			seen++
		}
		for seen < many {
			m := next(all)
			switch {
			case strings.HasPrefix(m.Subject, "zl.in."):
				want(m.Data)
			case strings.HasPrefix(m.Subject, "zl.bundle.in."):
				for rest := m.Data; len(rest) > 0; {
					_, _, body, after, _ := nextOf(rest)
					want(body)
					rest = after
				}
			}
		}
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

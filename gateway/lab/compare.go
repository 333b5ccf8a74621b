// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// comparison is two gateways, of which the first puts no messages into bundles, one nats-server, one back end and a server of the library alone.
type comparison struct {
	*cluster
	comparing
	report *report
	say    func(string, ...any)
	bare   string // where the library's server is
	pubs   *nats.Conn
}

// comparing is how the loads that compare are.
type comparing struct {
	clients int
	length  time.Duration // of each load
	only    string        // words, with semicolons between, of those that are wanted; none: all
}

// wants reports whether a load is one of those that are asked for.
func (c comparing) wants(part, name string) bool {
	for word := range strings.SplitSeq(c.only, ";") {
		if strings.Contains(part+": "+name, word) {
			return true
		}
	}
	return false
}

// ways are how a client reaches an answer.
type way struct {
	name, colour string
	dial         func(i int) (peer, error)
}

func asPeer(w *wire, err error) (peer, error) {
	if err != nil {
		return nil, err
	}
	return w, nil
}

const loadBuffer = 32 << 10

func (c *comparison) gateway(path string) func(int) (peer, error) {
	return func(int) (peer, error) {
		return asPeer(dialWire(c.gateways[0].listen, path, loadBuffer, 5*time.Second))
	}
}

func (c *comparison) bundles(path string) func(int) (peer, error) {
	return func(int) (peer, error) {
		return asPeer(dialWire(c.gateways[1].listen, path, loadBuffer, 5*time.Second))
	}
}

func (c *comparison) library(path string) func(int) (peer, error) {
	return func(int) (peer, error) { return asPeer(dialWire(c.bare, path, loadBuffer, 5*time.Second)) }
}

// natsWeb connects to NATS' own listener, on the nats-server that the gateway has.
func (c *comparison) natsWeb(subject string) func(int) (peer, error) {
	return func(i int) (peer, error) {
		inbox := fmt.Sprintf("lab.in%d", i)
		if subject == bareFan {
			inbox = bareFan
		}
		p, err := dialNATS(at(c.cluster.nats[0].site.address, natsWebPort), subject, inbox)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

func (c *comparison) ways() []way {
	return []way{
		{"gateway, ws", ours, c.gateway("/")},
		{"gateway with bundles, ws", ours, c.bundles("/")},
		{"NATS' own WebSocket", others, c.natsWeb(bareEcho)},
		{"library alone, ws", bare, c.library("/")},
		{"gateway, tcp", ours, c.gateway("")},
		{"library alone, tcp", bare, c.library("")},
	}
}

// compare measures all of it. The network has the namespaces.
func compare(n *network, p plan, how comparing, r *report, say func(string, ...any)) (err error) {
	p.prefix, p.haproxies, p.gateways, p.nats, p.backends, p.compares = "c", 0, 2, 1, 1, true
	c := &comparison{comparing: how, report: r, say: say}
	if c.cluster, err = build(n, p); err != nil {
		return err
	}
	defer func() { c.cluster.end() }()
	if c.bare, err = c.startBare(); err != nil {
		return err
	}
	if c.pubs, err = connectNATS(c.natsServers(), "publisher", func(string) {}); err != nil {
		return err
	}
	defer c.pubs.Close()
	return errors.Join(c.throughput(16), c.throughput(64), c.latency(), c.fans(), c.memory(c.clients*10))
}

// throughput: all clients busy, each with so many messages on the way.
func (c *comparison) throughput(window int) error {
	part := fmt.Sprintf("throughput %d", window)
	var bars []bar
	rates := map[string]float64{}
	for _, w := range c.ways() {
		if !c.wants(part, w.name) {
			continue
		}
		cost := c.costs(w.name)
		o, err := load{dial: w.dial, clients: c.clients, window: window, size: 64, warm: c.length / 4, length: c.length}.run()
		if err == nil {
			err = o.first
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", part, w.name, err)
		}
		c.say("%s: %.0f answers a second, %d on the way for each client", w.name, o.rate, window)
		cost(part, o.all)
		rates[w.name] = o.rate
		bars = append(bars, bar{w.name, o.rate, w.colour})
		c.report.row(part, w.name, o.rate, "answers/s", fmt.Sprintf("%d clients, %d messages of 64 B on the way each", c.clients, window))
		c.report.row(part, w.name+", p50", ms(o.p50), "ms", "")
		c.report.row(part, w.name+", p99", ms(o.p99), "ms", "")
	}
	c.report.chart(fmt.Sprintf("Answers a second, %d on the way", window),
		fmt.Sprintf("%d clients with %d messages of 64 bytes on the way each. Programs, clients and back end share the machine.", c.clients, window),
		drawBars("/s", bars))
	c.ratio(part, "gateway", rates["gateway, ws"], rates["NATS' own WebSocket"])
	c.ratio(part, "gateway with bundles", rates["gateway with bundles, ws"], rates["NATS' own WebSocket"])
	return nil
}

const natsGoal = 2.0

func (c *comparison) ratio(part, what string, ours, theirs float64) {
	if ours == 0 || theirs == 0 { // not wanted
		return
	}
	ratio := ours / theirs
	c.report.row(part, what+" to NATS' own WebSocket", ratio, "", "goal: 2")
	if ratio < natsGoal {
		c.report.Warnings = append(c.report.Warnings, fmt.Sprintf("%s, %s: %.2f times NATS' own WebSocket; the goal is %.0f", part, what, ratio, natsGoal))
	}
}

// costs notes what processors have done until now. The function that it returns makes rows of what they did since, for each of so
// many messages: for servers, for the clients, which are this process, and for nobody.
func (c *comparison) costs(name string) func(part string, messages int64) {
	spent := map[string]func() int64{"gateway": c.gateways[0].ticks, "gateway with bundles": c.gateways[1].ticks, "nats-server": c.cluster.nats[0].ticks,
		"back end": c.backends[0].ticks, "library": c.bareServe.ticks, "clients": func() int64 { return ticksOf(os.Getpid()) }}
	before, idle, crossed := map[string]int64{}, idleTicks(), c.crossed()
	for who, ticks := range spent {
		before[who] = ticks()
	}
	return func(part string, messages int64) {
		each := func(ticks int64) float64 { return float64(ticks) * tick.Seconds() * 1e6 / float64(max(messages, 1)) }
		for _, who := range slices.Sorted(maps.Keys(spent)) {
			if ticks := spent[who]() - before[who]; ticks > 1 {
				c.report.row(part, name+": processor time of the "+who, each(ticks), "µs/message", "")
			}
		}
		if now := c.crossed(); crossed > 0 && now > 0 {
			c.report.row(part, name+": messages that came to NATS for each", float64(now-crossed)/float64(max(messages, 1)), "", "2: each message and its answer is one of NATS")
		}
		c.report.row(part, name+": processor time that nobody took", each(idleTicks()-idle), "µs/message", "of all processors of the machine")
	}
}

// crossed is how many messages the nats-server has had; 0: it does not say.
func (c *comparison) crossed() int64 {
	answer, err := asking.Get("http://" + at(c.cluster.nats[0].site.address, natsTell) + "/varz")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	var varz struct {
		InMsgs int64 `json:"in_msgs"`
	}
	_ = json.NewDecoder(answer.Body).Decode(&varz) // stays 0
	return varz.InMsgs
}

// latency: clients that send one message in a while, so that nothing waits.
func (c *comparison) latency() error {
	var bars []bar
	found := map[string]outcome{}
	for _, w := range c.ways() {
		if !c.wants("latency", w.name) {
			continue
		}
		o, err := load{dial: w.dial, clients: min(c.clients, 50), window: 1, size: 64, pause: 50 * time.Millisecond,
			warm: c.length / 4, length: c.length}.run()
		if err == nil {
			err = o.first
		}
		if err != nil {
			return fmt.Errorf("latency, %s: %w", w.name, err)
		}
		found[w.name] = o
		bars = append(bars, bar{w.name + ", p50", ms(o.p50), w.colour}, bar{w.name + ", p99", ms(o.p99), w.colour})
		c.report.row("latency", w.name+", p50", ms(o.p50), "ms", "one message on the way, 20 a second for each client")
		c.report.row("latency", w.name+", p99", ms(o.p99), "ms", "")
	}
	for _, transport := range []string{"ws", "tcp"} {
		through, alone := found["gateway, "+transport], found["library alone, "+transport]
		if through.all == 0 || alone.all == 0 {
			continue
		}
		c.report.row("latency", "added by gateway, NATS and back end, "+transport+", p50", ms(through.p50-alone.p50), "ms", "")
		c.report.row("latency", "added by gateway, NATS and back end, "+transport+", p99", ms(through.p99-alone.p99), "ms", "")
	}
	c.report.chart("From a message to its answer, ms", "Nothing else is on the way.", drawBars("ms", bars))
	return nil
}

// fans: one message to all.
func (c *comparison) fans() error {
	to := func(subject string) func([]byte) error {
		return func(body []byte) error { return c.pubs.Publish(subject, body) }
	}
	speaker, err := c.library("")(0)
	if err != nil {
		return err
	}
	defer speaker.close()
	go func() {
		for buf := make([]byte, 4096); ; {
			if _, err := speaker.receive(buf); err != nil {
				return
			}
		}
	}()
	shout := func(body []byte) error { speaker.queue(body); return speaker.flush() }
	var bars []bar
	rates := map[string]float64{}
	for _, f := range []struct {
		way
		publish func([]byte) error
	}{
		{way{"gateway, ws", ours, c.gateway("/")}, to("zl.group." + labGroup)},
		{way{"NATS' own WebSocket", others, c.natsWeb(bareFan)}, to(bareFan)},
		{way{"library alone, ws", bare, c.library("/")}, shout},
	} {
		if !c.wants("one to all", f.name) {
			continue
		}
		cost := c.costs(f.name)
		rate, all, err := fan{dial: f.dial, clients: c.clients, publish: f.publish, size: 64, window: 200, length: c.length}.run()
		if err != nil {
			return fmt.Errorf("one to all, %s: %w", f.name, err)
		}
		c.say("%s: %.0f messages of a group arrive a second", f.name, rate)
		cost("one to all", all)
		rates[f.name] = rate
		bars = append(bars, bar{f.name, rate, f.colour})
		c.report.row("one to all", f.name, rate, "deliveries/s", fmt.Sprintf("%d clients, 64 B", c.clients))
	}
	c.report.chart("One message to all, deliveries a second", fmt.Sprintf("%d clients in a group.", c.clients), drawBars("/s", bars))
	c.ratio("one to all", "gateway", rates["gateway, ws"], rates["NATS' own WebSocket"])
	return nil
}

// memory: what the gateway's process grows by for each client that has said something.
func (c *comparison) memory(clients int) error {
	var bars []bar
	for _, transport := range []struct{ name, path string }{{"tcp", ""}, {"ws", "/"}} {
		if !c.wants("memory", transport.name) {
			continue
		}
		before := resident(c.gateways[0].pid())
		var peers []peer
		for range clients {
			p, err := asPeer(dialWire(c.gateways[0].listen, transport.path, 256, 5*time.Second))
			if err != nil {
				return err
			}
			peers = append(peers, p)
		}
		if err := c.greet(peers); err != nil {
			return err
		}
		time.Sleep(c.length) // what is free goes back to the system
		each := float64(resident(c.gateways[0].pid())-before) / float64(clients)
		for _, p := range peers {
			p.close()
		}
		c.report.row("memory", "gateway, for each client of "+transport.name, each, "B", fmt.Sprintf("%d clients, silent after one message; in one group", clients))
		bars = append(bars, bar{transport.name, each, ours})
		time.Sleep(c.length)
	}
	c.report.row("memory", "gateway, in all, without clients", float64(resident(c.gateways[0].pid()))/(1<<20), "MiB", "after all loads")
	c.report.chart("Memory of the gateway for each silent client, bytes", "Resident memory of the process.", drawBars("B", bars))
	return nil
}

// greet sends a message of each and waits for the answer.
func (c *comparison) greet(peers []peer) error {
	body := make([]byte, stampAt+8)
	body[0] = kindMessage
	for i, p := range peers {
		binary.BigEndian.PutUint32(body[1:], uint32(i))
		p.queue(body)
		if err := p.flush(); err != nil {
			return err
		}
		if _, err := p.receive(make([]byte, 64)); err != nil {
			return err
		}
	}
	return nil
}

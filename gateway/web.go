// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A web serves /metrics, /healthz and /readyz.
type web struct {
	server   *http.Server
	listener net.Listener
	over     sync.WaitGroup
}

func (g *Gateway) openWeb() error {
	if g.config.Metrics == nowhere {
		return nil
	}
	listener, err := net.Listen("tcp", g.config.Metrics)
	for tries := 0; err != nil && errors.Is(err, syscall.EADDRINUSE) && g.config.TakeoverPath != "" && tries < 50; tries++ {
		time.Sleep(100 * time.Millisecond) // the gateway before this one is about to leave it
		listener, err = net.Listen("tcp", g.config.Metrics)
	}
	if err != nil {
		return fmt.Errorf("--metrics: cannot listen at %s: %w", g.config.Metrics, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", g.serveMetrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", g.serveReady)
	g.web = &web{listener: listener, server: &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}}
	g.web.over.Go(func() { _ = g.web.server.Serve(listener) })
	return nil
}

func (w *web) address() net.Addr {
	if w == nil {
		return nil
	}
	return w.listener.Addr()
}

// close ends it; again is no error. w may be nil.
func (w *web) close() {
	if w != nil {
		_ = w.server.Close()
		w.over.Wait()
	}
}

// Ready says in a sentence why the gateway should get no more clients, or nothing.
func (g *Gateway) Ready() string {
	switch {
	case g.drain.Load():
		return "the gateway drains"
	case !g.hasNATS():
		return "NATS is not connected"
	}
	return ""
}

func (g *Gateway) hasNATS() bool { return g.bus.conn.IsConnected() && g.bus.data.Connected() }

func (g *Gateway) serveReady(w http.ResponseWriter, _ *http.Request) {
	if why := g.Ready(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func (g *Gateway) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	g.WriteMetrics(w)
}

// A page writes metrics in the text format of Prometheus.
type page struct{ out *bufio.Writer }

func (p *page) head(name, kind, help string) {
	_, _ = fmt.Fprintf(p.out, "# HELP zlink_gateway_%s %s\n# TYPE zlink_gateway_%s %s\n", name, help, name, kind)
}

func (p *page) line(name, labels string, value uint64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	_, _ = fmt.Fprintf(p.out, "zlink_gateway_%s%s %d\n", name, labels, value)
}

func (p *page) gauge(name, help string, value uint64) {
	p.head(name, "gauge", help)
	p.line(name, "", value)
}

func (p *page) counter(name, help string, value uint64) {
	p.head(name, "counter", help)
	p.line(name, "", value)
}

// WriteMetrics writes what /metrics shows.
func (g *Gateway) WriteMetrics(w io.Writer) {
	p, c := &page{bufio.NewWriter(w)}, &g.counts
	defer func() { _ = p.out.Flush() }()
	p.gauge("clients", "clients that are connected", uint64(g.clients.count()))
	p.gauge("groups", "groups that have members here", uint64(g.groups.count()))
	p.gauge("presence_entries", "users whose place this gateway has told", uint64(g.presence.entries()))
	p.gauge("nats_connected", "1: NATS is connected", one(g.hasNATS()))
	p.gauge("draining", "1: a drain has begun", one(g.drain.Load()))
	p.counter("in_messages_total", "messages of clients, given to NATS", c.inMessages.Load())
	p.counter("in_bytes_total", "bytes of these", c.inBytes.Load())
	p.counter("out_messages_total", "messages for clients that came from NATS", c.outMessages.Load())
	p.counter("out_bytes_total", "bytes of these", c.outBytes.Load())
	p.counter("sent_messages_total", "of these, queued for their client", c.sentMessages.Load())
	p.counter("sent_bytes_total", "bytes of these", c.sentBytes.Load())
	p.counter("group_messages_total", "messages for groups that came from NATS", c.groupMessages.Load())
	p.counter("group_deliveries_total", "members that these were queued for", c.deliveries.Load())
	p.counter("group_undelivered_total", "members that did not take one", c.undelivered.Load())
	p.drops(g)
	p.counter("in_doubt_total", "messages to NATS that a lost connection may have taken with it", c.inDoubt.Load())
	p.counter("unanswered_total", "answers to reply subjects that NATS did not take", c.unanswered.Load())
	p.counter("connects_total", "clients that have come", c.connects.Load())
	p.ends(g)
	p.counter("nats_stalls_total", "times that clients were not read because of NATS", g.bus.data.Stalls())
	p.head("nats_disconnects_total", "counter", "lost connections to NATS")
	for which := range c.natsLost {
		p.line("nats_disconnects_total", fmt.Sprintf("connection=%q", lossNames[which]), c.natsLost[which].Load())
	}
	p.gauge("nats_waiting_bytes", "of messages from NATS that wait for the gateway", uint64(g.bus.data.Waiting()))
	p.counter("presence_errors_total", "writes to the buckets that failed", c.presenceErrors.Load())
	p.counter("presence_cleared_total", "entries of dead gateways that this one deleted", c.presenceCleared.Load())
	if g.bus.embedded != nil {
		p.counter("nats_slow_consumers_total", "connections that the embedded NATS ended because they were slow", uint64(g.bus.embedded.NumSlowConsumers()))
	}
	if stats, err := g.socket.Stats(); err == nil {
		p.gauge("memory_bytes", "the library's queues, buffers and tables", stats.Memory)
		p.gauge("send_queue_bytes", "queued for clients", stats.BytesQueued)
		p.counter("client_dropped_messages_total", "queued for a client, and then dropped because its queue was full", stats.MsgsDropped)
		p.counter("client_abandoned_messages_total", "not acknowledged by the client's system when its connection ended", stats.Abandoned)
		p.counter("client_replaced_messages_total", "unsent ones whose place a newer one with the same key took", stats.Replaced)
		p.counter("turned_away_total", "connections that ended before they were clients", stats.TurnedAway)
	}
}

func one(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// drops writes what was dropped, and why.
func (p *page) drops(g *Gateway) {
	p.head("dropped_total", "counter", "messages that nobody got")
	for w := range ways {
		for r := range reasons {
			if n := g.counts.dropped[w][r].Load(); n > 0 || w < wayEvent && r < reasonNoBackend {
				p.line("dropped_total", fmt.Sprintf("way=%q,reason=%q", wayNames[w], reasonTable[r].name), n)
			}
		}
	}
	p.line("dropped_total", fmt.Sprintf("way=%q,reason=%q", "nats", reasonTable[reasonSlow].name), g.groups.slow())
}

// ends writes why clients went, how questions ended, and what zl.ctl was asked.
func (p *page) ends(g *Gateway) {
	p.head("disconnects_total", "counter", "clients that have gone, by reason")
	for why := range g.counts.disconnects {
		if n := g.counts.disconnects[why].Load(); n > 0 {
			p.line("disconnects_total", fmt.Sprintf("reason=%q", strings.ToLower(reasonNames[why])), n)
		}
	}
	p.head("auth_total", "counter", "questions about clients, by how they ended")
	for v := range verdicts {
		p.line("auth_total", fmt.Sprintf("result=%q", verdictNames[v]), g.counts.auth[v].Load())
	}
	p.head("control_total", "counter", "requests to zl.ctl, by op and status")
	g.counts.control.mu.Lock()
	defer g.counts.control.mu.Unlock()
	for _, labels := range slices.SortedFunc(maps.Keys(g.counts.control.all), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		p.line("control_total", fmt.Sprintf("op=%q,status=%q", labels[0], labels[1]), g.counts.control.all[labels])
	}
}

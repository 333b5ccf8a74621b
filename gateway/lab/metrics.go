// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Names of the gateway's figures.
const (
	metricUp   = "zlink_gateway_nats_connected"
	metricCuts = "zlink_gateway_nats_disconnects_total"
)

// metricsLost count messages that were not passed on.
var metricsLost = []string{"zlink_gateway_dropped_total", "zlink_gateway_in_doubt_total",
	"zlink_gateway_group_undelivered_total", "zlink_gateway_client_dropped_messages_total"}

// metrics are the figures of one program, by name with labels.
type metrics map[string]float64

// parseMetrics reads the text format of Prometheus.
func parseMetrics(r io.Reader) (metrics, error) {
	all := metrics{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("a line without a value: %q", line)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		all[strings.TrimSpace(line[:at])] = value
	}
	return all, lines.Err()
}

// sum adds up a figure with all of its labels.
func (m metrics) sum(name string) (total float64) {
	for key, value := range m {
		if key == name || strings.HasPrefix(key, name+"{") {
			total += value
		}
	}
	return total
}

var asking = http.Client{Timeout: 400 * time.Millisecond}

func scrape(address string) (metrics, error) {
	answer, err := asking.Get("http://" + address + "/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return parseMetrics(answer.Body)
}

// watch asks all gateways for their figures again and again, so that those of one that is killed are known
// but for the last moment, and knows when one lost its nats-server.
type watch struct {
	mu   sync.Mutex
	last map[string]metrics // by the life of a gateway
	cuts []span
	stop chan struct{}
	done sync.WaitGroup
}

const watching = 200 * time.Millisecond

func newWatch(gateways []*gateway) *watch {
	w := &watch{last: map[string]metrics{}, stop: make(chan struct{})}
	for _, g := range gateways {
		w.done.Go(func() { w.follow(g) })
	}
	return w
}

func (w *watch) follow(g *gateway) {
	ticker := time.NewTicker(watching)
	defer ticker.Stop()
	for {
		w.look(g)
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
	}
}

// look keeps the figures of one life, and the time of a cut that it counted since the last look.
func (w *watch) look(g *gateway) {
	life := fmt.Sprintf("%s/%d", g.name, g.pid())
	now := time.Now()
	m, err := scrape(g.metrics)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before := w.last[life]; before != nil {
		if m.sum(metricCuts) > before.sum(metricCuts) || m.sum(metricUp) == 0 {
			w.cuts = append(w.cuts, span{now.Add(-natsBlind), now.Add(natsBlind), g.name + " lost its nats-server"})
		}
	}
	w.last[life] = m
}

// natsBlind is how long before a gateway notices it messages to a dead server may have been lost.
const natsBlind = 3 * time.Second

func (w *watch) end() {
	close(w.stop)
	w.done.Wait()
}

// total adds up a figure over all lives of all gateways.
func (w *watch) total(name string) (total float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.last {
		total += m.sum(name)
	}
	return total
}

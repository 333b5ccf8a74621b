// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zlink/zlink/core/admin"
)

const timeout = 5 * time.Second // of one server

// metric is one of the exporter; each has the label file.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(name, help, append([]string{"file"}, labels...), nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	m := gauge(name, help, labels...)
	m.kind = prometheus.CounterValue
	return m
}

// ofSocket is a metric of every socket.
type ofSocket struct {
	metric
	value func(*admin.Socket) uint64
}

var socketLabels = []string{"socket", "endpoint"}

var sockets = []ofSocket{
	{gauge("zlink_connections", "Peers of a socket.", socketLabels...), func(s *admin.Socket) uint64 { return s.Connections }},
	{counter("zlink_accepted_total", "Connections accepted.", socketLabels...), func(s *admin.Socket) uint64 { return s.Accepted }},
	{counter("zlink_dialled_total", "Connections dialled.", socketLabels...), func(s *admin.Socket) uint64 { return s.Dialled }},
	{counter("zlink_closed_total", "Connections ended.", socketLabels...), func(s *admin.Socket) uint64 { return s.Closed }},
	{counter("zlink_turned_away_total", "Connections that ended before they were peers.", socketLabels...), func(s *admin.Socket) uint64 { return s.TurnedAway }},
	{counter("zlink_received_messages_total", "Messages that arrived.", socketLabels...), func(s *admin.Socket) uint64 { return s.MsgsIn }},
	{counter("zlink_received_bytes_total", "Bytes of them.", socketLabels...), func(s *admin.Socket) uint64 { return s.BytesIn }},
	{counter("zlink_sent_messages_total", "Messages accepted for peers.", socketLabels...), func(s *admin.Socket) uint64 { return s.MsgsOut }},
	{counter("zlink_sent_bytes_total", "Bytes of them.", socketLabels...), func(s *admin.Socket) uint64 { return s.BytesOut }},
	{gauge("zlink_queued_messages", "Messages that wait for peers.", socketLabels...), func(s *admin.Socket) uint64 { return s.MsgsQueued }},
	{gauge("zlink_queued_bytes", "Bytes of them.", socketLabels...), func(s *admin.Socket) uint64 { return s.BytesQueued }},
	{gauge("zlink_unread_bytes", "Memory of what the application has not received.", socketLabels...), func(s *admin.Socket) uint64 { return s.BytesUnread }},
	{counter("zlink_refused_total", "Sends that ended with EAGAIN.", socketLabels...), func(s *admin.Socket) uint64 { return s.Refused }},
	{counter("zlink_oversize_total", "Connections cut for a message above MAXMSGSIZE.", socketLabels...), func(s *admin.Socket) uint64 { return s.Oversize }},
	{counter("zlink_abandoned_messages_total", "Messages not acknowledged when a connection ended.", socketLabels...), func(s *admin.Socket) uint64 { return s.Abandoned }},
	{counter("zlink_dropped_messages_total", "Messages dropped because a queue was full.", socketLabels...), func(s *admin.Socket) uint64 { return s.MsgsDropped }},
	{counter("zlink_dropped_bytes_total", "Bytes of them.", socketLabels...), func(s *admin.Socket) uint64 { return s.BytesDropped }},
	{counter("zlink_publishes_total", "Messages sent to many.", socketLabels...), func(s *admin.Socket) uint64 { return s.Publishes }},
	{counter("zlink_deliveries_total", "Messages accepted for peers that way.", socketLabels...), func(s *admin.Socket) uint64 { return s.Deliveries }},
	{counter("zlink_undelivered_total", "Peers that did not take one.", socketLabels...), func(s *admin.Socket) uint64 { return s.Undelivered }},
	{counter("zlink_replaced_messages_total", "Unsent messages replaced by a newer one with the same key.", socketLabels...), func(s *admin.Socket) uint64 { return s.Replaced }},
	{gauge("zlink_memory_bytes", "Memory of a socket: queues, buffers and tables.", socketLabels...), func(s *admin.Socket) uint64 { return s.Memory }},
}

var (
	up          = gauge("zlink_up", "1 if the server answered.")
	sinceBegun  = gauge("zlink_report_seconds", "The time that a report took.")
	resident    = gauge("zlink_resident_bytes", "Resident memory of the process.")
	goHeap      = gauge("zlink_go_heap_bytes", "Go's heap in the process.")
	readBuffers = gauge("zlink_read_buffers", "Read buffers in use.")
	closing     = gauge("zlink_closing_sockets", "Closed sockets with something left to send.")
	longest     = gauge("zlink_longest_queue_bytes", "Bytes that wait for the peer with the longest queue.")
	ended       = counter("zlink_ended_total", "Connections that ended, by reason.", append(socketLabels, "reason")...)
	driverPeers = gauge("zlink_driver_connections", "Connections of an io thread.", "driver")
	driverOwing = gauge("zlink_driver_owing", "1 if an io thread has timers, handshakes, or peers that take nothing.", "driver")
)

// collector asks the servers when Prometheus asks, each on a connection of this scrape: two that scrape at
// once do not wait for each other's servers.
type collector struct{ files []string }

func newCollector(files []string) *collector { return &collector{files} }

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range sockets {
		out <- m.desc
	}
	for _, m := range []metric{up, sinceBegun, resident, goHeap, readBuffers, closing, longest, ended, driverPeers, driverOwing} {
		out <- m.desc
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	var all sync.WaitGroup
	for _, file := range c.files {
		all.Go(func() { collect(file, out) })
	}
	all.Wait()
}

// collect asks one server.
func collect(file string, out chan<- prometheus.Metric) {
	client := &admin.Client{Path: file, Timeout: timeout}
	defer client.Close()
	tell := func(m metric, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, value, append([]string{file}, labels...)...)
	}
	r, err := client.Ask()
	if err != nil {
		tell(up, 0)
		return
	}
	tell(up, 1)
	tell(sinceBegun, float64(r.Took)/1e9)
	tell(resident, float64(r.Memory.Resident))
	tell(goHeap, float64(r.Memory.GoHeap))
	tell(readBuffers, float64(r.Memory.Slabs))
	tell(closing, float64(r.Closing))
	queue := uint64(0)
	if len(r.Slowest) > 0 {
		queue = r.Slowest[0].BytesQueued
	}
	tell(longest, float64(queue))
	for _, d := range r.Drivers {
		number, owing := strconv.Itoa(d.Number), 0.0
		if d.Owing {
			owing = 1
		}
		tell(driverPeers, float64(d.Connections), number)
		tell(driverOwing, owing, number)
	}
	for i := range r.Sockets {
		s := &r.Sockets[i]
		id, endpoint := strconv.FormatUint(s.ID, 10), ""
		if len(s.Endpoints) > 0 {
			endpoint = s.Endpoints[0].Text
		}
		for _, m := range sockets {
			tell(m.metric, float64(m.value(s)), id, endpoint)
		}
		for why, n := range s.Reasons {
			tell(ended, float64(n), id, endpoint, why)
		}
	}
}

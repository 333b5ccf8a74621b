// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"container/heap"
	"encoding/hex"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/admin"
	"github.com/zlink/zlink/core/engine"
)

var _ core.Reporter = (*owner)(nil)

// Report returns the state of the socket, and its peers with the longest queues.
func (o *owner) Report() (admin.Socket, []admin.Peer, bool) {
	k := o.socket()
	if !k.pin() { // but also after the context's shutdown
		return admin.Socket{}, nil, false
	}
	defer k.leave()
	var longest queuesByLength
	stats := k.count(longest.look)
	state := stats.report()
	state.BytesUnread = uint64(max(0, k.shared.RxWaiting.Load()))
	state.Mode = "compat"
	if k.fast.Load() {
		state.Mode = "fast"
	}
	k.reportEndpoints(&state)
	return state, k.reportPeers(longest), true
}

func (s *Stats) report() admin.Socket {
	r := admin.Socket{
		Connections: s.Connections, Accepted: s.Accepted, Dialled: s.Dialled, Closed: s.Closed, TurnedAway: s.TurnedAway,
		MsgsIn: s.MsgsIn, MsgsOut: s.MsgsOut, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		MsgsQueued: s.MsgsQueued, BytesQueued: s.BytesQueued, Refused: s.Refused, Oversize: s.Oversize,
		Abandoned: s.Abandoned, MsgsDropped: s.MsgsDropped, BytesDropped: s.BytesDropped,
		Publishes: s.Publishes, Deliveries: s.Deliveries, Undelivered: s.Undelivered, Replaced: s.Replaced,
		Memory: s.Memory, Reasons: map[string]uint64{},
	}
	for why, n := range s.EndedBy {
		if n > 0 {
			r.Reasons[engine.Cause(why).Name()] += n
		}
	}
	return r
}

func (k *Socket) reportEndpoints(state *admin.Socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	state.Draining = k.drain != nil
	state.Endpoints = []admin.Endpoint{} // in JSON: [], not null
	room := func() bool { return len(state.Endpoints) < admin.MaxEndpoints }
	for i := 0; i < len(k.listeners) && room(); i++ {
		state.Endpoints = append(state.Endpoints, admin.Endpoint{Kind: "listen", Text: k.listeners[i].texts[1]})
	}
	for i := 0; i < len(k.dialers) && room(); i++ {
		state.Endpoints = append(state.Endpoints, admin.Endpoint{Kind: "dial", Text: k.dialers[i].text})
	}
	state.Missing = len(k.listeners) + len(k.dialers) - len(state.Endpoints)
}

// queueLength is a connection, and what is queued for it.
type queueLength struct {
	conn    *engine.Conn
	traffic engine.Traffic
}

// queuesByLength keeps the longest queues that it has seen, as a heap with the shortest of them
// first. While the socket's lock is held, a connection costs it a comparison, or a step of the heap.
type queuesByLength []queueLength

func (q queuesByLength) Len() int { return len(q) }
func (q queuesByLength) Less(i, j int) bool {
	return q[i].traffic.BytesQueued < q[j].traffic.BytesQueued
}
func (q queuesByLength) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queuesByLength) Push(x any)   { *q = append(*q, x.(queueLength)) }
func (q *queuesByLength) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (q *queuesByLength) look(c *engine.Conn, t engine.Traffic) {
	switch {
	case t.BytesQueued == 0:
	case len(*q) < admin.MaxPeers:
		heap.Push(q, queueLength{c, t})
	case t.BytesQueued > (*q)[0].traffic.BytesQueued:
		(*q)[0] = queueLength{c, t}
		heap.Fix(q, 0)
	}
}

// reportPeers describes those of the connections that still exist, longest queue first.
func (k *Socket) reportPeers(longest queuesByLength) (peers []admin.Peer) {
	all := make([]queueLength, len(longest))
	for i := len(all) - 1; i >= 0; i-- {
		all[i] = heap.Pop(&longest).(queueLength)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, q := range all {
		if k.has(q.conn) {
			peers = append(peers, admin.Peer{RoutingID: hex.EncodeToString(q.conn.Shared.IDFrame()), Remote: q.conn.Remote(),
				Since: q.conn.Since().UnixMilli(), MsgsQueued: q.traffic.MsgsQueued, BytesQueued: q.traffic.BytesQueued,
				Memory: q.traffic.Memory, MsgsIn: q.traffic.MsgsIn, MsgsOut: q.traffic.MsgsOut})
		}
	}
	return peers
}

// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
)

// Stats are a socket's counters. Bytes include the length fields.
//
//capi:struct zl_stats
//capi:ends zlink_stream_stats_t 8
type Stats struct {
	Connections uint64 // at present, with those that close once their queue is sent
	Accepted    uint64 // ever
	Dialled     uint64 // ever
	Closed      uint64 // ever

	MsgsIn      uint64 // arrived completely, read by the application or not
	MsgsOut     uint64 // accepted from the application
	BytesIn     uint64 // of MsgsIn
	BytesOut    uint64 // of MsgsOut
	MsgsQueued  uint64 // of MsgsOut, not yet passed to the kernel
	BytesQueued uint64 // of MsgsQueued

	Refused  uint64 // sends that ended with EAGAIN
	Oversize uint64 // connections cut for a message above MAXMSGSIZE
	Memory   uint64 // bytes of the socket's queues, buffers and tables

	Abandoned uint64 // messages accepted, but not acknowledged by the peer's system when the connection ended

	// Connections that ended, by engine.Cause: those that Closed counts, and TurnedAway.
	EndedBy      [32]uint64
	TurnedAway   uint64 // connections that ended before they were peers: in a handshake, or by a limit
	MsgsDropped  uint64 // of MsgsOut, dropped because a queue was full
	BytesDropped uint64 // of MsgsDropped

	Publishes   uint64 // calls of Multicast and Publish that were carried out
	Deliveries  uint64 // of MsgsOut, those that came with them
	Undelivered uint64 // peers that did not take one: full, gone, or unknown
	Replaced    uint64 // of MsgsOut, unsent ones whose place a newer one with the same key took
}

// past holds the counters of connections that have gone, and of all connections ever. mu guards it.
type past struct {
	accepted, dialled, oversize uint64
	abandoned                   uint64 // messages
	turnedAway                  uint64
	endedBy                     [engine.Causes]uint64
	traffic                     engine.Traffic
}

func (p *past) add(c *engine.Conn) {
	t := c.Traffic()
	p.traffic.MsgsIn += t.MsgsIn
	p.traffic.BytesIn += t.BytesIn
	p.traffic.MsgsOut += t.MsgsOut
	p.traffic.BytesOut += t.BytesOut
	p.abandoned += c.Abandoned()
	p.endedBy[c.Cause()]++
}

// turnedAway counts a connection that ended before it was attached.
func (k *Socket) turnedAway(why engine.Cause) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.past.turnedAway++
	k.past.endedBy[why]++
}

// connSize is the memory of a connection that has nothing queued: its two structs and its
// entries in tables. eventSize is the part that a waiting event keeps of a connection
// that has gone.
const (
	connSize  = uint64(unsafe.Sizeof(shm.Session{})+unsafe.Sizeof(engine.Conn{})) + 160
	eventSize = uint64(unsafe.Sizeof(shm.Session{})) / 2
)

// Stats returns the counters. It visits every connection.
func (k *Socket) Stats() (Stats, error) {
	if err := k.enter(); err != nil {
		return Stats{}, err
	}
	defer k.leave()
	return k.count(func(*engine.Conn, engine.Traffic) {}), nil
}

// count adds the counters up. It shows each present connection to look, under the socket's lock.
func (k *Socket) count(look func(*engine.Conn, engine.Traffic)) Stats {
	var stats Stats
	k.walk(-1, func(connections int) {
		stats = k.pastStats()
		stats.Connections = uint64(connections)
	}, func(c *engine.Conn) bool {
		t := c.Traffic()
		stats.Memory += connSize + t.Memory
		stats.MsgsQueued += t.MsgsQueued
		stats.BytesQueued += t.BytesQueued
		stats.addTraffic(t)
		look(c, t)
		return true
	}, func(f final) { // pastStats had not counted it yet
		stats.addTraffic(f.traffic)
		stats.Abandoned += f.abandoned
	})
	stats.MsgsDropped, stats.BytesDropped = k.full.msgs.Load(), k.full.bytes.Load()
	k.casts.store(&stats)
	stats.MsgsOut += stats.MsgsDropped + stats.Replaced // connections count what they kept
	stats.BytesOut += stats.BytesDropped + k.casts.replacedBytes.Load()
	stats.Memory += k.groups.memory() + uint64(max(0, k.shared.TxCasts.Load()))
	stats.Closed = stats.Accepted + stats.Dialled - stats.Connections
	return stats
}

// pastStats returns the counters that do not depend on present connections. mu is held.
func (k *Socket) pastStats() Stats {
	p := &k.past
	return Stats{Accepted: p.accepted, Dialled: p.dialled, Oversize: p.oversize,
		MsgsIn: p.traffic.MsgsIn, BytesIn: p.traffic.BytesIn,
		MsgsOut: p.traffic.MsgsOut, BytesOut: p.traffic.BytesOut,
		Refused: k.refused.Load(), Abandoned: p.abandoned, EndedBy: p.endedBy, TurnedAway: p.turnedAway,
		Memory: uint64(unsafe.Sizeof(*k)) + uint64(unsafe.Sizeof(*k.shared)) +
			8*(k.table().Mask+1) + uint64(max(0, k.shared.RxWaiting.Load())) +
			uint64(k.admission.Memory()) + eventSize*uint64(max(0, k.shared.RxEvents.Load())) +
			uint64(max(0, k.handshakes.Load())) + uint64(max(0, k.account.Cards.Load()))}
}

func (s *Stats) addTraffic(t engine.Traffic) {
	s.MsgsIn += t.MsgsIn
	s.BytesIn += t.BytesIn
	s.MsgsOut += t.MsgsOut
	s.BytesOut += t.BytesOut
}

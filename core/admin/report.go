// SPDX-License-Identifier: MPL-2.0

// Package admin answers questions about a context through a local socket: each line that a
// reader sends gets one line of JSON. It knows what a report looks like, and who may ask how
// often, but not where the figures come from.
package admin

import "time"

// Version is that of the report. Fields may be added to a version; a field that changes its
// meaning, or goes, makes a new one.
const Version = 1

// What a report has at most, so that its size has a bound.
const (
	MaxSockets   = 1000
	MaxEndpoints = 16 // of a socket
	MaxPeers     = 20 // those with the longest queues, of all sockets
)

// Report is the state of a context. Sizes are in bytes, and counts are of all time where a comment does
// not say otherwise.
type Report struct {
	Version int    `json:"version"`
	Error   string `json:"error,omitempty"` // why there is no report; all else is missing then

	PID       int    `json:"pid"`
	Program   string `json:"program"`
	Time      int64  `json:"time_ms"`      // of day, since 1970
	Monotonic int64  `json:"monotonic_ns"` // of a clock that never jumps: rates are differences by this
	Took      int64  `json:"took_ns"`      // to make this report

	Memory  Memory   `json:"memory"`
	Drivers []Driver `json:"drivers"`
	Sockets []Socket `json:"sockets"`
	Missing int      `json:"sockets_left_out"` // beyond MaxSockets
	Closing int      `json:"sockets_closing"`  // closed, and with something left to send
	Slowest []Peer   `json:"slowest"`          // peers with the longest queues, longest first
}

// Memory is that of the process.
type Memory struct {
	Resident uint64 `json:"resident"` // all of the process
	GoHeap   uint64 `json:"go_heap"`
	Slabs    int64  `json:"slabs"` // read buffers in use, by what nobody has received yet too
}

// Driver is an io thread of the context.
type Driver struct {
	Number      int    `json:"number"`
	Connections int    `json:"connections"`
	Sockets     int    `json:"sockets"` // with endpoints there
	Role        string `json:"role"`    // who runs the loop now: thread, caller, flusher or none
	Owing       bool   `json:"owing"`   // it has timers, handshakes, or peers that take nothing
}

// Socket is a socket that is not closed.
type Socket struct {
	ID        uint64     `json:"id"` // counts the sockets of the context
	Mode      string     `json:"mode"`
	Endpoints []Endpoint `json:"endpoints"`
	Missing   int        `json:"endpoints_left_out"` // beyond MaxEndpoints
	Draining  bool       `json:"draining"`

	Connections  uint64 `json:"connections"` // now
	Accepted     uint64 `json:"accepted"`
	Dialled      uint64 `json:"dialled"`
	Closed       uint64 `json:"closed"`
	TurnedAway   uint64 `json:"turned_away"` // ended before they were peers
	MsgsIn       uint64 `json:"msgs_in"`
	MsgsOut      uint64 `json:"msgs_out"`
	BytesIn      uint64 `json:"bytes_in"`
	BytesOut     uint64 `json:"bytes_out"`
	MsgsQueued   uint64 `json:"msgs_queued"`  // now, not passed to the system yet
	BytesQueued  uint64 `json:"bytes_queued"` // now
	BytesUnread  uint64 `json:"bytes_unread"` // memory of what came and is not received, now
	Refused      uint64 `json:"refused"`      // sends that ended with EAGAIN
	Oversize     uint64 `json:"oversize"`
	Abandoned    uint64 `json:"abandoned"`
	MsgsDropped  uint64 `json:"msgs_dropped"`
	BytesDropped uint64 `json:"bytes_dropped"`
	Publishes    uint64 `json:"publishes"`
	Deliveries   uint64 `json:"deliveries"`
	Undelivered  uint64 `json:"undelivered"`
	Replaced     uint64 `json:"replaced"`
	Memory       uint64 `json:"memory"` // now: queues, buffers and tables

	Reasons map[string]uint64 `json:"reasons"` // why connections ended; without those that none ended by
}

// Endpoint is where a socket listens, or what it dials.
type Endpoint struct {
	Kind string `json:"kind"` // listen or dial
	Text string `json:"endpoint"`
}

// Peer is a peer with something queued for it.
type Peer struct {
	Socket      uint64 `json:"socket"`
	RoutingID   string `json:"routing_id"` // hexadecimal
	Remote      string `json:"remote"`
	Since       int64  `json:"since_ms"` // the time of day when it came
	MsgsQueued  uint64 `json:"msgs_queued"`
	BytesQueued uint64 `json:"bytes_queued"`
	Memory      uint64 `json:"memory"`
	MsgsIn      uint64 `json:"msgs_in"`
	MsgsOut     uint64 `json:"msgs_out"`
}

// Rate is a difference by seconds. Counters of another socket may be smaller: then it is 0.
func Rate(before, now uint64, span time.Duration) float64 {
	if now < before || span <= 0 {
		return 0
	}
	return float64(now-before) / span.Seconds()
}

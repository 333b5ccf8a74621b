// SPDX-License-Identifier: MPL-2.0

// Package probe has the places at which tracers of the system look on (doc/operate.md). They are in
// libzlink.so as USDT probes (capi/probe.c); in a Go program nobody looks. A place costs two
// loads while nobody does:
//
//	if probe.On(probe.Accept) {
//		probe.Fire(probe.Accept, socket, peer, 0, 0, text)
//	}
package probe

import "sync/atomic"

// Probe is a place where a tracer can look.
type Probe int

// The probes.
//
//capi:const ZL_PROBE
const (
	Accept     Probe = 0 // a connection is a peer; a: 1 if this side made it; text: its endpoint
	Close      Probe = 1 // a peer's connection ended; a: engine.Cause; b: messages that did not arrive; text: its endpoint
	TurnAway   Probe = 2 // a connection ended before it was a peer; a: engine.Cause; text: its endpoint
	FrameIn    Probe = 3 // frames came from a peer; a: how many; b: their bytes
	FrameTaken Probe = 4 // the application has received them; a: how many; b: their bytes
	FrameOut   Probe = 5 // bytes for a peer were written; a: frames that end with them; b: how many
	Refuse     Probe = 6 // a send ends with EAGAIN; a: size of its body, 0: not known yet
	Driver     Probe = 7 // a shard's driver changes; socket: which shard; a: shm.Driver…
	Count      Probe = 8
)

// Wanted counts the tracers at each probe. The system changes the low 16 bits.
type Wanted [Count]atomic.Uint32

// Tracer gets what a probe tells. socket is Queues.Serial, peer the routing id.
type Tracer func(p Probe, socket uint64, peer uint32, a, b uint64, text string)

var (
	wanted        = new(Wanted)
	tracer Tracer = func(Probe, uint64, uint32, uint64, uint64, string) {}
)

// Set is called once, before any socket exists.
func Set(w *Wanted, t Tracer) { wanted, tracer = w, t }

// On reports whether somebody looks. Any thread.
func On(p Probe) bool { return wanted[p].Load() != 0 }

// Fire tells the tracer. Any thread; it may hold locks.
func Fire(p Probe, socket uint64, peer uint32, a, b uint64, text string) {
	tracer(p, socket, peer, a, b, text)
}

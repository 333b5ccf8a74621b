// SPDX-License-Identifier: MPL-2.0

package shm

import "github.com/zlink/zlink/core/probe"

// Show shows tracers what becomes of frames of a session: how many, and their bytes. Whoever calls it has a
// reference to the session.
func (q *Queues) Show(p probe.Probe, s *Session, frames, bytes uint64) {
	if probe.On(p) {
		probe.Fire(p, q.Serial, s.Rid4(), frames, bytes, "")
	}
}

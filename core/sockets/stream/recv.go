// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
)

// finishRun releases a run, and lets its shard read on if it waits for that.
func (k *Socket) finishRun(r *shm.Run) {
	switch r.Kind {
	case shm.RunConnected, shm.RunWritable:
		k.upTaken(r)
		return
	case shm.RunDisconnected:
		k.eventTaken(r.Of())
	}
	if r.Kind == shm.RunData {
		k.shared.Show(probe.FrameTaken, r.Session, uint64(r.Msgs), r.Size)
	}
	if k.release(r) {
		k.resume()
	}
}

// upTaken releases an event in a session's Up, or makes it the next one to read. A shard may
// use its place again at once.
func (k *Socket) upTaken(r *shm.Run) {
	if r.Of().TakeUp() {
		k.shared.RxRun = r
		k.shared.RxHand.Store(1)
		return
	}
	k.countEvent()
}

// countEvent counts an event as taken.
func (k *Socket) countEvent() {
	events := k.shared.RxEvents.Add(-1)
	if check.On {
		check.That(events >= 0, "no more events are taken than were pushed")
	}
}

// eventTaken stops senders from queuing more for a peer that had ended its side, because
// the application knows now, and ends what is given for the peer. The receiving thread calls it
// while it has the event.
func (k *Socket) eventTaken(s *shm.Session) {
	if s.Open() {
		_ = k.closePeer(s, s.Rid4())
	}
	s.EndData()()
}

// release frees a run and reports whether a shard waits for that.
func (k *Socket) release(r *shm.Run) bool {
	s := r.Of()
	if r.Kind != shm.RunData {
		k.countEvent()
		if r.Kind == shm.RunDisconnected || r.Kind == shm.RunAsking {
			s.Release()
		}
		return false
	}
	slab := r.Slab
	queued := s.RxTake(r)
	waiting := k.shared.RxWaiting.Add(-int64(r.Size))
	if check.On {
		check.That(waiting >= 0, "no more is taken than was pushed")
	}
	stalled := queued < s.RxStalled.Load() ||
		k.shared.RxThrottled.Load() != 0 && waiting < int64(k.shared.RxLow.Load())
	slab.Release() // r lies in it
	return stalled
}

// resume lets the shards continue reading.
func (k *Socket) resume() {
	k.shared.RxThrottled.Store(0)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, sh := range k.shards {
		sh.Resume(k.shared)
	}
}

// readable reports whether a receive would find something that a shard has read before. It
// does not ask the kernel; Poll does.
func (k *Socket) readable() bool {
	q := k.shared
	return q.RxRun != nil || q.RxList != nil || !q.RxInbox.Empty()
}

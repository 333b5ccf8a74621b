// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/wait"
)

// Bodies of the two events.
var eventBody = [...][]byte{shm.RunConnected: {1}, shm.RunDisconnected: {0}}

// RecvFrame receives one frame into buf and returns the frame's full size; more
// tells that the body follows. dontWait, or RCVTIMEO, ends the wait with
// EAGAIN. In a C program EINTR: a signal handler ran. ETERM, ENOTSOCK. ENOTSUP:
// the socket is in the mode FAST.
func (k *Socket) RecvFrame(buf []byte, dontWait bool) (size int, more bool, err error) {
	if err := k.enter(); err != nil {
		return 0, false, err
	}
	defer k.leave()
	frame, more, done, err := k.next(dontWait)
	if err != nil {
		return 0, false, err
	}
	copy(buf, frame)
	if done != nil {
		k.finishRun(done)
	}
	return len(frame), more, nil
}

// next returns the next frame; done is the run to finish after its use.
func (k *Socket) next(dontWait bool) (frame []byte, more bool, done *shm.Run, err error) {
	q := k.shared
	if q.RxPhase == shm.PhaseFast {
		return nil, false, nil, errno.New(errno.ENOTSUP, "a socket in the mode FAST has no frames to receive")
	}
	if q.RxPhase == shm.PhaseBody {
		q.RxPhase, q.RxMore = shm.PhaseID, 0
		frame, done = k.body()
		return frame, false, done, nil
	}
	if q.RxRun == nil && !q.NextRun() {
		if err := k.await(sockets.Waiting{Not: dontWait}); err != nil {
			return nil, false, nil, err
		}
		q.NextRun()
	}
	q.RxPhase, q.RxMore = shm.PhaseBody, 1
	return q.RxRun.Session.IDFrame(), true, nil, nil
}

// body returns the body at the receiver's place and moves on.
func (k *Socket) body() (body []byte, done *shm.Run) {
	q := k.shared
	r := q.RxRun
	if r.Kind != shm.RunData {
		q.EndRun()
		return eventBody[r.Kind], r
	}
	size := binary.BigEndian.Uint32(unsafe.Slice(q.RxPos, 4))
	body = unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(q.RxPos), 4)), size)
	q.RxPos, q.RxLeft = (*byte)(unsafe.Add(unsafe.Pointer(q.RxPos), 4+uint64(size))), q.RxLeft-4-uint64(size)
	if q.RxLeft > 0 {
		return body, nil
	}
	q.EndRun()
	return body, r
}

// finishRun gives a run back and lets its shard read on if it waits for that.
func (k *Socket) finishRun(r *shm.Run) {
	if r.Kind == shm.RunDisconnected {
		k.eventTaken(r.Session)
	}
	if k.release(r) {
		k.resume()
	}
}

// eventTaken ends what senders may queue for a peer that had ended its side: the
// application knows now. The receiving thread, which still has the event.
func (k *Socket) eventTaken(s *shm.Session) {
	if s.Open() {
		_ = k.closePeer(s, s.Rid4())
	}
}

// release gives a run back and tells whether a shard waits for that.
func (k *Socket) release(r *shm.Run) bool {
	s := r.Session
	if r.Kind != shm.RunData {
		k.shared.RxEvents.Add(-1)
		if r.Kind == shm.RunDisconnected {
			s.Release()
		}
		return false
	}
	slab := r.Slab
	queued := s.RxQueued.Add(-int32(r.Msgs))
	waiting := k.shared.RxWaiting.Add(-int64(r.Size))
	stalled := s.RxStalled.Load() != 0 && queued <= s.RxLow ||
		k.shared.RxThrottled.Load() != 0 && waiting < int64(k.shared.RxLow.Load())
	slab.Release() // r lies in it
	return stalled
}

// resume lets the shards read on.
func (k *Socket) resume() {
	k.shared.RxThrottled.Store(0)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, sh := range k.shards {
		sh.Resume(k.shared)
	}
}

// readable tells whether a receive finds something that was taken in before. It
// does not look at the kernel; Poll does.
func (k *Socket) readable() bool {
	q := k.shared
	return q.RxRun != nil || q.RxList != nil || !q.RxInbox.Empty()
}

func (k *Socket) await(w sockets.Waiting) error {
	deadline := w.Deadline(k.opt.rcvTimeout.Load())
	if w.Ctx != nil {
		watch := k.ctxWatch()
		watch.Begin(w.Ctx)
		defer watch.End()
	}
	for {
		if err := k.state(); err != nil {
			return err
		}
		if !k.shared.RxInbox.Empty() {
			return nil
		}
		if err := w.Cause(); err != nil {
			return err
		}
		err := k.driveOrSleep(deadline, w)
		if err != nil && err != errno.EFSM {
			return err
		}
	}
}

// ctxWatch returns the socket's, which begins.
func (k *Socket) ctxWatch() *sockets.CtxWatch {
	if watch := k.watch.Load(); watch != nil {
		return watch
	}
	watch := sockets.NewCtxWatch(k.wakeReceiver)
	k.watch.Store(watch)
	if k.closed.Load() { // Close may have looked before
		watch.Close()
	}
	return watch
}

// wakeReceiver makes a receive call look again why it waits.
func (k *Socket) wakeReceiver() {
	if !k.pin() {
		return
	}
	defer k.leave()
	k.readers.Signal()
	if sh := k.soleShard(); sh != nil {
		sh.Wake() // it may be driving
	}
}

// driveOrSleep runs the shard's loop when this call may, else it sleeps.
func (k *Socket) driveOrSleep(deadline time.Time, w sockets.Waiting) error {
	if sh := k.soleShard(); sh != nil && sh.Users.Load() == 1 && sh.TryDrive() {
		defer sh.Leave()
		return sh.Drive(k.shared, deadline, func() bool { return !k.mayDrive(sh) || w.Cause() != nil })
	}
	if deadline == sockets.LongAgo {
		return errno.EAGAIN
	}
	return k.sleep(deadline, w)
}

// sleep waits until a shard pushes a run, after it has marked itself and looked
// once more.
func (k *Socket) sleep(deadline time.Time, limit sockets.Waiting) error {
	w := wait.Get()
	defer wait.Put(w)
	k.readers.Add(w)
	defer k.readers.Remove(w)
	k.receiving.Store(k.soleShard() != nil)
	defer k.receiving.Store(false)
	if !k.shared.RxInbox.MarkAsleep() || k.state() != nil || limit.Cause() != nil {
		return nil
	}
	if sh := k.soleShard(); sh != nil && sh.Want() {
		if sh.Users.Load() == 1 {
			return nil // the role was given up meanwhile: drive
		}
		sh.Summon()
	}
	return w.Wait(deadline)
}

// wakeReaders wakes whoever waits for the inbox.
func (k *Socket) wakeReaders() bool {
	receiving := k.receiving.Load()
	k.readers.Signal()
	return receiving
}

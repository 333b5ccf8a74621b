// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/wait"
)

// awaitRun makes a run the one being read, waiting for one as long as w allows. fast is
// the mode that the call is for.
func (k *Socket) awaitRun(w sockets.Waiting, fast bool) error {
	for {
		if err := k.receives(fast); err != nil {
			return err
		}
		if k.shared.RxRun != nil || k.shared.NextRun() {
			return nil
		}
		if err := k.await(w); err != nil {
			return err
		}
	}
}

// receives returns why the socket has nothing for a receive call of the mode FAST (fast)
// or COMPAT.
func (k *Socket) receives(fast bool) error {
	switch is := k.shared.RxPhase == shm.PhaseFast; {
	case is && !fast:
		return errno.New(errno.ENOTSUP, "a socket in the mode FAST has no frames to receive")
	case fast && !is:
		return errno.New(errno.ENOTSUP, "messages with a routing id need the mode FAST")
	}
	return nil
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

// ctxWatch returns the socket's CtxWatch and creates it on the first call.
func (k *Socket) ctxWatch() *sockets.CtxWatch {
	if watch := k.watch.Load(); watch != nil {
		return watch
	}
	watch := sockets.NewCtxWatch(k.wakeReceiver)
	k.watch.Store(watch)
	if k.closed.Load() { // Close may have looked for a watch before
		watch.Close()
	}
	return watch
}

// wakeReceiver makes a waiting receive call check again whether it must wait.
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

// driveOrSleep runs the shard's loop if this call may do that, and else sleeps.
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

// sleep waits until a shard pushes a run. Before it sleeps it marks the inbox and checks
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
			return nil // nobody drives any more: drive
		}
		sh.Summon()
	}
	return w.Wait(deadline)
}

// wakeReaders wakes everyone who waits for the inbox.
func (k *Socket) wakeReaders() bool {
	receiving := k.receiving.Load()
	k.readers.Signal()
	return receiving
}

// awaitRoom waits until the session's queue has room for a message, the session has ended, its
// peer is to be cut, or messages are dropped by now.
func (k *Socket) awaitRoom(s *shm.Session, rid uint32, size int, owned bool, deadline time.Time, limit sockets.Waiting) error {
	w := wait.Get()
	defer wait.Put(w)
	k.senders.Add(w)
	defer k.senders.Remove(w)
	if limit.Ctx != nil {
		defer limit.OnEnd(k.senders.Signal)()
	}
	k.blocked.Add(1)
	defer k.blocked.Add(-1)
	waits := func() bool {
		if policy := k.opt.fullPolicy.Load(); policy == FullDropNewest || policy == FullDropOldest {
			return false
		}
		result := s.Judge(k.shared, rid, size, owned)
		return result == shm.AppendStarved || result == shm.AppendFull && !k.cuts(s, rid, size)
	}
	for waits() {
		if err := k.state(); err != nil {
			return err
		}
		if deadline == sockets.LongAgo {
			return errno.EAGAIN
		}
		if err := limit.Cause(); err != nil {
			return err
		}
		if err := w.Wait(deadline); err != nil {
			return err
		}
		w.Reset()
	}
	return k.state()
}

// wakeSenders wakes everyone who waits for room.
func (k *Socket) wakeSenders() {
	if k.blocked.Load() > 0 {
		k.senders.Signal()
	}
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/sys"
)

// A session's TxLock guards its main queue between the sending thread and the
// shard. It is held for the copy of one message or the swap of the queue, and
// while a shard that sleeps is woken. A contender tries a few times, and then sleeps in the kernel
// until the holder wakes it: to yield would not let a holder run that has a lower
// priority.
//
// TxLock is 1 while the lock is held. TxWaiters counts the threads that sleep, or
// are about to. C gives the lock back with a plain store and then looks at
// TxWaiters, without a fence between, as one would cost a tenth of a send. The
// waiter pays for it:
//
//	holder      TxLock = 0; if TxWaiters != 0 { wake one }
//	contender   TxWaiters++; barrier in all threads; if TxLock == 1 { sleep while it is 1 }
//
// Invariant: after the barrier (membarrier(2)) either the holder's store is seen,
// and the contender does not sleep, or the holder has yet to look at TxWaiters,
// and sees the contender. Where the system has no membarrier the contender sleeps
// for lockNap at most. Checked by tests/model/lock.pml; capi/path.h has the same in C.

// What a contender does.
//
//capi:const ZL
const (
	lockTries = 64
	lockNap   = 50_000 // ns
)

// TryLock takes the lock if it is free.
func (s *Session) TryLock() bool {
	return s.TxLock.CompareAndSwap(0, 1)
}

// Lock takes the lock.
func (s *Session) Lock() {
	for range lockTries {
		if s.TryLock() {
			return
		}
	}
	s.lockSlow()
}

func (s *Session) lockSlow() {
	s.TxWaiters.Add(1)
	defer s.TxWaiters.Add(^uint32(0))
	nap := barrier() // whoever takes the lock from here on sees TxWaiters when it gives it back
	for !s.TryLock() {
		// The scheduler must know: the holder may have been stopped for the garbage
		// collector, which waits for this thread as well.
		_ = sys.FutexWait(&s.TxLock, 1, nap)
	}
}

// mustHold asserts that some thread holds the lock: the caller's, as others would not go on.
func (s *Session) mustHold() {
	if check.On {
		check.That(s.TxLock.Load() == 1, "the session's lock is held")
	}
}

// Unlock gives the lock back.
func (s *Session) Unlock() {
	s.mustHold()
	s.TxLock.Store(0)
	if s.TxWaiters.Load() != 0 {
		sys.FutexWake(&s.TxLock)
	}
}

// barrier has every running thread of the process pass a memory barrier. It
// returns how long a wait may last: without end (-1), unless the system refused.
func barrier() time.Duration {
	if sys.Barrier() {
		return -1
	}
	return lockNap * time.Nanosecond
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/sys"
)

// A session's TxLock guards its main queue between the sending thread and the
// shard. A holder copies one message, swaps the queue, or wakes a shard that sleeps.
// A contender tries a few times and then sleeps in the kernel until the holder wakes
// it. Yielding instead would not let a holder of lower priority run.
//
// TxLock is 1 while the lock is held. TxWaiters counts the threads that sleep, or
// are about to. C unlocks with a plain store and then reads TxWaiters, without a
// fence between the two: a fence would cost a tenth of a send. The contender makes
// up for it:
//
//	holder      TxLock = 0; if TxWaiters != 0 { wake one }
//	contender   TxWaiters++; barrier in all threads; if TxLock == 1 { sleep while it is 1 }
//
// Invariant: after the barrier (membarrier(2)) one of two things holds. Either the
// contender sees the holder's store and does not sleep, or the holder has yet to read
// TxWaiters and will see the contender. On a system without membarrier the contender
// sleeps for lockNap at most. Checked by tests/model/lock.pml; capi/path.h has the same
// in C.

// How a contender waits.
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
	nap := barrier() // from here on, whoever holds the lock sees TxWaiters when it unlocks
	for !s.TryLock() {
		// Go's scheduler must know of this wait. The garbage collector may have stopped the
		// holder, and the collector waits for this thread as well.
		_ = sys.FutexWait(&s.TxLock, 1, nap)
	}
}

// mustHold asserts that some thread holds the lock: the caller's, as others would not go on.
func (s *Session) mustHold() {
	if check.On {
		check.That(s.TxLock.Load() == 1, "the session's lock is held")
	}
}

// Unlock releases the lock.
func (s *Session) Unlock() {
	s.mustHold()
	s.TxLock.Store(0)
	if s.TxWaiters.Load() != 0 {
		sys.FutexWake(&s.TxLock)
	}
}

// barrier makes every running thread of the process pass a memory barrier. It returns
// the longest time to sleep afterwards: -1 for no limit, or lockNap if the system refused.
func barrier() time.Duration {
	if sys.Barrier() {
		return -1
	}
	return lockNap * time.Nanosecond
}

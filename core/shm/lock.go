// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A session's TxLock guards its main queue between the sending thread and the
// shard. It is held for the copy of one message or the swap of the queue,
// never across a system call, so a contender spins briefly and then yields the
// processor to the holder.

// TryLock takes the lock if it is free.
func (s *Session) TryLock() bool {
	return atomic.CompareAndSwapUint32(&s.TxLock, 0, 1)
}

// Lock takes the lock.
func (s *Session) Lock() {
	for spins := 0; !s.TryLock(); spins++ {
		if spins >= 64 {
			yield()
		}
	}
}

// yield gives the processor to another thread. It is a call on purpose: the
// holder may have been stopped for the garbage collector, which waits until
// this thread stops as well, and a thread stops at the start of a function.
//
//go:noinline
func yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// Unlock gives the lock back.
func (s *Session) Unlock() { atomic.StoreUint32(&s.TxLock, 0) }

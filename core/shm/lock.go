// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
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

const (
	lockTries = 64
	lockNap   = 50_000 // ns
)

// TryLock takes the lock if it is free.
func (s *Session) TryLock() bool {
	return atomic.CompareAndSwapUint32(&s.TxLock, 0, 1)
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
	atomic.AddUint32(&s.TxWaiters, 1)
	defer atomic.AddUint32(&s.TxWaiters, ^uint32(0))
	nap := barrier() // whoever takes the lock from here on sees TxWaiters when it gives it back
	for !s.TryLock() {
		// The scheduler must know: the holder may have been stopped for the garbage
		// collector, which waits for this thread as well.
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.TxLock)),
			futexWaitPrivate, 1, uintptr(unsafe.Pointer(nap)), 0, 0)
	}
}

// Unlock gives the lock back.
func (s *Session) Unlock() {
	atomic.StoreUint32(&s.TxLock, 0)
	if atomic.LoadUint32(&s.TxWaiters) != 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.TxLock)), futexWakePrivate, 1)
	}
}

// Of linux/futex.h and linux/membarrier.h.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128

	membarrierExpedited = 1 << 3
	membarrierRegister  = 1 << 4
)

// barrier has every running thread of the process pass a memory barrier. It
// returns how long a wait may last: nil, without end, unless the system refused.
func barrier() *unix.Timespec {
	for range 2 {
		_, _, e := unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierExpedited, 0, 0)
		if e == 0 {
			return nil
		}
		if e != unix.EPERM { // this process has not registered
			break
		}
		_, _, _ = unix.Syscall(unix.SYS_MEMBARRIER, membarrierRegister, 0, 0)
	}
	return &unix.Timespec{Nsec: lockNap}
}

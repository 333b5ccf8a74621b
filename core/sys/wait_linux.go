// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenEvent opens a descriptor that is readable between SetEvent and ClearEvent.
func OpenEvent() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

// SetEvent makes an event readable. Prompt.
func SetEvent(fd int) {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), 8)
}

// ClearEvent makes an event unreadable again. Prompt.
func ClearEvent(fd int) {
	var n uint64
	_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&n)), 8)
}

// Constants of linux/futex.h and linux/membarrier.h.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128

	membarrierExpedited = 1 << 3
	membarrierRegister  = 1 << 4
)

// FutexWait sleeps while the word has a value, until a FutexWake or for limit at most
// (negative: no limit). It returns the reason of its end: 0 for a wake-up, EAGAIN if the
// word had another value, ETIMEDOUT, or EINTR. Waits.
func FutexWait(word *atomic.Uint32, value uint32, limit time.Duration) Errno {
	_, _, e := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate,
		uintptr(value), uintptr(unsafe.Pointer(span(limit))), 0, 0)
	return e
}

// FutexWaitLong is FutexWait for one who sleeps for a tick, again and again. FutexWait leaves
// its processor, as Go's scheduler calls a licence to run, with the sleeping thread until the
// scheduler's monitor takes it away. After that the monitor looks every 20 us for a
// millisecond, which costs a tenth of a processor and interrupts the threads that work.
// FutexWaitLong gives the processor back first. That costs more than a short sleep does.
// Waits.
func FutexWaitLong(word *atomic.Uint32, value uint32, limit time.Duration) Errno {
	return futexBlocked(word, value, span(limit))
}

func span(limit time.Duration) *unix.Timespec {
	if limit < 0 {
		return nil
	}
	ts := unix.NsecToTimespec(int64(limit))
	return &ts
}

// enterBlocked is what Go's own waits begin with: it hands the processor on. Go promises to
// keep both names and types, because other packages use them (go.dev/issue/67401).
//
//go:linkname enterBlocked runtime.entersyscallblock
func enterBlocked()

//go:linkname leaveBlocked runtime.exitsyscall
func leaveBlocked()

// futexBlocked must not grow its stack in between, and has nothing for the race detector,
// which needs a processor.
//
//go:nosplit
//go:norace
func futexBlocked(word *atomic.Uint32, value uint32, limit *unix.Timespec) Errno {
	enterBlocked()
	_, _, e := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate,
		uintptr(value), uintptr(unsafe.Pointer(limit)), 0, 0)
	leaveBlocked()
	return e
}

// FutexWake wakes one thread that sleeps at the word, if there is one. Prompt.
func FutexWake(word *atomic.Uint32) {
	_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1)
}

// Barrier makes every running thread of the process pass a memory barrier. It returns
// false if the system cannot. Prompt, except for the first call of a process.
func Barrier() bool {
	for range 2 {
		_, _, e := unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierExpedited, 0, 0)
		if e == 0 {
			return true
		}
		if e != unix.EPERM { // this process has not registered
			break
		}
		_, _, _ = unix.Syscall(unix.SYS_MEMBARRIER, membarrierRegister, 0, 0)
	}
	return false
}

// PollFd is a descriptor for Poll, with the wanted and the found conditions.
type PollFd = unix.PollFd

// The conditions that Poll waits for. It also reports descriptors that fail or are over.
const (
	PollIn  = unix.POLLIN
	PollOut = unix.POLLOUT
	PollPri = unix.POLLPRI
)

// Poll waits until a descriptor is ready or limit is over (negative: no limit), and returns
// the number of ready descriptors. Waits.
func Poll(fds []PollFd, limit time.Duration) (int, error) {
	if limit < 0 {
		return unix.Ppoll(fds, nil, nil)
	}
	span := unix.NsecToTimespec(int64(limit))
	return unix.Ppoll(fds, &span, nil)
}

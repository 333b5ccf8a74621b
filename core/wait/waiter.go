// SPDX-License-Identifier: MPL-2.0

// Package wait blocks one thread until others signal it. A Waiter is a futex
// word, plus an eventfd when the thread also waits for descriptors. The
// package knows nothing of sockets.
package wait

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// ReportSignals makes a wait end with EINTR when a signal handler ran, as C callers
// expect. Go's scheduler interrupts threads with signals of its own, so a Go program
// leaves it off. The C library is built without those signals and sets it at start
// (engine.Host).
var ReportSignals bool

// Invariant: Signal stores 1 before it wakes, and Wait sleeps in the kernel only while
// the word is 0. A signal before, during or after the start of a Wait therefore ends it.
// Several signals count as one.

// Waiter lets one thread wait for signals from any other threads. Create it with New;
// it must not move in memory.
type Waiter struct {
	word    atomic.Uint32
	eventFd int // -1: none
}

// New returns a waiter that has no signal yet.
func New() *Waiter { return &Waiter{eventFd: -1} }

var pool = sync.Pool{New: func() any { return New() }}

// Get returns a waiter without a signal, for one wait. Put takes it back once no List
// has it any more.
func Get() *Waiter {
	w := pool.Get().(*Waiter)
	w.Reset()
	return w
}

// Put ends the use of a waiter of Get.
func Put(w *Waiter) { pool.Put(w) }

// OpenFd gives the waiter a descriptor that becomes readable with a signal.
func (w *Waiter) OpenFd() (int, error) {
	fd, err := sys.OpenEvent()
	if err != nil {
		return -1, err
	}
	w.eventFd = fd
	return fd, nil
}

// Fd returns the descriptor of OpenFd, or -1.
func (w *Waiter) Fd() int { return w.eventFd }

// CloseFd closes the descriptor. No Signal may run at the same time.
func (w *Waiter) CloseFd() {
	if w.eventFd >= 0 {
		sys.Close(w.eventFd)
		w.eventFd = -1
	}
}

// Signal ends the current Wait, or else the next one. Any thread.
func (w *Waiter) Signal() {
	w.word.Store(1)
	sys.FutexWake(&w.word)
	if w.eventFd >= 0 {
		sys.SetEvent(w.eventFd)
	}
}

// Reset forgets earlier signals. Only the waiting thread calls it.
func (w *Waiter) Reset() {
	w.word.Store(0)
	if w.eventFd >= 0 {
		sys.ClearEvent(w.eventFd)
	}
}

// Signalled reports whether a signal came since the last Reset.
func (w *Waiter) Signalled() bool { return w.word.Load() != 0 }

// Wait blocks until a signal (nil), the deadline (EAGAIN; the zero time means none) or,
// with ReportSignals, a signal handler of the process (EINTR).
func (w *Waiter) Wait(deadline time.Time) error { return w.wait(deadline, sys.FutexWait) }

// WaitLong is Wait for a thread that has nothing to do for about a tick or longer, again and
// again (sys.FutexWaitLong).
func (w *Waiter) WaitLong(deadline time.Time) error { return w.wait(deadline, sys.FutexWaitLong) }

func (w *Waiter) wait(deadline time.Time, sleep func(*atomic.Uint32, uint32, time.Duration) sys.Errno) error {
	for !w.Signalled() {
		left := longWait
		if !deadline.IsZero() {
			if left = time.Until(deadline); left <= 0 {
				return errno.EAGAIN
			}
		}
		e := sleep(&w.word, 0, left)
		if e == sys.EINTR && ReportSignals && !w.Signalled() {
			return errno.EINTR
		}
	}
	return nil
}

// longWait limits a wait that has no deadline. After a handler that was installed with
// SA_RESTART, the kernel would restart a wait without any limit.
const longWait = 24 * time.Hour

// List is a set of waiters that are signalled together. Its zero value is empty.
type List struct {
	mu      sync.Mutex
	waiters []*Waiter
}

// Add puts w into the list.
func (l *List) Add(w *Waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = append(l.waiters, w)
}

// Remove takes w out. Once it returns, no Signal of this list reaches w.
func (l *List) Remove(w *Waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.waiters {
		if other == w {
			last := len(l.waiters) - 1
			l.waiters[i], l.waiters[last] = l.waiters[last], nil
			l.waiters = l.waiters[:last]
			return
		}
	}
}

// Signal signals every waiter in the list.
func (l *List) Signal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiters {
		w.Signal()
	}
}

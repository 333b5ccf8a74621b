// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
	"github.com/zlink/zlink/core/wait"
)

type thread struct {
	waiter   *wait.Waiter
	resting  atomic.Bool
	wanted   atomic.Bool   // somebody went to sleep while nobody or a flusher had the role
	summoned atomic.Bool   // take the role without waiting for a tick
	drives   atomic.Uint64 // counts every start and end of a caller's driving
	patient  atomic.Bool   // it watches with a tick longer than watchTick
	done     chan struct{}
}

// firstThread is the one that Go begins with, and that initialises packages.
var firstThread = sys.ThreadID()

// onOwnThread runs a function on a thread that ends with it. Go's first thread does not
// end: it would keep its new name and priority, which in a Go program are the process's.
func onOwnThread(run func()) {
	runtime.LockOSThread() // and never unlocked: so the thread ends with the goroutine
	if sys.ThreadID() != firstThread {
		run()
		return
	}
	taken := make(chan struct{})
	go func() {
		runtime.LockOSThread() // another one, as the first is taken
		close(taken)
		run()
	}()
	<-taken
	runtime.UnlockOSThread()
}

func (sh *Shard) runThread(config ThreadConfig) {
	defer close(sh.thread.done)
	config.apply()
	for !sh.stopping.Load() {
		if sh.Shared.Driver.CompareAndSwap(shm.DriverNone, shm.DriverThread) {
			if check.On {
				sh.note(check.ThreadDrives)
			}
			sh.drives(shm.DriverThread)
			sh.handOver = nil
			sh.thread.wanted.Store(false)
			sh.backToVisits(false)
			for !sh.stopping.Load() && sh.handOver == nil {
				_ = sh.step(nil, true, time.Time{})
				if sh.owesThread() {
					sh.handOver = nil // the receiver may stay away with it
				}
			}
			to := sh.handOver
			if to != nil {
				sh.thread.wanted.Store(false) // it was the receiver, which is awake
				if check.On {
					sh.note(check.HandedOver)
				}
			}
			sh.leaveRole()
			if to != nil && to.RxInbox.Asleep() {
				continue // the caller came back before the thread got the role
			}
			sh.flushFor(to)
		} else if sh.Want() {
			continue // a flusher had the role, and has gone
		}
		sh.watch()
	}
}

// flushFor is flushLeft for a thread that has handed the role to the receiver of a socket; nil: to
// nobody. While the receiver has something to take it will be back and write, as senders that see that
// expect (TryFlush). A flush would take the role that it comes for, so that it had to sleep again.
func (sh *Shard) flushFor(to *shm.Queues) {
	if to == nil || !to.Waiting() || sh.hasMail.Load() {
		sh.flushLeft()
	}
}

// watch returns when nobody has driven the shard for a tick.
func (sh *Shard) watch() {
	if check.On {
		sh.note(check.Watches)
	}
	t := &sh.thread
	defer t.patient.Store(false)
	drives, tick, found := t.drives.Load(), watchTick, 0
	for !sh.stopping.Load() {
		if !t.summoned.Load() { // the end of a rest may have consumed its signal
			_ = t.waiter.WaitLong(time.Now().Add(tick))
		}
		t.waiter.Reset()
		if t.summoned.Swap(false) && !sh.callerDrives() {
			return
		}
		now := t.drives.Load()
		there := sh.callerDrives()
		if now == drives {
			if !there {
				return
			}
			sh.rest(now)
		}
		if found++; !there {
			found = 0
		}
		tick = sh.nextTick(tick, now-drives, found)
		drives = t.drives.Load()
	}
}

// nextTick returns how long the caller is trusted next. times is how often it started or
// ended to drive within the last tick, found how many looks in a row found it driving.
func (sh *Shard) nextTick(tick time.Duration, times uint64, found int) time.Duration {
	t := &sh.thread
	if times < backOften*uint64(tick/watchTick) && found < foundOften {
		t.patient.Store(false)
		return watchTick
	}
	t.patient.Store(true)
	if sh.owing.Load() || sh.hasMail.Load() { // whoever sets them after this sees patient
		t.patient.Store(false)
		return watchTick
	}
	return min(2*tick, patientTick)
}

// endPatience ends a long tick. Any thread calls it after it has stored work for the driver.
func (sh *Shard) endPatience() {
	if sh.thread.patient.Swap(false) {
		sh.thread.waiter.Signal()
	}
}

// rest sleeps as long as the driving caller sleeps.
func (sh *Shard) rest(drives uint64) {
	if check.On {
		sh.note(check.Rests)
	}
	t := &sh.thread
	t.resting.Store(true)
	for sh.callerDrives() && t.drives.Load() == drives && !sh.stopping.Load() {
		_ = t.waiter.WaitLong(time.Time{})
		t.waiter.Reset()
	}
	t.resting.Store(false)
}

// timerSlack is the kernel's default.
const timerSlack = 50 * time.Microsecond

// ThreadConfig is how a shard's thread runs in the kernel.
type ThreadConfig struct {
	Name     string // at most 15 bytes; "": that of the process
	Policy   int    // SCHED_OTHER …; -1: that of the process
	Priority int    // within that policy; -1: 0
	CPUs     []int  // that it may run on; none: all
}

// apply configures the calling thread. What the system refuses stays unchanged: a priority,
// for example, may need a privilege that the process lacks.
func (c ThreadConfig) apply() {
	if c.Name != "" {
		sys.NameThread(c.Name)
	}
	// Whatever its creator had set: this thread's waits are exact.
	sys.SetTimerSlack(timerSlack)
	if len(c.CPUs) > 0 {
		sys.PinThread(c.CPUs)
	}
	if c.Policy >= 0 {
		sys.SetPriority(c.Policy, max(0, c.Priority))
	}
}

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
	wanted   atomic.Bool   // somebody went to sleep while nobody, or a flusher, had the role
	summoned atomic.Bool   // take the role without waiting for a tick
	drives   atomic.Uint64 // counts every start and end of a caller's driving
	patient  atomic.Bool   // it watches with a tick above watchTick
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
			sh.handOver = nil
			sh.thread.wanted.Store(false)
			for !sh.stopping.Load() && sh.handOver == nil {
				_ = sh.step(nil, true, time.Time{})
				if sh.unwritten.len() > 0 {
					sh.handOver = nil // the receiver may stay away with it
				}
			}
			to := sh.handOver
			if check.On && to != nil {
				sh.note(check.HandedOver)
			}
			sh.leaveRole()
			if to != nil && to.RxInbox.Asleep() {
				continue // it was back before it could have the role
			}
			sh.flushLeft()
		} else if sh.Want() {
			continue // a flusher was in the way, and has gone
		}
		sh.watch()
	}
}

// watch returns when nobody has driven the shard for a tick.
func (sh *Shard) watch() {
	if check.On {
		sh.note(check.Watches)
	}
	t := &sh.thread
	defer t.patient.Store(false)
	drives, tick := t.drives.Load(), watchTick
	for !sh.stopping.Load() {
		if !t.summoned.Load() { // the end of a rest may have used its signal up
			_ = t.waiter.Wait(time.Now().Add(tick))
		}
		t.waiter.Reset()
		if t.summoned.Swap(false) && !sh.callerDrives() {
			return
		}
		now := t.drives.Load()
		if now == drives {
			if !sh.callerDrives() {
				return
			}
			sh.rest(now)
		}
		tick = sh.nextTick(tick, now-drives)
		drives = t.drives.Load()
	}
}

// nextTick returns how long the caller is trusted next, after a tick in which it
// started or ended to drive so many times.
func (sh *Shard) nextTick(tick time.Duration, times uint64) time.Duration {
	t := &sh.thread
	if times < backOften*uint64(tick/watchTick) {
		t.patient.Store(false)
		return watchTick
	}
	t.patient.Store(true)
	if sh.owing.Load() || sh.hasMail.Load() { // whoever sets them from here on sees patient
		t.patient.Store(false)
		return watchTick
	}
	return min(2*tick, patientTick)
}

// endPatience ends a long tick. Any thread, after it has stored what there is to see to.
func (sh *Shard) endPatience() {
	if sh.thread.patient.Swap(false) {
		sh.thread.waiter.Signal()
	}
}

// rest sleeps as long as the caller that drives does.
func (sh *Shard) rest(drives uint64) {
	if check.On {
		sh.note(check.Rests)
	}
	t := &sh.thread
	t.resting.Store(true)
	for sh.callerDrives() && t.drives.Load() == drives && !sh.stopping.Load() {
		_ = t.waiter.Wait(time.Time{})
		t.waiter.Reset()
	}
	t.resting.Store(false)
}

// timerSlack is the kernel's default.
const timerSlack = 50 * time.Microsecond

// ThreadConfig is how a shard's thread presents itself to the kernel.
type ThreadConfig struct {
	Name     string // at most 15 bytes; "": as the process
	Policy   int    // SCHED_OTHER …; -1: as the process
	Priority int    // of that policy; -1: 0
	CPUs     []int  // it may run on; none: all
}

// apply sets up the calling thread. What the system refuses stays as it was,
// as a priority may need a privilege that the process lacks.
func (c ThreadConfig) apply() {
	if c.Name != "" {
		sys.NameThread(c.Name)
	}
	// Whatever the creator had: this thread's waits are exact.
	sys.SetTimerSlack(timerSlack)
	if len(c.CPUs) > 0 {
		sys.PinThread(c.CPUs)
	}
	if c.Policy >= 0 {
		sys.SetPriority(c.Policy, max(0, c.Priority))
	}
}

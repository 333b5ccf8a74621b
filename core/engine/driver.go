// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
	"github.com/zlink/zlink/core/wait"
)

// The driver role
//
// Exactly one thread runs a shard's loop at any time: the one that changed
// Shared.Driver from DriverNone to its own value. Normally it is the shard's
// own thread. When a receive call is the only user of the shard, a hand-over
// to another thread for every batch would cost more than the work, so the
// calling thread drives: it takes the role when its queue is empty, and gives
// it back when it has something to return.
//
// The shard's thread is in one of three states:
//
//	driving   it holds the role; it leaves it when it woke a receive call
//	          that can drive, and then watches
//	watching  it looks every tick; when nobody has driven for a whole tick it
//	          takes the role back, so that a caller who does not come back
//	          delays nobody for longer than two ticks
//	resting   a caller sleeps in the kernel on the shard's behalf, so there is
//	          nothing to watch; the caller wakes the thread when it leaves
//
// Invariant: at every moment somebody drives, or the thread is watching.
// Resting is entered by storing resting first and looking once more whether
// the caller still drives; the caller stores DriverNone first and then looks
// for a resting thread. One of the two sees the other. Checked by
// tests/model/driver.pml.

// A tick is the longest time that a shard is left without a driver, once more
// for a tick that has just begun. Each look disturbs a round trip on a machine
// with few processors, so a caller who comes back all the time is trusted for
// longer, unless the shard has something to see to in its own time: what was
// posted, a timer, a handshake, or a connection that took no more bytes. Who goes
// to sleep summons the thread and waits for no tick. Checked by
// tests/model/patience.pml.
const (
	watchTick   = time.Millisecond
	patientTick = 10 * time.Millisecond
	// backOften is how often a caller starts or ends to drive in a watchTick
	// when it comes back all the time.
	backOften = 16

	// flushRounds is how often a flusher writes for those who came meanwhile.
	flushRounds = 4
)

// errNotAlone ends a caller's driving: others use the shard as well.
const errNotAlone = errno.EFSM

// mustDrive asserts that the caller drives: somebody does, and nobody else would call.
func (sh *Shard) mustDrive() {
	if check.On {
		check.That(!sh.idle() || sh.stopping.Load(), "the shard's loop is run by its driver")
	}
}

// note keeps a transition, in builds that check.
func (sh *Shard) note(what check.Transition) { check.Note(unsafe.Pointer(sh.Shared), what) }

// leaveRole gives the role back.
func (sh *Shard) leaveRole() {
	sh.mustDrive()
	owing := len(sh.timers) > 0 || len(sh.handshakes) > 0 || sh.blocked > 0 || sh.unwritten.len() > 0
	if owing != sh.owing.Load() {
		sh.owing.Store(owing)
	}
	if check.On {
		sh.note(check.RoleFree)
	}
	sh.Shared.Driver.Store(shm.DriverNone)
	if owing {
		sh.endPatience()
	}
}

// Want is for a thread that is about to sleep until a driver wakes it: it tells
// whether nobody drives. When that is a flusher, the flusher will summon the
// shard's thread. Any thread.
func (sh *Shard) Want() (idle bool) {
	if check.On {
		sh.note(check.Wanted)
	}
	sh.thread.wanted.Store(true)
	return sh.idle()
}

func (sh *Shard) idle() bool { return sh.Shared.Driver.Load() == shm.DriverNone }

func (sh *Shard) callerDrives() bool {
	return sh.Shared.Driver.Load() == shm.DriverCaller
}

// TryDrive takes the driver role for the calling thread if it is free. Only a
// thread that is about to receive or flush; Leave gives it back.
func (sh *Shard) TryDrive() bool {
	if !sh.Shared.Driver.CompareAndSwap(shm.DriverNone, shm.DriverCaller) {
		return false
	}
	if check.On {
		sh.note(check.CallerDrives)
	}
	sh.thread.drives.Add(1)
	sh.thread.wanted.Store(false)
	return true
}

// Leave gives the role of TryDrive back.
func (sh *Shard) Leave() {
	sh.thread.drives.Add(1)
	sh.leaveRole()
	if sh.thread.resting.Load() {
		sh.thread.waiter.Signal()
	}
	sh.flushLeft()
}

// flushLeft writes what senders left to a driver that has just given up the
// role.
func (sh *Shard) flushLeft() {
	if sh.leftWork() {
		sh.TryFlush(false)
	}
}

// leftWork reports whether somebody relied on a driver who has left since.
func (sh *Shard) leftWork() bool { return !sh.Shared.Dirty.Empty() || sh.hasMail.Load() }

// Drive runs the loop until the socket has a run (nil), the deadline (EAGAIN),
// a signal handler of the process (EINTR), or until stop says so or others use
// the shard too (EFSM). A deadline in the past does one round without waiting.
// The thread of a successful TryDrive.
func (sh *Shard) Drive(k *shm.Queues, deadline time.Time, stop func() bool) error {
	for first := true; ; first = false {
		if sh.Users.Load() > 1 || sh.stopping.Load() || stop() {
			return errNotAlone
		}
		late := !deadline.IsZero() && !time.Now().Before(deadline)
		if late && !first {
			return errno.EAGAIN
		}
		err := sh.step(k, !late, deadline)
		if late && k.RxInbox.Empty() && sh.pending.len() > 0 {
			sh.readPending()
		}
		// What senders wait for goes out before the caller turns to what came.
		if !k.RxInbox.Empty() {
			return nil
		}
		if err == sys.EINTR && wait.ReportSignals {
			return errno.EINTR
		}
	}
}

// TryFlush writes what senders queued if nobody drives, and with look also what
// the kernel takes again since it refused. It is no driving: a thread that only
// sends must not keep the shard's thread from taking the role.
//
// A sender puts its connection on the dirty list and then looks for a driver; who
// gives the role up looks at the list afterwards. So one of the two sees the
// other, and no message waits for a tick. Checked by tests/model/direct.pml.
//
// It writes for other senders too, but not for ever: what goes beyond a few rounds
// is the shard's thread's.
func (sh *Shard) TryFlush(look bool) {
	for rounds := 1; sh.Shared.Driver.CompareAndSwap(shm.DriverNone, shm.DriverFlusher); rounds++ {
		if check.On {
			sh.note(check.FlusherDrives)
		}
		sh.flushDirty()
		if sh.hasMail.Load() {
			sh.runMail()
		}
		if look {
			_ = sh.poll()
			look = false
		}
		more := sh.unwritten.len() > 0
		sh.leaveRole()
		if sh.thread.wanted.Swap(false) || more {
			sh.Summon()
		}
		if more || !sh.leftWork() {
			return
		}
		if rounds == flushRounds {
			sh.Summon()
			return
		}
	}
}

// Summon has the shard's thread take the role without waiting for a tick. Any
// thread.
func (sh *Shard) Summon() {
	if check.On {
		sh.note(check.Summoned)
	}
	sh.thread.summoned.Store(true)
	sh.thread.waiter.Signal()
}

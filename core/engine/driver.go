// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
	"github.com/zlink/zlink/core/wait"
)

// The driver role
//
// Exactly one thread runs a shard's loop at any time: the one that changed
// Shared.Driver from DriverNone to its own value. Normally that is the shard's
// own thread. When a receive call is the only user of the shard, handing every batch
// over to another thread would cost more than the work itself. So the calling thread
// drives: it takes the role when its queue is empty, and gives the role
// back when it has something to return.
//
// The shard's thread is in one of three states:
//
//	driving   it holds the role; it leaves the role after it woke a receive call
//	          that can drive, and then watches
//	watching  it looks every tick; when nobody has driven for a whole tick it
//	          takes the role back. A caller that does not come back
//	          thus delays nobody for longer than two ticks
//	resting   a caller sleeps in the kernel on the shard's behalf, so there is
//	          nothing to watch; the caller wakes the thread when it leaves
//
// Invariant: at every moment somebody drives, or the thread is watching.
// To rest, the thread first stores resting and then checks once more whether
// the caller still drives. The caller first stores DriverNone and then checks
// for a resting thread. At least one of the two sees the other. Checked by
// tests/model/driver.pml.

// A tick is the longest time that a shard is left without a driver, plus a tick
// that has just begun. Each look disturbs a round trip on a machine with few
// processors, so a caller that keeps coming back, or is never found away, is trusted
// for longer. Then the thread also rests less often. A rest costs the caller a signal
// when it leaves: lone messages would cost three turns of the thread each. That does not
// hold while the shard has work of its own: posted calls, a timer, a handshake, or a
// connection that took no more bytes. A thread that goes to sleep summons the shard's
// thread and waits for no tick. Checked by tests/model/patience.pml.
const (
	watchTick   = time.Millisecond
	patientTick = 10 * time.Millisecond
	// backOften is the number of starts and ends of driving within a watchTick that
	// shows that a caller keeps coming back.
	backOften = 16
	// foundOften is the number of looks that found a caller driving, one after the other, and
	// show that it is never away for long, however rarely something comes.
	foundOften = 8

	// flushRounds is the number of rounds in which a flusher also writes for later senders,
	// and goes on with what a turn was too short for.
	flushRounds = 4
)

// errNotAlone ends a caller's driving because others use the shard as well.
const errNotAlone = errno.EFSM

// mustDrive asserts that the caller drives: somebody does, and nobody else would call.
func (sh *Shard) mustDrive() {
	if check.On {
		check.That(!sh.idle() || sh.stopping.Load(), "the shard's loop is run by its driver")
	}
}

// note keeps a transition, in builds that check.
func (sh *Shard) note(what check.Transition) { check.Note(unsafe.Pointer(sh.Shared), what) }

// drives shows tracers who has the role, or, with shm.DriverNone, that its holder leaves it. Driver only.
func (sh *Shard) drives(who uint32) {
	if probe.On(probe.Driver) {
		probe.Fire(probe.Driver, uint64(uintptr(unsafe.Pointer(sh.Shared))), 0, uint64(who), 0, "")
	}
}

// leavesWriting reports whether there is something to write that neither the kernel nor a
// sender will report.
func (sh *Shard) leavesWriting() bool { return sh.unwritten.len() > 0 || sh.hasVisits() }

// owesThread is leavesWriting without what may wait for a receiver that comes back soon.
func (sh *Shard) owesThread() bool { return sh.unwritten.len() > 0 || sh.owesVisits() }

// owesVisits reports whether there are visits that the receiver may not have.
func (sh *Shard) owesVisits() bool { return sh.hasVisits() && !sh.absence.trusts() }

// leaveRole gives the role back.
func (sh *Shard) leaveRole() {
	sh.mustDrive()
	owing := len(sh.timers) > 0 || len(sh.handshakes) > 0 || sh.blocked > 0 || sh.leavesWriting()
	if owing != sh.owing.Load() {
		sh.owing.Store(owing)
	}
	if check.On {
		sh.note(check.RoleFree)
	}
	sh.drives(shm.DriverNone)
	sh.Shared.Driver.Store(shm.DriverNone)
	if owing {
		sh.endPatience()
	}
}

// Want reports whether nobody drives. A thread calls it before it sleeps until a driver
// wakes it. If a flusher has the role, the flusher will summon the shard's thread. Any
// thread.
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
// thread that is about to receive or flush may call it; Leave gives the role back.
func (sh *Shard) TryDrive() bool {
	if !sh.Shared.Driver.CompareAndSwap(shm.DriverNone, shm.DriverCaller) {
		return false
	}
	if check.On {
		sh.note(check.CallerDrives)
	}
	sh.drives(shm.DriverCaller)
	sh.thread.drives.Add(1)
	sh.thread.wanted.Store(false)
	sh.handOver = nil
	sh.backToVisits(true)
	return true
}

// Leave gives back the role of TryDrive.
func (sh *Shard) Leave() {
	if sh.hasVisits() {
		sh.absence.begin(time.Now())
	}
	sh.thread.drives.Add(1)
	sh.leaveRole()
	if sh.thread.resting.Load() {
		sh.thread.waiter.Signal()
	}
	sh.flushLeft()
}

// flushLeft writes what senders left to a driver that has just given the role back.
func (sh *Shard) flushLeft() {
	if sh.leftWork() {
		sh.TryFlush(false)
	}
}

// leftWork reports whether somebody relied on a driver that has left since.
func (sh *Shard) leftWork() bool { return !sh.Shared.Dirty.Empty() || sh.hasMail.Load() }

// Drive runs the loop. It ends when the socket has a run (nil), at the deadline (EAGAIN),
// after a signal handler of the process (EINTR), or when stop returns true or others use
// the shard, too (EFSM). With a deadline in the past it does one round without waiting.
// The thread of a successful TryDrive calls it.
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
		if late && k.RxInbox.Empty() && sh.ready.len() > 0 {
			sh.readReady()
		}
		// Senders wait for this: it goes out before the caller turns to what came.
		if !k.RxInbox.Empty() {
			return nil
		}
		if err == sys.EINTR && wait.ReportSignals {
			return errno.EINTR
		}
	}
}

// TryFlush writes what senders have queued if nobody drives. With look it also writes what
// the kernel refused before and takes again. It does not count as driving: a thread that
// only sends must not keep the shard's thread from taking the role.
//
// A sender puts its connection on the dirty list and then looks for a driver. A driver
// that gives the role back looks at the list afterwards. At least one of the two sees the
// other, so no message waits for a tick. Checked by tests/model/direct.pml.
//
// TryFlush also writes for other senders, and goes on with what a turn was too short for,
// but only for a few rounds. The shard's thread does the rest: to summon it for each message that is longer
// than a turn would cost two changes of the driver.
func (sh *Shard) TryFlush(look bool) {
	for rounds := 1; sh.Shared.Driver.CompareAndSwap(shm.DriverNone, shm.DriverFlusher); rounds++ {
		if check.On {
			sh.note(check.FlusherDrives)
		}
		sh.drives(shm.DriverFlusher)
		sh.flushDirty()
		if sh.hasMail.Load() {
			sh.runMail()
		}
		if look {
			_ = sh.poll()
			look = false
		}
		left, visits := sh.unwritten.len() > 0, sh.owesVisits()
		sh.leaveRole()
		if sh.thread.wanted.Swap(false) || visits {
			sh.Summon()
		}
		if !left && (visits || !sh.leftWork()) {
			return
		}
		if rounds == flushRounds {
			sh.Summon()
			return
		}
	}
}

// Summon makes the shard's thread take the role without waiting for a tick. Any
// thread.
func (sh *Shard) Summon() {
	if check.On {
		sh.note(check.Summoned)
	}
	sh.thread.summoned.Store(true)
	sh.thread.waiter.Signal()
}

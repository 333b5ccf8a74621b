// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// step does one round of the loop: writing, mail, timers, reading, visits, and, if there is nothing
// else to do, a wait in the kernel until the deadline (zero: none). With until set it
// returns so that the caller can take what was read. EINTR: a signal handler of the
// process ran.
func (sh *Shard) step(until *shm.Queues, mayWait bool, deadline time.Time) error {
	sh.mustDrive()
	worked := sh.flushDirty()
	if sh.hasMail.Load() {
		sh.runMail()
		worked = true
	}
	if sh.unpark.CompareAndSwap(true, false) {
		sh.readParked()
	}
	if sh.clocked {
		sh.now = sh.readClock()
		worked = sh.runWheel() || worked
	}
	if len(sh.timers) > 0 && sh.timers.run(time.Now()) {
		worked = true
	}
	if sh.ready.len() > 0 && sh.rounds < pollEvery {
		sh.readReady()
		sh.rounds += 1 + sh.roundRead/pollBytes
		sh.visitAfter(sh.roundRead, until)
		return nil
	}
	sh.rounds = 0
	worked = sh.visitSome(0) || worked
	if worked || !mayWait || sh.ready.len() > 0 {
		return sh.poll()
	}
	if !sh.accepted.IsZero() {
		if time.Since(sh.accepted) < acceptLinger {
			sys.Yield()
			return sh.poll()
		}
		sh.accepted = time.Time{}
	}
	return sh.sleep(until, deadline)
}

// sleep waits in the kernel. First it marks itself asleep, so that senders wake it, and
// then it checks once more for work.
func (sh *Shard) sleep(until *shm.Queues, deadline time.Time) error {
	if next := sh.timers.next(); !next.IsZero() && (deadline.IsZero() || next.Before(deadline)) {
		deadline = next
	}
	timeoutMs := -1
	if !deadline.IsZero() {
		timeoutMs = int(max(0, (time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
	}
	if sh.wheel != nil && sh.wheel.count > 0 {
		if ms := sh.wheel.patience(sh.now); timeoutMs < 0 || ms < timeoutMs {
			timeoutMs = ms
		}
	}
	if sh.warm && (timeoutMs < 0 || timeoutMs > int(idleTrim/time.Millisecond)) {
		timeoutMs = int(idleTrim / time.Millisecond)
	}
	if !sh.Shared.Dirty.MarkAsleep() {
		return nil
	}
	defer sh.Shared.Dirty.Rouse()
	if sh.hasMail.Load() || sh.unpark.Load() || sh.stopping.Load() ||
		(until != nil && !until.RxInbox.Empty()) {
		return nil
	}
	before := time.Time{}
	if sh.warm {
		before = time.Now()
	}
	if check.On {
		sh.note(check.FallsAsleep)
	}
	n, err := sh.wait(timeoutMs)
	if check.On {
		sh.note(check.WakesUp)
	}
	if n == 0 && sh.warm && time.Since(before) >= idleTrim {
		sh.trim()
	}
	return err
}

// poll asks the kernel for reports without waiting.
func (sh *Shard) poll() error {
	_, err := sh.wait(0)
	return err
}

// wait takes the kernel's reports. More of them than one call brings wait in order, so it
// asks again at once, in front of long turns.
func (sh *Shard) wait(timeoutMs int) (int, error) {
	n, err := sh.poller.Wait(sh.reports, timeoutMs)
	if err != nil {
		return 0, err
	}
	sh.handle(sh.reports[:n])
	for more, calls := n, 1; more == len(sh.reports) && calls < reportCalls; calls++ {
		if more, err = sh.poller.Wait(sh.reports, 0); err != nil {
			return n, nil
		}
		sh.handle(sh.reports[:more])
	}
	return n, nil
}

func (sh *Shard) handle(reports []sys.Report) {
	for i := range reports {
		report := &reports[i]
		if report.Tag() == sys.NoTag {
			continue // its listener has not begun yet
		}
		if reg := sh.byFd[report.Fd()]; reg.handler != nil && reg.tag == report.Tag() {
			reg.handler.ready(report.Ready())
		}
	}
}

// trim frees buffers that a busy time has left. Unneeded free blocks go back to the system
// by themselves (core/shm/reserve.go).
func (sh *Shard) trim() {
	sh.warm = false
	if n := sh.conns.Load(); max(n-sh.compacted, sh.compacted-n) >= crowd {
		sh.compacted = n
		compact()
	}
	clear(sh.scratch[:])
	sh.dropParkedLists()
	for _, r := range []*ring{&sh.ready.sparse, &sh.ready.busy, &sh.unwritten} {
		r.trim()
	}
	if sh.slab != nil && sh.slab.Refs.Load() == 1 {
		sh.slab.Release()
		sh.slab = nil
	}
}

// runMail runs posted calls in order, as many as a round allows.
func (sh *Shard) runMail() {
	sh.hasMail.Store(false)
	sh.mail.Lock()
	if len(sh.calls) == 0 {
		sh.calls = sh.mail.calls
	} else {
		sh.calls = append(sh.calls, sh.mail.calls...)
	}
	sh.mail.calls = nil
	sh.visits.Append(&sh.mail.visits)
	sh.mail.Unlock()
	now := sh.calls[:min(len(sh.calls), mailBatch)]
	sh.calls = sh.calls[len(now):]
	if len(sh.calls) > 0 {
		sh.hasMail.Store(true)
	}
	for i, call := range now {
		now[i] = nil
		call()
	}
}

// flushDirty begins a round of writing: first what earlier rounds left, then what senders
// have queued since. It reports whether there was anything to write.
func (sh *Shard) flushDirty() bool {
	sh.roundLeft = writeRound
	worked := sh.writeOn()
	shared := sh.Shared.TakeDirty()
	if shared == nil {
		return worked
	}
	sh.brisk = briskRounds
	for shared != nil {
		// Read the link first: once the mark is off, a sender may set it again.
		next := (*shm.Session)(shared.DirtyNext)
		sh.flush(shared)
		shared = next
	}
	return true
}

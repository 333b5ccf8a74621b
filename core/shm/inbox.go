// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// An Inbox carries nodes from any number of pushing threads to one taking thread, and
// says which push must wake the taker. Its head is one word:
//
//	nil      empty, the taker is awake
//	asleep   empty, the taker sleeps or is about to (the inbox's own address)
//	closed   nobody will take again (the inbox's address plus one)
//	a node   the newest of a list, linked by each node's next word
//
// Invariant: a push that replaces asleep, and only that push, must wake the
// taker. The taker sleeps only after its own compare-and-swap from nil to
// asleep has succeeded, so a node pushed before makes that swap fail, and a
// node pushed after finds asleep: no wake-up is lost, and none is sent to a
// taker that is awake. Taking is one exchange of the whole list, so a node is
// never popped singly and the list has no ABA problem. Checked by
// tests/model/inbox.pml; capi/path.h has the same push and take in C.

func (in *Inbox) asleep() unsafe.Pointer { return unsafe.Pointer(in) }
func (in *Inbox) closed() unsafe.Pointer { return unsafe.Add(unsafe.Pointer(in), 1) }

// PushResult is the state that a push found.
type PushResult int

const (
	Pushed   PushResult = iota // the taker is awake
	MustWake                   // the taker sleeps: the pusher wakes it
	Refused                    // the inbox is closed; the node stays the pusher's
)

// Push adds a node whose link is the word next. Any thread.
func (in *Inbox) Push(node unsafe.Pointer, next *unsafe.Pointer) PushResult {
	for {
		old := atomic.LoadPointer(&in.head)
		result, link := Pushed, old
		switch old {
		case in.closed():
			return Refused
		case in.asleep():
			result, link = MustWake, nil
		}
		atomic.StorePointer(next, link)
		if atomic.CompareAndSwapPointer(&in.head, old, node) {
			return result
		}
	}
}

// take empties the inbox and returns its newest node, or nil.
func (in *Inbox) take() unsafe.Pointer {
	switch old := atomic.LoadPointer(&in.head); old {
	case nil, in.asleep(), in.closed():
		return nil
	}
	return atomic.SwapPointer(&in.head, nil)
}

// Empty reports whether a take would find nothing. Any thread; for others than the
// taker the answer is a hint.
func (in *Inbox) Empty() bool {
	old := atomic.LoadPointer(&in.head)
	return old == nil || old == in.asleep() || old == in.closed()
}

// MarkAsleep marks the taker as asleep. It reports whether the taker may sleep: false
// means that a node is there. Marking twice is harmless.
func (in *Inbox) MarkAsleep() bool {
	return atomic.CompareAndSwapPointer(&in.head, nil, in.asleep()) ||
		atomic.LoadPointer(&in.head) == in.asleep()
}

// Rouse removes the mark and reports whether it was there. Only the taker calls it, or a
// waker in place of a push.
func (in *Inbox) Rouse() bool {
	return atomic.CompareAndSwapPointer(&in.head, in.asleep(), nil)
}

// Asleep reports whether the taker is marked asleep. Any thread.
func (in *Inbox) Asleep() bool { return atomic.LoadPointer(&in.head) == in.asleep() }

// closeInbox makes every later push fail and returns what was there. The taker.
func (in *Inbox) closeInbox() unsafe.Pointer {
	old := atomic.SwapPointer(&in.head, in.closed())
	if old == in.asleep() || old == in.closed() {
		return nil
	}
	return old
}

// PushRun hands a run to the socket.
func (q *Queues) PushRun(r *Run) PushResult {
	return q.RxInbox.Push(unsafe.Pointer(r), &r.Next)
}

// TakeRuns returns the runs that came since the last call, oldest first,
// linked by Next. The receiving thread.
func (q *Queues) TakeRuns() *Run { return oldestRun(q.RxInbox.take()) }

// CloseRuns makes every later PushRun fail and returns the runs that were left.
func (q *Queues) CloseRuns() *Run { return oldestRun(q.RxInbox.closeInbox()) }

func oldestRun(newest unsafe.Pointer) *Run {
	var list *Run
	for newest != nil {
		r := (*Run)(newest)
		newest = atomic.LoadPointer(&r.Next)
		r.Next = unsafe.Pointer(list)
		list = r
	}
	return list
}

// PushDirty puts a session on the list to flush. The caller has set TxDirty
// under TxLock, so no session is on the list twice.
func (w *Wakeup) PushDirty(s *Session) PushResult {
	s.mustHold()
	if check.On {
		check.That(s.TxDirty&DirtyListed != 0, "a session on the list is marked so")
	}
	return w.Dirty.Push(unsafe.Pointer(s), &s.DirtyNext)
}

// TakeDirty returns the sessions to flush, oldest first, linked by DirtyNext.
// A session's link must be read before its TxDirty is cleared. The driver.
func (w *Wakeup) TakeDirty() *Session {
	var list *Session
	for newest := w.Dirty.take(); newest != nil; {
		s := (*Session)(newest)
		newest = atomic.LoadPointer(&s.DirtyNext)
		s.DirtyNext = unsafe.Pointer(list)
		list = s
	}
	return list
}

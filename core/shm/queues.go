// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"
)

// serials counts the sockets of Go programs. Handles of C have bits above.
var serials atomic.Uint64

// newestID is the routing id that is farthest of those given in the process. New
// sockets count on from it: an id that a caller kept for too long names nobody.
var newestID atomic.Uint32

// GaveID notes that a socket has given an id.
func GaveID(id uint32) {
	for {
		newest := newestID.Load()
		if int32(id-newest) <= 0 || newestID.CompareAndSwap(newest, id) { // also when they wrap
			return
		}
	}
}

// NewQueues returns a cleared socket with an empty routing table, or nil.
func NewQueues() *Queues {
	q := (*Queues)(queuesSlots.get())
	if q == nil {
		return nil
	}
	atomic.StoreUint64(&q.Handle, 0)
	q.Serial = serials.Add(1)
	q.LastID = newestID.Load()
	q.RxRun, q.RxList, q.RxPos, q.RxLeft, q.RxPhase, q.RxMore = nil, nil, nil, 0, 0, 0
	atomic.StoreUint32(&q.RxHand, 0)
	q.TxSession, q.TxRid, q.TxPhase = nil, 0, 0
	atomic.StorePointer(&q.Shard, nil)
	atomic.StoreInt64(&q.RxWaiting, 0)
	atomic.StoreUint32(&q.RxThrottled, 0)
	atomic.StoreInt32(&q.RxEvents, 0)
	q.Inline, q.InlineSlots = inlineTable-1, [inlineTable]unsafe.Pointer{}
	atomic.StorePointer(&q.Table, unsafe.Pointer(q.InlineTable()))
	atomic.StorePointer(&q.RxInbox.head, nil)
	return q
}

// FreeQueues gives the socket's slot back.
func FreeQueues(q *Queues) { queuesSlots.put(unsafe.Pointer(q)) }

// NextRun makes the oldest run the one being read; false: there is none. The
// receiving thread, when RxRun is nil.
func (q *Queues) NextRun() bool {
	if q.RxList == nil {
		q.RxList = q.TakeRuns()
	}
	r := q.RxList
	if r == nil {
		return false
	}
	q.RxList = (*Run)(r.Next)
	q.RxRun = r
	if r.Kind == RunData {
		q.RxPos, q.RxLeft = r.Data, r.Size
	}
	atomic.StoreUint32(&q.RxHand, 1)
	return true
}

// Answerable tells whether a run is the end of a peer that may still be sent to
// until the receiver has it. A batch ends before such a run, so that its messages
// can be answered.
func (r *Run) Answerable() bool { return r.Kind == RunDisconnected && r.Session.Open() }

// EndRun takes the run that was read away from the receiver. The receiving
// thread, which then releases it.
func (q *Queues) EndRun() {
	q.RxRun = nil
	if q.RxList == nil {
		atomic.StoreUint32(&q.RxHand, 0)
	}
}

// Waiting tells whether something waits for the receiver. Any thread.
func (q *Queues) Waiting() bool { return atomic.LoadUint32(&q.RxHand) != 0 || !q.RxInbox.Empty() }

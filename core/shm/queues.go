// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// serials counts the sockets of Go programs. The handles of C programs use higher bits.
var serials atomic.Uint64

// NewQueues returns a cleared socket with an empty routing table, or nil.
func NewQueues() *Queues {
	q := (*Queues)(queuesSlots.get())
	if q == nil {
		return nil
	}
	q.Handle.Store(0)
	q.Serial = serials.Add(1)
	q.TxMask, q.TxHeaders = math.MaxUint32, 0
	q.RxRun, q.RxList, q.RxPos, q.RxLeft, q.RxPhase, q.RxMore = nil, nil, nil, 0, 0, 0
	q.RxHand.Store(0)
	q.TxSession, q.TxRid, q.TxPhase, q.TxPromise = nil, 0, 0, 0
	q.Shard.Store(nil)
	q.TxTotal.Store(0)
	q.TxMemory.Store(0)
	q.TxRefusals.Store(0)
	q.TxStarved.Store(0)
	q.TxHeld.Store(0)
	q.TxCasts.Store(0)
	q.TxJoin = nil
	q.RxWaiting.Store(0)
	q.RxThrottled.Store(0)
	q.RxEvents.Store(0)
	q.Drained = RunHead{Kind: RunDrained}
	q.InlineMask = inlineTable - 1
	for i := range q.InlineSlots {
		q.InlineSlots[i].Store(nil)
	}
	q.Table.Store(q.InlineTable())
	atomic.StorePointer(&q.RxInbox.head, nil)
	return q
}

// FreeQueues frees the socket's slot.
func FreeQueues(q *Queues) { queuesSlots.put(unsafe.Pointer(q)) }

// NextRun makes the oldest run the one being read, or returns false if there is none. Only
// the receiving thread calls it, when RxRun is nil.
func (q *Queues) NextRun() bool {
	if check.On {
		check.That(q.RxRun == nil, "a run is read to its end before the next one")
	}
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
	q.RxHand.Store(1)
	return true
}

// Answerable reports whether r ends a peer that may still be sent to until the receiver
// takes r. A batch ends before such a run, so that the program can answer its messages.
func (r *Run) Answerable() bool { return r.Kind == RunDisconnected && r.Of().Open() }

// EndRun takes the finished run away from the receiver. Only the receiving thread calls
// it, and releases the run afterwards.
func (q *Queues) EndRun() {
	if check.On {
		check.That(q.RxRun != nil && (q.RxRun.Kind != RunData || q.RxLeft == 0), "a run ends when all of it was read")
	}
	q.RxRun = nil
	if q.RxList == nil {
		q.RxHand.Store(0)
	}
}

// NextBody returns the next body of the data run being read and moves on. Only the
// receiving thread calls it. capi/path.h has the same in C.
func (q *Queues) NextBody() []byte {
	size := uint64(binary.BigEndian.Uint32(unsafe.Slice(q.RxPos, lengthSize)))
	if check.On {
		check.That(lengthSize+size <= q.RxLeft, "a frame ends within its run")
	}
	at := unsafe.Add(unsafe.Pointer(q.RxPos), lengthSize)
	q.RxPos, q.RxLeft = (*byte)(unsafe.Add(at, size)), q.RxLeft-lengthSize-size
	return unsafe.Slice((*byte)(at), size)
}

// Waiting reports whether the receiver has anything to take. Any thread.
func (q *Queues) Waiting() bool { return q.RxHand.Load() != 0 || !q.RxInbox.Empty() }

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"unsafe"
)

// slots hands out structs of one size and takes them back; the memory stays
// theirs for ever, so stale pointers find a struct of the same kind.
type slots struct {
	mu    sync.Mutex
	size  uintptr
	stale uintptr // what is behind this many bytes is nobody's while the slot is free; 0: size
	free  []unsafe.Pointer
}

// slotStep is how much memory slots take from the system at a time.
const slotStep = 64 << 10

func (s *slots) get() unsafe.Pointer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		region := mapPages(slotStep)
		if region == nil {
			return nil
		}
		for at := slotStep/s.size*s.size - s.size; ; at -= s.size {
			s.free = append(s.free, unsafe.Add(region, at))
			if at == 0 {
				break
			}
		}
	}
	p := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	unpoison(p, s.size)
	return p
}

func (s *slots) put(p unsafe.Pointer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale > 0 {
		poison(unsafe.Add(p, s.stale), s.size-s.stale)
	}
	s.free = append(s.free, p)
}

var (
	sessionSlots = slots{size: unsafe.Sizeof(Session{}), stale: unsafe.Offsetof(Session{}.IP)}
	queuesSlots  = slots{size: unsafe.Sizeof(Queues{})}
	wakeupSlots  = slots{size: unsafe.Sizeof(Wakeup{})}
	aliasSlots   = slots{size: MaxID + 1}
)

// NewSession returns a slot of the socket's, without an id and closed for
// senders, with one reference; nil when there is no memory.
func NewSession(q *Queues, w *Wakeup) *Session {
	s := (*Session)(sessionSlots.get())
	if s == nil {
		return nil
	}
	s.Lock() // a sender with a stale pointer may be looking
	s.Rid, s.TxState, s.TxHwm = 0, TxClosed, 0
	atomic.StoreUint32(&s.TxDone, 0)
	s.TxQueued, s.TxDirty, s.TxHint = 0, 0, ClassTiny
	s.TxHead, s.TxTail, s.TxBytes = nil, nil, 0
	atomic.StoreInt64(&s.Memory, 0)
	s.Shard, s.Owner = w, q.Serial
	s.Unlock()
	atomic.StoreInt32(&s.RxQueued, 0)
	atomic.StoreUint32(&s.RxStalled, 0)
	s.RxLow, s.ID, s.IDLen, s.IPKind = 0, nil, 0, 0
	s.Up = RunHead{Session: s, Kind: RunConnected, Msgs: 1}
	s.Down = RunHead{Session: s, Kind: RunDisconnected}
	atomic.StoreInt32(&s.Refs, 1)
	return s
}

// Retain adds a reference to the slot.
func (s *Session) Retain() { atomic.AddInt32(&s.Refs, 1) }

// Release gives a reference back; the last one frees the slot. Any thread.
func (s *Session) Release() {
	if atomic.AddInt32(&s.Refs, -1) == 0 {
		FreeSession(s)
	}
}

// FreeSession frees a slot whose last reference is gone. It is closed for senders.
func FreeSession(s *Session) {
	s.dropReason()
	if s.ID != nil && s.ID != unsafe.Pointer(&s.ID4) {
		aliasSlots.put(s.ID)
	}
	sessionSlots.put(unsafe.Pointer(s))
}

// MaxID is the longest id frame in bytes.
const MaxID = 255

// SetID sets the id frame: a copy of the alias, or the four bytes of rid.
// false: no memory.
func (s *Session) SetID(rid uint32, alias []byte) bool {
	s.ID4 = [4]byte{byte(rid >> 24), byte(rid >> 16), byte(rid >> 8), byte(rid)}
	s.ID, s.IDLen = unsafe.Pointer(&s.ID4), 4
	if len(alias) > 0 {
		place := aliasSlots.get()
		if place == nil {
			return false
		}
		s.ID, s.IDLen = place, uint8(copy(unsafe.Slice((*byte)(place), MaxID), alias))
	}
	return true
}

// Rid4 returns the routing id as it was when the connection came up, also after
// its end.
func (s *Session) Rid4() uint32 { return binary.BigEndian.Uint32(s.ID4[:]) }

// IDFrame returns the id frame. It must not be kept or changed.
func (s *Session) IDFrame() []byte { return unsafe.Slice((*byte)(s.ID), s.IDLen) }

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

// InlineTable returns the table that a socket starts with.
func (q *Queues) InlineTable() *Table { return (*Table)(unsafe.Pointer(&q.Inline)) }

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

// FreeQueues gives the socket's slot back.
func FreeQueues(q *Queues) { queuesSlots.put(unsafe.Pointer(q)) }

// NewWakeup returns a cleared shard whose driver a write to the eventfd wakeFd
// wakes, or nil.
func NewWakeup(wakeFd int) *Wakeup {
	w := (*Wakeup)(wakeupSlots.get())
	if w != nil {
		w.WakeFd = int32(wakeFd)
		atomic.StorePointer(&w.Dirty.head, nil)
		atomic.StoreUint32(&w.Driver, DriverNone)
	}
	return w
}

// FreeWakeup gives the shard's slot back.
func FreeWakeup(w *Wakeup) { wakeupSlots.put(unsafe.Pointer(w)) }

// freeTables keeps tables that are no longer used, by size: like the slots,
// their memory stays what it is.
var freeTables struct {
	sync.Mutex
	bySize map[uint64][]*Table
}

// NewTable returns an empty routing table of size slots, a power of two, or
// nil.
func NewTable(size uint64) *Table {
	freeTables.Lock()
	defer freeTables.Unlock()
	if free := freeTables.bySize[size]; len(free) > 0 {
		t := free[len(free)-1]
		freeTables.bySize[size] = free[:len(free)-1]
		for id := range size {
			atomic.StorePointer(t.Slot(uint32(id)), nil)
		}
		return t
	}
	t := (*Table)(mapPages(uintptr(roundUp(8+8*size, PageSize))))
	if t != nil {
		t.Mask = size - 1
	}
	return t
}

// FreeTable gives a table of NewTable back.
func FreeTable(t *Table) {
	freeTables.Lock()
	defer freeTables.Unlock()
	if freeTables.bySize == nil {
		freeTables.bySize = map[uint64][]*Table{}
	}
	freeTables.bySize[t.Mask+1] = append(freeTables.bySize[t.Mask+1], t)
}

// Find returns the session that rid names now, or nil. It may be stale at
// once: Append compares the id under the session's lock. Any thread.
func (q *Queues) Find(rid uint32) *Session {
	t := (*Table)(atomic.LoadPointer(&q.Table))
	s := (*Session)(atomic.LoadPointer(t.Slot(rid)))
	if s == nil || s.Rid != rid {
		return nil
	}
	return s
}

// Slot returns the place where rid's session would be.
func (t *Table) Slot(rid uint32) *unsafe.Pointer {
	return (*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(t), 8+8*(uint64(rid)&t.Mask)))
}

// SPDX-License-Identifier: MPL-2.0

package shm

// The bounds of send queues
//
// A queue takes a message while SNDHWM has room for it, and while the queue's bytes stay
// below its bound; a message that is longer than the bound passes through an empty queue.
// The driver stores how far TxBytes may go (TxLimit) with each write, so a sender compares
// two numbers.
//
// The length of a body is not known when its id is sent, in the mode COMPAT. An id that must
// not wait is therefore taken while the queue is below its bounds, and then the body has
// room, whatever its length (TxPromise). One thread sends, so a socket is beyond its total,
// and a queue beyond its bound, by one such body at most.
//
// All queues of a socket share a total. A queue may have another block while it is small
// compared with what is left. So many stuck queues come to equal shares and leave room for the
// others, and a single one may grow up to its own bound. An empty queue may have a block while
// anything is left, and the smallest one always.
//
// A sender that is refused sets a mark, counts it (TxRefusals), and looks once more. The
// driver stores what it has written, looks at the count, and if it is not 0, at the mark of
// its session. So either the sender sees the room or the driver sees the mark. When half of
// the bound is free, the driver clears the mark and pushes RunWritable. The end of the
// session is the other end of a mark. Checked by tests/model/writable.pml.

// Sizes in bytes, and one ratio.
//
//capi:const ZL
const (
	SendUnit = 64 // the unit of TxLimit
	// Unbounded is the bound of a queue without one. It keeps TxLimit within reach.
	Unbounded = 1 << 36
	// HeldSmall is what a held queue takes in blocks that TxMemory does not count.
	HeldSmall = 4 * TinyChunkSize
	// Shares is by how much a queue must be smaller than what is left of the total.
	Shares = 64
)

// SetBound sets the most bytes that may be queued; 0 means no limit. Before the session is
// open.
func (s *Session) SetBound(bytes uint32) {
	s.TxBound = bytes
	s.Written(0)
}

func (s *Session) bound() uint64 {
	if s.TxBound == 0 {
		return Unbounded
	}
	return uint64(s.TxBound)
}

// Written stores how many bytes of the session the driver has passed on.
func (s *Session) Written(bytes uint64) {
	s.TxLimit.Store(uint32((bytes + s.bound()) / SendUnit))
}

// empty reports whether all queued messages are written.
func (s *Session) empty() bool { return s.TxQueued.Load() == s.TxDone.Load() }

// takes reports whether the bound has room for so many bytes. TxLock is held.
func (s *Session) takes(bytes uint64) bool {
	return int32(s.TxLimit.Load()-uint32((s.TxBytes+bytes+SendUnit-1)/SendUnit)) >= 0
}

// waiting returns about how many bytes are queued. TxLock is held.
func (s *Session) waiting() int64 {
	units := int32(uint32(s.TxBytes/SendUnit) - (s.TxLimit.Load() - uint32(s.bound()/SendUnit)))
	return int64(max(units, 0)) * SendUnit
}

// share returns how large the queue may be because of the total. Only held queues pay for
// what held ones have beyond TxMemory: they stay as they are, and the others come and go.
func (s *Session) share(q *Queues) int64 {
	total := q.TxTotal.Load()
	if total == 0 {
		return Unbounded
	}
	left := total - q.TxMemory.Load()
	if s.TxDirty&DirtyHeld != 0 {
		left -= HeldSmall * int64(q.TxHeld.Load())
	}
	return left / Shares
}

// Affords reports whether the total has anything left.
func (q *Queues) Affords() bool {
	total := q.TxTotal.Load()
	return total == 0 || q.TxMemory.Load() <= total
}

// mayGrow reports whether the total lets the queue have a block of so many bytes more.
// TxLock is held. capi/path.h has the same in C.
func (s *Session) mayGrow(q *Queues, bytes int64) bool {
	if s.empty() {
		return bytes <= TinyChunkSize || q.Affords()
	}
	return s.shares(q, bytes)
}

// shares reports whether the queue with so many bytes more is no larger than its share of
// the total. TxLock is held.
func (s *Session) shares(q *Queues, bytes int64) bool { return s.waiting()+bytes <= s.share(q) }

// AnyLength stands for the length of a body whose id alone is known.
const AnyLength = -1

// parcel is a message that is to be queued.
type parcel struct {
	bytes uint64 // with the length field
	need  uint64 // of them, those that go into chunks
	any   bool   // AnyLength
	mark  uint32 // in the length field beside the length
}

func parcelOf(body int, owned bool) parcel {
	if body == AnyLength {
		return parcel{any: true}
	}
	p := parcel{bytes: lengthSize + uint64(body), need: lengthSize}
	if !owned {
		p.need = p.bytes
	}
	return p
}

// growth returns how many bytes the queue's memory has to grow for a message. TxLock is
// held.
func (s *Session) growth(p parcel) int64 {
	outside := int64(p.bytes - p.need)
	room := uint64(0)
	if s.TxTail != nil {
		room = uint64(s.TxTail.room())
	}
	switch {
	case room >= p.need:
		return outside
	case s.TxDirty&DirtyHeld != 0 || p.need > LargeChunkSize-HeaderSize:
		return int64(p.bytes - room)
	}
	return int64(blockSize[fittingClass(uint32(p.need))]) + outside
}

// judge returns Appended if rid's queue takes a message now, or why not. TxLock is held.
func (s *Session) judge(q *Queues, rid uint32, p parcel) AppendResult {
	switch {
	case !s.names(q.Serial, rid):
		return AppendGone
	case p.any:
		return s.judgeAny(q)
	case q.TxPromise != 0:
		return Appended
	case !s.HasRoom() || !s.takes(p.bytes) && !s.empty():
		return AppendFull
	}
	if grows := s.growth(p); grows == 0 || s.mayGrow(q, grows) {
		return Appended
	}
	if s.empty() {
		return AppendStarved
	}
	return AppendFull
}

// judgeAny returns Appended if the queue is below its bounds, so that a body of any length may
// follow. TxLock is held. capi/frames.c has the same in C.
func (s *Session) judgeAny(q *Queues) AppendResult {
	switch {
	case s.empty() && q.Affords():
		return Appended
	case s.empty():
		return AppendStarved
	case s.HasRoom() && s.takes(lengthSize) && s.shares(q, TinyChunkSize):
		return Appended
	}
	return AppendFull
}

// Judge is what Append would return now, without the append: Appended, AppendGone,
// AppendFull or AppendStarved. Any thread.
func (s *Session) Judge(q *Queues, rid uint32, body int, owned bool) AppendResult {
	s.Lock()
	defer s.Unlock()
	return s.judge(q, rid, parcelOf(body, owned))
}

// Stuck reports whether a queue that is full is so because of its own peer: it is at a bound
// of its own, or the kernel takes nothing. Else its socket's other queues leave it no memory,
// until it is written. Any thread.
func (s *Session) Stuck(q *Queues, rid uint32, body int) bool {
	s.Lock()
	defer s.Unlock()
	return s.names(q.Serial, rid) && !s.empty() &&
		(s.TxDirty&DirtyHeld != 0 || !s.HasRoom() || !s.takes(lengthSize+uint64(body)))
}

// Refuse marks the session because a sender will get EAGAIN, and looks once more. It
// returns what Judge does; only after AppendFull and AppendStarved is the session marked.
// Any thread.
func (s *Session) Refuse(q *Queues, rid uint32, body int, owned bool) AppendResult {
	p := parcelOf(body, owned)
	s.Lock()
	defer s.Unlock()
	return s.refuse(q, func() AppendResult { return s.judge(q, rid, p) })
}

// refuse is Refuse under the lock, for the message that judge judges.
func (s *Session) refuse(q *Queues, judge func() AppendResult) AppendResult {
	if result := judge(); result != AppendFull && result != AppendStarved {
		return result
	}
	others := s.TxMarks&MarkRefused != 0 // a mark that another sender waits for
	if !others {
		s.TxMarks |= MarkRefused
		q.TxRefusals.Add(1)
	}
	result := judge()
	if result != AppendFull && result != AppendStarved && !others {
		s.EndRefusal(q)
	}
	return result
}

// EndRefusal clears the mark of a refused sender. TxLock is held.
func (s *Session) EndRefusal(q *Queues) {
	s.mustHold()
	if s.TxMarks&MarkRefused != 0 {
		s.TxMarks &^= MarkRefused
		q.TxRefusals.Add(^uint32(0))
	}
}

// roomy reports whether half of what the queue may have is free. TxLock is held.
func (s *Session) roomy(q *Queues) bool {
	queued := uint64(s.TxQueued.Load() - s.TxDone.Load())
	switch {
	case queued == 0:
		return q.Affords()
	case s.TxHwm != 0 && 2*queued > uint64(s.TxHwm):
		return false
	}
	return 2*s.waiting() <= min(int64(s.bound()), s.share(q))
}

// Room is what GiveRoom found.
type Room struct {
	Given    bool // a mark was cleared: its sender has to be told
	Push     bool // the caller has to push Up
	Starving bool // the mark stays, and no write of this session will clear it
}

// GiveRoom clears the mark of a refused sender if there is room again. events says that
// the socket's receiver gets events of it. TxLock is held, by the driver.
func (s *Session) GiveRoom(q *Queues, events bool) (room Room) {
	switch {
	case s.TxMarks&MarkRefused == 0:
		return room
	case !s.roomy(q):
		room.Starving = s.empty()
		return room
	}
	s.EndRefusal(q)
	room.Given = true
	switch {
	case !events:
	case s.TxMarks&MarkUp == 0:
		s.TxMarks |= MarkUp
		s.Up.Kind = RunWritable
		room.Push = true
	case s.Up.Kind == RunConnected:
		s.TxMarks |= MarkOwed
	}
	return room
}

// TakeUp ends the event in Up, which the receiver has taken. It reports whether the event
// has become RunWritable, which the receiver has to take next.
func (s *Session) TakeUp() (again bool) {
	s.Lock()
	defer s.Unlock()
	if s.TxMarks&MarkOwed == 0 {
		s.TxMarks &^= MarkUp
		return false
	}
	s.TxMarks &^= MarkOwed
	s.Up.Kind = RunWritable
	return true
}

// charge is what a chunk of a send queue counts in TxMemory.
func (c *Chunk) charge() int64 {
	if c.Class == ClassTiny {
		return int64(c.lent())
	}
	return int64(c.Size) + int64(c.lent())
}

// ChainCharge is what c and the chunks behind it count in TxMemory.
func (c *Chunk) ChainCharge() (bytes int64) {
	for ; c != nil; c = (*Chunk)(c.Next) {
		bytes += c.charge()
	}
	return bytes
}

// Charge counts memory of send queues that the socket has more, or, if negative, less. Any
// thread.
func (q *Queues) Charge(bytes int64) {
	if bytes != 0 {
		q.TxMemory.Add(bytes)
	}
}

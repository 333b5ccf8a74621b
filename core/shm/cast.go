// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// A message for many
//
// A Cast is one message that the queues of many peers refer to. Its bytes lie there once: the
// frame, and in front of it the header that a WebSocket server writes. A queue refers to the
// frame as it refers to the body of a long message: by Ext of a chunk. The last chunk of the
// queue does that if it has no Ext yet, or else one of ClassRef, which is a header and no more.
//
// The bytes of a cast count for each queue that refers to them, so STREAM_SEND_BYTES and SNDHWM
// mean what they mean for any message. In memory they count once for the socket (TxMemory),
// until nobody refers to them, and a queue counts its references.
//
// A cast with a key takes the place of the one with the same key that a queue has not begun to
// write. There may be several: what the driver puts back lies in front of what was queued meanwhile,
// and only the start of a long queue is searched. The new one then takes the last one's place, so the
// newest is always the last of a key.

// castTag marks the Owner of a chunk that refers to a Cast. Other owners are even, or slabs with
// the lowest bit set.
const castTag = 2

// webHeadMost is the longest header in front of a frame: of a server's WebSocket.
const webHeadMost = 10

// CastMost is the longest body of a Cast in bytes.
const CastMost = math.MaxUint32 - PageSize

// castMin is the size of a frame from which on no queue copies it. A shorter one is copied where
// the last chunk has room.
const castMin = 64 + lengthSize

// keySearch is how many chunks of a queue are searched for a key, from the oldest on.
const keySearch = 4096

// Cast has a message for many peers of one socket, or several. It begins like the chunk that it
// lies in.
type Cast struct {
	block  Chunk
	refs   atomic.Int32
	head   uint32 // bytes of the WebSocket header of the first frame, which follows
	size   uint32 // bytes of the first frame
	used   uint32 // bytes of all frames
	keyed  bool
	joined bool // Queues.TxJoin names or has named it
	key    uint64
}

// Part is one message of a Cast. Its reference is the caller's.
type Part struct {
	*Cast
	frame unsafe.Pointer
	size  uint32
}

// castHead is the size of what lies in front of the bytes of a Cast.
const castHead = unsafe.Sizeof(Cast{})

// NewCast returns a message of q with a copy of header and body and one reference, or no Cast when
// there is no memory. With text it is text, and TxMask of q is LengthMask. Only where TxHeaders of
// q is set is there a header.
func NewCast(q *Queues, header, body []byte, text bool) Part {
	p := newCast(q, q.parcelWith(len(header), len(body)).bytes, 0)
	p.fill(q, header, body, text)
	return p
}

// newCast returns a Cast with a first frame, whose bytes are to be filled in, and room for so
// many bytes of frames at least.
func newCast(q *Queues, size, room uint64) (p Part) {
	c := NewChunk(uint64(castHead)-HeaderSize+webHeadMost+max(size, room), ClassTiny)
	if c == nil {
		return p
	}
	m := (*Cast)(unsafe.Pointer(c))
	m.size, m.used, m.keyed, m.joined, m.key = uint32(size), uint32(size), false, false, 0
	m.refs.Store(1)
	m.head = putWebHead(unsafe.Slice((*byte)(m.bytes()), webHeadMost), size)
	q.Charge(int64(c.Size))
	q.TxCasts.Add(int64(c.Size))
	return Part{m, m.first(), m.size}
}

// fill stores the frame.
func (p Part) fill(q *Queues, header, body []byte, text bool) {
	if p.Cast == nil {
		return
	}
	mark := uint32(0)
	if text {
		mark = ^uint32(LengthMask)
	}
	var front [FrontSize]byte
	to := unsafe.Slice((*byte)(p.frame), p.size)
	for _, part := range q.piecesOf(&front, header, body, mark) {
		to = to[copy(to, part):]
	}
}

// putWebHead writes the header of an unmasked binary message (RFC 6455, 5.2) and returns its
// size.
func putWebHead(to []byte, size uint64) uint32 {
	to[0] = 0x82
	switch {
	case size < 126:
		to[1] = byte(size)
		return 2
	case size <= math.MaxUint16:
		to[1] = 126
		binary.BigEndian.PutUint16(to[2:], uint16(size))
		return 4
	}
	to[1] = 127
	binary.BigEndian.PutUint64(to[2:], size)
	return webHeadMost
}

// Key gives the message a key. Before it is appended to a queue.
func (m *Cast) Key(key uint64) { m.keyed, m.key = true, key }

// Size is the number of bytes of the frame.
func (p Part) Size() int { return int(p.size) }

// bytes is where the header of the first frame lies, first the frame.
func (m *Cast) bytes() unsafe.Pointer { return unsafe.Add(unsafe.Pointer(m), castHead) }
func (m *Cast) first() unsafe.Pointer { return unsafe.Add(m.bytes(), m.head) }

// Release drops a reference. The last one frees the message, which is of the socket q. Any
// thread.
func (m *Cast) Release(q *Queues) {
	refs := m.refs.Add(-1)
	if check.On {
		check.That(refs >= 0, "a message for many is released no more often than it is retained")
	}
	if refs == 0 {
		if m.joined {
			castLock.Lock()
			if q.TxJoin == unsafe.Pointer(m) {
				q.TxJoin = nil
			}
			castLock.Unlock()
		}
		q.Charge(-int64(m.block.Size))
		q.TxCasts.Add(-int64(m.block.Size))
		FreeChunk(&m.block)
	}
}

// Cast returns the message for many that c refers to, or nil.
func (c *Chunk) Cast() *Cast {
	if c.Owner&castTag == 0 {
		return nil
	}
	return (*Cast)(pointer(c.Owner &^ castTag))
}

// refer makes c, which has no Ext, refer to a message.
func (c *Chunk) refer(p Part) {
	if check.On {
		check.That(c.Ext == 0, "a chunk refers to one place")
	}
	p.refs.Add(1)
	c.Ext, c.ExtLen, c.ExtAll = uintptr(p.frame), p.size, p.size
	c.Owner = uintptr(unsafe.Pointer(p.Cast)) | castTag
}

// HeadedExt returns the frame with the header of a WebSocket message in front, or nil: c has more
// than one frame, or a part of it is written, or its header has another size.
func (c *Chunk) HeadedExt(header int) []byte {
	m := c.Cast()
	if m == nil || c.Start != c.End || c.Ext != uintptr(m.first()) || c.ExtLen != m.size || int(m.head) != header {
		return nil
	}
	return unsafe.Slice((*byte)(m.bytes()), m.head+m.size)
}

// lent is how many bytes of others the chunk keeps, as its queue counts them. Those of a Cast
// count for the socket instead.
func (c *Chunk) lent() uint32 {
	if c.Owner&castTag != 0 {
		return 0
	}
	return c.ExtAll
}

// Lent is lent for the engine: bytes that count for the queue until they are released.
func (c *Chunk) Lent() int64 { return int64(c.lent()) }

// ReleaseExt releases what Ext refers to, if there is anything. The chunk is of a queue of q.
// release gets owners other than casts.
func (c *Chunk) ReleaseExt(q *Queues, release func(owner unsafe.Pointer)) {
	if m := c.Cast(); m != nil {
		m.Release(q)
	} else if owner := c.OwnerPointer(); owner != nil {
		release(owner)
	}
	c.Owner = 0
}

// CastResult is what AppendCast did.
type CastResult struct {
	AppendResult
	Visit *Wakeup // the shard that has to look at the session, because nobody else tells it to
	Old   *Cast   // the message whose place the new one took; its reference is the caller's
	Bytes int     // of Old
}

// AppendCast queues a reference to p for the peer rid. s is the session that the caller found
// for rid; it may be stale by now. With prompt it does what Append does to have it written.
// Else the caller, which pins the socket, has to pass the session to the shard Visit, if
// that is not nil. Any thread.
func (s *Session) AppendCast(q *Queues, rid uint32, p Part, prompt bool) CastResult {
	s.Lock()
	r := s.appendCast(q, rid, p, nil)
	if r.AppendResult == appendNeedsChunk {
		s.Unlock() // the system has to be asked for memory
		c := NewChunk(0, ClassRef)
		if c == nil {
			return CastResult{AppendResult: AppendNoMemory}
		}
		s.Lock()
		if r = s.appendCast(q, rid, p, c); c != s.TxTail {
			FreeChunk(c)
		}
	}
	switch {
	case r.AppendResult != Appended:
	case prompt:
		r.AppendResult = s.owe()
	case s.TxDirty == 0 && s.TxMarks&MarkVisit == 0:
		s.TxMarks |= MarkVisit
		r.Visit = s.Shard
	}
	s.Unlock()
	return r
}

// appendCast is AppendCast under the lock, with a chunk or without. It uses the chunk only as
// the last one of the queue.
func (s *Session) appendCast(q *Queues, rid uint32, p Part, spare *Chunk) CastResult {
	twin := false
	if p.keyed && s.names(q.Serial, rid) {
		c, all := s.withKey(p.key)
		if twin = !all; c != nil {
			if more := int64(p.size) - int64(c.ExtAll); more <= 0 || s.takes(uint64(more)) {
				return s.replace(c, p, more)
			}
		}
	}
	if result := s.judgeCast(q, rid, p); result != Appended {
		return CastResult{AppendResult: result}
	}
	c := s.TxTail
	if c != nil && c.endsBefore(p) {
		if s.TxDirty&DirtyHeld != 0 {
			s.allow(int64(s.TxRoom) + 2*int64(p.size))
		}
		c.ExtLen, c.ExtAll = c.ExtLen+p.size, c.ExtAll+p.size
		s.appended(c, uint64(p.size))
		return CastResult{AppendResult: Appended}
	}
	if c == nil || c.Ext != 0 {
		if c = spare; c == nil {
			c = freeChunk(0, ClassRef)
		}
		if c == nil {
			return CastResult{AppendResult: appendNeedsChunk}
		}
		s.link(q, c, c, int64(c.Size))
	}
	if !p.keyed && p.size < castMin && c.room() >= p.size {
		c.End += uint32(copy(c.Bytes()[c.End:], unsafe.Slice((*byte)(p.frame), p.size)))
		s.appended(c, uint64(p.size))
		return CastResult{AppendResult: Appended}
	}
	if s.TxDirty&DirtyHeld != 0 {
		s.allow(int64(s.TxRoom) + 2*int64(p.size) - 2*int64(c.room()))
	}
	c.refer(p)
	s.appended(c, uint64(p.size))
	if twin {
		s.TxMarks |= MarkTwins
	}
	return CastResult{AppendResult: Appended}
}

// judgeCast is judge for a reference. TxLock is held.
func (s *Session) judgeCast(q *Queues, rid uint32, p Part) AppendResult {
	switch {
	case !s.names(q.Serial, rid):
		return AppendGone
	case !s.HasRoom() || !s.takes(uint64(p.size)) && !s.empty():
		return AppendFull
	}
	if tail := s.TxTail; tail != nil && tail.Ext == 0 || s.mayGrow(q, RefSize) {
		return Appended
	}
	return AppendFull
}

// replace puts p in the place of the message that c refers to, which is more bytes shorter.
func (s *Session) replace(c *Chunk, p Part, more int64) CastResult {
	s.mustHold()
	old := CastResult{AppendResult: Appended, Old: c.Cast(), Bytes: int(c.ExtAll)}
	c.Ext = 0
	c.refer(p)
	s.TxBytes += uint64(more)
	if s.TxDirty&DirtyHeld != 0 {
		s.allow(int64(s.TxRoom) + 2*more)
	}
	return old
}

// withKey returns the last chunk of the main queue that refers to a message with this key, if
// nothing of that may be written yet, or nil. all: no other one lies behind it. Where the search
// does not come to, there may be one: then it returns none.
func (s *Session) withKey(key uint64) (last *Chunk, all bool) {
	if s.TxHead == nil {
		s.TxMarks &^= MarkTwins
	}
	c, begun := s.TxHead, uint64(s.TxBegun)
	for n := 0; c != nil && n < keySearch; c, n = (*Chunk)(c.Next), n+1 {
		m := c.Cast()
		if m != nil && m.keyed && m.key == key && c.ExtLen == c.ExtAll && begun <= uint64(c.End-c.Start) {
			if last = c; s.TxMarks&MarkTwins == 0 {
				return last, true
			}
		}
		begun -= min(begun, c.left())
	}
	if c != nil {
		return nil, false
	}
	return last, true
}

// RefuseCast is Refuse for a reference to p. It reports whether the session is marked.
func (s *Session) RefuseCast(q *Queues, rid uint32, p Part) bool {
	s.Lock()
	defer s.Unlock()
	return s.refuse(q, func() AppendResult { return s.judgeCast(q, rid, p) }) == AppendFull
}

// DropOldestFor is DropOldest for a reference to p.
func (s *Session) DropOldestFor(q *Queues, rid uint32, p Part) (d Dropped, result AppendResult) {
	s.Lock()
	defer s.Unlock()
	for {
		result = s.judgeCast(q, rid, p)
		if result != AppendFull || !s.dropFirst(q, &d) {
			return d, result
		}
	}
}

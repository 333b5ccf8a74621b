// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// AppendResult is the outcome of an Append.
type AppendResult int

const (
	Appended      AppendResult = iota
	AppendedWake               // appended, and the sleeping shard was woken
	AppendGone                 // the peer is no longer there
	AppendFull                 // the peer's queue is at one of its bounds
	AppendStarved              // the peer's queue is empty, but the total of the socket is used up
	AppendNoMemory

	appendNeedsChunk // no free chunk: ask the system, without the lock
)

// lengthSize is the size in bytes of the length field in front of every body.
const lengthSize = 4

// LengthMask is Queues.TxMask of a socket whose peers have text besides bytes. The bit that is
// not in it marks a frame as text.
const LengthMask = math.MaxInt32

// A sender holds a session's lock and nothing else. The socket, table or session that
// it found earlier may have been freed and reused. Under the lock it therefore compares
// the socket's serial and the routing id: no two pairs are ever equal. If they match,
// the connection, its socket and its shard exist until the sender unlocks, because
// Detach ends a connection under the same lock. A send must not touch the shard after
// it has unlocked.

// Append queues one message for the peer rid of the socket q, and wakes
// the shard if it sleeps. s is the session that the caller found for rid; it may be stale
// by now. If owner is not nil, Append does not copy body: the bytes must stay in place
// until the host's ReleaseOwner gets owner. Any thread. capi/path.h has the copying path
// in C.
func (s *Session) Append(q *Queues, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	return s.appendParcel(q, rid, nil, body, owner, parcelOf(len(body), owner != nil))
}

// AppendText is Append for a message of text. TxMask of q is LengthMask.
func (s *Session) AppendText(q *Queues, rid uint32, body []byte, owner unsafe.Pointer) AppendResult {
	p := parcelOf(len(body), owner != nil)
	p.mark = ^uint32(LengthMask)
	return s.appendParcel(q, rid, nil, body, owner, p)
}

func (s *Session) appendParcel(q *Queues, rid uint32, header, body []byte, owner unsafe.Pointer, p parcel) AppendResult {
	if check.On {
		check.That(p.mark&q.TxMask == 0, "a mark is no part of a length")
		check.That(q.TxHeaders == 0 || owner == nil, "a message with a header is copied")
	}
	if p.need > LargeChunkSize-HeaderSize {
		return s.appendLong(q, rid, header, body, p)
	}
	var spare spares
	s.Lock()
	result, class := s.append(q, rid, header, body, owner, p, &spare)
	for result == appendNeedsChunk {
		s.Unlock() // the system may have to be asked for memory
		c := NewChunk(0, class)
		if c == nil {
			spare.free()
			return AppendNoMemory
		}
		spare.add(c)
		s.Lock()
		result, class = s.append(q, rid, header, body, owner, p, &spare)
	}
	if result == Appended {
		result = s.owe()
	}
	s.Unlock()
	spare.free() // not needed: room appeared, or the peer has gone
	return result
}

// owe puts the session on its shard's list and wakes the shard if it sleeps. The
// session is open, its main queue is not empty, and the caller holds TxLock.
func (s *Session) owe() AppendResult {
	s.mustHold()
	if check.On {
		check.That(s.TxHead != nil && s.TxState == TxOpen, "what is owed to the shard is there, and of an open session")
	}
	if s.TxDirty != 0 {
		return Appended
	}
	s.TxDirty = DirtyListed
	if s.Shard.PushDirty(s) != MustWake {
		return Appended
	}
	s.Shard.Wake()
	return AppendedWake
}

// nextClass returns the class of the next chunk of a main queue that is not held. The
// chunk has to take need bytes. TxLock is held.
func (s *Session) nextClass(need uint64) uint32 {
	tail := s.TxTail
	switch {
	case tail != nil && tail.Ext != 0:
		return fittingClass(uint32(need))
	case tail != nil:
		return max(min(tail.Class+1, ClassLarge), fittingClass(uint32(need)))
	}
	return max(uint32(s.TxHint), fittingClass(uint32(need)))
}

// chunkFor returns the chunk that takes need more bytes of the main queue: the last
// one, a spare, or a free one. It returns nil and the class to ask for if none is at
// hand. TxLock is held.
func (s *Session) chunkFor(q *Queues, need uint64, owned bool, sp *spares) (c *Chunk, class uint32) {
	tail := s.TxTail
	if tail != nil && uint64(tail.room()) >= need {
		return tail, 0
	}
	if class = ClassTiny; !owned { // an owned body adds nothing behind the length
		class = s.nextClass(need)
		if class > ClassTiny && !s.shares(q, int64(blockSize[class])) {
			class = fittingClass(uint32(need))
		}
	}
	if c = sp.take(); c != nil && uint64(c.Cap) < need {
		FreeChunk(c) // got while the queue was held
		c = nil
	}
	if c == nil {
		c = freeChunk(need, class)
	}
	if c != nil {
		s.link(q, c, c, int64(c.Size))
	}
	return c, class
}

// link puts chunks behind the main queue. Their blocks take so many bytes. TxLock is held.
func (s *Session) link(q *Queues, head, tail *Chunk, blocks int64) {
	s.mustHold()
	if check.On {
		check.That(blocks > 0 && tail.Next == nil, "what is linked has blocks and an end")
	}
	lost := uint32(0)
	if last := s.TxTail; last == nil {
		s.TxHead = head
	} else {
		lost = last.room()
		last.Link(head)
	}
	if s.TxDirty&DirtyHeld != 0 {
		added := int64(tail.room()) - int64(lost)
		for c := head; c != nil; c = (*Chunk)(c.Next) {
			added += int64(c.End)
		}
		s.allow(int64(s.TxRoom) + 2*added - blocks)
	}
	s.TxTail = tail
	s.count(q, head, blocks)
}

// count counts new chunks of the main queue, whose blocks take so many bytes.
func (s *Session) count(q *Queues, chain *Chunk, blocks int64) {
	s.Memory.Add(blocks)
	q.Charge(chain.ChainCharge())
}

// appended counts a message of so many bytes whose last one is in c. TxLock is held.
func (s *Session) appended(c *Chunk, bytes uint64) {
	s.mustHold()
	if check.On {
		check.That(c.Start <= c.End && c.End <= c.Cap, "a chunk ends within its block")
	}
	c.Msgs++
	s.TxQueued.Store(s.TxQueued.Load() + 1) // HasRoom looks without the lock
	s.TxBytes += bytes
}

// appendLong is Append for a body that no single chunk can hold. It copies the body
// into new chunks without the lock.
func (s *Session) appendLong(q *Queues, rid uint32, header, body []byte, p parcel) AppendResult {
	s.Lock()
	result := s.judge(q, rid, p)
	s.Unlock()
	if result != Appended {
		return result
	}
	var front [FrontSize]byte
	head, tail, blocks := newChain(q.piecesOf(&front, header, body, p.mark))
	if head == nil {
		return AppendNoMemory
	}
	s.Lock()
	defer s.Unlock()
	if result = s.judge(q, rid, p); result != Appended {
		FreeChain(head)
		return result
	}
	s.link(q, head, tail, blocks)
	s.appended(tail, p.bytes)
	return s.owe()
}

// newChain copies a frame into large chunks; the last one is only as large as it has to
// be. blocks is the size of all of them. Without memory it returns nil.
func newChain(frame pieces) (head, tail *Chunk, blocks int64) {
	rest := 0
	for _, part := range frame {
		rest += len(part)
	}
	for _, part := range frame {
		for len(part) > 0 {
			if tail == nil || tail.End == tail.Cap {
				class := uint32(ClassLarge)
				if tail != nil {
					class = fittingClass(uint32(min(rest, LargeChunkSize)))
				}
				c := NewChunk(0, class)
				if c == nil {
					FreeChain(head)
					return nil, nil, 0
				}
				if blocks += int64(c.Size); tail == nil {
					head = c
				} else {
					tail.Link(c)
				}
				tail = c
			}
			n := copy(tail.Bytes()[tail.End:], part)
			tail.End += uint32(n)
			part, rest = part[n:], rest-n
		}
	}
	return head, tail, blocks
}

// Bodies yields the headers and bodies of several messages, each as often as it is asked for; not
// ok: there are no more. Only where Queues.TxHeaders is set are there headers.
type Bodies func(i int) (header, body []byte, ok bool)

// AppendMany queues copies of the messages that next yields. It ends when next returns false
// or a message cannot be queued at once, and returns the number of queued messages. Without
// any, it returns what Append would have returned for the first. It releases the lock only
// to ask the system for memory, so a driver hardly ever gets a part of them. Any thread.
func (s *Session) AppendMany(q *Queues, rid uint32, next Bodies) (n int, result AppendResult) {
	var spare spares
	defer func() { spare.free() }()
	for {
		more, result, class := s.appendSome(q, rid, n, next, &spare)
		n += more
		if result == appendNeedsChunk {
			if c := NewChunk(0, class); c != nil {
				spare.add(c)
				continue
			}
			result = AppendNoMemory
		}
		if n > 0 && (more == 0 || result == AppendNoMemory) {
			result = Appended
		}
		return n, result
	}
}

// appendSome is AppendMany from message first on, with the chunks at hand. It returns
// appendNeedsChunk and a class if a chunk of that class is missing.
func (s *Session) appendSome(q *Queues, rid uint32, first int, next Bodies, sp *spares) (n int, result AppendResult, class uint32) {
	s.Lock()
	defer s.Unlock()
	for ; ; n++ {
		header, body, ok := next(first + n)
		p := q.parcelWith(len(header), len(body))
		if !ok || p.need > LargeChunkSize-HeaderSize {
			break
		}
		if result, class = s.append(q, rid, header, body, nil, p, sp); result != Appended {
			break
		}
	}
	if n == 0 {
		return n, result, class
	}
	if owed := s.owe(); result != appendNeedsChunk { // the lock is about to be released
		result = owed
	}
	return n, result, class
}

// Is reports whether s is open and is the session that the socket with this serial
// calls rid.
func (s *Session) Is(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.names(serial, rid)
}

// BeginClose stops senders from queuing more for the session that the socket with this
// serial calls rid. It returns false if that session is not open. Any thread.
func (s *Session) BeginClose(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	if !s.names(serial, rid) {
		return false
	}
	s.TxState = TxClosing
	return true
}

// Open reports whether senders may queue messages.
func (s *Session) Open() bool {
	s.Lock()
	defer s.Unlock()
	return s.TxState == TxOpen
}

// BeginAbort is BeginClose that also accepts a session that is already closing.
func (s *Session) BeginAbort(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	if s.Rid.Load() != rid || s.Owner != serial || s.TxState == TxClosed {
		return false
	}
	s.TxState = TxClosing
	return true
}

// Closing reports whether s is still the session that BeginClose was called for.
func (s *Session) Closing(serial uint64, rid uint32) bool {
	s.Lock()
	defer s.Unlock()
	return s.Rid.Load() == rid && s.Owner == serial && s.TxState == TxClosing
}

func (s *Session) names(serial uint64, rid uint32) bool {
	return s.Rid.Load() == rid && s.Owner == serial && s.TxState == TxOpen
}

// HasRoom reports whether SNDHWM lets one more message through. Any thread; with
// TxLock held it stays true until the caller appends.
func (s *Session) HasRoom() bool {
	return s.TxHwm == 0 || s.TxQueued.Load()-s.TxDone.Load() < s.TxHwm
}

// append is Append under the lock, with the chunks at hand. It returns appendNeedsChunk
// and a class if a chunk of that class is missing.
func (s *Session) append(q *Queues, rid uint32, header, body []byte, owner unsafe.Pointer, p parcel, sp *spares) (AppendResult, uint32) {
	if result := s.judge(q, rid, p); result != Appended {
		return result, 0
	}
	tail, need := s.TxTail, p.need
	if owner == nil && s.TxDirty&DirtyHeld != 0 && (tail == nil || uint64(tail.room()) < need) {
		return s.appendHeld(q, header, body, p, sp)
	}
	c, class := s.chunkFor(q, need, owner != nil, sp)
	if c == nil {
		return appendNeedsChunk, class
	}
	if check.On {
		check.That(uint64(c.room()) >= need, "a chunk that was chosen has room")
	}
	free := c.Bytes()[c.End:]
	c.End += uint32(need)
	switch {
	case q.TxHeaders != 0:
		putFront(free, len(header), len(body))
		copy(free[FrontSize:], header)
		copy(free[FrontSize+len(header):], body)
	case owner == nil:
		binary.BigEndian.PutUint32(free, uint32(len(body))|p.mark)
		copy(free[lengthSize:], body)
	default:
		binary.BigEndian.PutUint32(free, uint32(len(body))|p.mark)
		s.own(q, c, body, owner)
	}
	s.appended(c, p.bytes)
	return Appended, 0
}

// own puts a body that is not copied behind the data of c. c takes no more bytes then.
func (s *Session) own(q *Queues, c *Chunk, body []byte, owner unsafe.Pointer) {
	size := uint32(len(body))
	if s.TxDirty&DirtyHeld != 0 { // it counts its own memory, and allows twice that
		s.allow(int64(s.TxRoom) + int64(size) - 2*int64(c.room()))
	}
	c.Ext, c.ExtLen, c.ExtAll, c.Owner = uintptr(unsafe.Pointer(&body[0])), size, size, uintptr(owner)
	s.Memory.Add(int64(size))
	q.Charge(int64(size))
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync"
	"unsafe"
)

// Messages for many that follow each other
//
// Short messages that follow each other before the first of them is written lie in one Cast, one frame
// behind the other (JoinCast). A queue whose last chunk ends with the one before gets longer by
// that, without another chunk. Such a Cast is open until it is full or nobody refers to it; Queues
// names it, under castLock. It leaves that place under the lock, after its last reference and before its memory
// goes. So whoever finds it there may look at it, and uses it if it gets a reference while there is one.

// joinMost is the longest frame in bytes that lies in a Cast with others, and joinedSize what one
// for several takes.
const (
	joinMost   = MidChunkSize / 8
	joinedSize = MidChunkSize
)

// castLock guards Queues.TxJoin, and Cast.used. It is held for a few instructions.
var castLock sync.Mutex

// JoinCast is NewCast for a message without a key. Where others are still to be written, it lies with those
// that come soon. Any thread.
func JoinCast(q *Queues, header, body []byte, text bool) Part {
	size := q.parcelWith(len(header), len(body)).bytes
	if size > joinMost || q.TxCasts.Load() == 0 {
		return NewCast(q, header, body, text)
	}
	p := q.join(uint32(size))
	if p.Cast == nil {
		if p = newCast(q, size, joinedSize-uint64(castHead)-webHeadMost); p.Cast != nil {
			p.joined = true
			castLock.Lock()
			q.TxJoin = unsafe.Pointer(p.Cast)
			castLock.Unlock()
		}
	}
	p.fill(q, header, body, text)
	return p
}

// join takes room in the open Cast of q, with a reference.
func (q *Queues) join(size uint32) (p Part) {
	castLock.Lock()
	defer castLock.Unlock()
	if m := (*Cast)(q.TxJoin); m != nil && size <= m.room() && m.retain() {
		p = Part{m, unsafe.Add(m.first(), m.used), size}
		m.used += size
	}
	return p
}

// room is how many bytes of frames the Cast still takes. castLock is held.
func (m *Cast) room() uint32 {
	return m.block.Cap + HeaderSize - uint32(castHead) - m.head - m.used
}

// retain gets a reference if somebody has one. castLock is held.
func (m *Cast) retain() bool {
	for {
		refs := m.refs.Load()
		if refs == 0 || m.refs.CompareAndSwap(refs, refs+1) {
			return refs != 0
		}
	}
}

// endsBefore reports whether the last bytes of c are those in front of a message.
func (c *Chunk) endsBefore(p Part) bool {
	return c.Owner == uintptr(unsafe.Pointer(p.Cast))|castTag && c.Ext+uintptr(c.ExtLen) == uintptr(p.frame)
}

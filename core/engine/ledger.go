// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/shm"
)

// ledger remembers where messages end in the written stream of a connection, as far back as
// the peer's system may not have acknowledged it. If the connection is lost, unacknowledged
// bytes can thus be counted as messages. Consecutive messages of one size share an entry.
// When the ledger is full, it asks the kernel what was acknowledged and forgets that. What
// is left beyond entriesMost is kept less exactly.
type ledger struct {
	frames uint64 // frames written completely
	ended  uint64 // offset at which the last one ends, in a stream with frames as short as thin says
	last   entry
	older  []entry // oldest first; without last
	grain  uint64  // an entry with fewer bytes takes other sizes, too

	// The frame that is partly written.
	size uint64 // its whole size; 0: not known yet
	left uint64 // bytes of it to come
	have uint8  // bytes of head
	head [shm.FrontSize]byte
	need uint8  // bytes of a head that tell the size of a frame
	thin uint8  // bytes that a frame may be shorter on the wire than in the queue
	mark uint32 // the bits of a length field that are not the length

	kept    uint32 // entries of older that the last forget left
	counted uint32 // entries counted as the connection's memory
	planned bool   // forgetLater is scheduled
}

// entry stands for neighbouring frames. All have one size, or, in a mixed entry, only their
// sum is known. It has 40 bits for their bytes, 1 for mixed, and 23 for their number.
type entry uint64

const (
	entrySize   = int64(unsafe.Sizeof(entry(0)))
	entriesFew  = 32
	entriesMost = 512 // 4 KiB
	forgetPause = time.Second

	countBits = 23
	byteBits  = 40
)

// entryOf makes an entry. It returns 0 if the frames or bytes are too many for one.
func entryOf(bytes, count uint64, mixed bool) entry {
	if bytes >= 1<<byteBits || count >= 1<<countBits {
		return 0
	}
	e := entry(bytes)<<(countBits+1) | entry(count)
	if mixed {
		e |= 1 << countBits
	}
	return e
}

func (e entry) bytes() uint64 { return uint64(e >> (countBits + 1)) }
func (e entry) count() uint64 { return uint64(e & (1<<countBits - 1)) }
func (e entry) mixed() bool   { return e&(1<<countBits) != 0 }

// books returns the connection's ledger, and creates it on the first call.
func (c *Conn) books() *ledger {
	if c.ledger == nil {
		c.ledger = newLedger(c.transport.Framing)
	}
	return c.ledger
}

func newLedger(f Framing) *ledger { return &ledger{need: f.head(), thin: f.thin(), mark: f.mark()} }

// countLedger forgets what was acknowledged: when the ledger has doubled, or, if it is
// large, soon after the last write. It counts the ledger's memory as the connection's.
func (c *Conn) countLedger() {
	l := c.ledger
	if len(l.older) >= max(entriesFew, 2*int(l.kept)) {
		c.forget()
	}
	now := uint32(cap(l.older))
	if now <= 2*entriesFew { // a connection's normal cost includes that
		now = 0
	}
	if now != l.counted {
		c.countMemory((int64(now) - int64(l.counted)) * entrySize)
		l.counted = now
	}
	if l.counted > 0 && !l.planned {
		l.planned = true
		c.shard.timers.after(forgetPause, c.forgetLater)
	}
}

func (c *Conn) forget() { c.ledger.forget(c.acknowledged()) }

// acknowledged returns up to which offset of the ledger the peer's system has everything.
func (c *Conn) acknowledged() uint64 {
	at := c.ledger.offset(c.moved.Load())
	return at - min(c.unacknowledged(), at)
}

// offset returns how many bytes at least were written to the wire of the first moved bytes of the
// queue, which are all that the ledger knows.
func (l *ledger) offset(moved uint64) uint64 {
	begun := uint64(l.have)
	if l.left > 0 {
		begun = l.size - l.left
	}
	return moved - uint64(l.thin)*l.frames - min(uint64(l.thin), begun)
}

func (c *Conn) forgetLater() {
	if c.fd >= 0 {
		c.ledger.planned = false
		c.forget()
		c.countLedger()
	}
}

// memory returns the bytes of the ledger that count as the connection's memory.
func (l *ledger) memory() int64 {
	if l == nil {
		return 0
	}
	return int64(l.counted) * entrySize
}

// add records the next bytes of the stream.
func (l *ledger) add(data []byte) {
	at := l.resume(data)
	for len(data)-at >= int(l.need) {
		size := l.frameSize(data[at:])
		if size > uint64(len(data)-at) {
			l.size, l.left = size, size-uint64(len(data)-at)
			return
		}
		n := 1
		if l.need == lengthSize {
			n = alike(data[at:], int(size), math.MaxInt)
		}
		at += n * int(size)
		l.note(size, uint64(n))
	}
	if at < len(data) {
		l.have = uint8(copy(l.head[:], data[at:]))
	}
}

func (l *ledger) frameSize(data []byte) uint64 {
	if l.need == shm.FrontSize {
		return shm.Framed(data)
	}
	return lengthSize + uint64(binary.BigEndian.Uint32(data)&^l.mark)
}

// resume continues an incomplete frame, and returns where the next one begins.
func (l *ledger) resume(data []byte) (at int) {
	if l.have > 0 {
		at = copy(l.head[l.have:l.need], data)
		if l.have += uint8(at); l.have < l.need {
			return at
		}
		l.have = 0
		l.size = l.frameSize(l.head[:])
		l.left = l.size - uint64(l.need)
		l.skip(0)
	}
	n := min(l.left, uint64(len(data)-at))
	if n > 0 {
		l.skip(n)
	}
	return at + int(n)
}

// skip records the next n bytes of a body.
func (l *ledger) skip(n uint64) {
	if l.left -= n; l.left == 0 {
		l.note(l.size, 1)
	}
}

// note records n frames of one size.
func (l *ledger) note(size, n uint64) {
	size -= uint64(l.thin)
	l.ended += size * n
	l.frames += n
	e := l.last
	bytes, count := e.bytes()+size*n, e.count()+n
	same := !e.mixed() && e.bytes() == size*e.count()
	if e == 0 || same || e.bytes() < l.grain {
		if grown := entryOf(bytes, count, e != 0 && !same); grown != 0 {
			l.last = grown
			return
		}
	}
	if len(l.older) == entriesMost {
		l.merge()
	}
	l.older, l.last = append(l.older, e), entryOf(size*n, n, false)
}

// forget drops frames up to an offset of the stream that the peer's system has
// acknowledged, and memory that is not needed any more.
func (l *ledger) forget(acknowledged uint64) {
	begins := l.ended - l.last.bytes()
	keep := len(l.older)
	for keep > 0 && begins > acknowledged {
		keep--
		begins -= l.older[keep].bytes()
	}
	l.older = slices.Delete(l.older, 0, keep)
	if l.grain = 0; len(l.older) > entriesMost/2 {
		l.merge()
	}
	if most := 2 * max(entriesFew, len(l.older)); cap(l.older) > most {
		l.older = append(make([]entry, 0, most/2), l.older...)
	}
	l.kept = uint32(len(l.older))
}

// merge joins every two entries into one without sizes. New entries may become as large as
// those.
func (l *ledger) merge() {
	half, all := l.older[:0], uint64(0)
	for i := 0; i < len(l.older); i += 2 {
		a, b := l.older[i], entry(0)
		if i+1 < len(l.older) {
			b = l.older[i+1]
		}
		all += a.bytes() + b.bytes()
		if both := entryOf(a.bytes()+b.bytes(), a.count()+b.count(), true); b != 0 && both != 0 {
			a, b = both, 0
		}
		if half = append(half, a); b != 0 {
			half = append(half, b)
		}
	}
	if len(half) == entriesMost { // too large to merge: drop the oldest
		half = half[1:]
	}
	l.older = half
	l.grain = all / (entriesMost / 2)
}

// beyond counts the recorded frames that end behind an offset of the stream. If a mixed
// entry contains the offset, all of its frames count.
func (l *ledger) beyond(offset uint64) (n uint64) {
	end := l.ended
	for i := len(l.older); i >= 0 && end > offset; i-- {
		e := l.last
		if i < len(l.older) {
			e = l.older[i]
		}
		if end-e.bytes() >= offset || e.mixed() {
			n += e.count()
		} else {
			size := e.bytes() / e.count()
			n += (end - offset + size - 1) / size
		}
		end -= e.bytes()
	}
	return n
}

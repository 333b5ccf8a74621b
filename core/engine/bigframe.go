// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// bigFrame collects a frame that is too long for the stash. Its slab first has room for
// the header of the frame's run, then holds the frame.
type bigFrame struct{ slab *shm.Slab } // nil: no such frame

// start takes a slab for a frame of need bytes that begins with rest.
func (b *bigFrame) start(account *shm.Account, rest []byte, need uint64) bool {
	room := shm.HeaderSize + need
	if room > shm.BigSlabSize-shm.HeaderSize {
		room = min(room, bigStep)
	}
	if b.slab = shm.NewLongSlab(room); b.slab == nil {
		return false
	}
	b.slab.Need = need
	b.slab.Account.Store(account)
	b.slab.Have = uint64(copy(b.slab.Bytes()[shm.HeaderSize:], rest))
	return true
}

// space returns the part of the slab that the frame still needs. It grows a full slab, and
// returns nil when there is no memory.
func (b *bigFrame) space() []byte {
	end := shm.HeaderSize + b.slab.Need
	if size := uint64(len(b.slab.Bytes())); size < end && shm.HeaderSize+b.slab.Have == size {
		grown := shm.GrowSlab(b.slab, min(end, 2*size))
		if grown == nil {
			return nil
		}
		b.slab = grown
	}
	bytes := b.slab.Bytes()
	return bytes[shm.HeaderSize+b.slab.Have : min(end, uint64(len(bytes)))]
}

// size returns the memory of the received part: pages not yet written to take none.
func (b *bigFrame) size() int64 {
	if b.slab == nil {
		return 0
	}
	return int64(min((shm.HeaderSize+b.slab.Have+shm.PageSize-1)&^(shm.PageSize-1), b.slab.Size))
}

// bigSlab returns the slab of the connection's long frame, or nil if it has none.
func (c *Conn) bigSlab() *shm.Slab {
	if c.rare == nil {
		return nil
	}
	return c.rare.big.slab
}

// bigSize returns the memory of the received part of its long frame.
func (c *Conn) bigSize() int64 {
	if c.rare == nil {
		return 0
	}
	return c.rare.big.size()
}

func (c *Conn) dropBig() {
	if slab := c.bigSlab(); slab != nil {
		c.countMemory(-c.bigSize())
		slab.Release()
		c.rare.big = bigFrame{}
	}
}

// receiveBig continues to read a long frame, and what follows it, as much as a read without
// one: where all frames are long, one call brings several. most limits what is read, roomBytes
// what may wait: if only this message does, it gets on. There may be no long frame yet, if
// one is expected.
func (c *Conn) receiveBig(room, most int, roomBytes int64) {
	big := &c.rare.big
	before := big.size()
	dst, last, ok := c.restOfBig(most, roomBytes)
	if !ok {
		c.Abort(CauseNoMemory)
		return
	}
	want := int(min(int64(most), roomBytes, int64(c.shard.turn))) - len(dst)
	behind, got, full, ok := c.readInto(dst, want, room, last)
	if !ok {
		return
	}
	of := min(got, len(dst))
	done := got >= len(dst) && last && big.slab != nil
	if c.limits.Rate.Cut && c.bigBeyondRate(of, done) {
		c.cutForRate()
		return
	}
	c.paid(c.hollow(), of)
	if big.slab != nil {
		big.slab.Have += uint64(of)
		if check.On {
			check.That(big.slab.Have <= big.slab.Need, "no more of a long frame comes than it has")
		}
		c.countMemory(big.size() - before)
	}
	if done {
		c.pushBig()
	}
	if !c.takeBehind(behind, got-of, room-1) {
		return
	}
	if full || c.hangup || c.backlog {
		c.wantRead()
	}
}

// restOfBig returns where to read the rest of the long frame, none if there is no such frame.
// last: it is all that is missing. It returns false when there is no memory.
func (c *Conn) restOfBig(most int, roomBytes int64) (dst []byte, last, ok bool) {
	big := &c.rare.big
	if big.slab == nil {
		return nil, true, true
	}
	if dst = big.space(); dst == nil {
		return nil, false, false
	}
	if c.Shared.RxMsgs() > 0 {
		most = int(min(int64(most), roomBytes))
	}
	dst = dst[:min(len(dst), c.shard.turn, most)]
	return dst, big.slab.Have+uint64(len(dst)) == big.slab.Need, true
}

// readInto is read for a part of a long frame, and for what follows it, where that may be
// read: up to want bytes. A link reads the frame only. behind is where that is; nil: in the
// slabs of the frames that are expected.
func (c *Conn) readInto(dst []byte, want, room int, last bool) (behind []byte, got int, full, ok bool) {
	if c.link != nil {
		got, full, ok = c.readLink(dst)
		return nil, got, full, ok
	}
	parts := c.shard.parts[:0]
	if len(dst) > 0 {
		parts = parts[:1]
		parts[0].Set(&dst[0], len(dst))
	}
	size := len(dst)
	switch {
	case !last || room == 1 || want < shm.SmallChunkSize:
	case c.expects(room):
		var laid int
		parts, laid = c.shard.ahead.lay(parts, c.rare.expected, want)
		if size += laid; size == 0 {
			c.Abort(CauseNoMemory)
			return nil, 0, false, false
		}
	default:
		if behind = c.shard.space(0); behind == nil {
			c.Abort(CauseNoMemory)
			return nil, 0, false, false
		}
		if room < slabFrames {
			want = shm.SmallChunkSize
		}
		behind = behind[:min(len(behind), want)]
		parts = parts[:len(parts)+1]
		parts[len(parts)-1].Set(&behind[0], len(behind))
		size += len(behind)
	}
	n, e := sys.RecvVectors(int(c.fd), parts)
	if e == sys.EINTR {
		c.wantRead()
		c.shard.ahead.drop()
		return nil, 0, false, false
	}
	if got, ok = c.outcome(n, e); !ok {
		c.shard.ahead.drop()
	}
	return behind, got, got == size, ok
}

// takeBehind passes on what was read behind a long frame. It returns false if the connection
// was closed, or goes on otherwise.
func (c *Conn) takeBehind(behind []byte, bytes, room int) bool {
	if behind == nil && c.shard.ahead.slabs > 0 {
		return c.takeAhead(bytes, room)
	}
	if bytes > 0 {
		return c.digest(behind, 0, bytes, room)
	}
	return c.bigSlab() == nil || c.mayBegin()
}

// pushBig passes on the complete long frame.
func (c *Conn) pushBig() {
	big := &c.rare.big
	slab := big.slab
	bytes := big.size()
	c.countMemory(-bytes)
	*big = bigFrame{}
	c.countBegun()
	c.expect(slab.Need)
	c.pushLong(slab, bytes)
}

// pushLong passes on a slab that has a complete long frame, which takes so many bytes of
// memory. The slab is the receiver's then.
func (c *Conn) pushLong(slab *shm.Slab, bytes int64) {
	slab.Charge(bytes)
	c.pushData(slab, unsafe.Pointer(&slab.Bytes()[0]), int(slab.Need), 1)
	c.paid(1, 0)
}

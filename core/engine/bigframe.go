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

// receiveBig continues to read a long frame. The system call that reads its end also reads
// what follows it, as much as a read without it: where all frames are long, one call brings
// several. most limits what is read, roomBytes what may wait: if only this message
// does, it gets on.
func (c *Conn) receiveBig(room, most int, roomBytes int64) {
	big := &c.rare.big
	before := big.size()
	dst := big.space()
	buf := c.shard.space(0)
	if dst == nil || buf == nil {
		c.Abort(CauseNoMemory)
		return
	}
	if c.Shared.RxMsgs() > 0 {
		most = int(min(int64(most), roomBytes))
	}
	dst = dst[:min(len(dst), longRead, most)]
	last := big.slab.Have+uint64(len(dst)) == big.slab.Need
	want := min(len(buf), int(min(int64(most), roomBytes, longRead))-len(dst))
	if room < slabFrames {
		want = min(want, shm.SmallChunkSize)
	}
	if !last || room == 1 || want < shm.SmallChunkSize {
		want = 0
	}
	got, full, ok := c.readInto(dst, buf[:want])
	if !ok {
		return
	}
	of := min(got, len(dst))
	done := got >= len(dst) && last
	if c.limits.Rate.Cut && c.bigBeyondRate(of, done) {
		c.cutForRate()
		return
	}
	c.paid(c.hollow(), of)
	big.slab.Have += uint64(of)
	if check.On {
		check.That(big.slab.Have <= big.slab.Need, "no more of a long frame comes than it has")
	}
	c.countMemory(big.size() - before)
	if !done && !c.mayBegin() {
		return
	}
	if done {
		if !c.pushBig(buf, got-len(dst), room-1) {
			return
		}
	}
	if full || c.hangup || c.backlog {
		c.wantRead()
	}
}

// readInto is read for a part of a long frame, and for what follows it. A link reads the
// frame only.
func (c *Conn) readInto(dst, behind []byte) (got int, full, ok bool) {
	if c.link != nil {
		return c.readLink(dst)
	}
	parts := c.shard.parts[:1]
	parts[0].Set(&dst[0], len(dst))
	if len(behind) > 0 {
		parts = c.shard.parts[:2]
		parts[1].Set(&behind[0], len(behind))
	}
	n, e := sys.RecvVectors(int(c.fd), parts)
	if e == sys.EINTR {
		c.wantRead()
		return 0, false, false
	}
	got, ok = c.outcome(n, e)
	return got, got == len(dst)+len(behind), ok
}

// pushBig passes on the complete long frame, and then the bytes behind it.
func (c *Conn) pushBig(buf []byte, behind, room int) bool {
	big := &c.rare.big
	slab := big.slab
	size := int(slab.Need)
	bytes := big.size()
	c.countMemory(-bytes)
	*big = bigFrame{}
	slab.Charge(bytes)
	c.countBegun()
	c.pushData(slab, unsafe.Pointer(&slab.Bytes()[0]), size, 1)
	c.paid(1, 0)
	if behind == 0 {
		return true
	}
	return c.digest(buf, 0, behind, room)
}

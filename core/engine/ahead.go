// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// Frames that are expected
//
// Behind a long frame there is probably another one of about the same length. So a read gets a
// slab for each of them, as far as its bytes go, and what comes lies where it stays. Without
// this the first part of each long frame would be copied. A read brings whole frames if it can: a part of
// one would have left the processor's cache when the rest comes. Where frames have other lengths, what
// does not lie in its place is copied: the rest of a longer one, what is behind a shorter one,
// and all, if they are no long frames.

// expectedLeast is how long a frame must be for another one to be expected: a copy of part of a shorter one
// costs less than more blocks in use.
const expectedLeast = 128 << 10

// aheadMax is how many slabs a read gets at most.
const aheadMax = shm.SlabSize/expectedLeast + 1

// ahead is what a shard lays out for a read. It is empty between two reads.
type ahead struct {
	slab   [aheadMax]*shm.Slab
	slabs  int
	length int // of the frame that each is for
}

// expect notes the length of a long frame, length field included.
func (c *Conn) expect(length uint64) {
	c.rare.expected = 0
	if c.transport.Framing == FramingHeaders { // the rest of this file knows one kind of frames
		return
	}
	if length > expectedLeast && shm.HeaderSize+length <= shm.BigSlabSize-shm.HeaderSize {
		c.rare.expected = uint32(length)
	}
}

// expects reports whether the next read is for long frames. One that may have to hold
// frames back, or to leave some in the kernel, is not.
func (c *Conn) expects(room int) bool {
	return c.rare != nil && c.rare.expected > 0 && c.stash == nil && c.link == nil && room >= slabFrames && !c.rated()
}

// lay adds to the parts of a read up to so many bytes of slabs for frames of a length: whole
// frames, or one that is longer than a read if it is all there is to read. It returns how many bytes these are.
func (a *ahead) lay(parts []sys.Vector, length uint32, bytes int) (all []sys.Vector, laid int) {
	a.length = int(length)
	bytes = min(bytes, shm.SlabSize-2*shm.HeaderSize) // what space can give, if it must be copied
	least := a.length
	if len(parts) == 0 {
		least = min(least, bytes)
	}
	for bytes-laid >= least && a.slabs < aheadMax {
		slab := shm.NewLongSlab(shm.HeaderSize + uint64(length))
		if slab == nil {
			break
		}
		a.slab[a.slabs] = slab
		a.slabs++
		parts = parts[:len(parts)+1]
		parts[len(parts)-1].Set(&a.frame(a.slabs - 1)[0], least)
		laid += least
	}
	return parts, laid
}

// frame returns the place of a frame.
func (a *ahead) frame(at int) []byte { return a.slab[at].Bytes()[shm.HeaderSize:] }

// take returns a slab, which is the caller's then.
func (a *ahead) take(at int) *shm.Slab {
	slab := a.slab[at]
	a.slab[at] = nil
	return slab
}

// copyTo copies what was read, from a byte of a slab on.
func (a *ahead) copyTo(dst []byte, at, from int) {
	for len(dst) > 0 {
		n := copy(dst, a.frame(at)[from:a.length])
		dst, at, from = dst[n:], at+1, 0
	}
}

// drop frees the slabs that are left.
func (a *ahead) drop() {
	for i, slab := range a.slab[:a.slabs] {
		if slab != nil {
			slab.Release()
			a.slab[i] = nil
		}
	}
	a.slabs = 0
}

// takeAhead passes on the bytes that were read into the slabs of expected frames. It returns
// false if the connection was closed.
func (c *Conn) takeAhead(bytes, room int) bool {
	a := &c.shard.ahead
	for at := 0; bytes > 0; at++ {
		frame := a.frame(at)
		need := uint64(0)
		if bytes >= lengthSize {
			need = lengthSize + uint64(binary.BigEndian.Uint32(frame))
		}
		if need != uint64(a.length) {
			return c.takeOther(at, bytes, room, need)
		}
		have := min(bytes, a.length)
		c.takeLong(a.take(at), need, have)
		bytes -= have
		room--
	}
	a.drop()
	return c.mayBegin()
}

// takeLong passes on a slab with a long frame, or goes on with it later.
func (c *Conn) takeLong(slab *shm.Slab, need uint64, have int) {
	big := &c.rare.big
	*big = bigFrame{slab}
	slab.Need, slab.Have = need, uint64(have)
	slab.Account.Store(c.account)
	c.paid(0, have)
	memory := big.size()
	if uint64(have) < need {
		c.countMemory(memory)
		return
	}
	*big = bigFrame{}
	c.pushLong(slab, memory)
}

// takeOther is takeAhead from a slab on with a frame of another length, or, if need is 0,
// less of a frame than its length field.
func (c *Conn) takeOther(at, bytes, room int, need uint64) bool {
	a := &c.shard.ahead
	defer a.drop()
	used := 0
	most := uint64(c.limits.MaxMsgSize) // of any size if it is negative
	if frame := a.frame(at); need > stashMax && need-lengthSize <= most && need <= uint64(len(frame)) {
		used = int(min(need, uint64(bytes)))
		if used > a.length {
			a.copyTo(frame[a.length:used], at+1, 0)
		}
		c.expect(need)
	} else {
		c.rare.expected = 0
	}
	left := bytes - used
	var buf []byte
	if left > 0 {
		if buf = c.shard.space(max(0, left-readMin)); buf == nil {
			c.Abort(CauseNoMemory)
			return false
		}
		a.copyTo(buf[:left], at+used/a.length, used%a.length)
	}
	if used > 0 {
		c.takeLong(a.take(at), need, used)
		room--
	}
	if left > 0 {
		return c.digest(buf, 0, left, room)
	}
	return c.mayBegin()
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

const (
	lengthSize = 4 // of a frame's length field, big endian

	// readMin is the smallest room that one read offers to the kernel.
	readMin = 64 << 10
	// stashMax is the size, length field included, of the longest frame that is stashed
	// until the rest arrives. A longer frame gets a block of its own.
	stashMax = shm.LargeChunkSize - shm.HeaderSize
	// slabFrames is the highest number of frames that one read can bring.
	slabFrames = shm.SlabSize / lengthSize
	// bigStep is the first size of the block for a very long frame. The block grows as the
	// bytes arrive, so that a length alone takes no memory.
	bigStep = 2 << 20
)

// receive reads once, passes the whole frames on, and keeps the rest. The connection stays
// on the ready list if there may be more.
func (c *Conn) receive() {
	if c.fd < 0 || c.parked || c.saving() {
		return
	}
	if c.finishing {
		c.discard()
		return
	}
	room, roomBytes := c.room(), c.roomBytes()
	if room <= 0 || roomBytes <= 0 || c.throttled() || c.overTotal() {
		if c.overUnread() {
			c.readEnd()
		} else {
			c.park()
		}
		return
	}
	messages, most := c.mayBring()
	if messages == 0 || most == 0 {
		c.save()
		return
	}
	room = min(room, messages)
	if c.bigSlab() != nil || c.expects(room) && min(int64(most), roomBytes, int64(c.shard.turn)) >= shm.SmallChunkSize {
		c.receiveBig(room, most, roomBytes)
		return
	}
	head := c.stashed()
	buf := c.shard.space(head)
	if buf == nil {
		c.Abort(CauseNoMemory)
		return
	}
	if c.backlog {
		c.digest(buf, head, 0, room)
		c.wantRead()
		return
	}
	want := int(min(int64(min(len(buf)-head, most, c.shard.turn)), roomBytes))
	if room == messages && messages < slabFrames {
		want = min(want, readable(messages))
	}
	if room < slabFrames {
		// What the high-water mark holds back has to fit into the stash.
		want = min(want, stashMax-head)
		if room < slabFrames/256 {
			want = min(want, shm.SmallChunkSize)
		}
	}
	n, more, ok := c.read(buf[head : head+want])
	if !ok {
		return
	}
	if c.digest(buf, head, n, room) && (more || c.hangup || c.backlog) {
		c.wantRead()
	}
}

// read reads once. more: there may be more at once; not ok: nothing came, or the
// connection is over.
func (c *Conn) read(buf []byte) (n int, more, ok bool) {
	if c.link != nil {
		return c.readLink(buf)
	}
	for {
		n, e := sys.Recv(int(c.fd), buf)
		if e == sys.EINTR {
			continue
		}
		got, ok := c.outcome(n, e)
		return got, got == len(buf), ok
	}
}

// outcome evaluates the result of a read.
func (c *Conn) outcome(n int, e sys.Errno) (int, bool) {
	switch {
	case e == sys.EAGAIN:
		return 0, false
	case sys.OutOfMemory(e):
		c.readAgain()
		return 0, false
	case e != 0:
		c.Abort(CauseReset)
		return 0, false
	case n == 0:
		c.hangup = true
		c.remoteEnded()
		return 0, false
	}
	c.shard.roundRead += n
	c.heardAt = c.shard.now
	return n, true
}

// digest passes on the whole frames in head stashed bytes and n new bytes. The new bytes
// are in buf, behind the room for the stashed ones. It returns false if the connection was
// closed.
func (c *Conn) digest(buf []byte, head, n, room int) bool {
	if head > 0 {
		c.stash.CopyChain(buf)
	}
	total := head + n
	found := c.scan(buf[:total], room)
	beyond := false
	if c.limits.Rate.Cut {
		found, beyond = c.withinRate(buf[:total], n, found)
	}
	if found.frames > 0 {
		c.pushFrames(found.used, found.frames)
	}
	c.paid(max(found.frames, c.hollow()), n)
	switch {
	case beyond, c.overdrawn():
		c.cutForRate()
		return false
	case found.tooLong:
		c.cutForLength()
		return false
	}
	rest := buf[found.used:total]
	c.backlog = found.frames == room && len(rest) > 0
	switch {
	case len(rest) == 0:
		c.freeStash()
	case found.need > stashMax && !c.backlog:
		c.freeStash()
		if !c.needRare().big.start(c.account, rest, found.need) {
			c.Abort(CauseNoMemory)
			return false
		}
		c.countMemory(c.bigSize())
	case !c.keep(rest):
		c.Abort(CauseNoMemory)
		return false
	}
	return c.mayBegin()
}

// pushFrames passes on the first used bytes of the shard's free space.
func (c *Conn) pushFrames(used, frames int) {
	sh := c.shard
	at := unsafe.Pointer(&sh.slab.Bytes()[sh.slabPos])
	sh.fills(c.account)
	sh.slab.Retain()
	c.pushData(sh.slab, at, used, frames)
	sh.slabPos += (shm.HeaderSize + uint64(used) + 63) &^ 63
	if check.On {
		check.That(sh.slabPos <= sh.slab.Size, "a run lies within its slab")
	}
}

// pushData passes on size bytes of frames. Room for the header of their run is in front of
// them. The run gets the caller's reference to the slab.
func (c *Conn) pushData(slab *shm.Slab, at unsafe.Pointer, size, frames int) {
	r := (*shm.Run)(at)
	*r = shm.Run{RunHead: shm.RunHead{Msgs: uint32(frames), Kind: shm.RunData}, Session: c.Shared,
		Slab: slab, Data: (*byte)(unsafe.Add(at, shm.HeaderSize)), Size: uint64(size)}
	switch {
	case c.transport.Framing == FramingHeaders:
		r.Text = shm.RunHeaders
		unwire(unsafe.Slice(r.Data, size))
	case c.link != nil && c.link.messages && c.link.texts().kind:
		r.Text = shm.RunText
	}
	c.Received.Add(uint64(frames))
	c.ReceivedBytes.Add(uint64(size))
	c.Shared.RxPush(r)
	c.queues.RxWaiting.Add(int64(size))
	if check.On {
		check.That(frames > 0 && frames*lengthSize <= size, "a run has whole frames")
	}
	c.queues.Show(probe.FrameIn, c.Shared, uint64(frames), uint64(size))
	c.push(r)
}

// space returns free bytes of the shard's slab, at least head + readMin, and leaves room
// for a run's header in front of them. It returns nil when there is no memory.
func (sh *Shard) space(head int) []byte {
	if sh.slab != nil && sh.slab.Refs.Load() == 1 {
		sh.slabPos = 0 // everything was taken: reuse the part that is in the cache
	}
	const all = shm.SlabSize - shm.HeaderSize
	if sh.slab == nil || all-sh.slabPos < uint64(shm.HeaderSize+head+readMin) {
		if sh.slab != nil {
			sh.slab.Charge(int64(sh.slab.Size)) // free at once if nobody else has it
			sh.slab.Release()
		}
		sh.slab, sh.slabPos = shm.NewSlab(), 0
		if sh.slab == nil {
			return nil
		}
	}
	return sh.slab.Bytes()[sh.slabPos+shm.HeaderSize:]
}

// room returns how many more messages RCVHWM lets through.
func (c *Conn) room() int {
	if c.limits.RcvHwm == 0 {
		return math.MaxInt32
	}
	return int(c.limits.RcvHwm) - int(c.Shared.RxMsgs())
}

// cutForLength ends a connection that announces a message above MAXMSGSIZE.
func (c *Conn) cutForLength() {
	c.backlog = false
	text := "a length above MAXMSGSIZE; it is the 4 bytes, big endian, in front of each body"
	switch c.transport.Framing {
	case FramingMessages:
		text = "a message longer than MAXMSGSIZE, or than 2 GiB - 1"
	case FramingHeaders:
		text = "a header and a body above MAXMSGSIZE, or 4 GiB; their sizes are 2 and 4 bytes, big endian, in front of them"
	}
	c.cut(CauseTooLong, webMessageTooBig, text)
}

// stashed returns how many bytes wait in the stash.
func (c *Conn) stashed() int {
	return c.stash.ChainLen()
}

// keep stores rest in the stash: the start of a frame, or frames above RCVHWM.
func (c *Conn) keep(rest []byte) bool {
	if chunk := c.stash; chunk != nil && chunk.Next == nil && chunk.Size == shm.TinyChunkSize && len(rest) <= int(chunk.Cap) {
		chunk.End = uint32(copy(chunk.Bytes(), rest))
		return true
	}
	c.freeStash()
	c.stash = shm.NewPacked(rest)
	c.countMemory(c.stash.ChainSize())
	return c.stash != nil
}

// receiveUnread takes what came behind a handshake if all layers have left. It treats those
// bytes as if they had been held back.
func (c *Conn) receiveUnread(unread []byte) {
	switch {
	case len(unread) == 0:
	case !c.keep(unread):
		c.Abort(CauseNoMemory)
	default:
		c.backlog = true
		c.wantRead()
	}
}

func (c *Conn) freeStash() {
	if c.stash != nil {
		c.freeChain(c.stash)
		c.stash = nil
	}
}

// deliverBacklog passes on, at the end of the connection, the whole frames that RCVHWM
// held back.
func (c *Conn) deliverBacklog() {
	c.backlog = false
	if buf := c.shard.space(c.stashed()); buf != nil {
		head := c.stash.CopyChain(buf)
		if found := c.scan(buf[:head], math.MaxInt32); found.frames > 0 {
			c.pushFrames(found.used, found.frames)
		}
	}
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

const (
	lengthSize = 4 // of a frame's length field, big endian

	// readMin is the least room offered to the kernel in one read.
	readMin = 64 << 10
	// stashMax is the longest frame, length field included, whose first part is
	// copied aside until the rest arrives; longer ones get a block of their own.
	stashMax = shm.LargeChunkSize - shm.HeaderSize
	// slabFrames is the most frames that one read can bring.
	slabFrames = shm.SlabSize / lengthSize
	// bigStep is how much a very long frame's block has at first; it grows as
	// the bytes arrive, so that a length alone takes no memory.
	bigStep = 2 << 20
)

// receive reads once, hands on the whole frames, and keeps the rest. The
// session stays on the ready list when there may be more.
func (s *Session) receive() {
	if s.fd < 0 || s.parked {
		return
	}
	if s.finishing {
		s.discard()
		return
	}
	room := s.room()
	if room <= 0 || s.throttled() {
		if s.overUnread() {
			s.readEnd()
		} else {
			s.park()
		}
		return
	}
	if s.big.slab != nil {
		s.receiveBig(room)
		return
	}
	head := s.stashed()
	buf := s.shard.space(head)
	if buf == nil {
		s.Abort(ReasonTransport)
		return
	}
	if s.backlog {
		s.digest(buf, head, 0, room)
		s.wantRead()
		return
	}
	want := len(buf) - head
	if room < slabFrames {
		// What does not fit the high-water mark has to fit the stash.
		want = min(want, stashMax-head)
		if room < slabFrames/256 {
			want = min(want, shm.SmallChunkSize)
		}
	}
	n, more, ok := s.read(buf[head : head+want])
	if !ok {
		return
	}
	if s.digest(buf, head, n, room) && (more || s.hangup || s.backlog) {
		s.wantRead()
	}
}

// read does one read. more: there may be more at once; not ok: nothing came, or
// the connection is over.
func (s *Session) read(buf []byte) (n int, more, ok bool) {
	if s.link != nil {
		return s.readLink(buf)
	}
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		got, ok := s.outcome(int(n), e)
		return got, got == len(buf), ok
	}
}

// outcome judges the result of a read.
func (s *Session) outcome(n int, e unix.Errno) (int, bool) {
	switch {
	case e == unix.EAGAIN:
		return 0, false
	case shortOfMemory(e):
		s.readAgain()
		return 0, false
	case e != 0:
		s.Abort(ReasonTransport)
		return 0, false
	case n == 0:
		s.hangup = true
		s.remoteEnded()
		return 0, false
	}
	s.shard.roundRead += n
	return n, true
}

// digest hands on the whole frames in head stashed and n new bytes; the new
// ones are in buf behind the place of the stashed ones. false: the session was
// closed.
func (s *Session) digest(buf []byte, head, n, room int) bool {
	if head > 0 {
		s.stash.CopyChain(buf)
	}
	total := head + n
	found := scan(buf[:total], room, s.limits.MaxMsgSize)
	if found.frames > 0 {
		s.pushFrames(found.used, found.frames)
	}
	if found.tooLong {
		s.backlog, s.Oversize = false, true
		s.cut()
		return false
	}
	rest := buf[found.used:total]
	s.backlog = found.frames == room && len(rest) > 0
	switch {
	case len(rest) == 0:
		s.freeStash()
	case found.need > stashMax && !s.backlog:
		s.freeStash()
		if !s.big.start(rest, found.need) {
			s.Abort(ReasonTransport)
			return false
		}
		s.held(s.big.size())
	case !s.keep(rest):
		s.Abort(ReasonTransport)
		return false
	}
	return true
}

// scanned is what scan found.
type scanned struct {
	frames  int
	used    int    // bytes of those frames
	need    uint64 // size of the incomplete frame behind them, if its length is there
	tooLong bool   // that frame is longer than allowed
}

// scan finds the whole frames at the start of buf, at most room of them.
func scan(buf []byte, room int, maxBody int64) scanned {
	var found scanned
	if maxBody < 0 {
		maxBody = math.MaxInt64
	}
	for found.frames < room && len(buf)-found.used >= lengthSize {
		body := uint64(binary.BigEndian.Uint32(buf[found.used:]))
		if int64(body) > maxBody {
			found.tooLong = true
			return found
		}
		size := lengthSize + body
		if size > uint64(len(buf)-found.used) {
			found.need = size
			return found
		}
		found.used += int(size)
		found.frames++
	}
	return found
}

// pushFrames hands on the first used bytes of the shard's free space.
func (s *Session) pushFrames(used, frames int) {
	sh := s.shard
	at := unsafe.Pointer(&sh.slab.Bytes()[sh.slabPos])
	sh.slab.Hold()
	s.pushData(sh.slab, at, used, frames)
	sh.slabPos += (shm.HeaderSize + uint64(used) + 63) &^ 63
}

// pushData hands on size bytes of frames that lie behind the place of their
// run's header; the run gets the caller's reference to the slab.
func (s *Session) pushData(slab *shm.Slab, at unsafe.Pointer, size, frames int) {
	r := (*shm.Run)(at)
	*r = shm.Run{Event: shm.Event{Session: s.Shared, Msgs: uint32(frames), Kind: shm.RunData},
		Slab: slab, Data: unsafe.Add(at, shm.HeaderSize), Size: uint64(size)}
	s.Received.Add(uint64(frames))
	s.ReceivedBytes.Add(uint64(size))
	atomic.AddInt32(&s.Shared.RxQueued, int32(frames))
	atomic.AddInt64(&s.queues.RxWaiting, int64(size))
	s.push(r)
}

// space returns free bytes of the shard's slab, room for a run's header being
// left in front: at least head + readMin, or nil when there is no memory.
func (sh *Shard) space(head int) []byte {
	if sh.slab != nil && atomic.LoadInt32(&sh.slab.Refs) == 1 {
		sh.slabPos = 0 // all of it was taken: use the part that is in the cache
	}
	const all = shm.SlabSize - shm.HeaderSize
	if sh.slab == nil || all-sh.slabPos < uint64(shm.HeaderSize+head+readMin) {
		if sh.slab != nil {
			sh.slab.Release()
		}
		sh.slab, sh.slabPos = shm.NewSlab(all), 0
		if sh.slab == nil {
			return nil
		}
	}
	return sh.slab.Bytes()[sh.slabPos+shm.HeaderSize:]
}

// room returns how many more messages RCVHWM lets through.
func (s *Session) room() int {
	if s.limits.RcvHwm == 0 {
		return math.MaxInt32
	}
	return int(s.limits.RcvHwm) - int(atomic.LoadInt32(&s.Shared.RxQueued))
}

// stashed returns how many bytes wait in the stash.
func (s *Session) stashed() int {
	return s.stash.ChainLen()
}

// keep stores rest, the start of a frame or frames above RCVHWM, in the stash.
func (s *Session) keep(rest []byte) bool {
	if c := s.stash; c != nil && c.Next == nil && c.Size == shm.TinyChunkSize && len(rest) <= int(c.Cap) {
		c.End = uint32(copy(c.Bytes(), rest))
		return true
	}
	s.freeStash()
	s.stash = shm.NewPacked(rest)
	s.held(s.stash.ChainSize())
	return s.stash != nil
}

func (s *Session) freeStash() {
	if s.stash != nil {
		s.freeChain(s.stash)
		s.stash = nil
	}
}

// deliverBacklog hands on the whole frames that RCVHWM kept back, at the end
// of the connection.
func (s *Session) deliverBacklog() {
	s.backlog = false
	if buf := s.shard.space(s.stashed()); buf != nil {
		head := s.stash.CopyChain(buf)
		if found := scan(buf[:head], math.MaxInt32, s.limits.MaxMsgSize); found.frames > 0 {
			s.pushFrames(found.used, found.frames)
		}
	}
}

// bigFrame collects one frame that is too long for the stash in a slab of its
// own: the place of its run's header, then the frame.
type bigFrame struct{ slab *shm.Slab } // nil: there is none

// start takes a slab for a frame of need bytes whose first ones are rest.
func (b *bigFrame) start(rest []byte, need uint64) bool {
	room := shm.HeaderSize + need
	if room > shm.BigSlabSize-shm.HeaderSize {
		room = min(room, bigStep)
	}
	if b.slab = shm.NewSlab(room); b.slab == nil {
		return false
	}
	b.slab.Need = need
	b.slab.Have = uint64(copy(b.slab.Bytes()[shm.HeaderSize:], rest))
	return true
}

// free returns the part of the slab that the frame still needs, growing it
// when it is full; nil when there is no memory.
func (b *bigFrame) free() []byte {
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

// size is the memory of what has come: pages that nothing was written to take none.
func (b *bigFrame) size() int64 {
	if b.slab == nil {
		return 0
	}
	return int64(min((shm.HeaderSize+b.slab.Have+shm.PageSize-1)&^(shm.PageSize-1), b.slab.Size))
}

func (s *Session) dropBig() {
	if s.big.slab != nil {
		s.held(-s.big.size())
		s.big.slab.Release()
		s.big = bigFrame{}
	}
}

// receiveBig reads on with a long frame, and, in the same system call as its end,
// what follows it.
func (s *Session) receiveBig(room int) {
	before := s.big.size()
	dst := s.big.free()
	buf := s.shard.space(0)
	if dst == nil || buf == nil {
		s.Abort(ReasonTransport)
		return
	}
	dst = dst[:min(len(dst), longRead)]
	want := readMin
	if room < slabFrames {
		want = shm.SmallChunkSize
	}
	iov := s.shard.iov[:2]
	iov[0].Base, iov[1].Base = &dst[0], &buf[0]
	iov[0].SetLen(len(dst))
	iov[1].SetLen(want)
	vectors := 2
	last := s.big.slab.Have+uint64(len(dst)) == s.big.slab.Need
	if !last || room == 1 {
		vectors, want = 1, 0
	}
	got, full, ok := 0, false, false
	if s.link != nil {
		got, full, ok = s.readLink(dst)
	} else {
		n, _, e := unix.RawSyscall(unix.SYS_READV, uintptr(s.fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(vectors))
		if e == unix.EINTR {
			s.wantRead()
			return
		}
		got, ok = s.outcome(int(n), e)
		full = got == len(dst)+want
	}
	if !ok {
		return
	}
	s.big.slab.Have += uint64(min(got, len(dst)))
	s.held(s.big.size() - before)
	if got >= len(dst) && last {
		if !s.pushBig(buf, got-len(dst), room-1) {
			return
		}
	}
	if full || s.hangup || s.backlog {
		s.wantRead()
	}
}

// pushBig hands on the complete long frame and then what came behind it.
func (s *Session) pushBig(buf []byte, behind, room int) bool {
	slab := s.big.slab
	size := int(slab.Need)
	s.held(-s.big.size())
	s.big = bigFrame{}
	s.pushData(slab, unsafe.Pointer(&slab.Bytes()[0]), size, 1)
	if behind == 0 {
		return true
	}
	return s.digest(buf, 0, behind, room)
}

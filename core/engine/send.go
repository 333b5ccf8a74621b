// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// ReleaseOwner is told when the kernel has the bytes behind Chunk.Ext, or they
// are dropped. The C layer sets it before it queues such a chunk.
var ReleaseOwner func(owner unsafe.Pointer)

// flush moves a session's main queue to the one being written and writes.
func (sh *Shard) flush(shared *shm.Session) {
	shared.Lock()
	shared.TxDirty &^= shm.DirtyListed
	if shared.TxState == shm.TxClosed {
		shared.Unlock()
		shared.Release() // detach kept it for this list
		return
	}
	s := sh.byFd[shared.Fd].handler.(*Session)
	if s.blocked { // it is held until the kernel takes bytes again
		shared.Unlock()
		return
	}
	s.takeMain()
	shared.Unlock()
	s.write()
}

// takeMain swaps the main queue behind the flush queue. TxLock is held.
func (s *Session) takeMain() {
	s.sent.Add(uint64(s.Shared.TxQueued - uint32(s.sent.Load())))
	s.addFlush(s.Shared.TakeMain())
}

// addFlush puts chunks behind the flush queue.
func (s *Session) addFlush(head, tail *shm.Chunk) {
	switch {
	case head == nil:
		return
	case s.flushTail == nil:
		s.flushHead = head
	default:
		s.flushTail.Link(head)
	}
	s.flushTail = tail
}

// write gives the kernel what it takes of the flush queue in one turn, in gathered
// writes. Not while the kernel takes no more.
func (s *Session) write() {
	if s.unwritten { // its turn comes
		return
	}
	sh := s.shard
	end := max(0, sh.roundLeft-writeTurn)
	if s.link != nil {
		s.writeLink(end)
		return
	}
	for s.flushHead != nil {
		if sh.roundLeft <= end {
			s.writeLater()
			return
		}
		n, e := s.writeOnce()
		switch {
		case e == unix.EINTR:
			continue
		case e != 0:
			s.refused(e)
			return
		}
		sh.roundLeft -= int(n) + writePrice
		s.advance(n)
	}
	if s.finishing {
		s.written()
	}
}

// setBlocked notes whether the kernel takes bytes of the session.
func (s *Session) setBlocked(blocked bool) {
	switch {
	case blocked && !s.blocked:
		s.shard.blocked++
	case s.blocked && !blocked:
		s.shard.blocked--
	}
	s.blocked = blocked
	if blocked {
		s.hold()
	}
}

// writeOnce does one send of what fits a turn.
func (s *Session) writeOnce() (uint64, unix.Errno) {
	head := s.flushHead
	if head.Next == nil && head.Ext == 0 {
		n, e := send(int(s.fd), head.Bytes()[head.Start:head.End])
		return uint64(n), e
	}
	iov := &s.shard.iov
	count, room := 0, uint64(writeTurn)
	for c := head; c != nil && room > 0 && count+2 <= len(iov); c = (*shm.Chunk)(c.Next) {
		if c.Start < c.End {
			size := min(uint64(c.End-c.Start), room)
			iov[count].Base = &c.Bytes()[c.Start]
			iov[count].SetLen(int(size))
			count++
			room -= size
		}
		if size := min(uint64(c.ExtLen), room); c.Ext != 0 && size > 0 {
			iov[count].Base = (*byte)(c.ExtPointer())
			iov[count].SetLen(int(size))
			count++
			room -= size
		}
	}
	msg := unix.Msghdr{Iov: &iov[0], Iovlen: uint64(count)}
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return uint64(n), e
}

// send gives data to the kernel. MSG_NOSIGNAL: the host's SIGPIPE is not ours to
// raise.
func send(fd int, data []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&data[0])),
		uintptr(len(data)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// advance takes n written bytes off the flush queue.
func (s *Session) advance(n uint64) {
	s.moved.Add(n)
	l := s.books()
	done := uint32(0)
	for c := s.flushHead; c != nil; c = s.flushHead {
		inline := min(n, uint64(c.End-c.Start))
		l.add(c.Bytes()[c.Start : c.Start+uint32(inline)])
		c.Start += uint32(inline)
		n -= inline
		ext := min(n, uint64(c.ExtLen))
		if ext > 0 {
			l.skip(ext)
			c.Ext, c.ExtLen = c.Ext+uintptr(ext), c.ExtLen-uint32(ext)
			n -= ext
		}
		if c.Start < c.End || c.ExtLen > 0 {
			break
		}
		done += c.Msgs
		s.popFlush()
	}
	s.countLedger()
	if done > 0 {
		atomic.AddUint32(&s.Shared.TxDone, done)
		s.owner.WakeSenders()
	}
}

// popFlush frees the first chunk of the flush queue.
func (s *Session) popFlush() {
	c := s.flushHead
	if s.flushHead = (*shm.Chunk)(c.Next); s.flushHead == nil {
		s.flushTail = nil
	}
	if owner := c.OwnerPointer(); owner != nil {
		s.held(-int64(c.ExtAll))
		ReleaseOwner(owner)
	}
	s.free(c)
}

func (s *Session) dropFlush() {
	for s.flushHead != nil {
		s.popFlush()
	}
}

// writeFailed reacts to a connection that takes no bytes any more. What the
// peer sent before may still be unread, so the end shows when reading does.
func (s *Session) writeFailed() {
	s.broken = true
	if s.finishing {
		s.reset()
		return
	}
	s.detach(ReasonTransport) // senders must not wait for it, read or not
	s.abandon()
	s.dropFlush()
	s.hangup = true
	s.wantRead()
}

// free frees a chunk that the session held.
func (s *Session) free(c *shm.Chunk) {
	s.held(-int64(c.Size))
	shm.FreeChunk(c)
}

// freeChain frees chunks that the session held.
func (s *Session) freeChain(c *shm.Chunk) {
	s.held(-c.ChainSize())
	shm.FreeChain(c)
}

// held notes that the session holds more, or less, memory.
func (s *Session) held(bytes int64) { atomic.AddInt64(&s.Shared.Held, bytes) }

// Traffic is what a session has carried. Bytes include length fields.
type Traffic struct {
	MsgsIn, BytesIn         uint64 // arrived whole
	MsgsOut, BytesOut       uint64 // accepted from senders
	MsgsQueued, BytesQueued uint64 // of those, not yet given to the kernel
	Held                    uint64 // bytes of queues and buffers
}

// Traffic returns what the session has carried until now. Any thread.
func (s *Session) Traffic() Traffic {
	s.Shared.Lock()
	defer s.Shared.Unlock()
	done, moved := atomic.LoadUint32(&s.Shared.TxDone), s.moved.Load()
	return Traffic{
		MsgsIn: s.Received.Load(), BytesIn: s.ReceivedBytes.Load(),
		MsgsOut: s.sent.Load() + uint64(s.Shared.TxQueued-uint32(s.sent.Load())), BytesOut: s.Shared.TxBytes,
		MsgsQueued: uint64(s.Shared.TxQueued - done), BytesQueued: s.Shared.TxBytes - moved,
		Held: uint64(atomic.LoadInt64(&s.Shared.Held)),
	}
}

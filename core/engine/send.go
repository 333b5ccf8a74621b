// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// flush moves a connection's main queue to the flush queue and writes.
func (sh *Shard) flush(shared *shm.Session) {
	shared.Lock()
	shared.TxDirty &^= shm.DirtyListed
	if shared.TxState == shm.TxClosed {
		shared.Unlock()
		shared.Release() // the list had this reference since detach
		return
	}
	c := sh.byFd[shared.Fd].handler.(*Conn)
	if check.On {
		check.That(c.Shared == shared, "a session's descriptor is its connection's")
	}
	if c.blocked { // the queue is held until the kernel takes bytes again
		shared.Unlock()
		return
	}
	c.takeMain()
	shared.Unlock()
	c.write()
}

// takeMain moves the main queue behind the flush queue. TxLock is held.
func (c *Conn) takeMain() {
	c.shard.mustDrive()
	c.sent.Add(c.unsent())
	c.addFlush(c.Shared.TakeMain())
}

// unsent returns by how much sent has to grow for the main queue to count as taken. It may
// be negative, modulo 2^64: what was taken before may have been put back and dropped.
func (c *Conn) unsent() uint64 {
	return uint64(int64(int32(c.Shared.TxQueued.Load() - uint32(c.sent.Load()))))
}

// addFlush puts chunks behind the flush queue.
func (c *Conn) addFlush(head, tail *shm.Chunk) {
	switch {
	case head == nil:
		return
	case c.flushTail == nil:
		c.flushHead = head
	default:
		c.flushTail.Link(head)
	}
	c.flushTail = tail
}

// write passes as much of the flush queue to the kernel as it takes in one turn, in
// gathered writes. It must not be called while the kernel takes no more.
func (c *Conn) write() {
	if c.unwritten { // its turn will come
		return
	}
	sh := c.shard
	end := max(0, sh.roundLeft-writeTurn)
	if c.link != nil {
		c.writeLink(end)
		return
	}
	for c.flushHead != nil {
		if sh.roundLeft <= end {
			c.writeLater()
			return
		}
		n, e := c.writeOnce()
		switch {
		case e == sys.EINTR:
			continue
		case e != 0:
			c.refused(e)
			return
		}
		sh.roundLeft -= int(n) + writePrice
		c.advance(n)
	}
	if c.finishing {
		c.written()
	}
}

// setBlocked records whether the kernel takes no more bytes of the connection.
func (c *Conn) setBlocked(blocked bool) {
	switch {
	case blocked && !c.blocked:
		c.shard.blocked++
		c.queues.TxHeld.Add(1)
	case c.blocked && !blocked:
		c.shard.blocked--
		c.queues.TxHeld.Add(-1)
		if check.On {
			check.That(c.shard.blocked >= 0, "no more connections are unblocked than were blocked")
		}
	}
	c.blocked = blocked
	if blocked {
		c.holdQueue()
		c.giveRoom() // it may take less memory now
	}
}

// writeOnce sends once as much as fits the turn.
func (c *Conn) writeOnce() (uint64, sys.Errno) {
	head := c.flushHead
	if head.Next == nil && head.Ext == 0 {
		n, e := sys.Send(int(c.fd), head.Bytes()[head.Start:head.End])
		return uint64(n), e
	}
	if head.Next == nil && head.Start == head.End {
		n, e := sys.Send(int(c.fd), head.ExtBytes()[:min(head.ExtLen, writeTurn)])
		return uint64(n), e
	}
	n, e := sys.SendVectors(int(c.fd), c.flushParts(c.flushHead, 0, writeTurn))
	return uint64(n), e
}

// flushParts sets the shard's parts, from the given number on, to the first room bytes from a chunk of
// the flush queue on, or to as many as the parts can name. It returns all parts.
func (c *Conn) flushParts(first *shm.Chunk, count int, room uint64) []sys.Vector {
	parts := &c.shard.parts
	for chunk := first; chunk != nil && room > 0 && count+2 <= len(parts); chunk = (*shm.Chunk)(chunk.Next) {
		if chunk.Start < chunk.End {
			size := min(uint64(chunk.End-chunk.Start), room)
			parts[count].Set(&chunk.Bytes()[chunk.Start], int(size))
			count++
			room -= size
		}
		if size := min(uint64(chunk.ExtLen), room); chunk.Ext != 0 && size > 0 {
			parts[count].Set((*byte)(chunk.ExtPointer()), int(size))
			count++
			room -= size
		}
	}
	return parts[:count]
}

// advance removes n written bytes from the flush queue.
func (c *Conn) advance(n uint64) {
	c.moved.Add(n)
	l := c.books()
	all, done := n, uint32(0)
	for chunk := c.flushHead; chunk != nil; chunk = c.flushHead {
		inline := min(n, uint64(chunk.End-chunk.Start))
		l.add(chunk.Bytes()[chunk.Start : chunk.Start+uint32(inline)])
		chunk.Start += uint32(inline)
		n -= inline
		ext := min(n, uint64(chunk.ExtLen))
		if ext > 0 {
			if chunk.Cast() != nil { // whole frames
				l.add(chunk.ExtBytes()[:ext])
			} else {
				l.skip(ext)
			}
			chunk.Ext, chunk.ExtLen = chunk.Ext+uintptr(ext), chunk.ExtLen-uint32(ext)
			n -= ext
		}
		if chunk.Start < chunk.End || chunk.ExtLen > 0 {
			break
		}
		done += chunk.Msgs
		c.popFlush()
	}
	if check.On {
		check.That(n == 0, "no more is written than was queued")
	}
	c.countLedger()
	if done > 0 {
		c.Shared.TxDone.Add(done)
	}
	c.queues.Show(probe.FrameOut, c.Shared, uint64(done), all)
	c.Shared.Written(c.moved.Load())
	c.giveRoom()
}

// popFlush frees the first chunk of the flush queue.
func (c *Conn) popFlush() {
	chunk := c.flushHead
	if c.flushHead = (*shm.Chunk)(chunk.Next); c.flushHead == nil {
		c.flushTail = nil
	}
	if chunk.Owner != 0 {
		if lent := chunk.Lent(); lent > 0 {
			c.countMemory(-lent)
			c.queues.Charge(-lent)
		}
		chunk.ReleaseExt(c.queues, host.ReleaseOwner)
	}
	c.freeSent(chunk)
}

func (c *Conn) dropFlush() {
	for c.flushHead != nil {
		c.popFlush()
	}
}

// writeFailed reacts to a connection that takes no more bytes. Earlier input of the peer
// may still be unread, so the end shows when reading reaches it.
func (c *Conn) writeFailed(e sys.Errno) {
	if e != sys.EPIPE { // else the peer had ended the stream, which is still to be read
		c.because(CauseReset)
	}
	c.broken = true
	if c.finishing {
		c.reset()
		return
	}
	c.detach() // senders must not wait for it, whether it is read or not
	c.abandon()
	c.dropFlush()
	c.giveRoom() // others of the socket have more memory now
	c.hangup = true
	c.wantRead()
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
)

// TryPass writes a long message at once, from where the caller has it, behind what is queued
// for the peer rid of the socket q. Only what the kernel does not take is copied. It returns
// false, and has done nothing, if somebody drives the shard, the message would have to wait, or
// this is a Go program, whose stacks move.
// Like TryFlush, it does not count as driving.
func (sh *Shard) TryPass(s *shm.Session, q *shm.Queues, rid uint32, body []byte) bool {
	if !host.Lends || !sh.idle() {
		return false
	}
	chunk := shm.NewChunk(0, shm.ClassTiny)
	if chunk == nil {
		return false
	}
	if !sh.Shared.Driver.CompareAndSwap(shm.DriverNone, shm.DriverFlusher) {
		shm.FreeChunk(chunk)
		return false
	}
	if check.On {
		sh.note(check.FlusherDrives)
	}
	passed := sh.pass(s, q, rid, chunk, body)
	sh.endFlush()
	sh.flushLeft()
	return passed
}

// pass is TryPass for the driver.
func (sh *Shard) pass(s *shm.Session, q *shm.Queues, rid uint32, chunk *shm.Chunk, body []byte) bool {
	sh.mustDrive()
	c := sh.lend(s, q, rid, chunk, body)
	if c == nil {
		shm.FreeChunk(chunk)
		return false
	}
	sh.roundLeft = writeRound
	c.write()
	if !c.keepBorrowed() {
		c.Abort(CauseNoMemory)
	}
	return true
}

// lend puts a message whose body stays with the caller behind the connection's flush queue.
// It returns nil if that cannot be written now.
func (sh *Shard) lend(s *shm.Session, q *shm.Queues, rid uint32, chunk *shm.Chunk, body []byte) *Conn {
	s.Lock()
	defer s.Unlock()
	if s.Shard != sh.Shared || !s.Passes(q, rid, len(body)) {
		return nil
	}
	c := sh.byFd[s.Fd].handler.(*Conn)
	if c.flushHead != nil || c.blocked || c.unwritten || c.broken {
		return nil
	}
	s.Lend(q, chunk, body)
	sh.borrowed = chunk
	c.takeMain()
	return c
}

// keepBorrowed copies what is left of a body that lies with a caller, because the caller will
// go on. It returns false when there is no memory: the connection must end then.
func (c *Conn) keepBorrowed() bool {
	chunk := c.shard.borrowed
	if chunk == nil {
		return true
	}
	c.shard.borrowed = nil
	rest, last := shm.Keep(chunk)
	if rest == nil {
		return false
	}
	c.countMemory(rest.ChainSize())
	c.queues.Charge(rest.ChainCharge())
	if c.flushTail == chunk {
		c.flushTail = last
	}
	if chunk == c.flushHead && chunk.Start == chunk.End {
		c.popFlush()
	}
	return true
}

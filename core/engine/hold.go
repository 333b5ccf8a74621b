// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/shm"
)

// holdQueue puts what the kernel refuses back into the main queue. The queue's last chunk
// then takes later messages, so that what waits for a slow peer takes little more memory
// than its bytes (core/shm/held.go). If the connection has no senders any more, everything
// stays in the flush queue.
func (c *Conn) holdQueue() {
	shared := c.Shared
	shared.Lock()
	queued := int64(shared.TxBytes - c.moved.Load())
	if !c.detached {
		c.addFlush(shared.TakeBack())
	}
	shared.Unlock()
	c.disown()
	if blocks := c.queueBlocks(); shm.Sparse(queued, blocks, c.flushTail) {
		more, before := int64(0), c.flushHead.ChainCharge()
		c.flushHead, c.flushTail, more = shm.Pack(c.flushHead)
		c.countMemory(more)
		c.queues.Charge(c.flushHead.ChainCharge() - before)
	}
	if c.detached {
		return
	}
	first, all := c.partly()
	shared.Lock()
	shared.MarkBegun(first, all)
	shared.PutBack(c.queues, c.flushHead, c.flushTail, int64(shared.TxBytes-c.moved.Load()), c.queueBlocks())
	shared.Unlock()
	c.flushHead, c.flushTail = nil, nil
}

// queueBlocks returns the memory of the main and the flush queue. It leaves out the written
// part of a body that is not copied, although its owner releases it only as a whole.
func (c *Conn) queueBlocks() int64 {
	blocks := c.Shared.Memory.Load() - c.stash.ChainSize() - c.bigSize() - c.ledger.memory()
	if chunk := c.flushHead; chunk != nil && chunk.Cast() == nil {
		blocks -= int64(chunk.ExtAll - chunk.ExtLen)
	}
	if c.link != nil {
		blocks -= c.link.rest.ChainSize() + c.link.counted
	}
	return blocks
}

// disownMost is the size up to which the rest of an uncopied body may be copied after all.
const disownMost = 256 << 10

// disown copies the rest of a partly written body and releases the body to its owner, if
// more is written than is left.
func (c *Conn) disown() {
	chunk := c.flushHead
	if chunk == nil || chunk.Cast() != nil || chunk.ExtLen > disownMost || !shm.Sparse(int64(chunk.ExtLen), int64(chunk.ExtAll), nil) {
		return
	}
	rest := shm.NewPacked(chunk.ExtBytes())
	if rest == nil {
		return
	}
	last := rest
	for last.Next != nil {
		last = (*shm.Chunk)(last.Next)
	}
	last.Msgs = chunk.Msgs
	c.countMemory(rest.ChainSize())
	c.queues.Charge(rest.ChainCharge())
	next := (*shm.Chunk)(chunk.Next)
	c.popFlush()
	if c.flushHead = rest; next == nil {
		c.flushTail = last
	} else {
		last.Link(next)
	}
}

// partly returns how many bytes at the start of the flush queue belong to a message that is
// partly written, and how many to that and to the others of its WebSocket message. None of
// them may be dropped.
func (c *Conn) partly() (first, all uint64) {
	l := c.books()
	if first = l.left; l.have > 0 { // the length field is cut, too
		head, have := l.head, int(l.have)
		for chunk := c.flushHead; chunk != nil && have < int(l.need); chunk = (*shm.Chunk)(chunk.Next) {
			have += chunk.CopyStart(head[have:l.need])
		}
		first = l.frameSize(head[:]) - uint64(l.have)
	}
	if m := c.manners(); m != nil {
		return first, max(first, m.begun())
	}
	return first, first
}

// unblock takes the held queue and writes on, because the kernel takes bytes again.
func (c *Conn) unblock() {
	if c.fd < 0 || !c.blocked {
		return
	}
	c.setBlocked(false)
	c.Shared.Lock()
	c.takeMain()
	c.Shared.Unlock()
	c.write()
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/shm"
)

// holdQueue puts what the kernel does not take back into the main queue, whose last
// chunk then takes what is sent meanwhile: what waits for a slow peer takes little
// more than its bytes (core/shm/held.go). Of a connection without senders it stays in
// the flush queue.
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
		more := int64(0)
		c.flushHead, c.flushTail, more = shm.Pack(c.flushHead)
		c.countMemory(more)
	}
	if c.detached {
		return
	}
	shared.Lock()
	shared.PutBack(c.flushHead, c.flushTail, int64(shared.TxBytes-c.moved.Load()), c.queueBlocks())
	shared.Unlock()
	c.flushHead, c.flushTail = nil, nil
}

// queueBlocks is what the main and the flush queue take, without what is already
// written of a body that is not copied: its owner gives it back whole.
func (c *Conn) queueBlocks() int64 {
	blocks := c.Shared.Memory.Load() - c.stash.ChainSize() - c.big.size() - c.ledger.memory()
	if chunk := c.flushHead; chunk != nil {
		blocks -= int64(chunk.ExtAll - chunk.ExtLen)
	}
	if c.link != nil {
		blocks -= c.link.rest.ChainSize() + c.link.counted
	}
	return blocks
}

// disownMost is how much of a body that is not copied may be copied after all.
const disownMost = 256 << 10

// disown copies the rest of a partly written body and gives it back to its owner,
// if what is written is more than the rest.
func (c *Conn) disown() {
	chunk := c.flushHead
	if chunk == nil || chunk.ExtLen > disownMost || !shm.Sparse(int64(chunk.ExtLen), int64(chunk.ExtAll), nil) {
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
	next := (*shm.Chunk)(chunk.Next)
	c.popFlush()
	if c.flushHead = rest; next == nil {
		c.flushTail = last
	} else {
		last.Link(next)
	}
}

// unblock takes what was held and writes on, as the kernel takes bytes again.
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

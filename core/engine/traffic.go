// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
)

// Traffic counts what a connection has carried. Bytes include length fields.
type Traffic struct {
	MsgsIn, BytesIn         uint64 // arrived completely
	MsgsOut, BytesOut       uint64 // accepted from senders
	MsgsQueued, BytesQueued uint64 // of MsgsOut and BytesOut, not yet passed to the kernel
	Memory                  uint64 // bytes of queues and buffers
}

// Traffic returns what the connection has carried so far. Any thread.
func (c *Conn) Traffic() Traffic {
	c.Shared.Lock()
	defer c.Shared.Unlock()
	done, moved := c.Shared.TxDone.Load(), c.moved.Load()
	return Traffic{
		MsgsIn: c.Received.Load(), BytesIn: c.ReceivedBytes.Load(),
		MsgsOut: c.sent.Load() + c.unsent(), BytesOut: c.Shared.TxBytes,
		MsgsQueued: uint64(c.Shared.TxQueued.Load() - done), BytesQueued: c.Shared.TxBytes - moved,
		Memory: uint64(c.Shared.Memory.Load()),
	}
}

// freeSent frees a chunk of what is to be sent. It has no owner any more.
func (c *Conn) freeSent(chunk *shm.Chunk) {
	c.countMemory(-int64(chunk.Size))
	if chunk.Class != shm.ClassTiny { // as Session.link has counted it
		c.queues.Charge(-int64(chunk.Size))
	}
	shm.FreeChunk(chunk)
}

// freeChain frees chunks that the connection held.
func (c *Conn) freeChain(chunk *shm.Chunk) {
	c.countMemory(-chunk.ChainSize())
	shm.FreeChain(chunk)
}

// countMemory counts memory that the connection gets, or, if negative, loses.
func (c *Conn) countMemory(bytes int64) {
	c.Shared.Memory.Add(bytes)
	if check.On {
		check.That(c.Shared.Memory.Load() >= 0, "a connection gives no more memory back than it took")
	}
}

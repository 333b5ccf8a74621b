// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"

	"github.com/zlink/zlink/core/shm"
)

// hold puts what the kernel does not take back into the main queue, whose last
// chunk then takes what is sent meanwhile: what waits for a slow peer takes little
// more than its bytes (core/shm/held.go). Of a session without senders it stays in
// the flush queue.
func (s *Session) hold() {
	shared := s.Shared
	shared.Lock()
	queued := int64(shared.TxBytes - s.moved.Load())
	if !s.detached {
		s.addFlush(shared.TakeBack())
	}
	shared.Unlock()
	s.disown()
	if blocks := s.queueBlocks(); shm.Sparse(queued, blocks, s.flushTail) {
		more := int64(0)
		s.flushHead, s.flushTail, more = shm.Pack(s.flushHead)
		s.held(more)
	}
	if s.detached {
		return
	}
	shared.Lock()
	shared.PutBack(s.flushHead, s.flushTail, int64(shared.TxBytes-s.moved.Load()), s.queueBlocks())
	shared.Unlock()
	s.flushHead, s.flushTail = nil, nil
}

// queueBlocks is what the main and the flush queue take, without what is already
// written of a body that is not copied: its owner gives it back whole.
func (s *Session) queueBlocks() int64 {
	blocks := atomic.LoadInt64(&s.Shared.Held) - s.stash.ChainSize() - s.big.size() - s.ledger.memory()
	if c := s.flushHead; c != nil {
		blocks -= int64(c.ExtAll - c.ExtLen)
	}
	if s.link != nil {
		blocks -= s.link.rest.ChainSize() + s.link.held
	}
	return blocks
}

// disownMost is how much of a body that is not copied may be copied after all.
const disownMost = 256 << 10

// disown copies the rest of a partly written body and gives it back to its owner,
// if what is written is more than the rest.
func (s *Session) disown() {
	c := s.flushHead
	if c == nil || c.ExtLen > disownMost || !shm.Sparse(int64(c.ExtLen), int64(c.ExtAll), nil) {
		return
	}
	rest := shm.NewPacked(c.ExtBytes())
	if rest == nil {
		return
	}
	last := rest
	for last.Next != nil {
		last = (*shm.Chunk)(last.Next)
	}
	last.Msgs = c.Msgs
	s.held(rest.ChainSize())
	next := (*shm.Chunk)(c.Next)
	s.popFlush()
	if s.flushHead = rest; next == nil {
		s.flushTail = last
	} else {
		last.Link(next)
	}
}

// unblock takes what was held and writes on, as the kernel takes bytes again.
func (s *Session) unblock() {
	if s.fd < 0 || !s.blocked {
		return
	}
	s.setBlocked(false)
	s.Shared.Lock()
	s.takeMain()
	s.Shared.Unlock()
	s.write()
}

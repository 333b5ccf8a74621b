// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

var errNoID = errno.New(errno.ENOMEM, "each block of routing ids is in use by another socket of the process")

// attach gives a new connection its routing id and puts it into the table.
func (k *Socket) attach(c *engine.Conn, alias []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Load() {
		return errno.ENOTSOCK
	}
	if k.drained() { // it was on its way from a listener
		return errDraining()
	}
	if err := k.growTable(); err != nil {
		return err
	}
	if len(alias) > 0 && k.aliases[string(alias)].dialer != c.Dialer() {
		alias = nil // its endpoint was disconnected, and another may have the name
	}
	rid := c.Shared.Rid.Load() // that it had while it asked
	if rid == 0 {
		if rid = k.takeID(); rid == 0 {
			return errNoID
		}
		if check.On {
			check.That(k.table().Slot(rid).Load() == nil, "no two live peers share a slot")
		}
		if !c.Shared.SetID(rid, alias) {
			k.putID(rid)
			return errno.ENOMEM
		}
	} else {
		c.Shared.SetID(rid, nil) // it was accepted, so there is no alias
	}
	c.Shared.Lock()
	c.Shared.Rid.Store(rid)
	c.Shared.TxState = shm.TxOpen
	c.Shared.Unlock()
	if len(alias) > 0 {
		k.aliases[string(alias)] = aliasUse{session: c.Shared}
	}
	if len(alias) == 0 || k.mode() == ModeFast { // in COMPAT the alias alone names the peer
		k.table().Slot(rid).Store(c.Shared)
	}
	c.Index = int32(len(k.conns))
	k.conns = append(k.conns, c)
	k.parts++
	k.drainToo(c)
	if c.Dialled() {
		k.past.dialled++
	} else {
		k.past.accepted++
	}
	return nil
}

// detach removes an ended connection from the table.
func (k *Socket) detach(c *engine.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.Detached()
	if c.Cause() == engine.CauseTooLong {
		k.past.oversize++
	}
	if id := string(c.Shared.IDFrame()); k.aliases[id].session == c.Shared {
		delete(k.aliases, id)
	}
	if c.Last() {
		k.ended(c.Dialer())
	}
	k.table().Slot(c.Shared.Rid.Load()).CompareAndSwap(c.Shared, nil)
	if k.closing == nil {
		k.closing = map[uint32]*engine.Conn{}
	}
	k.closing[c.Shared.Rid.Load()] = c
}

// forgetConn removes a connection from the lists, and keeps its counters.
func (k *Socket) forgetConn(c *engine.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.closing, c.Shared.Rid.Load())
	k.putID(c.Shared.Rid.Load())
	k.past.add(c)
	k.keepFinal(c)
	if check.On {
		check.That(k.conns[c.Index] == c, "a connection knows its place")
	}
	last := len(k.conns) - 1
	k.conns[c.Index] = k.conns[last]
	k.conns[c.Index].Index = c.Index
	k.conns[last] = nil
	k.conns = k.conns[:last]
}

// partGone removes a part; the last one ends the socket.
func (k *Socket) partGone(part any) {
	k.mu.Lock()
	if d, ok := part.(*engine.Dialer); ok {
		k.ended(d)
	}
	k.parts--
	if check.On {
		check.That(k.parts >= 0, "no more parts go than came")
	}
	k.drainedPart(part)
	over := k.parts == 0
	k.mu.Unlock()
	if over {
		k.leave()
	}
}

func (k *Socket) table() *shm.Table { return k.shared.Table.Load() }

// takeID returns the next id of the socket's block whose slot is free and that no alias of four
// bytes equals, or 0 if no block is left. An id thus finds its session without a search. The
// caller gives it back with putID. k.mu is locked.
func (k *Socket) takeID() uint32 {
	for tried := 0; tried < idBlocksTried; {
		for k.idsLeft > 0 {
			id := k.nextID
			k.nextID++
			k.idsLeft--
			b := ids.block(blockOf(id))
			if k.mayGive(id) {
				b.inUse++
				return id
			}
			if k.idsLeft == 0 && b.inUse == 0 {
				ids.drop(blockOf(id), 0)
			}
		}
		first, ok := ids.take(k, k.roomyBlocks())
		if !ok {
			break
		}
		if k.nextID, k.idsLeft = first, idsInBlock-first%idsInBlock; k.idsLeft == idsInBlock {
			tried++
		}
	}
	return 0
}

// idBlocksTried bounds the whole blocks that one id may take; more than one is only needed once the
// ids have wrapped. Of what is left of blocks there may be any number whose slots are all taken.
const idBlocksTried = 4

func (k *Socket) mayGive(id uint32) bool {
	if id == 0 || k.table().Slot(id).Load() != nil || k.closing[id] != nil {
		return false
	}
	if len(k.aliases) > 0 {
		_, used := k.aliases[string(binary.BigEndian.AppendUint32(nil, id))]
		return !used
	}
	return true
}

// putID gives an id of takeID back. k.mu is locked.
func (k *Socket) putID(id uint32) {
	b := ids.block(blockOf(id))
	b.inUse--
	if check.On {
		check.That(b.inUse >= 0 && b.owner.Load() == k, "an id goes back to the block of its socket")
	}
	if b.inUse == 0 && (k.idsLeft == 0 || blockOf(k.nextID) != blockOf(id)) {
		ids.drop(blockOf(id), 0)
	}
}

// roomyBlocks returns what tells which blocks have a free slot for at least each fourth of their
// ids: those of other sockets may lie such that the next ones would all meet the same part
// of the table. nil: all blocks do, because the table is no larger than a block.
func (k *Socket) roomyBlocks() func(block uint32) bool {
	t := k.table()
	parts := uint32((t.Mask + 1) >> shm.IDBlockBits)
	if parts <= 1 {
		return nil
	}
	known := make(map[uint32]bool)
	return func(block uint32) bool {
		part := block % parts
		roomy, looked := known[part]
		if !looked {
			free := 0
			for n := range uint32(idsInBlock) {
				if t.Slot(part<<shm.IDBlockBits|n).Load() == nil {
					free++
				}
			}
			roomy = free >= idsInBlock/4
			known[part] = roomy
		}
		return roomy
	}
}

// growTable keeps the table at most half full, so that a free slot is always near. Ids
// that differ in the low bits of a small table also differ in those of a large one.
func (k *Socket) growTable() error {
	old := k.table()
	size := old.Mask + 1
	if uint64(len(k.conns)+k.reserved)*2 < size {
		return nil
	}
	grown := shm.NewTable(2 * size)
	if grown == nil {
		return errno.ENOMEM
	}
	for id := range size {
		if s := old.Slot(uint32(id)).Load(); s != nil {
			grown.Slot(s.Rid.Load()).Store(s)
		}
	}
	k.shared.Table.Store(grown)
	if old != k.shared.InlineTable() {
		k.oldTables = append(k.oldTables, old)
	}
	return nil
}

// find returns the live session that an id frame names, with its number, or nil.
func (k *Socket) find(id []byte) (*shm.Session, uint32) {
	if len(id) == 4 {
		rid := binary.BigEndian.Uint32(id)
		if s := k.shared.Find(rid); s != nil {
			return s, rid
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.aliases[string(id)].session; s != nil { // also nil while the alias is only reserved
		return s, s.Rid.Load()
	}
	return nil, 0
}

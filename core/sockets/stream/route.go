// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

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
		rid = k.takeID()
		if check.On {
			check.That(k.table().Slot(rid).Load() == nil, "no two live peers share a slot")
		}
	}
	if !c.Shared.SetID(rid, alias) {
		return errno.ENOMEM
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

// takeID counts on to the next id whose slot is free and that no alias of four bytes
// equals. An id thus finds its session without a search.
func (k *Socket) takeID() uint32 {
	for {
		k.shared.LastID++
		id := k.shared.LastID
		if id == 0 || k.table().Slot(id).Load() != nil || k.closing[id] != nil {
			continue
		}
		if len(k.aliases) > 0 {
			if _, used := k.aliases[string(binary.BigEndian.AppendUint32(nil, id))]; used {
				continue
			}
		}
		shm.GaveID(id)
		return id
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

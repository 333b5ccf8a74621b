// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// freeTables keeps unused tables by size. Like that of slots, their memory is never used
// for anything else.
var freeTables struct {
	sync.Mutex
	bySize map[uint64][]*Table
}

// NewTable returns an empty routing table of size slots, or nil. size is a power of two.
func NewTable(size uint64) *Table {
	if check.On {
		check.That(size != 0 && size&(size-1) == 0, "a table's size is a power of two")
	}
	freeTables.Lock()
	defer freeTables.Unlock()
	if free := freeTables.bySize[size]; len(free) > 0 {
		t := free[len(free)-1]
		freeTables.bySize[size] = free[:len(free)-1]
		for id := range size {
			t.Slot(uint32(id)).Store(nil)
		}
		return t
	}
	t := (*Table)(mapPages(uintptr(roundUp(8+8*size, PageSize))))
	if t != nil {
		t.Mask = size - 1
	}
	return t
}

// FreeTable takes back a table of NewTable.
func FreeTable(t *Table) {
	if check.On {
		check.That(t.Mask+1 > inlineTable, "a table that a socket starts with is not freed")
	}
	freeTables.Lock()
	defer freeTables.Unlock()
	if freeTables.bySize == nil {
		freeTables.bySize = map[uint64][]*Table{}
	}
	freeTables.bySize[t.Mask+1] = append(freeTables.bySize[t.Mask+1], t)
}

// InlineTable returns the table that a socket starts with.
func (q *Queues) InlineTable() *Table { return (*Table)(unsafe.Pointer(&q.InlineMask)) }

// Find returns the session that rid names now, or nil. The session may become stale at
// any time: Append compares the id under the session's lock. Any thread.
func (q *Queues) Find(rid uint32) *Session {
	s := q.Table.Load().Slot(rid).Load()
	if s == nil || s.Rid.Load() != rid {
		return nil
	}
	return s
}

// InSlot is Find without a look at the id: another peer may have the slot. Any thread.
func (q *Queues) InSlot(rid uint32) *Session { return q.Table.Load().Slot(rid).Load() }

// Slot returns the slot of rid's session.
func (t *Table) Slot(rid uint32) *atomic.Pointer[Session] {
	return (*atomic.Pointer[Session])(unsafe.Add(unsafe.Pointer(t), 8+8*(uint64(rid)&t.Mask)))
}

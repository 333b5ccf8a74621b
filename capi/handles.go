// SPDX-License-Identifier: MPL-2.0

package main

// #include "internal.h"
import "C"

import (
	"sync"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sockets/stream"
)

// A handle is a number that cannot be an address: a tag in the top 16 bits, a generation of
// 28 bits, a slot of 20. Whatever a caller passes is looked up and compared, never
// followed.
const (
	slotBits   = C.ZL_SLOT_BITS
	maxSlots   = 1 << slotBits
	generation = 1<<28 - 1

	socketTag  uint64 = 0x5A53
	contextTag uint64 = 0x5A43
)

// table maps handles of one tag to objects.
type table[T any] struct {
	tag   uint64
	limit int

	mu     sync.RWMutex
	slots  []slot[T]
	free   []int
	newest uint64 // generation of the newest handle
}

type slot[T any] struct {
	handle uint64 // 0: free
	object T
}

// put stores an object and returns its handle, or 0 if the table is full.
func (t *table[T]) put(object T) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var at int
	switch {
	case len(t.free) > 0:
		at = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
	case len(t.slots) < t.limit:
		at = len(t.slots)
		t.slots = append(t.slots, slot[T]{})
	default:
		return 0
	}
	t.newest = (t.newest + 1) & generation
	handle := t.tag<<48 | t.newest<<slotBits | uint64(at)
	t.slots[at] = slot[T]{handle, object}
	return handle
}

// get finds a handle's object.
func (t *table[T]) get(handle uint64) (object T, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	at := int(handle & (maxSlots - 1))
	if handle == 0 || at >= len(t.slots) || t.slots[at].handle != handle {
		return object, false
	}
	return t.slots[at].object, true
}

// remove forgets a handle and returns its object. It returns false for an unknown handle.
func (t *table[T]) remove(handle uint64) (object T, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := int(handle & (maxSlots - 1))
	if handle == 0 || at >= len(t.slots) || t.slots[at].handle != handle {
		return object, false
	}
	object = t.slots[at].object
	t.slots[at] = slot[T]{}
	t.free = append(t.free, at)
	return object, true
}

// closer is the object of a socket handle: a *stream.Socket or a *sockets.Monitor.
type closer interface {
	sockets.Pollable
	Close() error
	SetOption(opt sockets.Option, value []byte) error
	Option(opt sockets.Option, buf []byte) (int, error)
}

var (
	contextHandles = table[*core.Context]{tag: contextTag, limit: maxSlots}
	socketHandles  = table[closer]{tag: socketTag, limit: maxSlots}
)

func contextOf(handle uintptr) (*core.Context, error) {
	if c, ok := contextHandles.get(uint64(handle)); ok {
		return c, nil
	}
	return nil, errno.New(errno.EFAULT, "the handle is not that of a context")
}

var errNoSocket = errno.New(errno.ENOTSOCK, "the handle is not that of an open socket")

func closerOf(handle uintptr) (closer, error) {
	if c, ok := socketHandles.get(uint64(handle)); ok {
		return c, nil
	}
	return nil, errNoSocket
}

func socketOf(handle uintptr) (*stream.Socket, error) {
	c, err := closerOf(handle)
	if err != nil {
		return nil, err
	}
	if k, ok := c.(*stream.Socket); ok {
		return k, nil
	}
	return nil, errno.New(errno.ENOTSOCK, "the handle is that of a monitor, not of a socket")
}

func monitorOf(handle uintptr) (*sockets.Monitor, error) {
	c, err := closerOf(handle)
	if err != nil {
		return nil, err
	}
	if m, ok := c.(*sockets.Monitor); ok {
		return m, nil
	}
	return nil, errno.New(errno.ENOTSOCK, "the handle is that of a socket, not of a monitor")
}

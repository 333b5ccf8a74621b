// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"
	"sync/atomic"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
)

// A socket takes a block of ids when its last one is used up, and gives a block back when
// none of its ids is in use. The blocks are given in turn, so one that was given back is given
// again only after all others. What is left of the last block of a socket that goes is for the
// next socket, which goes on where that one ended.
//
// The directory says which socket has a block. A reader takes its word for a hint: it pins the
// socket, and the socket looks whether the id is that of a peer. So a reader that comes late
// finds a socket that has gone, or one that has no such peer, and never another's peer.
type directory struct {
	pages [shm.IDPages]atomic.Pointer[idPage]

	mu    sync.Mutex // guards what follows, and taken and the stores of owner in blocks
	turn  uint32     // the block that is looked at first
	rests []idRest   // of sockets that have gone, the oldest first
}

type idPage [1 << shm.IDPageBits]idBlock

type idBlock struct {
	owner atomic.Pointer[Socket] // nil: nobody
	inUse int32                  // ids that somebody has; guarded by the owner's mu
	taken bool                   // the block is somebody's, or what is left of it is
}

// idRest is what is left of a block: the ids from next on.
type idRest struct{ block, next uint32 }

var ids directory

const idsInBlock = 1 << shm.IDBlockBits

func blockOf(id uint32) uint32 { return id >> shm.IDBlockBits }

// block returns an entry, or nil if its page has none yet.
func (d *directory) block(n uint32) *idBlock {
	if page := d.pages[n>>shm.IDPageBits].Load(); page != nil {
		return &page[n%(1<<shm.IDPageBits)]
	}
	return nil
}

// owner returns the socket that may have a peer with this id, or nil. Any goroutine.
func (d *directory) owner(id uint32) *Socket {
	if b := d.block(blockOf(id)); b != nil {
		return b.owner.Load()
	}
	return nil
}

// take gives a socket a block for which good is true, and returns where its ids begin. If the
// blocks are used up it may be one that the socket has already, of which not all ids
// are in use. A socket that takes any block (good is nil) may get what is left of one.
func (d *directory) take(k *Socket, good func(block uint32) bool) (first uint32, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last := len(d.rests) - 1; last >= 0 && good == nil {
		rest := d.rests[last]
		d.rests = d.rests[:last]
		d.give(k, rest.block)
		return rest.next, true
	}
	for _, again := range []bool{false, true} {
		for n := range uint32(shm.IDBlocks) {
			block := (d.turn + n) % shm.IDBlocks
			if d.isFor(k, block, again) && (good == nil || good(block)) {
				d.turn = (block + 1) % shm.IDBlocks
				d.give(k, block)
				return block << shm.IDBlockBits, true
			}
		}
	}
	return 0, false
}

// isFor reports whether a block is free, or, with again, the socket's own. d.mu is locked.
func (d *directory) isFor(k *Socket, block uint32, again bool) bool {
	b := d.block(block)
	if b == nil || !b.taken {
		return !again
	}
	return again && b.owner.Load() == k
}

// give makes a block the socket's. d.mu and the socket's mu are locked.
func (d *directory) give(k *Socket, block uint32) {
	place := &d.pages[block>>shm.IDPageBits]
	if place.Load() == nil {
		place.Store(new(idPage))
	}
	b := d.block(block)
	b.taken = true
	b.owner.Store(k)
	if k.handle != 0 && k.mode() == ModeFast { // for others C leaves the call to Go
		shm.IDs.Tell(block, k.handle)
	}
}

// drop takes a block back of which no id is in use. next is where its ids go on; 0: all of them
// have been given. The socket's mu is locked, or the socket is gone.
func (d *directory) drop(block, next uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.block(block)
	if check.On {
		check.That(b.taken && b.inUse == 0, "a block goes back when no id of it is in use")
	}
	shm.IDs.Tell(block, 0)
	b.owner.Store(nil)
	if next != 0 {
		d.rests = append(d.rests, idRest{block, next})
	} else {
		b.taken = false
	}
}

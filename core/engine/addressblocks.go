// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// addressBlocks counts connections for each block of addresses that has any, or that had so
// many a moment ago that it may not have more yet. Those without a connection rest, the
// first one first, until they owe nothing. At most restingMost of them are kept, so that
// strangers with many addresses take no more memory. The zero value is empty.
type addressBlocks struct {
	index   map[blockKey]place
	list    []addressBlock // list[0] is the head of the blocks that rest, in a ring
	free    place          // the first free entry of list, linked by next; 0: none
	held    int            // connections of all blocks
	resting int
}

// restingMost is the highest number of blocks without connections that are kept.
const restingMost = 16384

type blockKey struct {
	ip   [16]byte // those of IPv4 are mapped
	bits uint8    // of ip
}

type addressBlock struct {
	key            blockKey
	connections    int32
	rests          bool
	previous, next place // in the ring of those that rest
	rate           rateBucket
}

// keyOf returns the key of the block that an address is in.
func keyOf(addr netip.Addr, r *Rules) blockKey {
	addr = addr.Unmap().WithZone("")
	bits, more := r.Prefix6, 0
	if addr.Is4() {
		bits, more = r.Prefix4, mappedBits
	}
	block, _ := addr.Prefix(bits)
	return blockKey{block.Addr().As16(), uint8(bits + more)}
}

// enter counts a connection, or says why its block may not have it.
func (t *addressBlocks) enter(addr netip.Addr, r *Rules, now int64) (place, verdict) {
	t.tidy(r, now)
	key := keyOf(addr, r)
	at := t.index[key]
	if at != 0 {
		b := &t.list[at]
		switch {
		case r.AddressConnections > 0 && int(b.connections) >= r.AddressConnections:
			return noPlace, tooManyOfAddress
		case r.AddressRate > 0 && !b.rate.take(r.AddressRate, now):
			return noPlace, tooFastOfAddress
		}
	} else {
		at = t.add(key)
		if r.AddressRate > 0 {
			t.list[at].rate.take(r.AddressRate, now)
		}
	}
	b := &t.list[at]
	if b.rests {
		t.unlink(at)
	}
	b.connections++
	t.held++
	return at, admitted
}

// leave uncounts a connection of a block. The last one's block goes, or rests if it owes something.
func (t *addressBlocks) leave(at place, r *Rules) {
	b := &t.list[at]
	b.connections--
	t.held--
	if check.On {
		check.That(b.connections >= 0 && t.held >= 0, "no more connections of an address leave than entered")
	}
	if b.connections > 0 {
		return
	}
	if r.AddressRate > 0 && b.rate.owed > 0 {
		now := clock(time.Now())
		b.rate.pay(r.AddressRate, now)
		if b.rate.owed > 0 {
			t.rest(at)
			t.tidy(r, now) // a crowd that leaves together must not rest together
			return
		}
	}
	t.drop(at)
}

// tidyMost is how many blocks that rest are checked for each new connection.
const tidyMost = 4

// tidy drops the first ones that rest, if they owe nothing, or are too many.
func (t *addressBlocks) tidy(r *Rules, now int64) {
	for range min(tidyMost, t.resting) {
		at := t.list[0].next
		b := &t.list[at]
		if r.AddressRate > 0 {
			if b.rate.pay(r.AddressRate, now); b.rate.owed > 0 && t.resting <= restingMost {
				return
			}
		}
		t.unlink(at)
		t.drop(at)
	}
}

func (t *addressBlocks) add(key blockKey) place {
	if t.index == nil {
		t.index = map[blockKey]place{}
		t.list = make([]addressBlock, 1, 16)
	}
	at := t.free
	if at != 0 {
		t.free = t.list[at].next
		t.list[at] = addressBlock{}
	} else {
		at = place(len(t.list))
		t.list = append(t.list, addressBlock{})
	}
	t.list[at].key = key
	t.index[key] = at
	return at
}

// drop forgets a block. With the last one, the memory goes.
func (t *addressBlocks) drop(at place) {
	delete(t.index, t.list[at].key)
	if len(t.index) == 0 {
		*t = addressBlocks{}
		return
	}
	t.list[at] = addressBlock{next: t.free}
	t.free = at
}

// rest appends a block to those that rest.
func (t *addressBlocks) rest(at place) {
	head := &t.list[0]
	last := head.previous
	b := &t.list[at]
	b.rests, b.previous, b.next = true, last, 0
	t.list[last].next = at
	head.previous = at
	t.resting++
}

func (t *addressBlocks) unlink(at place) {
	b := &t.list[at]
	t.list[b.previous].next = b.next
	t.list[b.next].previous = b.previous
	b.rests, b.previous, b.next = false, 0, 0
	t.resting--
}

// blockEntrySize is the memory of an entry of index, about.
const blockEntrySize = 2 * (unsafe.Sizeof(blockKey{}) + unsafe.Sizeof(noPlace))

func (t *addressBlocks) memory() int {
	return cap(t.list)*int(unsafe.Sizeof(addressBlock{})) + len(t.index)*int(blockEntrySize)
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"slices"
	"unsafe"
)

// span is a range of addresses.
type span struct{ from, to uintptr }

// chain is a list of free blocks, linked as in a pool, that also knows its last block.
type chain struct{ first, last unsafe.Pointer }

// push puts a block in front.
func (c *chain) push(block unsafe.Pointer) {
	setLink(block, c.first)
	if c.first = block; c.last == nil {
		c.last = block
	}
}

// before links list behind the chain and returns the first block of the whole.
func (c *chain) before(list unsafe.Pointer) unsafe.Pointer {
	if c.first == nil {
		return list
	}
	setLink(c.last, list)
	return c.first
}

// split cuts a list behind its first n blocks.
func split(list unsafe.Pointer, n int) (first chain, rest unsafe.Pointer) {
	if n == 0 || list == nil {
		return chain{}, list
	}
	last := list
	for next := link(last); n > 1 && next != nil; next = link(last) {
		last, n = next, n-1
	}
	rest = link(last)
	setLink(last, nil)
	return chain{list, last}, rest
}

// pushAll puts all blocks of a list in front.
func (c *chain) pushAll(list unsafe.Pointer) {
	for list != nil {
		next := link(list)
		c.push(list)
		list = next
	}
}

// cool returns the memory of free blocks to the system. The first blocks, which are the
// newest, keep theirs. The list may have hundreds of thousands of blocks, and every thread
// that needs a block waits for growMutex. Under the mutex cool therefore does no work per
// block, and per span only what it takes to join two sorted lists.
func (c *class) cool(class uint32, list unsafe.Pointer) {
	warm, rest := split(list, keepWarm[class])
	spans := dropBlocks(class, rest, &warm)
	gone := uintptr(0)
	for _, s := range spans {
		gone += s.to - s.from
	}
	room := c.roomFor(spans)
	growMutex.Lock()
	defer growMutex.Unlock()
	c.warm -= gone
	dropped += gone
	c.cold = merged(room, c.cold, spans)
	c.older = warm.before(c.older)
}

// roomFor returns an empty list with room for the cold spans and for spans. Its pages
// are touched beforehand: a page fault takes longer than joining the spans of a page.
func (c *class) roomFor(spans []span) []span {
	growMutex.Lock()
	count := len(c.cold) + len(spans)
	growMutex.Unlock()
	room := make([]span, count)
	clear(room)
	return room[:0]
}

// dropBlocks returns the memory of free blocks to the system, and reports where they
// are. A block that shares a page with others goes to warm instead.
func dropBlocks(class uint32, list unsafe.Pointer, warm *chain) (spans []span) {
	blocks := addressesOf(list)
	if blocks == nil { // no memory for the addresses: another tick tries again
		warm.pushAll(list)
		return nil
	}
	slices.Sort(blocks)
	size := blockSize[class]
	for _, s := range joined(blocks, size) {
		whole := span{uintptr(roundUp(uint64(s.from), PageSize)), s.to &^ (PageSize - 1)}
		for at := s.from; at < s.to; at += size {
			if at < whole.from || at >= whole.to {
				warm.push(pointer(at))
			}
		}
		if whole.from < whole.to {
			dropPages(pointer(whole.from), whole.to-whole.from)
			spans = append(spans, whole)
		}
	}
	unmapPages(unsafe.Pointer(&blocks[0]), addressBytes(len(blocks)))
	return spans
}

// addressesOf returns the addresses of a list's blocks. They lie in pages of their own, so
// that a flood of blocks does not enlarge Go's heap. It returns nil if the list is empty
// or there is no memory.
func addressesOf(list unsafe.Pointer) []uintptr {
	n := 0
	for block := list; block != nil; block = link(block) {
		n++
	}
	if n == 0 {
		return nil
	}
	pages := mapPages(addressBytes(n))
	if pages == nil {
		return nil
	}
	all := unsafe.Slice((*uintptr)(pages), n)
	for i := range all {
		all[i] = uintptr(list)
		list = link(list)
	}
	return all
}

// addressBytes is the size of the pages for n addresses.
func addressBytes(n int) uintptr {
	return uintptr(roundUp(uint64(n)*uint64(unsafe.Sizeof(uintptr(0))), PageSize))
}

// joined returns the spans of sorted blocks.
func joined(blocks []uintptr, size uintptr) (all []span) {
	for _, at := range blocks {
		all = join(all, span{at, at + size})
	}
	return all
}

// merged joins two sorted lists of spans; out has room for both.
func merged(out, a, b []span) []span {
	for len(a) > 0 && len(b) > 0 {
		if a[0].from < b[0].from {
			out, a = join(out, a[0]), a[1:]
		} else {
			out, b = join(out, b[0]), b[1:]
		}
	}
	for _, s := range a {
		out = join(out, s)
	}
	for _, s := range b {
		out = join(out, s)
	}
	if len(out) < cap(out)/2 {
		return slices.Clone(out)
	}
	return out
}

// join adds a span behind all others.
func join(all []span, s span) []span {
	if n := len(all); n > 0 && all[n-1].to == s.from {
		all[n-1].to = s.to
		return all
	}
	return append(all, s)
}

// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// What becomes of free blocks
//
// A free block is in one of four places. From the newest to the oldest:
//
//	pool      whoever needs one pops it, without a lock
//	recent    what was free in the pool at the last tick; refills it
//	older     what a tick later was still left of that; refills it then
//	cold      what nobody needed for another tick: the system has the memory back,
//	          only the addresses are kept, and are used before new ones are mapped
//
// So memory that was free all the time for two to three ticks goes back, however busy
// the others are, and memory that is needed now and then stays: no page goes back
// and forth. keepWarm of each class stay in any case. When ticks come: tidy.go; how
// memory goes back: cool.go.
//
// Invariant: a block is in one place only. A pop takes it from the pool by the
// exchange of its head, and so does the tick, which takes all of them; the others
// are guarded by growMutex. A thread that looked at a head before reads the first
// word of a block late, wherever the block is by then: that reads as anything, or
// as zero when the pages are gone, and its own exchange then fails by the tag. So
// the addresses of a class are never unmapped nor used for another class, and
// headers are written anew when a block gets memory again.

// keepWarm is how many free blocks of a class keep their memory: about 1 MiB in all.
var keepWarm = [ClassDedicated]int{64, 32, 8, 4, 2, 0}

// class is what there is of a class outside its pool. Guarded by growMutex.
type class struct {
	recent, older unsafe.Pointer // lists, newest first, linked as in the pool
	cold          []span
	warm          uintptr // bytes that have memory, used or free
}

var (
	growMutex sync.Mutex
	classes   [ClassDedicated]class
)

// get returns a free block or a new one; nil when the system has no memory.
func get(class uint32) unsafe.Pointer {
	block := Pools[class].pop()
	if block == nil {
		if block = refill(class); block == nil {
			return nil
		}
	}
	unpoison(block, blockSize[class])
	return block
}

// refill takes a block for the caller, and about growStep for the pool.
func refill(class uint32) unsafe.Pointer {
	growMutex.Lock()
	defer growMutex.Unlock()
	if block := Pools[class].pop(); block != nil {
		return block
	}
	c := &classes[class]
	list := &c.recent
	if *list == nil {
		list = &c.older
	}
	if *list == nil {
		return c.warmUp(class)
	}
	var some [64]unsafe.Pointer // TinyChunkSize is the smallest
	n := 0
	for ; *list != nil && n < int(growStep[class]/blockSize[class]); n++ {
		some[n] = *list
		*list = link(some[n])
	}
	for i := n - 1; i > 0; i-- { // the newest is to be popped first
		Pools[class].push(some[i])
	}
	return some[0]
}

// warmUp makes blocks of addresses without memory, of new ones if need be.
func (c *class) warmUp(class uint32) unsafe.Pointer {
	step, size := growStep[class], blockSize[class]
	var region unsafe.Pointer
	if last := len(c.cold) - 1; last >= 0 {
		s := &c.cold[last]
		step = min(step, s.to-s.from)
		region = pointer(s.to - step)
		if s.to -= step; s.to == s.from {
			c.cold = c.cold[:last]
		}
	} else if region = mapPages(step); region == nil {
		return nil
	}
	unpoison(region, step)
	for at := step - size; at > 0; at -= size {
		block := unsafe.Add(region, at)
		initBlock(class, block, size)
		give(class, block)
	}
	initBlock(class, region, size)
	c.warm += step
	keepTidy()
	return region
}

// Tick moves free blocks on by one place. Any thread.
func Tick() {
	var left [ClassDedicated]unsafe.Pointer
	growMutex.Lock()
	for i := range classes {
		c := &classes[i]
		left[i], c.older, c.recent = c.older, c.recent, Pools[i].takeAll()
	}
	growMutex.Unlock()
	for i, list := range left {
		if list != nil {
			classes[i].cool(uint32(i), list)
		}
	}
}

// Trim gives the memory of all free blocks back, but for those that keep it.
func Trim() {
	for range 3 {
		Tick()
	}
}

// link is the block behind a free one. Atomic, as others read it late.
func link(block unsafe.Pointer) unsafe.Pointer {
	return atomic.LoadPointer((*unsafe.Pointer)(block))
}

func setLink(block, next unsafe.Pointer) { atomic.StorePointer((*unsafe.Pointer)(block), next) }

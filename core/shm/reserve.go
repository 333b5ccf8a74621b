// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// The places of free blocks
//
// A free block is in one of four places. From the newest to the oldest:
//
//	pool      any thread may pop it, without a lock
//	recent    it was in the pool at the last tick; refills take it back
//	older     it was still in recent one tick later; refills take it then
//	cold      nobody needed it for another tick: the system has the memory back.
//	          Only the addresses are kept, and are used before new ones are mapped
//
// Memory that was free for two to three ticks thus goes back, however busy the other
// blocks are. Memory that is needed now and then stays, and no page goes back and forth.
// keepWarm blocks of each class always keep their memory. tidy.go says when ticks come,
// cool.go how memory goes back.
//
// Invariant: a block is in one place only. A pop and a tick both take blocks from the pool
// by an exchange of its head; growMutex guards the other places. A thread that pops late
// may read the first word of a block wherever the block is by then. It reads anything, or
// zero when the pages are gone, and then its own exchange fails by the tag. For this
// reason the addresses of a class are never unmapped or used for another class, and a
// block gets a new header when it gets memory again.

// keepWarm is the number of free blocks of each class that keep their memory: about 1 MiB in all.
var keepWarm = [ClassDedicated]int{ClassRef: 1024, ClassTiny: 64, ClassSmall: 32, ClassMid: 8, ClassLarge: 4, ClassSlab: 2}

// class holds the blocks of a class that are not in its pool. growMutex guards it.
type class struct {
	recent, older unsafe.Pointer // lists, newest first, linked as in the pool
	cold          []span
	warm          uintptr // bytes of blocks with memory, used or free
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
	var some [64]unsafe.Pointer
	n := 0
	for ; *list != nil && n < min(len(some), int(growStep[class]/blockSize[class])); n++ {
		some[n] = *list
		*list = link(some[n])
	}
	for i := n - 1; i > 0; i-- { // the newest is to be popped first
		Pools[class].push(some[i])
	}
	return some[0]
}

// warmUp makes blocks from addresses without memory, or else from new addresses.
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

// Tick moves every free block one place on. Any thread.
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

// Trim returns the memory of all free blocks to the system, except for those of keepWarm.
func Trim() {
	for range 3 {
		Tick()
	}
}

// link returns the block behind a free one. It is atomic because others read the word late.
func link(block unsafe.Pointer) unsafe.Pointer {
	return atomic.LoadPointer((*unsafe.Pointer)(block))
}

func setLink(block, next unsafe.Pointer) { atomic.StorePointer((*unsafe.Pointer)(block), next) }

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"time"

	"github.com/zlink/zlink/core/check"
)

// A wheel wakes up connections, known by their descriptors, once a delay has passed. It takes
// the same time for any number of them. A connection waits once, for the first of its
// deadlines. What happens in between changes nothing here: the look at the due connection
// finds out whether the deadline has moved.
//
// Each level has wheelSlots slots, which are 8 times as long as those of the level below. A
// connection waits in the lowest level that reaches as far as its delay, and stays there: it
// is due at the end of its slot. So it is never due early, and late by at most 1/32 of the
// delay. In return those that wait for long come in a few batches, and a shard with a
// hundred thousand of them wakes up twice a second.
const (
	wheelLevels = 8
	wheelSlots  = 256
	wheelShift  = 3 // log2 of the ratio between the slots of two levels
	// wheelMost is the longest delay in milliseconds, 3 days. For a longer one the connection
	// is looked at in between.
	wheelMost = 1 << 28
)

// wheel has no pointers, so Go's collector does not look at it. Driver only.
type wheel struct {
	nodes []wheelNode                     // by descriptor
	slots [wheelLevels * wheelSlots]int32 // the first descriptor + 1; 0: none
	count int                             // connections that wait
	seen  tick                            // slots that end up to here are empty
	// soonest is not later than the end of the first slot that is not empty. It has no meaning
	// while nobody waits.
	soonest tick
}

// wheelNode is a connection's place.
type wheelNode struct {
	next int32 // descriptor + 1; 0: none
	prev int32 // descriptor + 1; negative: the first one of slot -prev - 1; 0: it does not wait
	born tick  // the owner's
}

// node returns the place of a descriptor.
func (w *wheel) node(fd int32) *wheelNode {
	if int(fd) >= len(w.nodes) {
		w.nodes = append(w.nodes, make([]wheelNode, int(fd)+1-len(w.nodes))...)
	}
	return &w.nodes[fd]
}

// await makes a descriptor that does not wait due after a delay.
func (w *wheel) await(fd int32, now tick, delay time.Duration) {
	node := w.node(fd)
	if check.On {
		check.That(node.prev == 0, "a connection waits for one time")
	}
	if w.count == 0 || now.before(w.soonest) {
		w.seen = now
	}
	// A tick has begun some time ago, so one more makes the delay whole.
	ms := (min(delay, wheelMost*time.Millisecond)+time.Millisecond-1)/time.Millisecond + 1
	due := now + tick(max(1, ms))
	level := 0
	for level < wheelLevels-1 && (due-w.seen)>>(level*wheelShift) >= wheelSlots-1 {
		level++
	}
	within := tick(1)<<(level*wheelShift) - 1
	due = (due + within) &^ within // the end of its slot
	if w.count == 0 || due.before(w.soonest) {
		w.soonest = due
	}
	w.count++
	slot := int32(level*wheelSlots) + int32(due>>(level*wheelShift))&(wheelSlots-1)
	node.prev, node.next = -slot-1, w.slots[slot]
	w.slots[slot] = fd + 1
	if node.next != 0 {
		w.nodes[node.next-1].prev = fd + 1
	}
}

// waits reports whether a descriptor waits.
func (w *wheel) waits(fd int32) bool { return int(fd) < len(w.nodes) && w.nodes[fd].prev != 0 }

// forget takes a descriptor out, if it waits.
func (w *wheel) forget(fd int32) {
	if !w.waits(fd) {
		return
	}
	node := &w.nodes[fd]
	if node.prev < 0 {
		w.slots[-node.prev-1] = node.next
	} else {
		w.nodes[node.prev-1].next = node.next
	}
	if node.next != 0 {
		w.nodes[node.next-1].prev = node.prev
	}
	node.prev, node.next = 0, 0
	w.count--
}

// due reports whether somebody may be due.
func (w *wheel) due(now tick) bool { return w.count > 0 && !now.before(w.soonest) }

// run takes out descriptors that are due, at most some of them, and calls look for each.
// look may make any descriptor wait, and take any out.
func (w *wheel) run(now tick, most int, look func(fd int32)) {
	for level := range wheelLevels {
		shift := level * wheelShift
		first := w.seen >> shift
		passed := min((now>>shift-first)&(math.MaxUint32>>shift), wheelSlots)
		for n := tick(1); n <= passed; n++ {
			slot := &w.slots[level*wheelSlots+int(first+n)&(wheelSlots-1)]
			for *slot != 0 {
				if most == 0 {
					return // w.soonest still says that somebody is due
				}
				most--
				fd := *slot - 1
				w.forget(fd)
				look(fd)
			}
		}
	}
	w.seen = now
	w.findSoonest()
}

// findSoonest finds the first slot of each level that is not empty.
func (w *wheel) findSoonest() {
	w.soonest = w.seen + math.MaxInt32
	for level := range wheelLevels {
		shift := level * wheelShift
		for n := tick(1); n <= wheelSlots; n++ {
			at := w.seen>>shift + n
			if w.slots[level*wheelSlots+int(at)&(wheelSlots-1)] != 0 {
				if end := at << shift; end.before(w.soonest) {
					w.soonest = end
				}
				break
			}
		}
	}
}

// patience returns how long nobody is due, in milliseconds. Somebody waits.
func (w *wheel) patience(now tick) int { return int(max(0, int32(w.soonest-now))) }

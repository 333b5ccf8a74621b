// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/shm"
)

// Go's heap after a crowd
//
// What ended connections and handshakes leave behind in Go's heap stays resident
// until a collection that nothing asks for any more, two minutes later, and then
// goes back slowly. So what they leave is added up, and when a flood of them is over
// one collection is made for it. While they go on coming and going, collections come
// by themselves and none is added.

const (
	// crowd is how many connections more, or less, are worth a Host.Compact.
	crowd = 1000
	// compactWorth is how many bytes of Go's heap are worth one.
	compactWorth = 4 << 20
	// heapLook is how often a flood is looked at, and stillFlood the share of what it
	// left that makes it go on, when it came since the last look.
	heapLook   = time.Second
	stillFlood = 16

	// What is left of a connection in Go's heap, about: itself and its places in
	// tables, its link, a handshake with its stack.
	leftConn      = 512
	leftLink      = 16 << 10
	leftHandshake = 32 << 10
)

// left is the bytes that ended connections left in Go's heap since the last Host.Compact.
var left struct {
	bytes  atomic.Int64
	looked atomic.Int64 // bytes at the last look
	looks  atomic.Bool  // another look will come
}

// The lists of blocks that went back are garbage, too.
func init() { shm.Tidied = compact }

// leaves adds to left. Any thread.
func leaves(bytes int64) {
	if left.bytes.Add(bytes) >= compactWorth && host.Compact != nil && left.looks.CompareAndSwap(false, true) {
		time.AfterFunc(heapLook, lookAtHeap)
	}
}

// lookAtHeap compacts when the flood is over.
func lookAtHeap() {
	if !floodIsOver() {
		time.AfterFunc(heapLook, lookAtHeap)
		return
	}
	left.looks.Store(false)
	compact()
}

// floodIsOver reports whether little has come since the last look.
func floodIsOver() bool {
	now := left.bytes.Load()
	return now-left.looked.Swap(now) <= now/stillFlood
}

// compact calls Host.Compact, soon. Any thread.
func compact() {
	if host.Compact != nil {
		left.bytes.Store(0)
		left.looked.Store(0)
		go host.Compact()
	}
}

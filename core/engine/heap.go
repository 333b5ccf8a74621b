// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/shm"
)

// Go's heap after a crowd
//
// What ended connections and handshakes leave in Go's heap stays resident until the next
// collection, which may come only two minutes later, and then goes back slowly. So the
// engine adds up what they leave, and makes one collection when a flood of them is over.
// While they keep coming and going, collections come by themselves and the engine adds
// none.

const (
	// crowd is the change in the number of connections that is worth a Host.Compact.
	crowd = 1000
	// compactWorth is the number of bytes of Go's heap that is worth one.
	compactWorth = 4 << 20
	// heapLook is the time between two looks at a flood. The flood goes on while the part
	// left since the last look is more than 1/stillFlood of all that was left.
	heapLook   = time.Second
	stillFlood = 16

	// What a connection leaves in Go's heap, roughly: itself and its places in tables, its
	// link, a handshake with its stack.
	leftConn      = 512
	leftLink      = 16 << 10
	leftHandshake = 32 << 10
)

// left counts the bytes that ended connections have left in Go's heap since the last Host.Compact.
var left struct {
	bytes  atomic.Int64
	looked atomic.Int64 // bytes at the last look
	looks  atomic.Bool  // another look will come
}

// The lists of returned blocks are garbage, too.
func init() { shm.Tidied = compact }

// leaves adds to left. Any thread.
func leaves(bytes int64) {
	if left.bytes.Add(bytes) >= compactWorth && host.Compact != nil && left.looks.CompareAndSwap(false, true) {
		time.AfterFunc(heapLook, lookAtHeap)
	}
}

// lookAtHeap compacts if the flood is over.
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

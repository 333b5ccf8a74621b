// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"runtime/metrics"
	"sync"
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
		tail.begin()
	}
}

// tailWorth is the number of bytes allocated after a collection that is worth another one,
// once the process has calmed. calmWorth is what a calm process allocates between two looks.
const (
	tailWorth = 256 << 10
	calmWorth = 128 << 10
)

// tail watches what comes after a flood. Calls that fail because their peer has gone, for
// example, leave garbage when the flood itself is over, and Go may keep 4 MB of it for two
// minutes. tail looks every heapLook until the process is calm, and then makes a collection
// if enough was allocated since the last one.
var tail watch

type watch struct {
	mu        sync.Mutex
	looks     bool   // another look will come
	collected uint64 // bytes that the process had allocated at the last collection
	looked    uint64 // ... at the last look
}

// begin starts to look, at a collection.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.collected = allocated()
	w.looked = w.collected
	if !w.looks {
		w.looks = true
		time.AfterFunc(heapLook, w.look)
	}
}

func (w *watch) look() {
	w.mu.Lock()
	busy, collect := w.judge(allocated())
	w.looks = busy
	w.mu.Unlock()
	switch {
	case busy:
		time.AfterFunc(heapLook, w.look)
	case collect:
		compact()
	}
}

// judge reports whether the process goes on allocating, and, when it does not, whether a
// collection is worth it. now is the number of bytes allocated ever. w.mu is held.
func (w *watch) judge(now uint64) (busy, collect bool) {
	busy = now-w.looked > calmWorth
	w.looked = now
	return busy, !busy && now-w.collected >= tailWorth
}

// allocated returns the number of bytes that Go's heap has given out since the start.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

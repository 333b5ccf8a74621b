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

// garbage watches Go's heap for the host of this process.
var garbage = heapWatch{collect: func() func() { return host.Compact }}

// A heapWatch adds up what connections leave in Go's heap, and collects it. Any thread.
type heapWatch struct {
	collect func() func() // returns Host.Compact; that may be nil
	bytes   atomic.Int64  // left by ended connections since the last collection
	looked  atomic.Int64  // ... at the last look
	looks   atomic.Bool   // another look will come
	tail    tailWatch
}

// The lists of returned blocks are garbage, too.
func init() { shm.Tidied = compact }

func leaves(bytes int64) { garbage.leaves(bytes) }
func compact()           { garbage.compact() }

// leaves adds to what is left.
func (h *heapWatch) leaves(bytes int64) {
	if h.bytes.Add(bytes) >= compactWorth && h.collect() != nil && h.looks.CompareAndSwap(false, true) {
		time.AfterFunc(heapLook, h.look)
	}
}

// look collects if the flood is over.
func (h *heapWatch) look() {
	if !h.floodIsOver() {
		time.AfterFunc(heapLook, h.look)
		return
	}
	h.looks.Store(false)
	h.compact()
}

// floodIsOver reports whether little has come since the last look.
func (h *heapWatch) floodIsOver() bool {
	now := h.bytes.Load()
	return now-h.looked.Swap(now) <= now/stillFlood
}

// compact collects, soon.
func (h *heapWatch) compact() {
	if collect := h.collect(); collect != nil {
		h.bytes.Store(0)
		h.looked.Store(0)
		go collect()
		h.tail.begin(h.compact)
	}
}

// tailWorth is the number of bytes allocated after a collection that is worth another one,
// once the process has calmed. calmWorth is what a calm process allocates between two looks.
const (
	tailWorth = 256 << 10
	calmWorth = 128 << 10
)

// A tailWatch watches what comes after a flood. Calls that fail because their peer has gone, for
// example, leave garbage when the flood itself is over, and Go may keep 4 MB of it for two
// minutes. It looks every heapLook until the process is calm, and then makes a collection
// if enough was allocated since the last one.
type tailWatch struct {
	mu        sync.Mutex
	looks     bool   // another look will come
	collected uint64 // bytes that the process had allocated at the last collection
	looked    uint64 // ... at the last look
}

// begin starts to look, at a collection. compact makes the next one.
func (w *tailWatch) begin(compact func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.collected = allocated()
	w.looked = w.collected
	if !w.looks {
		w.looks = true
		w.lookLater(compact)
	}
}

func (w *tailWatch) lookLater(compact func()) {
	time.AfterFunc(heapLook, func() { w.look(compact) })
}

func (w *tailWatch) look(compact func()) {
	w.mu.Lock()
	busy, collect := w.judge(allocated())
	w.looks = busy
	w.mu.Unlock()
	switch {
	case busy:
		w.lookLater(compact)
	case collect:
		compact()
	}
}

// judge reports whether the process goes on allocating, and, when it does not, whether a
// collection is worth it. now is the number of bytes allocated ever. w.mu is held.
func (w *tailWatch) judge(now uint64) (busy, collect bool) {
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

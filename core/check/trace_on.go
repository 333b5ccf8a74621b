// SPDX-License-Identifier: MPL-2.0

//go:build race || asan || zlink_check

package check

import (
	"fmt"
	"io"
	"sync"
	"time"
	"unsafe"
)

// kept is the number of transitions that are kept for each shard.
const kept = 256

// trace is a ring of transitions. Its lock orders what several threads record. A thread
// holds it for a store, and takes no other lock meanwhile.
type trace struct {
	sync.Mutex
	all   [kept]step
	count int // ever
}

type step struct {
	at   time.Duration // since start
	what Transition
}

var (
	start  = time.Now()
	traces sync.Map // *trace by the address that identifies the shard
)

// Note records a transition of a shard, which an address of its own identifies. Any thread.
func Note(shard unsafe.Pointer, what Transition) {
	found, ok := traces.Load(shard)
	if !ok {
		found, _ = traces.LoadOrStore(shard, &trace{})
	}
	t := found.(*trace)
	t.Lock()
	defer t.Unlock()
	t.all[t.count%kept] = step{time.Since(start), what}
	t.count++
}

// PrintTransitions writes the last transitions of every shard that ever existed, for a test
// that waits in vain. Any thread.
func PrintTransitions(w io.Writer) {
	now := time.Since(start)
	traces.Range(func(shard, found any) bool {
		t := found.(*trace)
		t.Lock()
		defer t.Unlock()
		fmt.Fprintf(w, "shard %p, the last of %d transitions, in ms before now:\n", shard, t.count)
		for i := max(0, t.count-kept); i < t.count; i++ {
			s := t.all[i%kept]
			fmt.Fprintf(w, "%12.3f %s\n", float64(now-s.at)/float64(time.Millisecond), s.what)
		}
		return true
	})
}

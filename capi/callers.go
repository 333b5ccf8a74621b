// SPDX-License-Identifier: MPL-2.0

package main

import "C"

import (
	"math/bits"
	"runtime"
	"sync"
)

// hostStack is how much of a thread's Go stack is left for signal handlers of
// the host, which may run on it: the kernel's frame alone takes up to 11 KiB.
const hostStack = 128 << 10

// zgo_new_caller is called once by each thread of the host, before its first
// other call. The array makes its Go stack large, and the stack does not shrink
// (gcshrinkstackoff).
//
//export zgo_new_caller
func zgo_new_caller() {
	var room [hostStack]byte
	keep(&room)
	callers.add()
}

//go:noinline
func keep(room *[hostStack]byte) { room[0] = 1 }

// callers counts the threads of the host that have called Go, and sees to it
// that each finds a processor, as Go's scheduler calls its licences to run. A
// thread that waits in the kernel, or is back in C, keeps the one it had until
// the scheduler's monitor takes it away, which looks once in a millisecond only
// (cmake/GoRuntime.cmake); with as many processors as threads nobody waits for
// that. They cost about 30 KiB each, so there are maxProcs at most.
var callers callerCount

type callerCount struct {
	mu    sync.Mutex
	count uint
}

const maxProcs = 64

// add counts one more. The number of processors grows by doubling, as a change
// stops all of Go for a moment; the io threads need theirs as well.
func (c *callerCount) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	want := min(1<<bits.Len(c.count+2), maxProcs)
	if runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}

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
// other call, with the number of such threads that there are. The array makes
// its Go stack large, and the stack does not shrink (gcshrinkstackoff).
//
//export zgo_new_caller
func zgo_new_caller(callers C.uint) {
	var room [hostStack]byte
	keep(&room)
	needProcs(uint(callers))
}

//go:noinline
func keep(room *[hostStack]byte) { room[0] = 1 }

// maxProcs bounds the processors; Go may start a thread for each to collect
// garbage.
const maxProcs = 64

var procsMutex sync.Mutex

// needProcs sees to it that threads of the host find a processor, as Go's
// scheduler calls its licences to run. A thread that waits in the kernel, or is
// back in C, keeps the one it had until the scheduler's monitor takes it away,
// which looks every 25 ms only (cmake/GoRuntime.cmake); with as many
// processors as threads nobody waits for that. Their number grows by doubling, as
// a change stops all of Go for a moment.
func needProcs(callers uint) {
	procsMutex.Lock()
	defer procsMutex.Unlock()
	if want := min(1<<bits.Len(callers+2), maxProcs); runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}

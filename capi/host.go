// SPDX-License-Identifier: MPL-2.0

package main

/*
#include "internal.h"
#include "start.h"
*/
import "C"

import (
	"math/bits"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

func init() {
	engine.SetHost(engine.Host{
		Signals: true,
		Reserve: reserve,
		Compact: func() {
			debug.FreeOSMemory()
			C.zl_release_pages()
		},
		ReleaseOwner: func(owner unsafe.Pointer) { C.zl_owner_release(owner) },
	})
	startThreads(runtime.GOMAXPROCS(0)) // start.c has tried for them
	C.zl_go_is_up((*C.zl_pool)(unsafe.Pointer(shm.Pools)))
}

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

// mostAtOnce bounds how many threads Go may start beside those that are asked for,
// as threads of its that look for work are taken away meanwhile.
const mostAtOnce = 8

var procsMutex sync.Mutex

// needProcs sees to it that threads of the host find a processor, as Go's
// scheduler calls its licences to run. A thread that waits in the kernel, or is
// back in C, keeps the one it had until the scheduler's monitor takes it away,
// which looks every 25 ms only (cmake/GoRuntime.cmake); with as many
// processors as threads nobody waits for that. Their number grows by doubling, as
// a change stops all of Go for a moment. Where the process cannot have the threads
// they stay as many as they were, and callers may have to wait.
func needProcs(callers uint) {
	_ = reserve(min(1<<bits.Len(callers+2), maxProcs), 0)
}

// reserve raises the number of Go's processors to procs, and has Go start the
// threads for all of them, and as many more: what it may ever need it gets while a
// failure is an error of a call. Later Go could only wait for a thread, with all
// that waits for it.
func reserve(procs, threads int) error {
	procsMutex.Lock()
	defer procsMutex.Unlock()
	had := runtime.GOMAXPROCS(0)
	more := max(procs-had, 0) + threads
	if more == 0 {
		return nil
	}
	need := more + min(had, mostAtOnce)
	if !C.zl_can_start_threads(C.int(need)) {
		return errno.New(errno.EMTHREAD, "the process cannot have the %d threads more that may be needed (RLIMIT_NPROC, pids.max)", need)
	}
	if procs > had {
		runtime.GOMAXPROCS(procs)
	}
	startThreads(runtime.GOMAXPROCS(0) + threads)
	return nil
}

// startThreads makes Go have that many threads beside those that are taken. They
// stay, and sleep until they are needed. A goroutine that is locked to its thread
// needs one for itself; they start one after the other, as several at once would
// also start threads that look for more of them.
func startThreads(count int) {
	started, over := make(chan struct{}), make(chan struct{})
	for range count {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			started <- struct{}{}
			<-over
		}()
		<-started
	}
	close(over)
}

// SPDX-License-Identifier: MPL-2.0

package main

/*
#include "internal.h"
#include "probe.h"
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
	"github.com/zlink/zlink/core/probe"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

func init() {
	engine.SetHost(engine.Host{
		Signals: true,
		Reserve: reserve,
		Compact: func() {
			debug.FreeOSMemory()
			C.zl_release_pages()
		},
		Frugal: func(on bool) {
			if on {
				debug.SetGCPercent(frugalPercent)
			} else {
				debug.SetGCPercent(usualPercent)
			}
		},
		ReleaseOwner: func(owner unsafe.Pointer) { C.zl_owner_release(owner) },
		FreePeerData: func(g shm.Given) {
			C.zl_free_given(C.uintptr_t(g.Free), C.uintptr_t(g.Data), C.uintptr_t(g.Hint))
		},
	})
	probe.Set((*probe.Wanted)(unsafe.Pointer(&C.zl_probes)), fire)
	startThreads(runtime.GOMAXPROCS(0)) // start.c has tried for them
	C.zl_go_is_up((*C.zl_pool)(unsafe.Pointer(shm.Pools)), (*C.zl_id_directory)(unsafe.Pointer(shm.IDs)))
}

// fire passes a probe.
func fire(p probe.Probe, socket uint64, peer uint32, a, b uint64, text string) {
	said := append([]byte(text), 0)
	C.zl_probe(C.int(p), C.uint64_t(socket), C.uint32_t(peer), C.uint64_t(a), C.uint64_t(b), (*C.char)(unsafe.Pointer(&said[0])))
}

// usualPercent is Go's own garbage in percent of what is in use, before a collection.
// frugalPercent is that of a crowd of handshakes.
const (
	usualPercent  = 100
	frugalPercent = 20
)

// hostStack is the part of a thread's Go stack that is left for signal handlers of the host,
// which may run on it. The kernel's frame alone takes up to 11 KiB.
const hostStack = 128 << 10

// zgo_new_caller is called once by each thread of the host, before its first other call.
// callers is the number of such threads. The array makes the thread's Go stack large, and
// the stack does not shrink (gcshrinkstackoff).
//
//export zgo_new_caller
func zgo_new_caller(callers C.uint) {
	var room [hostStack]byte
	keep(&room)
	needProcs(uint(callers))
}

// keep makes the stack hold the array, and then returns the array's memory to the system:
// Go has filled it with zeros. With -asan the array would go to the heap for the checks of
// the pointer.
//
//go:noinline
//go:nocheckptr
func keep(room *[hostStack]byte) {
	room[0] = 1
	const page = shm.PageSize
	from := (uintptr(unsafe.Pointer(room)) + page - 1) &^ (page - 1)
	skipped := from - uintptr(unsafe.Pointer(room))
	sys.Discard(unsafe.Add(unsafe.Pointer(room), skipped), (hostStack-skipped)&^(page-1))
}

// maxProcs limits the number of processors. Go may start a thread for each to collect
// garbage.
const maxProcs = 64

// mostAtOnce limits how many more threads than requested Go may start. While it starts
// threads, some of those that look for work are taken away.
const mostAtOnce = 8

var procsMutex sync.Mutex

// needProcs makes sure that the host's threads find a processor, as Go's scheduler calls its
// licences to run. A thread that waits in the kernel, or is back in C, keeps its processor
// until the scheduler's monitor takes it away, which looks only every 25 ms
// (cmake/GoRuntime.cmake). With as many processors as threads nobody waits for that. The
// number grows by doubling, because a change stops all of Go for a moment. If the process
// cannot have the threads, the number stays, and callers may have to wait.
func needProcs(callers uint) {
	_ = reserve(min(1<<bits.Len(callers+2), maxProcs), 0)
}

// reserve raises the number of Go's processors to procs. It makes Go start the threads for
// all of them, and so many more. Go thus gets all threads that it may ever need while a
// failure is only the error of a call. Later Go could only wait for a thread, and everything
// would wait with it.
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

// startThreads makes Go have that many threads besides those in use. They stay, and sleep
// until they are needed. A goroutine that is locked to its thread needs one for itself. The
// goroutines start one after the other: several at once would also start threads that look
// for more of them.
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

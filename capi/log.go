// SPDX-License-Identifier: MPL-2.0

package main

/*
#include "internal.h"
#include "zlink.h"
*/
import "C"

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sys"
)

// loggingThread is the thread that runs the application's function now; 0: none does.
var loggingThread atomic.Int64

// logLocked belongs to the goroutine that calls the function.
var logLocked bool

// logThread is what the function runs with, from its first one on.
var logThread struct {
	sync.Mutex
	had bool
}

// reserveLog makes sure that the function has a thread, and a processor: it may take its time, and must
// not take it from an io thread.
func reserveLog() error {
	logThread.Lock()
	defer logThread.Unlock()
	if logThread.had {
		return nil
	}
	err := reserve(runtime.GOMAXPROCS(0)+1, 1)
	logThread.had = err == nil
	return err
}

//export zgo_set_log
func zgo_set_log(fn C.uintptr_t, level C.int, arg C.uintptr_t) C.int {
	switch {
	case level < C.ZLINK_LOG_NONE || level > C.ZLINK_LOG_DEBUG:
		return result(errno.New(errno.EINVAL, "there is no level %d of the log", int(level)))
	case loggingThread.Load() == int64(sys.ThreadID()):
		return result(errno.New(errno.EFSM, "the function of the log cannot replace itself"))
	case fn == 0 || level == C.ZLINK_LOG_NONE:
		sockets.SetLog(sockets.LogNone, nil)
		return 0
	}
	if err := reserveLog(); err != nil {
		return result(err)
	}
	sockets.SetLog(sockets.Level(level), func(r sockets.LogRecord) {
		if !logLocked {
			runtime.LockOSThread() // and never unlocked: it is one thread for good
			logLocked = true
		}
		line := append([]byte(strings.ReplaceAll(r.String(), "\x00", "?")), 0)
		loggingThread.Store(int64(sys.ThreadID()))
		C.zl_log(fn, C.int(r.Level), (*C.char)(unsafe.Pointer(&line[0])), arg)
		loggingThread.Store(0)
	})
	return 0
}

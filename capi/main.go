// SPDX-License-Identifier: MPL-2.0

// Command capi is libzlink.so: the C ABI of zlink. The data path is in C
// (hot.c, msg.c) over the structures of core/shm; every other call on a context,
// socket or monitor is one exported function here, which looks a handle up, calls
// the core, and turns an error into -errno. All rules of sockets live in the core.
// Proxies and utilities are plain C.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../include -Wall -Wextra -Wno-unused-parameter -std=gnu11 -D_GNU_SOURCE
#include <stdlib.h>
#include "internal.h"
#include "poll.h"
*/
import "C"

import (
	"math"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets/stream"
	"github.com/zlink/zlink/core/wait"
)

func main() {}

func init() {
	wait.ReportSignals = true
	engine.ReleaseOwner = func(owner unsafe.Pointer) { C.zl_owner_release(owner) }
	engine.Reserve = reserve
	engine.Compact = func() {
		debug.FreeOSMemory()
		C.zl_release_pages()
	}
	startThreads(runtime.GOMAXPROCS(0)) // start.c has tried for them
	C.zl_go_is_up((*C.zl_pool)(unsafe.Pointer(shm.Pools)))
}

func setSlot(at int, k *shm.Queues) { C.zl_set_slot(C.uint32_t(at), (*C.zl_queues)(unsafe.Pointer(k))) }

// result turns an error into -errno for the C caller, and leaves its sentence
// as the thread's detail.
func result(err error) C.int {
	if err == nil {
		return 0
	}
	tell(errno.Detail(err))
	return -C.int(errno.Of(err))
}

// tell makes a sentence what zlink_error_detail returns.
func tell(detail string) {
	C.zl_set_detail((*C.uchar)(unsafe.StringData(detail)), C.size_t(len(detail)))
}

//export zgo_ctx_new
func zgo_ctx_new(code *C.int) C.uintptr_t {
	handle := contexts.put(core.NewContext())
	if handle == 0 {
		*code = result(errno.New(errno.EMFILE, "the process has all the contexts it can"))
	}
	return C.uintptr_t(handle)
}

//export zgo_ctx_term
func zgo_ctx_term(handle C.uintptr_t) C.int {
	c, err := contextOf(uintptr(handle))
	if err == nil {
		err = c.Term()
	}
	if err == nil {
		contexts.drop(uint64(handle))
	}
	return result(err)
}

//export zgo_ctx_shutdown
func zgo_ctx_shutdown(handle C.uintptr_t) C.int {
	c, err := contextOf(uintptr(handle))
	if err == nil {
		c.Shutdown()
	}
	return result(err)
}

//export zgo_ctx_set
func zgo_ctx_set(handle C.uintptr_t, option, value C.int) C.int {
	c, err := contextOf(uintptr(handle))
	if err == nil {
		err = c.Set(int(option), int(value))
	}
	return result(err)
}

//export zgo_ctx_get
func zgo_ctx_get(handle C.uintptr_t, option C.int, value *C.int) C.int {
	c, err := contextOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	v, err := c.Get(int(option))
	*value = C.int(v)
	return result(err)
}

// otherTypes are the socket types that callers may name and this library does
// not have.
var otherTypes = map[C.int]bool{0: true, 1: true, 2: true, 5: true, 6: true, 9: true, 10: true}

//export zgo_socket
func zgo_socket(handle C.uintptr_t, kind C.int, code *C.int) C.uintptr_t {
	c, err := contextOf(uintptr(handle))
	if err == nil {
		err = c.State()
	}
	if err == nil && kind != stream.Type {
		err = errno.New(errno.EINVAL, "there is no socket type %d", kind)
		if otherTypes[kind] {
			err = errno.New(errno.ENOTSUP, "socket type %d is not in this library", kind)
		}
	}
	var k *stream.Socket
	if err == nil {
		k, err = stream.New(c)
	}
	if err != nil {
		*code = result(err)
		return 0
	}
	socket := addSocket(k)
	if socket == 0 {
		_ = k.Close()
		*code = result(errno.New(errno.EMFILE, "the process has all the sockets it can"))
	}
	return C.uintptr_t(socket)
}

//export zgo_close
func zgo_close(handle C.uintptr_t) C.int {
	c, ok := sockets.drop(uint64(handle)) // of racing callers one gets it
	if !ok {
		return result(errNoSocket)
	}
	return result(c.Close())
}

// zgo_state says why a handle has no open socket behind it.
//
//export zgo_state
func zgo_state(handle C.uintptr_t) C.int {
	if _, err := socketOf(uintptr(handle)); err != nil {
		return result(err)
	}
	return result(errno.ETERM)
}

//export zgo_setsockopt
func zgo_setsockopt(handle C.uintptr_t, option C.int, value unsafe.Pointer, size C.size_t) C.int {
	c, err := closerOf(uintptr(handle))
	if err == nil && value == nil && size > 0 {
		err = errno.New(errno.EINVAL, "socket option %s cannot be NULL", stream.Option(option))
	}
	if err == nil && size > C.ZL_OPTION_MAX {
		err = errno.New(errno.EINVAL, "socket option %s takes no value of %d bytes", stream.Option(option), size)
	}
	if err == nil {
		err = c.SetOption(stream.Option(option), bytes(value, size))
	}
	return result(err)
}

//export zgo_getsockopt
func zgo_getsockopt(handle C.uintptr_t, option C.int, value unsafe.Pointer, size C.size_t) C.int {
	c, err := closerOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	n, err := c.Option(stream.Option(option), bytes(value, size))
	if err != nil {
		return result(err)
	}
	return C.int(n)
}

func bytes(p unsafe.Pointer, size C.size_t) []byte { return unsafe.Slice((*byte)(p), size) }

//export zgo_bind
func zgo_bind(handle C.uintptr_t, endpoint *C.char) C.int {
	return withEndpoint(handle, endpoint, (*stream.Socket).Bind)
}

//export zgo_connect
func zgo_connect(handle C.uintptr_t, endpoint *C.char) C.int {
	return withEndpoint(handle, endpoint, (*stream.Socket).Connect)
}

//export zgo_unbind
func zgo_unbind(handle C.uintptr_t, endpoint *C.char) C.int {
	return withEndpoint(handle, endpoint, (*stream.Socket).Unbind)
}

//export zgo_disconnect
func zgo_disconnect(handle C.uintptr_t, endpoint *C.char) C.int {
	return withEndpoint(handle, endpoint, (*stream.Socket).Disconnect)
}

func withEndpoint(handle C.uintptr_t, endpoint *C.char, call func(*stream.Socket, string) error) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil && endpoint == nil {
		err = errno.New(errno.EINVAL, "the endpoint is NULL")
	}
	if err == nil {
		err = call(k, C.GoString(endpoint))
	}
	return result(err)
}

//export zgo_await
func zgo_await(handle C.uintptr_t, dontWait C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.AwaitRun(dontWait != 0)
	}
	return result(err)
}

//export zgo_resume
func zgo_resume(handle C.uintptr_t) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.Resume()
	}
}

//export zgo_free_session
func zgo_free_session(s unsafe.Pointer) { shm.FreeSession((*shm.Session)(s)) }

const (
	flagDontWait = 1
	flagSndMore  = 2
)

//export zgo_send
func zgo_send(handle C.uintptr_t, data unsafe.Pointer, size C.size_t, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.SendFrame(bytes(data, size), flags&flagSndMore != 0, flags&flagDontWait != 0)
	}
	return result(err)
}

// zgo_send_owned returns 1 when it took the owner's reference, 0 when it copied.
//
//export zgo_send_owned
func zgo_send_owned(handle C.uintptr_t, data unsafe.Pointer, size C.size_t, flags C.int, owner unsafe.Pointer) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	taken, err := k.SendFrameOwned(bytes(data, size), owner, flags&flagSndMore != 0, flags&flagDontWait != 0)
	if err != nil {
		return result(err)
	}
	if taken {
		return 1
	}
	return 0
}

// zgo_no_frames says why a socket has no frames.
//
//export zgo_no_frames
func zgo_no_frames(handle C.uintptr_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		_, _, err = k.RecvFrame(nil, true)
	}
	return result(err)
}

//export zgo_flush
func zgo_flush(handle C.uintptr_t) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.Flush()
	}
}

// duration is a time-out in ms (negative: none); one of centuries is cut.
func duration(ms int64) time.Duration {
	return time.Duration(max(-1, min(ms, math.MaxInt64/int64(time.Millisecond)))) * time.Millisecond
}

//export zgo_poll
func zgo_poll(first unsafe.Pointer, count C.int, timeoutMs C.long) C.int {
	items := unsafe.Slice((*C.zl_pollitem)(first), count)
	poll := make([]stream.PollItem, len(items))
	for i := range items {
		poll[i] = stream.PollItem{Fd: int(items[i].fd), Events: int16(items[i].events)}
		if items[i].socket == 0 {
			continue
		}
		c, err := closerOf(uintptr(items[i].socket))
		if err != nil {
			return result(err)
		}
		poll[i].Socket = c
	}
	ready, err := stream.Poll(poll, duration(int64(timeoutMs)))
	if err != nil {
		return result(err)
	}
	for i := range items {
		items[i].revents = C.short(poll[i].Revents)
	}
	return C.int(ready)
}

// SPDX-License-Identifier: MPL-2.0

package main

// #include "internal.h"
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sockets/stream"
)

// otherTypes are socket types that callers may name but this library does not have.
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
	c, ok := socketHandles.remove(uint64(handle)) // only one of several racing callers gets it
	if !ok {
		return result(errNoSocket)
	}
	return result(c.Close())
}

//export zgo_setsockopt
func zgo_setsockopt(handle C.uintptr_t, option C.int, value unsafe.Pointer, size C.size_t) C.int {
	c, err := closerOf(uintptr(handle))
	if err == nil && value == nil && size > 0 {
		err = errno.New(errno.EINVAL, "socket option %s cannot be NULL", sockets.Option(option))
	}
	if err == nil && size > C.ZL_OPTION_MAX {
		err = errno.New(errno.EINVAL, "socket option %s takes no value of %d bytes", sockets.Option(option), size)
	}
	if err == nil {
		err = c.SetOption(sockets.Option(option), bytes(value, size))
	}
	return result(err)
}

//export zgo_getsockopt
func zgo_getsockopt(handle C.uintptr_t, option C.int, value unsafe.Pointer, size C.size_t) C.int {
	c, err := closerOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	if value == nil {
		return result(errno.New(errno.EFAULT, "there is no place for socket option %s", sockets.Option(option)))
	}
	n, err := c.Option(sockets.Option(option), bytes(value, size))
	if err != nil {
		return result(err)
	}
	return C.int(n)
}

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

// addSocket registers a socket with Go and the C layer.
func addSocket(k *stream.Socket) uint64 {
	handle := socketHandles.put(k)
	if handle != 0 {
		setSlot(int(handle&(maxSlots-1)), k.ForC().Queues())
		k.ForC().Open(handle)
	}
	return handle
}

func setSlot(at int, k *shm.Queues) { C.zl_set_slot(C.uint32_t(at), (*C.zl_queues)(unsafe.Pointer(k))) }

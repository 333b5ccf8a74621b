// SPDX-License-Identifier: MPL-2.0

package main

// #include "internal.h"
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// options are those of a call of C.
func options(c *C.zl_cast) []stream.CastOption {
	all := []stream.CastOption{stream.Except(uint32(c.except))}
	if c.keyed != 0 {
		all = append(all, stream.WithKey(uint64(c.key)))
	}
	if c.text != 0 {
		all = append(all, stream.AsText())
	}
	if c.header_size > 0 {
		all = append(all, stream.WithHeader(bytes(c.header, c.header_size)))
	}
	return all
}

// casted returns how many peers took a message, or -errno.
func casted(took int, err error) C.int {
	if err != nil {
		return result(err)
	}
	return C.int(took)
}

// zgo_multicast stores at errors, unless it is nil, the errno of each peer that does not take the
// message, and 0 for the others.
//
//export zgo_multicast
func zgo_multicast(handle C.uintptr_t, ids unsafe.Pointer, n C.size_t, c *C.zl_cast, errors *C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	all := options(c)
	if errors != nil && n > 0 {
		each := unsafe.Slice(errors, n)
		clear(each)
		all = append(all, stream.UndeliveredAt(func(i int, err error) { each[i] = C.int(errno.Of(err)) }))
	}
	return casted(k.Multicast(unsafe.Slice((*uint32)(ids), n), bytes(c.data, c.size), all...))
}

//export zgo_publish
func zgo_publish(handle C.uintptr_t, group unsafe.Pointer, size C.size_t, c *C.zl_cast) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	return casted(k.Publish(string(bytes(group, size)), bytes(c.data, c.size), options(c)...))
}

//export zgo_send_key
func zgo_send_key(handle C.uintptr_t, peer C.uint32_t, c *C.zl_cast) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.SendKey(uint32(peer), uint64(c.key), bytes(c.data, c.size), options(c)...)
	}
	return result(err)
}

//export zgo_join
func zgo_join(handle C.uintptr_t, peer C.uint32_t, group unsafe.Pointer, size C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.Join(uint32(peer), string(bytes(group, size)))
	}
	return result(err)
}

//export zgo_leave
func zgo_leave(handle C.uintptr_t, peer C.uint32_t, group unsafe.Pointer, size C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.Leave(uint32(peer), string(bytes(group, size)))
	}
	return result(err)
}

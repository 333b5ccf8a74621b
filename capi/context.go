// SPDX-License-Identifier: MPL-2.0

package main

// #include <stdint.h>
// #include <stddef.h>
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
)

//export zgo_ctx_new
func zgo_ctx_new(code *C.int) C.uintptr_t {
	handle := contextHandles.put(core.NewContext())
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
		contextHandles.remove(uint64(handle))
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

//export zgo_ctx_set_admin
func zgo_ctx_set_admin(handle C.uintptr_t, path unsafe.Pointer, size C.size_t) C.int {
	c, err := contextOf(uintptr(handle))
	if err == nil {
		err = c.SetAdmin(string(bytes(path, size)))
	}
	return result(err)
}

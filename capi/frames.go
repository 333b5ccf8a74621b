// SPDX-License-Identifier: MPL-2.0

package main

// #include <stdint.h>
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/shm"
)

//export zgo_resume
func zgo_resume(handle C.uintptr_t) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.ForC().Resume()
	}
}

//export zgo_free_session
func zgo_free_session(s unsafe.Pointer) { shm.FreeSession((*shm.Session)(s)) }

//export zgo_release_slab
func zgo_release_slab(slab unsafe.Pointer) { (*shm.Slab)(slab).Release() }

//export zgo_flush
func zgo_flush(handle C.uintptr_t) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.ForC().Flush()
	}
}

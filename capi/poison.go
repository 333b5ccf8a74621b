// SPDX-License-Identifier: MPL-2.0

//go:build asan

package main

// #include <sanitizer/asan_interface.h>
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/shm"
)

// Nobody may touch free blocks of the pools, and AddressSanitizer reports whoever does.
// pool.h has the same for the pools in C.
func init() {
	shm.Poison = func(p unsafe.Pointer, size uintptr) { C.__asan_poison_memory_region(p, C.size_t(size)) }
	shm.Unpoison = func(p unsafe.Pointer, size uintptr) { C.__asan_unpoison_memory_region(p, C.size_t(size)) }
}

// SPDX-License-Identifier: MPL-2.0

package shm

import "unsafe"

// Poison and Unpoison tell a memory checker that bytes must not, or may again, be
// touched. A build with one sets both before any block is taken.
var Poison, Unpoison func(p unsafe.Pointer, size uintptr)

// linkSize is what stays readable of a free block: the word that links it, which a
// thread that pops may read late.
const linkSize = 8

func poison(p unsafe.Pointer, size uintptr) {
	if Poison != nil {
		Poison(p, size)
	}
}

func unpoison(p unsafe.Pointer, size uintptr) {
	if Unpoison != nil {
		Unpoison(p, size)
	}
}

// SPDX-License-Identifier: MPL-2.0

package shm

import "unsafe"

// Poison tells a memory checker that nobody may touch these bytes, and Unpoison that they
// may be touched again. A build with a checker sets both before any block is taken.
var Poison, Unpoison func(p unsafe.Pointer, size uintptr)

// linkSize is the size of the part of a free block that stays readable: a thread that pops
// late may still read the link word.
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

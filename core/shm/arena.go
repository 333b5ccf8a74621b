// SPDX-License-Identifier: MPL-2.0

//go:build !race

package shm

import (
	"unsafe"

	"github.com/zlink/zlink/core/sys"
)

// mapPages returns size bytes of zeroed, page-aligned memory outside Go's
// heap, or nil when the system has none (Roomy). size is a multiple of PageSize.
func mapPages(size uintptr) unsafe.Pointer {
	p := sys.Map(size)
	if p != nil && !Roomy() {
		unmapPages(p, size)
		return nil
	}
	return p
}

// unmapPages gives a mapping of mapPages back.
func unmapPages(p unsafe.Pointer, size uintptr) { sys.Unmap(p, size) }

// growPages makes the mapping at p longer, moving it if need be; nil when the
// system refuses, and the old mapping is as before.
func growPages(p unsafe.Pointer, oldSize, newSize uintptr) unsafe.Pointer {
	if newSize > oldSize && !Roomy() {
		return nil
	}
	return sys.Remap(p, oldSize, newSize)
}

// dropPages tells the kernel that the content is not needed; the memory stays
// mapped and reads as zero.
func dropPages(p unsafe.Pointer, size uintptr) { sys.Discard(p, size) }

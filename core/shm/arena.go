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

// unmapPages unmaps memory of mapPages.
func unmapPages(p unsafe.Pointer, size uintptr) { sys.Unmap(p, size) }

// growPages enlarges the mapping at p and may move it. It returns nil when the system
// refuses; the old mapping is then unchanged.
func growPages(p unsafe.Pointer, oldSize, newSize uintptr) unsafe.Pointer {
	if newSize > oldSize && !Roomy() {
		return nil
	}
	return sys.Remap(p, oldSize, newSize)
}

// dropPages lets the kernel discard the content. The memory stays mapped and reads as
// zero.
func dropPages(p unsafe.Pointer, size uintptr) { sys.Discard(p, size) }

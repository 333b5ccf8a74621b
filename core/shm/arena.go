// SPDX-License-Identifier: MPL-2.0

//go:build !race

package shm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapPages returns size bytes of zeroed, page-aligned memory outside Go's
// heap, or nil when the system has none (Roomy). size is a multiple of PageSize.
func mapPages(size uintptr) unsafe.Pointer {
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	if !Roomy() {
		unmapPages(p, size)
		return nil
	}
	return p
}

// unmapPages gives a mapping of mapPages back.
func unmapPages(p unsafe.Pointer, size uintptr) {
	_ = unix.MunmapPtr(p, size)
}

// growPages makes the mapping at p longer, moving it if need be; nil when the
// system refuses, and the old mapping is as before.
func growPages(p unsafe.Pointer, oldSize, newSize uintptr) unsafe.Pointer {
	if newSize > oldSize && !Roomy() {
		return nil
	}
	addr, _, err := unix.RawSyscall6(unix.SYS_MREMAP, uintptr(p), oldSize, newSize,
		unix.MREMAP_MAYMOVE, 0, 0)
	if err != 0 {
		return nil
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr))
}

// dropPages tells the kernel that the content is not needed; the memory stays
// mapped and reads as zero.
func dropPages(p unsafe.Pointer, size uintptr) {
	_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, uintptr(p), size, unix.MADV_DONTNEED)
}

// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Map returns size bytes of zeroed, page-aligned memory outside Go's heap, or nil when
// the system has none. size is a multiple of the page size.
func Map(size uintptr) unsafe.Pointer { return mapAnonymous(size, unix.PROT_READ|unix.PROT_WRITE) }

func mapAnonymous(size uintptr, protection int) unsafe.Pointer {
	p, err := unix.MmapPtr(-1, 0, nil, size, protection,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return p
}

// Unmap unmaps a mapping.
func Unmap(p unsafe.Pointer, size uintptr) { _ = unix.MunmapPtr(p, size) }

// Remap enlarges the mapping at p and may move it. It returns nil when the system refuses;
// the old mapping is then unchanged. Prompt.
func Remap(p unsafe.Pointer, oldSize, newSize uintptr) unsafe.Pointer {
	addr, _, e := unix.RawSyscall6(unix.SYS_MREMAP, uintptr(p), oldSize, newSize,
		unix.MREMAP_MAYMOVE, 0, 0)
	if e != 0 {
		return nil
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr))
}

// Discard lets the kernel drop the content. The memory stays mapped and reads as zero.
// Prompt.
func Discard(p unsafe.Pointer, size uintptr) {
	_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, uintptr(p), size, unix.MADV_DONTNEED)
}

// HasRoom reports whether the address space of the process is unbounded, or has a free
// range of size bytes.
func HasRoom(size uintptr) bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil || limit.Cur == unix.RLIM_INFINITY {
		return true
	}
	p := mapAnonymous(size, unix.PROT_NONE)
	if p == nil {
		return false
	}
	Unmap(p, size)
	return true
}

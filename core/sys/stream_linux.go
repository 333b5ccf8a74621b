// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Recv reads into buf, which must not be empty. 0 bytes without an error mean the end of
// the stream. Prompt.
func Recv(fd int, buf []byte) (n int, e Errno) { // named results let it be inlined
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0, 0)
	return int(r), e
}

// Peek is Recv that leaves the bytes where they are. Prompt.
func Peek(fd int, buf []byte) (int, Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_PEEK, 0, 0)
	return int(r), e
}

// RecvVectors reads into parts in their order; at least one is needed. Prompt.
func RecvVectors(fd int, parts []Vector) (int, Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_READV, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(parts))), uintptr(len(parts)))
	return int(n), e
}

// Send writes data, which must not be empty, as far as the kernel has room. It raises no
// SIGPIPE, because that signal belongs to the host. Prompt.
func Send(fd int, data []byte) (n int, e Errno) { // named results, as in Recv
	r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), unix.MSG_NOSIGNAL, 0, 0)
	return int(r), e
}

// SendVectors is Send for parts in their order; at least one is needed. Prompt.
func SendVectors(fd int, parts []Vector) (int, Errno) {
	msg := unix.Msghdr{Iov: &parts[0].iov}
	msg.SetIovlen(len(parts))
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return int(n), e
}

// Vector is one part of a vectored call. Its memory must not move until the call is over.
type Vector struct{ iov unix.Iovec }

// Set makes the part the size bytes that begin at first.
func (v *Vector) Set(first *byte, size int) {
	v.iov.Base = first
	v.iov.SetLen(size)
}

// Unread returns the number of received bytes that wait in the kernel. Prompt.
func Unread(fd int) (int, Errno) { return queued(fd, unix.SIOCINQ) }

// Unsent returns the number of written bytes that the peer's system has not acknowledged.
// The end of a stream counts as one byte. In the local system it is the size of the memory
// that holds what the peer has not read. Prompt.
func Unsent(fd int) (int, Errno) { return queued(fd, unix.SIOCOUTQ) }

func queued(fd int, which uintptr) (int, Errno) {
	var n int32
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), which, uintptr(unsafe.Pointer(&n)))
	return int(n), e
}

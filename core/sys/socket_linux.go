// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket opens a non-blocking stream descriptor.
func Socket(family Family) (int, error) {
	protocol := unix.IPPROTO_TCP
	if family == Local {
		protocol = 0
	}
	return unix.Socket(int(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
}

// Close closes a descriptor.
func Close(fd int) { _ = unix.Close(fd) }

// Bind sets a descriptor's own address. EADDRINUSE: another descriptor has the address.
// ENAMETOOLONG: the path is longer than MaxPath.
func Bind(fd int, a Address) error {
	if len(a.Path) > MaxPath {
		return ENAMETOOLONG
	}
	return unix.Bind(fd, a.sockaddr())
}

// Listen starts listening, or changes how many connections may wait to be accepted.
func Listen(fd, backlog int) error { return unix.Listen(fd, backlog) }

// Listening reports whether a descriptor listens. ENOTSOCK: it is not a socket.
func Listening(fd int) (bool, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return listens != 0, err
}

// SetNonblock makes a descriptor that the application opened non-blocking.
func SetNonblock(fd int) error { return unix.SetNonblock(fd, true) }

// CloseOnExec hides the descriptor from programs that this one starts.
func CloseOnExec(fd int) { unix.CloseOnExec(fd) }

// Accept accepts one connection and returns it with its peer's address, which is empty in
// the local system. EAGAIN: no connection waits. EINVAL: EndListening has ended the
// descriptor. EMFILE, ENFILE, ENOBUFS, ENOMEM: a connection waits, but the system has no
// room for it. ECONNABORTED: the connection has gone. Waits: the kernel sleeps while it
// grows the process's table of descriptors.
func Accept(fd int) (int, Address, Errno) {
	var peer unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	accepted, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&peer)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, Address{}, e
	}
	return int(accepted), addressOfRaw(&peer), 0
}

// Connect starts connecting. EINPROGRESS: the poller reports the outcome.
func Connect(fd int, to Address) error { return unix.Connect(fd, to.sockaddr()) }

// ConnectError returns why a finished Connect failed, or nil.
func ConnectError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = Errno(code)
	}
	return err
}

// EndStream sends the end of the stream after all written bytes. Reading goes on.
func EndStream(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// EndListening makes the kernel refuse connections from now on. The descriptor stays open.
func EndListening(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }

// ResetOnClose makes Close discard undelivered bytes, and reset the connection.
func ResetOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// GrowTable enlarges the process's table of descriptors for size of them, or for as many
// as the process may have. fd is any open descriptor.
func GrowTable(fd, size int) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur == 0 {
		return
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(min(limit.Cur, uint64(size)))-1)
	if err == nil {
		Close(high)
	}
}

// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket opens a stream descriptor that never blocks.
func Socket(family Family) (int, error) {
	protocol := unix.IPPROTO_TCP
	if family == Local {
		protocol = 0
	}
	return unix.Socket(int(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
}

// Close closes a descriptor.
func Close(fd int) { _ = unix.Close(fd) }

// Bind gives a descriptor its own address. EADDRINUSE: it is another's;
// ENAMETOOLONG: a path above MaxPath.
func Bind(fd int, a Address) error {
	if len(a.Path) > MaxPath {
		return ENAMETOOLONG
	}
	return unix.Bind(fd, a.sockaddr())
}

// Listen begins to let connections in, or changes how many may wait to be accepted.
func Listen(fd, backlog int) error { return unix.Listen(fd, backlog) }

// Listening reports whether a descriptor listens. ENOTSOCK: it is no socket.
func Listening(fd int) (bool, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return listens != 0, err
}

// SetNonblock has a descriptor that the application opened never block.
func SetNonblock(fd int) error { return unix.SetNonblock(fd, true) }

// CloseOnExec keeps the descriptor from programs that this one starts.
func CloseOnExec(fd int) { unix.CloseOnExec(fd) }

// Accept takes one connection, and returns the address of its peer, which is empty in
// the local system. EAGAIN: nobody waits. EINVAL: the descriptor was ended. EMFILE,
// ENFILE, ENOBUFS, ENOMEM: there is somebody, and the system has no room.
// ECONNABORTED: it has gone. Waits: the kernel sleeps while it grows the process's
// table of descriptors.
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

// Connect begins to connect. EINPROGRESS: the poller reports the end of it.
func Connect(fd int, to Address) error { return unix.Connect(fd, to.sockaddr()) }

// ConnectError returns why a Connect that has ended failed, or nil.
func ConnectError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = Errno(code)
	}
	return err
}

// EndStream sends the end of the stream behind what was written. Reads go on.
func EndStream(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// EndListening has the kernel refuse connections from now on; the descriptor stays open.
func EndListening(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }

// ResetOnClose has Close take back what is not delivered, and tell the peer so.
func ResetOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// GrowTable makes the process's table of descriptors large enough for size of them,
// or for as many as the process may have. fd is any open one.
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

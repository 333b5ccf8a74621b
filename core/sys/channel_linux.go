// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// A local connection also carries descriptors from one process to another.

// MostPassed is the highest number of descriptors that go with one call of SendPassing.
const MostPassed = 253

// NoUser is what PeerUser returns for a socket without a process at the other end.
const NoUser = math.MaxUint32

// PeerUser returns the effective user of the process at the other end of a local connection,
// as it was when the connection was made.
func PeerUser(fd int) (user int, err error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// LocalStream reports whether a descriptor is one end of a connected local stream.
func LocalStream(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	peer, err := unix.Getpeername(fd) // ENOTCONN also of one that listens
	_, local := peer.(*unix.SockaddrUnix)
	return err == nil && local
}

// User returns the effective user of this process.
func User() int { return unix.Geteuid() }

// ProcessID returns the number of this process.
func ProcessID() int { return unix.Getpid() }

// Copy returns another number for an open descriptor.
func Copy(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

// WaitFor waits until a descriptor is readable (or, with room, writable), or for a time.
// Waits.
func WaitFor(fd int, room bool, most time.Duration) {
	item := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if room {
		item[0].Events = unix.POLLOUT
	}
	_, _ = unix.Poll(item, int(most.Milliseconds()))
}

// SendPassing writes bytes to a local connection, and copies of descriptors with the first of
// them. It never waits. EAGAIN: no room. EPIPE: the peer has gone.
func SendPassing(fd int, data []byte, pass []int) (int, error) {
	var control []byte
	if len(pass) > 0 {
		control = unix.UnixRights(pass...)
	}
	return unix.SendmsgN(fd, data, control, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}

// RecvPassed reads bytes, and the descriptors that came with them, which the caller must close.
// 0 bytes: the end of the stream. EMFILE: some of the descriptors did not fit into the process,
// and all are closed. It never waits. EAGAIN: nothing to read.
func RecvPassed(fd int, buf []byte) (int, []int, error) {
	control := make([]byte, unix.CmsgSpace(4*MostPassed))
	n, size, flags, _, err := unix.Recvmsg(fd, buf, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, nil, err
	}
	var passed []int
	messages, _ := unix.ParseSocketControlMessage(control[:size])
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			passed = append(passed, fds...)
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		for _, fd := range passed {
			Close(fd)
		}
		return 0, nil, EMFILE
	}
	return n, passed, nil
}

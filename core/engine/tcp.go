// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
)

// TCPOptions are the socket options that act on the kernel's descriptor.
type TCPOptions struct {
	SndBuf, RcvBuf int // bytes; 0 or less: the system's
	Backlog        int
	IPv6           bool
}

// open makes a non-blocking TCP descriptor with the options set. Accepted
// descriptors inherit them from the listening one.
func (o TCPOptions) open(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, errno.New(errno.Of(err), "cannot open a tcp socket")
	}
	if err := o.apply(fd, family); err != nil {
		_ = unix.Close(fd)
		return -1, errno.New(errno.Of(err), "cannot set an option of a tcp socket")
	}
	return fd, nil
}

func (o TCPOptions) apply(fd, family int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if o.SndBuf > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, o.SndBuf); err != nil {
			return err
		}
	}
	if o.RcvBuf > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, o.RcvBuf); err != nil {
			return err
		}
	}
	if family == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	return nil
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
)

// TCPOptions are the socket options that act on the kernel's descriptor.
type TCPOptions struct {
	SndBuf, RcvBuf    int // bytes; 0 or less: the system's
	Backlog           int
	IPv6              bool
	KeepAlive         int           // 1: on, 0: off, -1: the system's
	KeepAliveCount    int           // probes; -1: the system's
	KeepAliveIdle     int           // s; -1: the system's
	KeepAliveInterval int           // s; -1: the system's
	TOS               int           // 0: the system's
	UserTimeout       time.Duration // 0: the system's
	Device            string        // "": any
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
	if o.Device != "" {
		if err := unix.BindToDevice(fd, o.Device); err != nil {
			return err
		}
	}
	for _, opt := range o.list(family) {
		if !opt.wanted {
			continue
		}
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			return err
		}
	}
	return nil
}

// kernelOption is one setsockopt.
type kernelOption struct {
	wanted             bool
	level, name, value int
}

func (o TCPOptions) list(family int) []kernelOption {
	tosLevel, tosName := unix.IPPROTO_IP, unix.IP_TOS
	if family == unix.AF_INET6 {
		tosLevel, tosName = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	return []kernelOption{
		{true, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{family == unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0},
		{o.SndBuf > 0, unix.SOL_SOCKET, unix.SO_SNDBUF, o.SndBuf},
		{o.RcvBuf > 0, unix.SOL_SOCKET, unix.SO_RCVBUF, o.RcvBuf},
		{o.KeepAlive >= 0, unix.SOL_SOCKET, unix.SO_KEEPALIVE, o.KeepAlive},
		{o.KeepAliveCount > 0, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepAliveCount},
		{o.KeepAliveIdle > 0, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, o.KeepAliveIdle},
		{o.KeepAliveInterval > 0, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, o.KeepAliveInterval},
		{o.TOS > 0, tosLevel, tosName, o.TOS},
		{o.UserTimeout > 0, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.UserTimeout.Milliseconds())},
	}
}

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

// deviceMax is the longest name of an interface that the kernel takes; it cuts
// a longer one, and would find another interface.
const deviceMax = unix.IFNAMSIZ - 1

// open makes a non-blocking stream descriptor with the options set. Accepted
// descriptors inherit them from the listening one.
func (o TCPOptions) open(family int) (int, error) {
	name, protocol := "tcp", unix.IPPROTO_TCP
	if family == unix.AF_UNIX {
		name, protocol = "ipc", 0
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, errno.New(errno.Of(err), "cannot open a socket for %s", name)
	}
	if family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil {
		err = o.apply(fd, family)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// apply sets the options of a descriptor. The error names the option.
func (o TCPOptions) apply(fd, family int) error {
	if o.Device != "" && family != unix.AF_UNIX {
		err := error(unix.ENODEV)
		if len(o.Device) <= deviceMax {
			err = unix.BindToDevice(fd, o.Device)
		}
		if err != nil {
			return errno.New(errno.Of(err), "cannot bind to the device %q (BINDTODEVICE)", o.Device)
		}
	}
	for _, opt := range o.list(family) {
		if !opt.wanted {
			continue
		}
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			return errno.New(errno.Of(err), "the system does not take %s %d", opt.label, opt.value)
		}
	}
	return nil
}

// kernelOption is one setsockopt.
type kernelOption struct {
	label              string // as callers know it
	wanted             bool
	level, name, value int
}

// list returns the options of a family; those of TCP and IP have no meaning in
// the local system.
func (o TCPOptions) list(family int) []kernelOption {
	buffers := []kernelOption{
		{"SNDBUF", o.SndBuf > 0, unix.SOL_SOCKET, unix.SO_SNDBUF, o.SndBuf},
		{"RCVBUF", o.RcvBuf > 0, unix.SOL_SOCKET, unix.SO_RCVBUF, o.RcvBuf},
	}
	if family == unix.AF_UNIX {
		return buffers
	}
	return append(buffers, []kernelOption{
		{"TCP_NODELAY", true, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"TCP_KEEPALIVE", o.KeepAlive >= 0, unix.SOL_SOCKET, unix.SO_KEEPALIVE, o.KeepAlive},
		{"TCP_KEEPALIVE_CNT", o.KeepAliveCount > 0, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepAliveCount},
		{"TCP_KEEPALIVE_IDLE", o.KeepAliveIdle > 0, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, o.KeepAliveIdle},
		{"TCP_KEEPALIVE_INTVL", o.KeepAliveInterval > 0, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, o.KeepAliveInterval},
		// An IPv6 descriptor also accepts IPv4 connections, which take this one.
		{"TOS", o.TOS > 0, unix.IPPROTO_IP, unix.IP_TOS, o.TOS},
		{"TOS", o.TOS > 0 && family == unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, o.TOS},
		{"TCP_MAXRT", o.UserTimeout > 0, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.UserTimeout.Milliseconds())},
	}...)
}

// refusable tells whether there is an option that the system may not take.
func (o TCPOptions) refusable() bool {
	return o.Device != "" || o.KeepAliveCount > 0 || o.KeepAliveIdle > 0 || o.KeepAliveInterval > 0 || o.TOS > 0
}

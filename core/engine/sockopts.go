// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
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

// open makes a non-blocking stream descriptor with the options set. Accepted
// descriptors inherit them from the listening one.
func (o TCPOptions) open(family sys.Family) (int, error) {
	fd, err := sys.Socket(family)
	if err != nil {
		name := "tcp"
		if family == sys.Local {
			name = "ipc"
		}
		return -1, errno.New(errno.Of(err), "cannot open a socket for %s", name)
	}
	if family == sys.IPv6 {
		err = sys.SetOption(fd, sys.IPv6Only, 0)
	}
	if err == nil {
		err = o.apply(fd, family)
	}
	if err != nil {
		sys.Close(fd)
		return -1, err
	}
	return fd, nil
}

// apply sets the options of a descriptor. The error names the option.
func (o TCPOptions) apply(fd int, family sys.Family) error {
	if o.Device != "" && family != sys.Local {
		if err := sys.BindToDevice(fd, o.Device); err != nil {
			return errno.New(errno.Of(err), "cannot bind to the device %q (BINDTODEVICE)", o.Device)
		}
	}
	for _, opt := range o.list(family) {
		if !opt.wanted {
			continue
		}
		if err := sys.SetOption(fd, opt.option, opt.value); err != nil {
			return errno.New(errno.Of(err), "the system does not take %s %d", opt.label, opt.value)
		}
	}
	return nil
}

// kernelOption is one setsockopt.
type kernelOption struct {
	label  string // as callers know it
	wanted bool
	option sys.Option
	value  int
}

// list returns the options of a family; those of TCP and IP have no meaning in
// the local system.
func (o TCPOptions) list(family sys.Family) []kernelOption {
	buffers := []kernelOption{
		{"SNDBUF", o.SndBuf > 0, sys.SendBuffer, o.SndBuf},
		{"RCVBUF", o.RcvBuf > 0, sys.ReceiveBuffer, o.RcvBuf},
	}
	if family == sys.Local {
		return buffers
	}
	return append(buffers, []kernelOption{
		{"TCP_NODELAY", true, sys.NoDelay, 1},
		{"TCP_KEEPALIVE", o.KeepAlive >= 0, sys.KeepAlive, o.KeepAlive},
		{"TCP_KEEPALIVE_CNT", o.KeepAliveCount > 0, sys.KeepAliveCount, o.KeepAliveCount},
		{"TCP_KEEPALIVE_IDLE", o.KeepAliveIdle > 0, sys.KeepAliveIdle, o.KeepAliveIdle},
		{"TCP_KEEPALIVE_INTVL", o.KeepAliveInterval > 0, sys.KeepAliveInterval, o.KeepAliveInterval},
		// An IPv6 descriptor also accepts IPv4 connections, which take this one.
		{"TOS", o.TOS > 0, sys.TypeOfService, o.TOS},
		{"TOS", o.TOS > 0 && family == sys.IPv6, sys.TrafficClass, o.TOS},
		{"TCP_MAXRT", o.UserTimeout > 0, sys.UserTimeout, int(o.UserTimeout.Milliseconds())},
	}...)
}

// refusable reports whether there is an option that the system may not take.
func (o TCPOptions) refusable() bool {
	return o.Device != "" || o.KeepAliveCount > 0 || o.KeepAliveIdle > 0 || o.KeepAliveInterval > 0 || o.TOS > 0
}

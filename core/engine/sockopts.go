// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"slices"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// TCPOptions are the socket options that act on the kernel's descriptors.
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
	ReusePort         bool          // of a listening descriptor: others listen on its address, too
}

// open opens a non-blocking stream descriptor with these options. Accepted descriptors
// inherit them from the listening one.
func (o TCPOptions) open(family sys.Family) (int, error) {
	fd, err := sys.Socket(family)
	if err != nil {
		return -1, errno.New(errno.Of(err), "cannot open a socket for %s", networkOf(family).name)
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
	if o.Device != "" && ipNetwork.has(family) {
		if err := sys.BindToDevice(fd, o.Device); err != nil {
			return errno.New(errno.Of(err), "cannot bind to the device %q (BINDTODEVICE)", o.Device)
		}
	}
	for _, opt := range o.list() {
		if !opt.wanted || !slices.Contains(opt.families, family) {
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
	label     string // its name for callers
	wanted    bool
	option    sys.Option
	value     int
	families  []sys.Family // for which it has a meaning
	refusable bool         // the system may refuse it
}

// list returns all options except the device.
func (o TCPOptions) list() []kernelOption {
	ip, six := ipNetwork.families, []sys.Family{sys.IPv6}
	all := slices.Concat(ip, localNetwork.families)
	return []kernelOption{
		{"SNDBUF", o.SndBuf > 0, sys.SendBuffer, o.SndBuf, all, false},
		{"RCVBUF", o.RcvBuf > 0, sys.ReceiveBuffer, o.RcvBuf, all, false},
		{"TCP_NODELAY", true, sys.NoDelay, 1, ip, false},
		{"TCP_KEEPALIVE", o.KeepAlive >= 0, sys.KeepAlive, o.KeepAlive, ip, false},
		{"TCP_KEEPALIVE_CNT", o.KeepAliveCount > 0, sys.KeepAliveCount, o.KeepAliveCount, ip, true},
		{"TCP_KEEPALIVE_IDLE", o.KeepAliveIdle > 0, sys.KeepAliveIdle, o.KeepAliveIdle, ip, true},
		{"TCP_KEEPALIVE_INTVL", o.KeepAliveInterval > 0, sys.KeepAliveInterval, o.KeepAliveInterval, ip, true},
		// An IPv6 descriptor also accepts IPv4 connections, which use this option.
		{"TOS", o.TOS > 0, sys.TypeOfService, o.TOS, ip, true},
		{"TOS", o.TOS > 0, sys.TrafficClass, o.TOS, six, true},
		{"TCP_MAXRT", o.UserTimeout > 0, sys.UserTimeout, int(o.UserTimeout.Milliseconds()), ip, false},
	}
}

// refusable reports whether one of the options might be refused by the system for a
// descriptor of a network.
func (o TCPOptions) refusable(n *network) bool {
	return o.Device != "" && n == &ipNetwork || slices.ContainsFunc(o.list(), func(opt kernelOption) bool {
		return opt.wanted && opt.refusable && slices.ContainsFunc(opt.families, n.has)
	})
}

// SPDX-License-Identifier: MPL-2.0

package sys

import "golang.org/x/sys/unix"

// Option is a descriptor's option with a numeric value: its level and its name.
type Option uint32

const level = 1 << 16

// The options. An accepted descriptor inherits those of its listener.
const (
	SendBuffer    = Option(unix.SOL_SOCKET*level | unix.SO_SNDBUF) // bytes
	ReceiveBuffer = Option(unix.SOL_SOCKET*level | unix.SO_RCVBUF) // bytes
	ReuseAddress  = Option(unix.SOL_SOCKET*level | unix.SO_REUSEADDR)
	ReusePort     = Option(unix.SOL_SOCKET*level | unix.SO_REUSEPORT) // before bind, for each listener of the address
	KeepAlive     = Option(unix.SOL_SOCKET*level | unix.SO_KEEPALIVE)

	NoDelay           = Option(unix.IPPROTO_TCP*level | unix.TCP_NODELAY)
	KeepAliveCount    = Option(unix.IPPROTO_TCP*level | unix.TCP_KEEPCNT)
	KeepAliveIdle     = Option(unix.IPPROTO_TCP*level | unix.TCP_KEEPIDLE)  // s
	KeepAliveInterval = Option(unix.IPPROTO_TCP*level | unix.TCP_KEEPINTVL) // s
	UserTimeout       = Option(unix.IPPROTO_TCP*level | unix.TCP_USER_TIMEOUT)

	TypeOfService = Option(unix.IPPROTO_IP*level | unix.IP_TOS)
	TrafficClass  = Option(unix.IPPROTO_IPV6*level | unix.IPV6_TCLASS) // the same for IPv6
	IPv6Only      = Option(unix.IPPROTO_IPV6*level | unix.IPV6_V6ONLY) // no peers of IPv4
	BindNoPort    = Option(unix.IPPROTO_IP*level | unix.IP_BIND_ADDRESS_NO_PORT)
)

// SetOption sets an option.
func SetOption(fd int, o Option, value int) error {
	return unix.SetsockoptInt(fd, int(o/level), int(o%level), value)
}

// MaxDevice is the length of the longest interface name. The kernel cuts a longer name,
// and would find another interface.
const MaxDevice = unix.IFNAMSIZ - 1

// BindToDevice restricts a descriptor to one interface. ENODEV: no interface has this name.
func BindToDevice(fd int, device string) error {
	if len(device) > MaxDevice {
		return ENODEV
	}
	return unix.BindToDevice(fd, device)
}

// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// progress returns how many bytes the other side of a connection of TCP has acknowledged, and whether more wait in the kernel than the
// way takes now. One that is not of TCP makes none.
func progress(conn net.Conn) (acked uint64, waits bool) {
	if over, is := conn.(interface{ NetConn() net.Conn }); is { // TLS
		conn = over.NetConn()
	}
	one, is := conn.(syscall.Conn)
	if !is {
		return 0, false
	}
	raw, err := one.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			acked, waits = info.Bytes_acked, info.Notsent_bytes > 0
		}
	})
	return acked, waits
}

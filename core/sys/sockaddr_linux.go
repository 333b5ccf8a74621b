// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The families.
const (
	Local = Family(unix.AF_UNIX)
	IPv4  = Family(unix.AF_INET)
	IPv6  = Family(unix.AF_INET6)
)

// MaxPath is the longest path of a local address, in bytes.
const MaxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// Sockname returns the address of a descriptor's own end.
func Sockname(fd int) (Address, error) {
	sa, err := unix.Getsockname(fd)
	return addressOf(sa), err
}

// Peername returns the address of a descriptor's other end.
func Peername(fd int) (Address, error) {
	sa, err := unix.Getpeername(fd)
	return addressOf(sa), err
}

func (a Address) sockaddr() unix.Sockaddr {
	switch a.Family() {
	case Local:
		return &unix.SockaddrUnix{Name: a.Path}
	case IPv4:
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port()), ZoneId: ZoneID(a.Addr().Zone())}
}

func addressOf(sa unix.Sockaddr) Address {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return ipAddress(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return mapped(sa.Addr, sa.ZoneId, uint16(sa.Port))
	case *unix.SockaddrUnix:
		return Address{Path: sa.Name}
	}
	return Address{}
}

// addressOfRaw is addressOf for the kernel's format. A local peer has no address.
func addressOfRaw(raw *unix.RawSockaddrAny) Address {
	switch raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return ipAddress(netip.AddrFrom4(sa.Addr), swap16(sa.Port))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		return mapped(sa.Addr, sa.Scope_id, swap16(sa.Port))
	}
	return Address{}
}

// swap16 swaps the bytes of a port in network order.
func swap16(port uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&port))[:])
}

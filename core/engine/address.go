// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Address is one end of a connection.
type Address struct{ netip.AddrPort }

// ip returns the address as Session.IP and IPKind hold it.
func (a Address) ip() ([16]byte, uint32) {
	addr := a.Addr()
	switch {
	case addr.Is4():
		var ip [16]byte
		four := addr.As4()
		copy(ip[:], four[:])
		return ip, 4
	case addr.Is6():
		return addr.As16(), 6
	}
	return [16]byte{}, 0
}

func (a Address) sockaddr() (unix.Sockaddr, int) {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port()), ZoneId: zoneID(a.Addr().Zone())},
		unix.AF_INET6
}

func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}

func addressOf(sa unix.Sockaddr) Address {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return Address{netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return Address{netip.AddrPortFrom(addr, uint16(sa.Port))}
	}
	return Address{}
}

// addressOfRaw is addressOf for what the kernel wrote.
func addressOfRaw(raw *unix.RawSockaddrAny) Address {
	switch raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return Address{netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), swap16(sa.Port))}
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.Itoa(int(sa.Scope_id)))
		}
		return Address{netip.AddrPortFrom(addr, swap16(sa.Port))}
	}
	return Address{}
}

// swap16 reads a port in network order.
func swap16(port uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&port))[:])
}

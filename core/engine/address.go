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

// Address is one end of a connection: of IP, or with a Path of the local system.
type Address struct {
	netip.AddrPort
	Path string // "@name": not a file
}

// ip returns the address as a shm.Session holds it.
func (a Address) ip() (ip [16]byte, kind uint8, port uint16, zone uint32) {
	addr := a.Addr()
	switch {
	case addr.Is4():
		four := addr.As4()
		copy(ip[:], four[:])
		return ip, 4, a.Port(), 0
	case addr.Is6():
		return addr.As16(), 6, a.Port(), zoneID(addr.Zone())
	}
	return ip, 0, 0, 0
}

// addressOfIP is the address that ip returned the parts of.
func addressOfIP(ip [16]byte, kind uint8, port uint16, zone uint32) Address {
	switch kind {
	case 4:
		return ipAddress(netip.AddrFrom4([4]byte(ip[:4])), port)
	case 6:
		return ipAddress(inZone(netip.AddrFrom16(ip), zone), port)
	}
	return Address{}
}

func ipAddress(addr netip.Addr, port uint16) Address {
	return Address{AddrPort: netip.AddrPortFrom(addr, port)}
}

// inZone gives a link-local address its zone; 0: none.
func inZone(addr netip.Addr, zone uint32) netip.Addr {
	if zone == 0 || !addr.Is6() {
		return addr
	}
	return addr.WithZone(strconv.Itoa(int(zone)))
}

func (a Address) sockaddr() (unix.Sockaddr, int) {
	if a.Path != "" {
		return &unix.SockaddrUnix{Name: a.Path}, unix.AF_UNIX
	}
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
		return ipAddress(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		addr := inZone(netip.AddrFrom16(sa.Addr).Unmap(), sa.ZoneId)
		return ipAddress(addr, uint16(sa.Port))
	case *unix.SockaddrUnix:
		return Address{Path: sa.Name}
	}
	return Address{}
}

// addressOfRaw is addressOf for what the kernel wrote.
func addressOfRaw(raw *unix.RawSockaddrAny) Address {
	switch raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return ipAddress(netip.AddrFrom4(sa.Addr), swap16(sa.Port))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		addr := inZone(netip.AddrFrom16(sa.Addr).Unmap(), sa.Scope_id)
		return ipAddress(addr, swap16(sa.Port))
	}
	return Address{}
}

// swap16 reads a port in network order.
func swap16(port uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&port))[:])
}

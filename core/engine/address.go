// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// Address is one end of a connection: an IP address, or a Path of the local system.
type Address = sys.Address

// ipOf returns an address in the form that a shm.Session holds.
func ipOf(a Address) (ip [16]byte, kind uint8, port uint16, zone uint32) {
	addr := a.Addr()
	switch {
	case addr.Is4():
		four := addr.As4()
		copy(ip[:], four[:])
		return ip, shm.IP4, a.Port(), 0
	case addr.Is6():
		return addr.As16(), shm.IP6, a.Port(), sys.ZoneID(addr.Zone())
	}
	return ip, shm.IPNone, 0, 0
}

// AddressOf returns the address of a session's peer. It is the inverse of ipOf.
func AddressOf(s *shm.Session) Address {
	switch s.IPKind {
	case shm.IP4:
		return ipAddress(netip.AddrFrom4([4]byte(s.IP[:4])), s.Port)
	case shm.IP6:
		return ipAddress(sys.InZone(netip.AddrFrom16(s.IP), s.Zone), s.Port)
	}
	return Address{}
}

func ipAddress(addr netip.Addr, port uint16) Address {
	return Address{AddrPort: netip.AddrPortFrom(addr, port)}
}

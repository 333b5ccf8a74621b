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
func ipOf(a Address) (p shm.Peer) {
	addr := a.Addr()
	switch {
	case addr.Is4():
		four := addr.As4()
		copy(p.IP[:], four[:])
		p.Kind, p.Port = shm.IP4, a.Port()
	case addr.Is6():
		p = shm.Peer{IP: addr.As16(), Kind: shm.IP6, Port: a.Port(), Zone: sys.ZoneID(addr.Zone())}
	}
	return p
}

// AddressOf returns the address of a session's peer. It is the inverse of ipOf.
func AddressOf(s *shm.Session) Address {
	switch p := s.Peer(); p.Kind {
	case shm.IP4:
		return ipAddress(netip.AddrFrom4([4]byte(p.IP[:4])), p.Port)
	case shm.IP6:
		return ipAddress(sys.InZone(netip.AddrFrom16(p.IP), p.Zone), p.Port)
	}
	return Address{}
}

func ipAddress(addr netip.Addr, port uint16) Address {
	return Address{AddrPort: netip.AddrPortFrom(addr, port)}
}

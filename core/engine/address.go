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

// addressOfIP is the inverse of ipOf.
func addressOfIP(ip [16]byte, kind uint8, port uint16, zone uint32) Address {
	switch kind {
	case shm.IP4:
		return ipAddress(netip.AddrFrom4([4]byte(ip[:4])), port)
	case shm.IP6:
		return ipAddress(sys.InZone(netip.AddrFrom16(ip), zone), port)
	}
	return Address{}
}

func ipAddress(addr netip.Addr, port uint16) Address {
	return Address{AddrPort: netip.AddrPortFrom(addr, port)}
}

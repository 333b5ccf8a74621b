// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"net"
	"net/netip"
	"strconv"
)

// Address is one end of a connection: an IP address, or a Path of the local system.
type Address struct {
	netip.AddrPort
	Path string // "@name" is not a file
}

// Family is the kind of a socket's address: Local, IPv4 or IPv6.
type Family int

// Family returns the family of the address.
func (a Address) Family() Family {
	switch {
	case a.Path != "":
		return Local
	case a.Addr().Is4():
		return IPv4
	}
	return IPv6
}

// FamilyOf returns the family of an IP address.
func FamilyOf(ip netip.Addr) Family {
	if ip.Is4() {
		return IPv4
	}
	return IPv6
}

// InZone sets the zone of a link-local address to an interface's number; 0: none.
func InZone(addr netip.Addr, zone uint32) netip.Addr {
	if zone == 0 || !addr.Is6() {
		return addr
	}
	return addr.WithZone(strconv.Itoa(int(zone)))
}

// ZoneID returns the number of the interface that a zone names, or 0.
func ZoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}

func ipAddress(addr netip.Addr, port uint16) Address {
	return Address{AddrPort: netip.AddrPortFrom(addr, port)}
}

// mapped returns an IPv6 address in the form that callers know. A descriptor of both
// families gives an IPv4 peer an IPv6 address; mapped turns it back into IPv4.
func mapped(ip [16]byte, zone uint32, port uint16) Address {
	return ipAddress(InZone(netip.AddrFrom16(ip).Unmap(), zone), port)
}

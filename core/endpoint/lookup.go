// SPDX-License-Identifier: MPL-2.0

package endpoint

import (
	"context"
	"net"
	"net/netip"
	"time"
)

const resolveTime = 10 * time.Second // bounds one look-up of a DNS name

func unspecified(four bool) netip.Addr {
	if four {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// interfaceAddrs returns an interface's first IPv4 and first IPv6 address. It returns a
// link-local address only if there is no other, and an invalid one if there is none.
func interfaceAddrs(name string) (four, six netip.Addr) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return
	}
	addrs, _ := ifi.Addrs()
	for _, a := range addrs {
		ipNet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, _ := netip.AddrFromSlice(ipNet.IP)
		switch addr = addr.Unmap(); {
		case addr.Is4():
			if !four.IsValid() {
				four = addr
			}
		case addr.IsLinkLocalUnicast():
			if !six.IsValid() {
				six = addr.WithZone(name)
			}
		case !six.IsValid() || six.Zone() != "":
			six = addr
		}
	}
	return
}

// network returns the kind of addresses that a name may stand for.
func network(ipv6 bool) string {
	if ipv6 {
		return "ip"
	}
	return "ip4"
}

// lookup returns the addresses of a name, at least one, in the order in which the
// system would use them (RFC 6724).
func lookup(ctx context.Context, host, network string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: dialServer}
	addrs, err := resolver.LookupNetIP(ctx, network, host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// interleave alternates IPv4 and IPv6 addresses, and begins with the family of the first
// address (RFC 8305, 4).
func interleave(addrs []netip.Addr) []netip.Addr {
	var first, other []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			first = append(first, a)
		} else {
			other = append(other, a)
		}
	}
	turns := make([]netip.Addr, 0, len(addrs))
	for len(first) > 0 || len(other) > 0 {
		if len(first) > 0 {
			turns, first = append(turns, first[0]), first[1:]
		}
		if len(other) > 0 {
			turns, other = append(turns, other[0]), other[1:]
		}
	}
	return turns
}

// dialServer connects to a name server, and closes the connection when ctx ends. A
// Resolver by itself would keep the connection until its own time-out.
func dialServer(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"slices"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/sys"
)

// network is the system's way to the addresses of one kind.
type network struct {
	name     string // in sentences
	families []sys.Family

	// acknowledges means that the system knows how many bytes the peer's system has
	// acknowledged; the end of the stream counts as one byte. Other systems only show whether
	// the peer reads. What they have taken is the peer's, whatever happens to this end.
	acknowledges bool

	// bind binds a descriptor to an address. It returns the resulting address, and the file
	// that was made for it.
	bind func(fd int, addr Address) (Address, *socketFile, error)
	// known returns the addresses of an endpoint if they are known in advance; nil means that
	// each try looks them up.
	known func(ep endpoint.Endpoint) []Address
	// text returns the endpoint of one end of a connection.
	text func(ep endpoint.Endpoint, a Address) string
}

var ipNetwork = network{
	name: "tcp", families: []sys.Family{sys.IPv4, sys.IPv6}, acknowledges: true,
	bind:  bindPort,
	known: func(endpoint.Endpoint) []Address { return nil },
	text:  func(ep endpoint.Endpoint, a Address) string { return endpoint.Text(ep.Scheme, a.AddrPort) },
}

// localNetwork is that of local sockets in the file system. A client has no name there:
// both ends have the server's name.
var localNetwork = network{
	name: "ipc", families: []sys.Family{sys.Local},
	bind:  bindFile,
	known: func(ep endpoint.Endpoint) []Address { return []Address{{Path: absolute(ep.Path)}} },
	text:  func(ep endpoint.Endpoint, _ Address) string { return ep.String() },
}

// networks maps each kind of address to its network.
var networks = map[endpoint.AddressKind]*network{
	endpoint.HostPort: &ipNetwork,
	endpoint.Resource: &ipNetwork,
	endpoint.File:     &localNetwork,
}

// networkOf returns the network of a family.
func networkOf(family sys.Family) *network {
	for _, n := range networks {
		if n.has(family) {
			return n
		}
	}
	return &ipNetwork
}

// has reports whether a family belongs to the network.
func (n *network) has(family sys.Family) bool { return slices.Contains(n.families, family) }

func bindPort(fd int, addr Address) (Address, *socketFile, error) {
	err := sys.SetOption(fd, sys.ReuseAddress, 1)
	if err == nil {
		err = sys.Bind(fd, addr)
	}
	return addr, nil, err
}

// anyPort returns an address with an IP for which a descriptor is to be opened.
func anyPort(ip netip.Addr) Address { return Address{AddrPort: netip.AddrPortFrom(ip, 0)} }

// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"slices"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/sys"
)

// network is how the system reaches the addresses of a kind.
type network struct {
	name     string // in sentences
	families []sys.Family

	// acknowledges says that the system knows how many bytes the peer's has
	// acknowledged; the end of the stream counts as one. Otherwise it only shows whether
	// the peer reads, and what it has taken is the peer's, whatever happens to this end.
	acknowledges bool

	// bind binds a descriptor to an address, and returns the one that it got, and the
	// file that was made for it.
	bind func(fd int, addr Address) (Address, *socketFile, error)
	// known returns where an endpoint is to be dialled from now on; nil: that is found
	// out for each try.
	known func(ep endpoint.Endpoint) []Address
	// text is the endpoint of one end of a connection.
	text func(ep endpoint.Endpoint, a Address) string
}

var ipNetwork = network{
	name: "tcp", families: []sys.Family{sys.IPv4, sys.IPv6}, acknowledges: true,
	bind:  bindPort,
	known: func(endpoint.Endpoint) []Address { return nil },
	text:  func(ep endpoint.Endpoint, a Address) string { return endpoint.Text(ep.Scheme, a.AddrPort) },
}

// localNetwork is a file system's. A client has no name there: both ends have the
// server's.
var localNetwork = network{
	name: "ipc", families: []sys.Family{sys.Local},
	bind:  bindFile,
	known: func(ep endpoint.Endpoint) []Address { return []Address{{Path: absolute(ep.Path)}} },
	text:  func(ep endpoint.Endpoint, _ Address) string { return ep.String() },
}

// networks are those of the kinds of addresses.
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

// has reports whether a family is of the network.
func (n *network) has(family sys.Family) bool { return slices.Contains(n.families, family) }

func bindPort(fd int, addr Address) (Address, *socketFile, error) {
	err := sys.SetOption(fd, sys.ReuseAddress, 1)
	if err == nil {
		err = sys.Bind(fd, addr)
	}
	return addr, nil, err
}

// anyPort is an address of IP to make a descriptor for.
func anyPort(ip netip.Addr) Address { return Address{AddrPort: netip.AddrPortFrom(ip, 0)} }

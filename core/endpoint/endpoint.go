// SPDX-License-Identifier: MPL-2.0

// Package endpoint parses texts such as "tcp://127.0.0.1:5555" and finds the
// addresses they stand for. It opens nothing.
package endpoint

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/zlink/zlink/core/errno"
)

const (
	longestHost = 253 // a DNS name; the other forms are shorter
	longestFile = 107 // a path of ipc: the system's, less its NUL
	longestText = 80  // of an endpoint in a sentence
)

// Endpoint is a parsed endpoint.
type Endpoint struct {
	Scheme *Scheme

	Host string // literal without brackets, DNS name, interface name or "*"; ipc: ""
	Port uint16 // 0: any; ipc: 0

	// Path is the file, "@name" or "*" of ipc. For ws and wss it is the resource, which
	// begins with "/".
	Path string

	// Source is the address that a dialled connection is bound to: a literal, an interface
	// name or "*". If it is nil, the system chooses.
	Source *Endpoint
}

// Parse parses text: transport://host:port, ws://host:port/path, ipc://path or, to dial
// from a given address, transport://host:port;host:port. EINVAL: text has another form.
// EPROTONOSUPPORT: the transport does not exist. ENOCOMPATPROTO: STREAM sockets do not
// have the transport. ENAMETOOLONG: the path is too long for the system.
func Parse(text string) (Endpoint, error) {
	name, address, found := strings.Cut(text, "://")
	scheme := schemeOf(name)
	text = short(text)
	switch {
	case !found:
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has no \"://\"", text)
	case name == "" || address == "":
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has an empty part", text)
	case name == "inproc":
		return Endpoint{}, errno.New(errno.ENOCOMPATPROTO, "a STREAM socket has no transport \"inproc\"")
	case scheme == nil:
		return Endpoint{}, errno.New(errno.EPROTONOSUPPORT, "no transport %q in this library", short(name))
	}
	ep, err := scheme.Address.parse(address)
	if err != nil {
		return Endpoint{}, errno.New(errno.Of(err), "endpoint %q: %s", text, errno.Detail(err))
	}
	ep.Scheme = scheme
	return ep, nil
}

// short cuts a text for a sentence, so that the end of the sentence is not lost.
func short(text string) string {
	if len(text) > longestText {
		return text[:longestText] + "..."
	}
	return text
}

// Dial returns the addresses to connect to, in the order in which to try them. It looks
// up a DNS name, which can take seconds unless ctx ends it.
func (e Endpoint) Dial(ctx context.Context, ipv6 bool) ([]netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(e.Host); err == nil {
		to, err := e.literal(addr, ipv6)
		return []netip.AddrPort{to}, err
	}
	kind := network(ipv6)
	if e.Source != nil && e.Source.Literal() && ipv6 {
		if kind = "ip4"; strings.Contains(e.Source.Host, ":") {
			kind = "ip6"
		}
	}
	addrs, err := lookup(ctx, e.Host, kind)
	if err != nil {
		return nil, errno.New(errno.EINVAL, "cannot resolve host %q: %v", short(e.Host), err)
	}
	to := make([]netip.AddrPort, 0, len(addrs))
	for _, addr := range interleave(addrs) {
		to = append(to, netip.AddrPortFrom(addr, e.Port))
	}
	return to, nil
}

// From returns the local address for a connection to an address, if the endpoint has a
// source. It looks up no name. ENODEV: the interface does not exist, or has no address of
// that family. EINVAL: the source has another family.
func (e Endpoint) From(to netip.Addr) (netip.AddrPort, error) {
	host, port := e.Source.Host, e.Source.Port
	if host == "*" {
		return netip.AddrPortFrom(unspecified(to.Is4()), port), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		if addr.Is4() != to.Is4() {
			return netip.AddrPort{}, errno.New(errno.EINVAL, "there is no way from %s to %s", addr, to)
		}
		return netip.AddrPortFrom(addr, port), checkZone(addr)
	}
	addr, six := interfaceAddrs(host)
	if !to.Is4() {
		addr = six
	}
	if !addr.IsValid() {
		return netip.AddrPort{}, errno.New(errno.ENODEV, "no interface %q with an address for %s", short(host), to)
	}
	return netip.AddrPortFrom(addr, port), nil
}

// Literal reports whether the host needs no look-up.
func (e Endpoint) Literal() bool {
	_, err := netip.ParseAddr(e.Host)
	return err == nil
}

func (e Endpoint) literal(addr netip.Addr, ipv6 bool) (netip.AddrPort, error) {
	addr = addr.Unmap()
	if addr.Is6() && !ipv6 {
		return netip.AddrPort{}, errno.New(errno.EINVAL, "%s is an IPv6 address and option IPV6 is 0", addr)
	}
	return netip.AddrPortFrom(addr, e.Port), checkZone(addr)
}

// checkZone checks that the zone of a link-local address is an interface, by name or number.
func checkZone(addr netip.Addr) error {
	zone := addr.Zone()
	if zone == "" {
		return nil
	}
	index, err := strconv.Atoi(zone)
	if err == nil {
		_, err = net.InterfaceByIndex(index)
	} else {
		_, err = net.InterfaceByName(zone)
	}
	if err != nil {
		return errno.New(errno.ENODEV, "no interface %q for the address %s", short(zone), addr.WithZone(""))
	}
	return nil
}

// CheckDial returns nil if the endpoint can be dialled. EINVAL: it has no definite host or
// port, or is an IPv6 address without ipv6. ENODEV: the interface does not exist. ENOCOMPATPROTO: its
// transport is the choice of who dials.
func (e Endpoint) CheckDial(ipv6 bool) error {
	if e.Scheme.Choice {
		return errno.New(errno.ENOCOMPATPROTO, "%s:// is for a bind; a connect chooses tcp, tls, ws or wss", e.Scheme)
	}
	return e.Scheme.Address.checkDial(e, ipv6)
}

// Bind returns the address to listen on, or the path; ipv6 also allows IPv6. ENODEV: the
// host is neither an address nor the name of an interface or host. EINVAL: the endpoint
// is an IPv6 address without ipv6, or has a source.
func (e Endpoint) Bind(ipv6 bool) (addr netip.AddrPort, path string, err error) {
	return e.Scheme.Address.bind(e, ipv6)
}

// String returns the endpoint's text. Port 0 means any port.
func (e Endpoint) String() string { return e.Scheme.Name + "://" + e.Scheme.Address.text(e) }

// With returns the endpoint with another path of the local system, or another address.
func (e Endpoint) With(addr netip.AddrPort, path string) Endpoint {
	return e.Scheme.Address.with(e, addr, path)
}

// Text returns the endpoint of an address.
func Text(s *Scheme, addr netip.AddrPort) string {
	return s.Name + "://" + netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()).String()
}

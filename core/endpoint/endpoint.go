// SPDX-License-Identifier: MPL-2.0

// Package endpoint reads texts such as "tcp://127.0.0.1:5555" and finds the
// addresses they stand for. It opens nothing.
package endpoint

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/zlink/zlink/core/errno"
)

const (
	resolveTime = 10 * time.Second // bounds one look-up of a DNS name
	longestHost = 253              // a DNS name; the other forms are shorter
	longestText = 80               // of an endpoint in a sentence
)

// Endpoint is a parsed endpoint of transport tcp.
type Endpoint struct {
	Host string // literal without brackets, DNS name, interface name or "*"
	Port uint16 // 0: any

	// Source is what the own end of a dialled connection is bound to: literal,
	// interface name or "*". nil: the system's choice.
	Source *Endpoint
}

// Parse reads text: transport://host:port or, to dial from an address of its
// own, transport://host:port;host:port. EINVAL: not of that form.
// EPROTONOSUPPORT: a transport that is not there. ENOCOMPATPROTO: one that
// STREAM sockets do not have.
func Parse(text string) (Endpoint, error) {
	transport, address, found := strings.Cut(text, "://")
	text = short(text)
	switch {
	case !found:
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has no \"://\"", text)
	case transport == "" || address == "":
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has an empty part", text)
	case transport == "inproc":
		return Endpoint{}, errno.New(errno.ENOCOMPATPROTO, "a STREAM socket has no transport \"inproc\"")
	case transport != "tcp":
		return Endpoint{}, errno.New(errno.EPROTONOSUPPORT, "no transport %q in this library", short(transport))
	}
	ep, err := parseAddress(address)
	if err != nil {
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q: %s", text, errno.Detail(err))
	}
	return ep, nil
}

// parseAddress reads what follows "tcp://".
func parseAddress(address string) (Endpoint, error) {
	from, to, hasSource := strings.Cut(address, ";")
	if !hasSource {
		return splitPort(address)
	}
	source, err := splitPort(from)
	if err != nil {
		return Endpoint{}, err
	}
	ep, err := splitPort(to)
	ep.Source = &source
	return ep, err
}

// splitPort reads "host:port" and "[host]:port".
func splitPort(address string) (Endpoint, error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return Endpoint{}, errno.New(errno.EINVAL, "no port")
	}
	host, portText := address[:colon], address[colon+1:]
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") {
		return Endpoint{}, errno.New(errno.EINVAL, "unbalanced brackets")
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if !possibleHost(host) {
		return Endpoint{}, errno.New(errno.EINVAL, "bad host %q", short(host))
	}
	if portText == "*" {
		return Endpoint{Host: host}, nil
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Endpoint{}, errno.New(errno.EINVAL, "bad port %q", short(portText))
	}
	return Endpoint{Host: host, Port: uint16(port)}, nil
}

// possibleHost tells whether host is "*", a literal, or may be a name. Digits
// and dots alone are no name but a misspelt address.
func possibleHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "*" {
		return true
	}
	bad := func(r rune) bool { return r <= ' ' || r == 0x7F || strings.ContainsRune(";/[]:*", r) }
	return len(host) <= longestHost && !strings.ContainsFunc(host, bad) && strings.Trim(host, "0123456789.") != ""
}

// short cuts a text for a sentence, which would lose its end otherwise.
func short(text string) string {
	if len(text) > longestText {
		return text[:longestText] + "..."
	}
	return text
}

// CheckDial says whether the endpoint can be dialled: EINVAL when it has no
// definite host or port, or is an IPv6 address without ipv6. ENODEV: no such
// interface.
func (e Endpoint) CheckDial(ipv6 bool) error {
	if e.Host == "*" {
		return errno.New(errno.EINVAL, "cannot connect to the host \"*\"")
	}
	if e.Port == 0 {
		return errno.New(errno.EINVAL, "cannot connect to port 0 or \"*\" of %q", short(e.Host))
	}
	if e.Literal() {
		_, err := e.Dial(context.Background(), ipv6)
		return err
	}
	return nil
}

// Bind returns the address to listen on; ipv6 also allows IPv6. ENODEV: the
// host is neither an address nor the name of an interface or host. EINVAL: an
// IPv6 address without ipv6, or a source.
func (e Endpoint) Bind(ipv6 bool) (netip.AddrPort, error) {
	if e.Source != nil {
		return netip.AddrPort{}, errno.New(errno.EINVAL, "only connect takes a source address (%q)", e.Source.Host)
	}
	if e.Host == "*" {
		return netip.AddrPortFrom(unspecified(!ipv6), e.Port), nil
	}
	if addr, err := netip.ParseAddr(e.Host); err == nil {
		return e.literal(addr, ipv6)
	}
	four, six := interfaceAddrs(e.Host)
	if four.IsValid() {
		return netip.AddrPortFrom(four, e.Port), nil
	}
	if ipv6 && six.IsValid() {
		return netip.AddrPortFrom(six, e.Port), nil
	}
	addr, err := lookup(context.Background(), e.Host, network(ipv6))
	if err != nil {
		return netip.AddrPort{}, errno.New(errno.ENODEV, "no interface or host %q: %v", short(e.Host), err)
	}
	return netip.AddrPortFrom(addr, e.Port), nil
}

// Dial returns the address to connect to; a DNS name is looked up, which can
// take seconds unless ctx ends it.
func (e Endpoint) Dial(ctx context.Context, ipv6 bool) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(e.Host); err == nil {
		return e.literal(addr, ipv6)
	}
	kind := network(ipv6)
	if e.Source != nil && e.Source.Literal() && ipv6 {
		if kind = "ip4"; strings.Contains(e.Source.Host, ":") {
			kind = "ip6"
		}
	}
	addr, err := lookup(ctx, e.Host, kind)
	if err != nil {
		return netip.AddrPort{}, errno.New(errno.EINVAL, "cannot resolve host %q: %v", short(e.Host), err)
	}
	return netip.AddrPortFrom(addr, e.Port), nil
}

// From returns the address that the own end of a connection to an address is
// bound to, for an endpoint with a source. It looks no name up. ENODEV: no such
// interface, or it has no address of that family. EINVAL: another family.
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

// Literal tells whether the host needs no look-up.
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

// checkZone: the zone of a link-local address is an interface, by name or number.
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

func unspecified(four bool) netip.Addr {
	if four {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// interfaceAddrs returns the first IPv4 and IPv6 address of an interface, a
// link-local one last; they are invalid where it has none.
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

// network is the kind of addresses that a name may stand for.
func network(ipv6 bool) string {
	if ipv6 {
		return "ip"
	}
	return "ip4"
}

// lookup returns an address of a name, an IPv4 one if it may.
func lookup(ctx context.Context, host, network string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: dialServer}
	addrs, err := resolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			return a, nil
		}
	}
	return addrs[0], nil
}

// String returns the endpoint's text; a port of 0 is any.
func (e Endpoint) String() string {
	return "tcp://" + net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// dialServer connects to a name server until ctx ends; a Resolver itself would
// keep the connection until its own time-out.
func dialServer(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// Text returns the endpoint of an address.
func Text(addr netip.AddrPort) string {
	return "tcp://" + netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()).String()
}

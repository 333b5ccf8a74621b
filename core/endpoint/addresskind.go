// SPDX-License-Identifier: MPL-2.0

package endpoint

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/zlink/zlink/core/errno"
)

// AddressKind is a kind of address behind "://".
type AddressKind interface {
	// parse reads the text of an address.
	parse(text string) (Endpoint, error)
	// text returns the address in the form that endpoints have.
	text(e Endpoint) string
	// with returns the endpoint with another address or path.
	with(e Endpoint, addr netip.AddrPort, path string) Endpoint
	// checkDial and bind are those of Endpoint.
	checkDial(e Endpoint, ipv6 bool) error
	bind(e Endpoint, ipv6 bool) (addr netip.AddrPort, path string, err error)
}

// The kinds of addresses.
var (
	HostPort AddressKind = hostPort{} // host:port, or host:port;host:port to dial from an address
	Resource AddressKind = resource{} // the same with a path and query of HTTP
	File     AddressKind = file{}     // a path of the local system, "@name" or "*"
)

type hostPort struct{}

func (hostPort) parse(text string) (Endpoint, error) {
	from, to, hasSource := strings.Cut(text, ";")
	if !hasSource {
		return splitPort(text)
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

// possibleHost reports whether host is "*", a literal, or possibly a name. A host of digits
// and dots alone is a misspelt address, not a name.
func possibleHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "*" {
		return true
	}
	bad := func(r rune) bool { return r <= ' ' || r == 0x7F || strings.ContainsRune(";/[]:*", r) }
	return len(host) <= longestHost && !strings.ContainsFunc(host, bad) && strings.Trim(host, "0123456789.") != ""
}

func (hostPort) text(e Endpoint) string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

func (hostPort) with(e Endpoint, addr netip.AddrPort, _ string) Endpoint {
	e.Host, e.Port = addr.Addr().Unmap().String(), addr.Port()
	return e
}

func (hostPort) checkDial(e Endpoint, ipv6 bool) error {
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

func (hostPort) bind(e Endpoint, ipv6 bool) (netip.AddrPort, string, error) {
	addr, err := e.listenAddress(ipv6)
	return addr, "", err
}

// listenAddress returns the IP address that the host and port stand for.
func (e Endpoint) listenAddress(ipv6 bool) (netip.AddrPort, error) {
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
	addrs, err := lookup(context.Background(), e.Host, network(ipv6))
	if err != nil {
		return netip.AddrPort{}, errno.New(errno.ENODEV, "no interface or host %q: %v", short(e.Host), err)
	}
	if four := slices.IndexFunc(addrs, netip.Addr.Is4); four >= 0 {
		return netip.AddrPortFrom(addrs[four], e.Port), nil
	}
	return netip.AddrPortFrom(addrs[0], e.Port), nil
}

type resource struct{ hostPort }

func (resource) parse(text string) (Endpoint, error) {
	path := "/"
	if slash := strings.IndexByte(text, '/'); slash >= 0 {
		text, path = text[:slash], text[slash:]
	}
	if bad := strings.IndexFunc(path, notInPath); bad >= 0 {
		return Endpoint{}, errno.New(errno.EINVAL, "bad character %q in the path", path[bad])
	}
	ep, err := HostPort.parse(text)
	ep.Path = path
	return ep, err
}

// notInPath reports whether a URL's path and query cannot hold a character unescaped.
func notInPath(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`#"<>\^`+"`{|}", r) }

// text leaves out the path "/".
func (resource) text(e Endpoint) string {
	if e.Path == "/" {
		return HostPort.text(e)
	}
	return HostPort.text(e) + e.Path
}

func (resource) bind(e Endpoint, ipv6 bool) (netip.AddrPort, string, error) {
	if e.Source == nil && strings.Contains(e.Path, "?") {
		return netip.AddrPort{}, "", errno.New(errno.EINVAL, "only connect takes a query (%q)", short(e.Path))
	}
	return HostPort.bind(e, ipv6)
}

type file struct{}

func (file) parse(path string) (Endpoint, error) {
	switch {
	case path == "@":
		return Endpoint{}, errno.New(errno.EINVAL, "no name behind \"@\"")
	case !strings.HasPrefix(path, "@") && strings.ContainsRune(path, 0):
		return Endpoint{}, errno.New(errno.EINVAL, "no file has a NUL in its path")
	case len(path) > longestFile:
		return Endpoint{}, errno.New(errno.ENAMETOOLONG, "a path of %d bytes is too long, at most %d", len(path), longestFile)
	}
	return Endpoint{Path: path}, nil
}

func (file) text(e Endpoint) string { return e.Path }

func (file) with(e Endpoint, _ netip.AddrPort, path string) Endpoint {
	e.Path = path
	return e
}

func (file) checkDial(e Endpoint, _ bool) error {
	if e.Path == "*" {
		return errno.New(errno.EINVAL, "cannot connect to the path \"*\"")
	}
	return nil
}

func (file) bind(e Endpoint, _ bool) (netip.AddrPort, string, error) {
	return netip.AddrPort{}, e.Path, nil
}

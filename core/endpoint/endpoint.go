// SPDX-License-Identifier: MPL-2.0

// Package endpoint reads texts such as "tcp://127.0.0.1:5555" and finds the
// addresses they stand for. It opens nothing.
package endpoint

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zlink/zlink/core/errno"
)

const (
	resolveTime = 10 * time.Second // bounds one look-up of a DNS name
	longestHost = 253              // a DNS name; the other forms are shorter
	longestFile = 107              // a path of ipc: the system's, less its NUL
	longestText = 80               // of an endpoint in a sentence
)

// Scheme is how the bytes of a connection travel.
type Scheme string

// The transports.
const (
	TCP Scheme = "tcp"
	IPC Scheme = "ipc" // a socket of the local system
	TLS Scheme = "tls"
	WS  Scheme = "ws"
	WSS Scheme = "wss"
)

// Known tells whether there is such a transport.
func (t Scheme) Known() bool {
	switch t {
	case TCP, IPC, TLS, WS, WSS:
		return true
	}
	return false
}

// Secure tells whether connections are encrypted.
func (t Scheme) Secure() bool { return t == TLS || t == WSS }

// Web tells whether connections speak WebSocket.
func (t Scheme) Web() bool { return t == WS || t == WSS }

// Endpoint is a parsed endpoint.
type Endpoint struct {
	Scheme Scheme

	Host string // literal without brackets, DNS name, interface name or "*"; ipc: ""
	Port uint16 // 0: any; ipc: 0

	// Path is of ipc the file, "@name" or "*"; of ws and wss the resource, which
	// begins with "/".
	Path string

	// Source is what the own end of a dialled connection is bound to: literal,
	// interface name or "*". nil: the system's choice.
	Source *Endpoint
}

// Parse reads text: transport://host:port, ws://host:port/path, ipc://path or,
// to dial from an address of its own, transport://host:port;host:port. EINVAL:
// not of that form. EPROTONOSUPPORT: a transport that is not there.
// ENOCOMPATPROTO: one that STREAM sockets do not have. ENAMETOOLONG: a path that
// the system cannot have.
func Parse(text string) (Endpoint, error) {
	name, address, found := strings.Cut(text, "://")
	transport := Scheme(name)
	text = short(text)
	switch {
	case !found:
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has no \"://\"", text)
	case name == "" || address == "":
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has an empty part", text)
	case name == "inproc":
		return Endpoint{}, errno.New(errno.ENOCOMPATPROTO, "a STREAM socket has no transport \"inproc\"")
	case !transport.Known():
		return Endpoint{}, errno.New(errno.EPROTONOSUPPORT, "no transport %q in this library", short(name))
	}
	var ep Endpoint
	var err error
	if transport == IPC {
		ep, err = parseFile(address)
	} else {
		ep, err = parseAddress(address, transport.Web())
	}
	if err != nil {
		return Endpoint{}, errno.New(errno.Of(err), "endpoint %q: %s", text, errno.Detail(err))
	}
	ep.Scheme = transport
	return ep, nil
}

// parseFile reads what follows "ipc://".
func parseFile(path string) (Endpoint, error) {
	switch {
	case path == "@":
		return Endpoint{}, errno.New(errno.EINVAL, "no name behind \"@\"")
	case len(path) > longestFile:
		return Endpoint{}, errno.New(errno.ENAMETOOLONG, "a path of %d bytes is too long, at most %d", len(path), longestFile)
	}
	return Endpoint{Path: path}, nil
}

// parseAddress reads what follows "tcp://", and with web what follows "ws://".
func parseAddress(address string, web bool) (Endpoint, error) {
	path := ""
	if web {
		path = "/"
		if slash := strings.IndexByte(address, '/'); slash >= 0 {
			address, path = address[:slash], address[slash:]
		}
		if bad := strings.IndexFunc(path, notInPath); bad >= 0 {
			return Endpoint{}, errno.New(errno.EINVAL, "bad character %q in the path", path[bad])
		}
	}
	from, to, hasSource := strings.Cut(address, ";")
	if !hasSource {
		ep, err := splitPort(address)
		ep.Path = path
		return ep, err
	}
	source, err := splitPort(from)
	if err != nil {
		return Endpoint{}, err
	}
	ep, err := splitPort(to)
	ep.Source, ep.Path = &source, path
	return ep, err
}

// notInPath tells whether a character cannot be in a URL's path and query as it is.
func notInPath(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`#"<>\^`+"`{|}", r) }

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
	if e.Scheme == IPC {
		if e.Path == "*" {
			return errno.New(errno.EINVAL, "cannot connect to the path \"*\"")
		}
		return nil
	}
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

// Bind returns the address to listen on, which ipc has none of; ipv6 also allows IPv6. ENODEV: the
// host is neither an address nor the name of an interface or host. EINVAL: an
// IPv6 address without ipv6, or a source.
func (e Endpoint) Bind(ipv6 bool) (netip.AddrPort, error) {
	if e.Source != nil {
		return netip.AddrPort{}, errno.New(errno.EINVAL, "only connect takes a source address (%q)", e.Source.Host)
	}
	if strings.Contains(e.Path, "?") && e.Scheme.Web() {
		return netip.AddrPort{}, errno.New(errno.EINVAL, "only connect takes a query (%q)", short(e.Path))
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

// Dial returns the addresses to connect to, the one to try first in front; a DNS
// name is looked up, which can take seconds unless ctx ends it.
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

// interleave has IPv4 and IPv6 addresses take turns, beginning with the family of
// the first one (RFC 8305, 4).
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

// String returns the endpoint's text; a port of 0 is any.
func (e Endpoint) String() string {
	if e.Scheme == IPC {
		return "ipc://" + e.Path
	}
	return string(e.Scheme) + "://" + net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) + e.shownPath()
}

// shownPath is the path as endpoints are written: "/" is left out.
func (e Endpoint) shownPath() string {
	if e.Path == "/" {
		return ""
	}
	return e.Path
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

// With returns the endpoint in another place: ipc at a path, the others at an
// address.
func (e Endpoint) With(addr netip.AddrPort, path string) Endpoint {
	if e.Scheme == IPC {
		e.Path = path
		return e
	}
	e.Host, e.Port = addr.Addr().Unmap().String(), addr.Port()
	return e
}

// Text returns the endpoint of an address.
func Text(t Scheme, addr netip.AddrPort) string {
	return string(t) + "://" + netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()).String()
}

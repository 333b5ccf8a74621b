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

// resolveTime bounds one look-up of a DNS name.
const resolveTime = 10 * time.Second

// Endpoint is a parsed endpoint of transport tcp.
type Endpoint struct {
	Host string // literal without brackets, DNS name, interface name or "*"
	Port uint16 // 0: any
}

// Parse reads text. EINVAL: not of the form transport://host:port.
// EPROTONOSUPPORT: a transport that is not there. ENOCOMPATPROTO: one that
// STREAM sockets do not have.
func Parse(text string) (Endpoint, error) {
	transport, address, found := strings.Cut(text, "://")
	switch {
	case !found:
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has no \"://\"", text)
	case transport == "" || address == "":
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q has an empty part", text)
	case transport == "inproc":
		return Endpoint{}, errno.New(errno.ENOCOMPATPROTO, "a STREAM socket has no transport inproc")
	case transport != "tcp":
		return Endpoint{}, errno.New(errno.EPROTONOSUPPORT, "no transport %q in this library", transport)
	}
	host, port, err := splitPort(address)
	if err != nil {
		return Endpoint{}, errno.New(errno.EINVAL, "endpoint %q: %s", text, err.(*errno.Error).Detail)
	}
	return Endpoint{host, port}, nil
}

// splitPort reads "host:port" and "[host]:port".
func splitPort(address string) (string, uint16, error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", 0, errno.New(errno.EINVAL, "no port")
	}
	host, portText := address[:colon], address[colon+1:]
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") {
		return "", 0, errno.New(errno.EINVAL, "unbalanced brackets")
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, " ;/[]") {
		return "", 0, errno.New(errno.EINVAL, "bad host")
	}
	if portText == "*" {
		return host, 0, nil
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", 0, errno.New(errno.EINVAL, "bad port %q", portText)
	}
	return host, uint16(port), nil
}

// CheckDial says whether the endpoint can be dialled: EINVAL when it has no
// definite host or port, or is an IPv6 address without ipv6.
func (e Endpoint) CheckDial(ipv6 bool) error {
	if e.Host == "*" || e.Port == 0 {
		return errno.New(errno.EINVAL, "cannot connect to a wildcard host or port")
	}
	if e.Literal() {
		_, err := e.Dial(context.Background(), ipv6)
		return err
	}
	return nil
}

// Bind returns the address to listen on; ipv6 also allows IPv6. ENODEV: the
// host is neither an address nor the name of an interface or host.
func (e Endpoint) Bind(ipv6 bool) (netip.AddrPort, error) {
	if e.Host == "*" {
		if ipv6 {
			return netip.AddrPortFrom(netip.IPv6Unspecified(), e.Port), nil
		}
		return netip.AddrPortFrom(netip.IPv4Unspecified(), e.Port), nil
	}
	if addr, err := netip.ParseAddr(e.Host); err == nil {
		return e.literal(addr, ipv6)
	}
	if addr, ok := interfaceAddr(e.Host, ipv6); ok {
		return netip.AddrPortFrom(addr, e.Port), nil
	}
	addr, err := lookup(context.Background(), e.Host, ipv6)
	if err != nil {
		return netip.AddrPort{}, errno.New(errno.ENODEV, "no interface or host %q", e.Host)
	}
	return netip.AddrPortFrom(addr, e.Port), nil
}

// Dial returns the address to connect to; a DNS name is looked up, which can
// take seconds unless ctx ends it.
func (e Endpoint) Dial(ctx context.Context, ipv6 bool) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(e.Host); err == nil {
		return e.literal(addr, ipv6)
	}
	addr, err := lookup(ctx, e.Host, ipv6)
	if err != nil {
		return netip.AddrPort{}, errno.New(errno.EINVAL, "cannot resolve host %q: %v", e.Host, err)
	}
	return netip.AddrPortFrom(addr, e.Port), nil
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
	return netip.AddrPortFrom(addr, e.Port), nil
}

func interfaceAddr(name string, ipv6 bool) (netip.Addr, bool) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, false
	}
	addrs, _ := ifi.Addrs()
	var six netip.Addr
	for _, a := range addrs {
		ipNet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, _ := netip.AddrFromSlice(ipNet.IP)
		if addr = addr.Unmap(); addr.Is4() {
			return addr, true
		}
		if addr.IsLinkLocalUnicast() {
			addr = addr.WithZone(name)
		}
		six = addr
	}
	return six, ipv6 && six.IsValid()
}

func lookup(ctx context.Context, host string, ipv6 bool) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: dialServer}
	network := "ip4"
	if ipv6 {
		network = "ip"
	}
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

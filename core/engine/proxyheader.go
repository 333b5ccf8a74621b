// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"

	"github.com/zlink/zlink/core/errno"
)

// The header of the PROXY protocol, versions 1 and 2, as HAProxy's document
// proxy-protocol.txt has it. A sender puts it in front of the connection's bytes.

const (
	proxyLineMost   = 107     // bytes of version 1, with the end of the line
	proxyHeaderMost = 4 << 10 // bytes of version 2 that are taken
	proxyFixed      = 16      // bytes of version 2 in front of the addresses
)

const (
	proxyLineStart = "PROXY "
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
)

// proxyHeader is what a header says.
type proxyHeader struct {
	client, server netip.AddrPort // not valid: the sender does not say
	more           []byte         // of version 2: type, length and value in turn, checked
}

func badProxy(format string, a ...any) error {
	return errno.New(errno.EPROTO, "the PROXY header is wrong: "+format, a...)
}

// readProxyHeader parses the header at the start of data. size is its length in bytes; 0
// without an error means that more of it has to come.
func readProxyHeader(data []byte) (h proxyHeader, size int, err error) {
	switch {
	case startsAs(data, proxySignature):
		h, size, err = readBinaryProxy(data)
	case startsAs(data, proxyLineStart):
		h, size, err = readProxyLine(data)
	default:
		err = badProxy("it begins with something else")
	}
	if err != nil {
		return proxyHeader{}, 0, err
	}
	return h, size, nil
}

// startsAs reports whether data begins with the text, or with the start of it.
func startsAs(data []byte, text string) bool {
	n := min(len(data), len(text))
	return string(data[:n]) == text[:n]
}

// readProxyLine parses version 1.
func readProxyLine(data []byte) (h proxyHeader, size int, err error) {
	line, _, whole := bytes.Cut(data[:min(len(data), proxyLineMost)], []byte("\r\n"))
	switch {
	case !whole && len(data) >= proxyLineMost:
		return h, 0, badProxy("its line has no end within %d bytes", proxyLineMost)
	case !whole:
		return h, 0, nil
	}
	size = len(line) + len("\r\n")
	words := strings.Split(string(line), " ")
	if words[1] == "UNKNOWN" {
		return h, size, nil
	}
	if len(words) != 6 {
		return h, 0, badProxy("its line has %d words", len(words))
	}
	if h.client, err = lineAddress(words[1], words[2], words[4]); err == nil {
		h.server, err = lineAddress(words[1], words[3], words[5])
	}
	return h, size, err
}

// lineAddress parses an address and a port of version 1.
func lineAddress(family, address, port string) (netip.AddrPort, error) {
	ip, err := netip.ParseAddr(address)
	number, err2 := strconv.ParseUint(port, 10, 16)
	switch {
	case family != "TCP4" && family != "TCP6":
		return netip.AddrPort{}, badProxy("%.16q is no protocol of it", family)
	case err != nil, ip.Zone() != "", ip.Is4() != (family == "TCP4"):
		return netip.AddrPort{}, badProxy("%.64q is no address of %s", address, family)
	case err2 != nil, strconv.FormatUint(number, 10) != port:
		return netip.AddrPort{}, badProxy("%.16q is no port", port)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}

// The parts of version 2.
const (
	proxyLocal = 0x20 // version and command: of the sender itself
	proxyGiven = 0x21 // of a client
	proxyNone  = 0x00 // family and protocol
	proxyTCP4  = 0x11
	proxyTCP6  = 0x21
	proxyUnix  = 0x31

	proxyUnixSize = 216 // bytes of two addresses of Unix
)

// readBinaryProxy parses version 2.
func readBinaryProxy(data []byte) (h proxyHeader, size int, err error) {
	if len(data) > len(proxySignature) && data[12] != proxyLocal && data[12] != proxyGiven {
		return h, 0, badProxy("%#02x is no version and command of it", data[12])
	}
	if len(data) < proxyFixed {
		return h, 0, nil
	}
	rest := int(binary.BigEndian.Uint16(data[14:]))
	if size = proxyFixed + rest; size > proxyHeaderMost {
		return h, 0, badProxy("it has %d bytes; %d are taken", size, proxyHeaderMost)
	}
	if len(data) < size {
		return h, 0, nil
	}
	whole := data[:size]
	if data[12] == proxyLocal {
		return h, size, nil
	}
	end, err := h.readAddresses(data[13], whole[proxyFixed:])
	if err != nil {
		return h, 0, err
	}
	h.more = whole[proxyFixed+end:]
	return h, size, checkProxyTypes(whole, proxyFixed+end)
}

// readAddresses parses both addresses of version 2, and returns their length.
func (h *proxyHeader) readAddresses(family byte, from []byte) (end int, err error) {
	sizes := map[byte]int{proxyNone: 0, proxyTCP4: 12, proxyTCP6: 36, proxyUnix: proxyUnixSize}
	end, known := sizes[family]
	switch {
	case !known:
		return 0, badProxy("%#02x is no family and protocol of a stream", family)
	case len(from) < end:
		return 0, badProxy("it has %d bytes of addresses, not %d", len(from), end)
	case family == proxyTCP4 || family == proxyTCP6:
		n := (end - 4) / 2
		client, _ := netip.AddrFromSlice(from[:n])
		server, _ := netip.AddrFromSlice(from[n : 2*n])
		h.client = netip.AddrPortFrom(client.Unmap(), binary.BigEndian.Uint16(from[2*n:]))
		h.server = netip.AddrPortFrom(server.Unmap(), binary.BigEndian.Uint16(from[2*n+2:]))
	}
	return end, nil
}

// Types of what follows the addresses of version 2.
const (
	proxyALPN        = 0x01
	proxyAuthority   = 0x02
	proxyCRC         = 0x03
	proxySSL         = 0x20
	proxySSLVersion  = 0x21 // within proxySSL, as the next ones
	proxySSLName     = 0x22
	proxySSLCipher   = 0x23
	proxySSLClient   = 0x01 // bits of its first byte: TLS is spoken
	proxySSLCert     = 0x06 // the client showed a certificate, in this connection or its session
	proxySSLFixed    = 5    // bytes in front of what is within
	proxyTypesAtMost = 64
)

// checkProxyTypes checks what follows the addresses, from a place in the whole header on.
func checkProxyTypes(whole []byte, from int) error {
	for at, n := from, 0; at < len(whole); n++ {
		kind, value, next := proxyType(whole[at:])
		switch {
		case next == 0:
			return badProxy("what follows the addresses ends too early")
		case n == proxyTypesAtMost:
			return badProxy("more than %d parts follow the addresses", proxyTypesAtMost)
		case kind == proxyCRC && !proxySumHolds(whole, at+next-len(value), value):
			return badProxy("its checksum does not hold")
		case kind == proxySSL && len(value) < proxySSLFixed:
			return badProxy("its part about TLS is too short")
		}
		at += next
	}
	return nil
}

// proxyType returns the first part of what follows the addresses, and its length; 0: it is
// not whole.
func proxyType(from []byte) (kind byte, value []byte, next int) {
	if len(from) < 3 {
		return 0, nil, 0
	}
	end := 3 + int(binary.BigEndian.Uint16(from[1:]))
	if len(from) < end {
		return 0, nil, 0
	}
	return from[0], from[3:end], end
}

// proxySumHolds reports whether the checksum at a place is that of the header without it.
func proxySumHolds(whole []byte, at int, sum []byte) bool {
	if len(sum) != 4 {
		return false
	}
	zeroed := bytes.Clone(whole)
	clear(zeroed[at : at+4])
	return crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(sum)
}

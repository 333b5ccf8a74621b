// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// part is a type, length and value of version 2.
func part(kind byte, value string) string {
	return string([]byte{kind}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(value)))) + value
}

// binaryProxy is a header of version 2.
func binaryProxy(command, family byte, rest string) string {
	return proxySignature + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(rest)))) + rest
}

const (
	four = "\xC0\x00\x02\x01\xC0\x00\x02\x02\x00\x05\x00\x50" // 192.0.2.1:5 to 192.0.2.2:80
	six  = "\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xFF\xFF\x01\xBB"
	line = "PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n"
)

// summed adds the checksum to a header of version 2 over IPv4.
func summed(more string) string {
	whole := []byte(binaryProxy(0x21, 0x11, four+more+part(3, "\x00\x00\x00\x00")))
	sum := crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli))
	return string(whole[:len(whole)-4]) + string(binary.BigEndian.AppendUint32(nil, sum))
}

func TestProxyHeaders(t *testing.T) {
	Convey("A header is taken in both versions, byte by byte, and what follows it stays", t, func() {
		for header, want := range map[string]string{
			line: "192.0.2.1:5 192.0.2.2:80",
			"PROXY TCP6 2001:db8::1 2001:db8::2 65535 443\r\n":   "[2001:db8::1]:65535 [2001:db8::2]:443",
			"PROXY TCP6 ::ffff:192.0.2.1 ::1 0 1\r\n":            "192.0.2.1:0 [::1]:1",
			"PROXY UNKNOWN\r\n":                                  "",
			"PROXY UNKNOWN ffff:f...f:ffff 65535 and more\r\n":   "",
			binaryProxy(0x21, 0x11, four):                        "192.0.2.1:5 192.0.2.2:80",
			binaryProxy(0x21, 0x21, six):                         "[2001:db8::1]:65535 [2001:db8::2]:443",
			binaryProxy(0x21, 0x11, four+part(4, "xx")):          "192.0.2.1:5 192.0.2.2:80",
			binaryProxy(0x21, 0x31, strings.Repeat("\x00", 216)): "",
			binaryProxy(0x21, 0, part(0xEA, "aws")):              "",
			binaryProxy(0x20, 0, ""):                             "",
			binaryProxy(0x20, 0x11, four+"\xFF"):                 "", // LOCAL: the rest does not matter
			summed(part(2, "a.example")):                         "192.0.2.1:5 192.0.2.2:80",
		} {
			for n := range header {
				_, size, err := readProxyHeader([]byte(header[:n]))
				So(err, ShouldBeNil)
				So(size, ShouldEqual, 0)
			}
			h, size, err := readProxyHeader([]byte(header + "PROXY"))
			So(err, ShouldBeNil)
			So(size, ShouldEqual, len(header))
			got := ""
			if h.client.IsValid() {
				got = fmt.Sprint(h.client, " ", h.server)
			}
			So(got, ShouldEqual, want)
		}
	})
	Convey("Anything else is refused as soon as it shows, with a sentence", t, func() {
		for _, wrong := range []string{"G", "PROXY\r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
			"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.2.3.4 ::1 1 1\r\n",
			"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
			"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "PROXY TCP6 fe80::1%2 ::1 1 1\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n",
			"PROXY UNKNOWN" + strings.Repeat("x", 100), "\r\n\r\n\x00\r\nQUIT\r", binaryProxy(0x11, 0x11, four)[:13], binaryProxy(0x22, 0x11, four)[:13],
			binaryProxy(0x21, 0x12, four), binaryProxy(0x21, 0x13, four), binaryProxy(0x21, 0x11, four[:11]), binaryProxy(0x21, 0x21, six[:35]),
			binaryProxy(0x21, 0x11, four+"\x01\x00"), binaryProxy(0x21, 0x11, four+"\x01\x00\x02x"),
			binaryProxy(0x21, 0x11, four+part(3, "\x00\x00\x00\x00")), binaryProxy(0x21, 0x11, four+part(3, "\x00")),
			binaryProxy(0x21, 0x11, four+part(0x20, "\x01")), binaryProxy(0x21, 0x11, four+strings.Repeat(part(4, ""), 65)),
			proxySignature + "\x21\x11\xFF\xFF"} {
			_, _, err := readProxyHeader([]byte(wrong))
			So(errno.Of(err), ShouldEqual, errno.EPROTO)
			So(errno.Detail(err), ShouldContainSubstring, "the PROXY header is wrong")
		}
		broken := []byte(summed(""))
		broken[17]++
		_, _, err := readProxyHeader(broken)
		So(err, ShouldNotBeNil)
	})
}

// proxied returns the texts that a header leaves.
func proxied(header string) string {
	list, err := ParseProperties("Proxy-Address Proxy-Destination Proxy-ALPN Proxy-Authority Proxy-TLS-Version Proxy-TLS-Cipher Proxy-TLS-Peer-CN")
	So(err, ShouldBeNil)
	h, _, err := readProxyHeader([]byte(header))
	So(err, ShouldBeNil)
	n := &notes{list: list}
	noteProxy(n, &h, Address{AddrPort: h.server})
	return strings.ReplaceAll(string(n.texts), "\x00", ";")
}

func TestWhatIsKeptOfAProxyHeader(t *testing.T) {
	const secure = "\x21\x00\x07TLSv1.3\x23\x00\x03AES\x22\x00\x05alice"
	const ends = "Proxy-Address;192.0.2.2;Proxy-Destination;192.0.2.2:80;"
	Convey("What a proxy says is kept", t, func() {
		So(proxied(line), ShouldEqual, ends)
		So(proxied(binaryProxy(0x21, 0x11, four+part(1, "h2")+part(2, "a\x00b")+part(0x20, "\x03\x00\x00\x00\x00"+secure))), ShouldEqual,
			ends+"Proxy-ALPN;h2;Proxy-Authority;a\\00b;Proxy-TLS-Version;TLSv1.3;Proxy-TLS-Cipher;AES;Proxy-TLS-Peer-CN;alice;")
	})
	Convey("The name of a client whose certificate the proxy has not verified is not", t, func() {
		tls := ends + "Proxy-TLS-Version;TLSv1.3;Proxy-TLS-Cipher;AES;"
		So(proxied(binaryProxy(0x21, 0x11, four+part(0x20, "\x03\x00\x00\x00\x01"+secure))), ShouldEqual, tls)
		So(proxied(binaryProxy(0x21, 0x11, four+part(0x20, "\x01\x00\x00\x00\x00"+secure))), ShouldEqual, tls)
		So(proxied(binaryProxy(0x21, 0x11, four+part(0x20, "\x00\x00\x00\x00\x00"+secure))), ShouldEqual, ends)
		So(proxied(binaryProxy(0x21, 0x11, four+part(0x20, "\x03\x00\x00\x00\x00"+secure[:len(secure)-1]))), ShouldEqual, tls)
	})
}

func FuzzProxyHeader(f *testing.F) {
	for _, seed := range []string{line, "PROXY UNKNOWN\r\n", binaryProxy(0x21, 0x11, four), binaryProxy(0x21, 0x21, six), summed(part(2, "a")),
		binaryProxy(0x20, 0, ""), binaryProxy(0x21, 0x11, four+part(0x20, "\x03\x00\x00\x00\x00\x21\x00\x01x"))} {
		f.Add([]byte(seed + "behind"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, size, err := readProxyHeader(data)
		switch {
		case err != nil:
			if size != 0 {
				t.Fatalf("%q: %d bytes and %v", data, size, err)
			}
		case size > len(data) || size > proxyHeaderMost:
			t.Fatalf("%q: %d bytes", data, size)
		}
		for n := range data[:min(len(data), proxyHeaderMost+1)] { // in pieces it is the same
			_, partly, early := readProxyHeader(data[:n])
			if early != nil && err == nil || partly != 0 && partly != size {
				t.Fatalf("%q: %d bytes and %v, but of %d: %d and %v", data, size, err, n, partly, early)
			}
		}
		if size == 0 {
			return
		}
		list, _ := ParseProperties("Proxy-Address Proxy-Destination Proxy-ALPN Proxy-Authority Proxy-TLS-Version Proxy-TLS-Cipher Proxy-TLS-Peer-CN")
		n := &notes{list: list}
		noteProxy(n, &h, Address{})
		if bytes.Count(n.texts, []byte{0})%2 != 0 {
			t.Fatalf("%q", n.texts)
		}
	})
}

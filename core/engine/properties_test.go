// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/shm"
)

func TestPropertyNames(t *testing.T) {
	Convey("A list of properties takes the names that there are, and fields of HTTP in any case", t, func() {
		list, err := ParseProperties("TLS-SNI, WS-Path\tws-header:Cookie WS-Header:X-Forwarded-For")
		So(err, ShouldBeNil)
		So(list.fixed, ShouldEqual, 1<<tlsSNI|1<<webPath)
		So(list.headers, ShouldResemble, []string{"Cookie", "X-Forwarded-For"})
		So((&notes{list: list}).wantsSome(tlsVersion, tlsSHA256), ShouldBeTrue)
		So((&notes{list: list}).wantsSome(tlsALPN, tlsSHA256), ShouldBeFalse)
	})
	Convey("An empty one keeps nothing", t, func() {
		list, err := ParseProperties(" , ")
		So(err, ShouldBeNil)
		So(list, ShouldBeNil)
		So(list.Within(5), ShouldBeNil)
	})
	Convey("A wrong name is named", t, func() {
		for _, wrong := range []string{"TLS", "ws-path", "WS-Header:", "WS-Header:a b:c", "WS-Header:a;b"} {
			_, err := ParseProperties("WS-Path " + wrong)
			So(err, ShouldNotBeNil)
		}
		_, err := ParseProperties(strings.Repeat("WS-Header:a ", headersMost+1))
		So(err.Error(), ShouldContainSubstring, "more than 32")
		for _, name := range propertyNames {
			_, err := ParseProperties(name)
			So(err, ShouldBeNil)
		}
	})
}

// kept returns what a request leaves on a card, or the refusal.
func kept(list *Properties, request string) (string, *refusal) {
	n := &notes{list: list}
	lines := strings.ReplaceAll(request, "\n", "\r\n")
	first, fields, _ := strings.Cut(lines, "\r\n")
	req, err := readRequestLine(first)
	So(err, ShouldBeNil)
	h, err := parseHead([]byte(first+"\r\n"+fields), false)
	So(err, ShouldBeNil)
	refused, _ := noteRequest(n, &h, req, "").(*refusal)
	return string(n.texts), refused
}

func TestWhatIsKeptOfARequest(t *testing.T) {
	list, err := ParseProperties("WS-Path WS-Query WS-Origin WS-Header:cookie WS-Header:X-A WS-Header:None")
	if err != nil {
		t.Fatal(err)
	}
	Convey("Several lines of a field are one list, and those of Cookie one value", t, func() {
		texts, _ := kept(list, "GET /a%20b?c=?&d HTTP/1.1\nCookie: a=1\nx-a: 1\nCOOKIE: b=2\nX-A: 2, 3\nOrigin: https://a\n")
		So(strings.Split(texts, "\x00"), ShouldResemble, []string{"WS-Path", "/a%20b", "WS-Query", "c=?&d",
			"WS-Origin", "https://a", "WS-Header:cookie", "a=1; b=2", "WS-Header:X-A", "1, 2, 3", ""})
		value, has := shm.Property([]byte(texts), "WS-Header:Cookie")
		So(has, ShouldBeTrue)
		So(value, ShouldEqual, "a=1; b=2")
		_, has = shm.Property([]byte(texts), "WS-Header:None")
		So(has, ShouldBeFalse)
	})
	Convey("A query may be empty, and may be missing", t, func() {
		texts, _ := kept(list, "GET /? HTTP/1.1\n")
		So(texts, ShouldEqual, "WS-Path\x00/\x00WS-Query\x00\x00")
		texts, _ = kept(list, "GET ws://a.example HTTP/1.1\n")
		So(texts, ShouldEqual, "WS-Path\x00/\x00")
	})
	Convey("A request with more than may be kept is refused", t, func() {
		_, refused := kept(list.Within(64), "GET / HTTP/1.1\nCookie: "+strings.Repeat("x", 36)+"\n")
		So(refused, ShouldBeNil)
		_, refused = kept(list.Within(64), "GET / HTTP/1.1\nCookie: "+strings.Repeat("x", 37)+"\n")
		So(refused.status, ShouldEqual, statusRequestHeaderFieldsTooLarge)
	})
}

func TestNamesOfACertificate(t *testing.T) {
	Convey("A name of a certificate cannot look like two, and cannot end a text", t, func() {
		here, _ := url.Parse("spiffe://a/b")
		So(alternativeNames(&x509.Certificate{DNSNames: []string{"a.example, DNS:admin", "b\x00.evil"},
			IPAddresses:    []net.IP{net.IPv4(192, 0, 2, 1)},
			EmailAddresses: []string{`x\2C@y`}, URIs: []*url.URL{here}}), ShouldEqual,
			`DNS:a.example\2C DNS:admin, DNS:b\00.evil, IP:192.0.2.1, email:x\5C2C@y, URI:spiffe://a/b`)
		So(visible("a\x00b\nc\td"), ShouldEqual, `a\00b\0Ac`+"\td")
	})
}

func FuzzProperties(f *testing.F) {
	f.Add("GET /a?b HTTP/1.1", "Cookie: c\r\nOrigin: d\r\n", "e\x00f,\\")
	f.Add("GET / HTTP/1.1", "\r\n", "") // no head has an empty line
	f.Fuzz(func(t *testing.T, first, fields, name string) {
		list, _ := ParseProperties("TLS-Peer-SAN WS-Path WS-Query WS-Origin WS-Header:Cookie")
		n := &notes{list: list.Within(1000)}
		req, err := readRequestLine(first)
		h, err2 := parseHead([]byte(first+"\r\n"+fields), false)
		if err == nil && err2 == nil {
			_ = noteRequest(n, &h, req, "")
		}
		san := alternativeNames(&x509.Certificate{DNSNames: []string{name, "last"}})
		n.note(tlsSAN, san)
		if strings.Count(san, ", ") != 1 {
			t.Fatalf("%q has another number of names", san)
		}
		if got, has := shm.Property(n.texts, "TLS-Peer-SAN"); !has || got != visible(san) {
			t.Fatalf("kept %q, not %q, in %q", got, san, n.texts)
		}
	})
}

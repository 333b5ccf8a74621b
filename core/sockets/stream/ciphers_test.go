// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// offered is what a client with a configuration says first.
func offered(t *testing.T, config *tls.Config) *tls.ClientHelloInfo {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	config.InsecureSkipVerify = true
	go func() {
		_ = tls.Client(near, config).Handshake()
		_ = near.Close()
	}()
	var hello *tls.ClientHelloInfo
	_ = tls.Server(far, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		hello = info
		return nil, errors.New("that is all")
	}}).Handshake()
	if hello == nil {
		t.Fatal("no ClientHello")
	}
	return hello
}

// suitesOf sorts suites into those of TLS 1.3 and those of TLS 1.2, by number: their order
// depends on what the processor is fast with.
func suitesOf(ids []uint16) (new, old []string) {
	slices.Sort(ids)
	for _, suite := range everyCipher() {
		_, found := slices.BinarySearch(ids, suite.ID)
		switch {
		case !found:
		case slices.Contains(suite.SupportedVersions, tls.VersionTLS13):
			new = append(new, suite.Name)
		default:
			old = append(old, opensslName(suite.Name))
		}
	}
	return new, old
}

func texts[T any](list []T, text func(T) string) (all []string) {
	for _, v := range list {
		all = append(all, text(v))
	}
	return all
}

// spoken is the table of doc/transports.md.
func spoken(t *testing.T) string {
	hello := offered(t, baseTLS())
	new, old := suitesOf(hello.CipherSuites)
	more := texts(everyCipher(), func(s *tls.CipherSuite) string { return opensslName(s.Name) })
	more = slices.DeleteFunc(more, func(name string) bool {
		return slices.Contains(old, name) || strings.HasPrefix(name, "TLS_")
	})
	var b strings.Builder
	row := func(what string, list []string) { fmt.Fprintf(&b, "| %s | %s |\n", what, strings.Join(list, ", ")) }
	row("versions", texts(hello.SupportedVersions, tls.VersionName))
	row("suites of TLS 1.3", new)
	row("suites of TLS 1.2", old)
	row("suites of TLS 1.2 that TLS_CIPHERS can name as well", more)
	row("groups", texts(hello.SupportedCurves, tls.CurveID.String))
	row("signatures", texts(hello.SignatureSchemes, tls.SignatureScheme.String))
	return b.String()
}

func TestWhatTLSSpeaks(t *testing.T) {
	Convey("doc/transports.md has what crypto/tls offers", t, func() {
		page, err := os.ReadFile("../../../doc/transports.md")
		So(err, ShouldBeNil)
		So(string(page), ShouldContainSubstring, spoken(t))
	})
	Convey("By default there is no suite without fresh keys, and none with CBC", t, func() {
		_, old := suitesOf(offered(t, baseTLS()).CipherSuites)
		So(len(old), ShouldEqual, len(defaultCiphers))
		for _, name := range old {
			So(name, ShouldStartWith, "ECDHE-")
			So(strings.Contains(name, "GCM") || strings.Contains(name, "CHACHA20"), ShouldBeTrue)
		}
	})
}

func TestNamesOfCiphers(t *testing.T) {
	Convey("Suites have the names of RFCs and of OpenSSL", t, func() {
		for name, id := range map[string]uint16{
			"TLS_RSA_WITH_AES_128_CBC_SHA":  tls.TLS_RSA_WITH_AES_128_CBC_SHA,
			"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
			"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			"DES-CBC3-SHA":                  tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
			"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
			"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		} {
			ids, err := ciphersNamed(name)
			So(err, ShouldBeNil)
			So(ids, ShouldResemble, []uint16{id})
		}
	})
	Convey("A list may have several, and what is there by default", t, func() {
		ids, err := ciphersNamed("DEFAULT:AES128-SHA, AES256-SHA")
		So(err, ShouldBeNil)
		So(ids, ShouldResemble, append(slices.Clone(defaultCiphers), tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA))
		for _, empty := range []string{"", " : "} {
			ids, err = ciphersNamed(empty)
			So(err, ShouldBeNil)
			So(ids, ShouldResemble, defaultCiphers)
		}
	})
	Convey("An unknown one, and one of TLS 1.3, are refused where the option counts", t, func() {
		k := newSocket(t, newContext(t))
		newIdentity(t, "one").use(t, k)
		for _, name := range []string{"DHE-RSA-AES128-SHA", "RC4-SHA", "TLS_AES_128_GCM_SHA256", "AES128-SHA:x"} {
			must(t, k.Set(WithTLSCiphers(name)), "set")
			for _, err := range []error{k.Bind("tls://127.0.0.1:*"), k.Connect("wss://127.0.0.1:1")} {
				So(err, shouldBeErrno, errno.EINVAL)
				So(errno.Detail(err), ShouldStartWith, "cannot use TLS_CIPHERS")
			}
		}
	})
}

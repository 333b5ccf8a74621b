// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/sockets"
)

// longNamed returns a certificate together with its authority, whose name has the given
// size. The authority's key has not signed it, and the error about that contains the name.
func longNamed(t testing.TB, size int) tls.Certificate {
	var keys [2]*ecdsa.PrivateKey
	var ders [2][]byte
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: strings.Repeat("ü", size/2)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for i, template := range []*x509.Certificate{leaf, authority} {
		var err error
		keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err, "make a key")
		ders[i], err = x509.CreateCertificate(rand.Reader, template, authority, &keys[i].PublicKey, keys[i])
		must(t, err, "make a certificate")
	}
	return tls.Certificate{Certificate: ders[:], PrivateKey: keys[0]}
}

// refusedFor waits for the event of a handshake that failed.
func refusedFor(t testing.TB, m *sockets.Monitor) engine.Event {
	for {
		e, err := m.Recv(false)
		must(t, err, "the monitor")
		if e.Kind&(engine.EventHandshakeAuth|engine.EventHandshakeProtocol|engine.EventHandshakeFailed) != 0 {
			return e
		}
	}
}

func TestDetailsAreShort(t *testing.T) {
	Convey("What a stranger can make a monitor keep of a handshake is short", t, func() {
		Convey("of a client's certificate", func() {
			k, m := watched(t, "tls://127.0.0.1:*", WithTLSClientCert(true), textSetting(sockets.OptTLSCA, newIdentity(t, "ca").cert))
			cert := longNamed(t, 40_000)
			conn := tls.Client(plain(t, lastEndpoint(t, k)), &tls.Config{InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }})
			_ = conn.Handshake()
			e := refusedFor(t, m)
			So(e.Kind, ShouldEqual, engine.EventHandshakeAuth)
			So(e.Detail, ShouldContainSubstring, "authority")
			So(e.Detail, ShouldEndWith, "...")
			So(utf8.ValidString(e.Detail), ShouldBeTrue)
			So(len(e.Detail), ShouldBeBetweenOrEqual, sockets.DetailMax-4, sockets.DetailMax)
		})
		Convey("of a server's answer", func() {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err, "listen")
			defer func() { _ = l.Close() }()
			go func() {
				c, err := l.Accept()
				if err == nil {
					_, _ = c.Write([]byte("HTTP/1.1 404 " + strings.Repeat("n", 10_000) + "\r\n\r\n"))
					_, _ = c.Read(make([]byte, 4096))
				}
			}()
			k := newSocket(t, newContext(t))
			m, err := k.Monitor(^engine.EventKind(0))
			must(t, err, "Monitor")
			defer func() { _ = m.Close() }()
			must(t, k.Connect("ws://"+l.Addr().String()), "Connect")
			e := refusedFor(t, m)
			So(e.Detail, ShouldContainSubstring, "404 nnn")
			So(len(e.Detail), ShouldEqual, sockets.DetailMax)
		})
	})
}

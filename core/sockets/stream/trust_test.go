// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/x509"
	"os"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/sockets"
)

func TestWhomAServerTrusts(t *testing.T) {
	identity := newIdentity(t, "one")
	text, err := os.ReadFile(identity.cert)
	must(t, err, "read %s", identity.cert)
	system, err := x509.SystemCertPool()
	must(t, err, "read the system's authorities")
	own, both := x509.NewCertPool(), system.Clone()
	own.AppendCertsFromPEM(text)
	both.AppendCertsFromPEM(text)

	needed := WithTLSClientCert(true)
	ca, trust, distrust := textSetting(sockets.OptTLSCA, identity.cert), boolSetting(sockets.OptTLSTrustSystem, true), boolSetting(sockets.OptTLSTrustSystem, false)
	for _, r := range []struct {
		what     string
		settings []Setting
		want     *x509.CertPool // nil: the system's
	}{
		{"TLS_CA", []Setting{ca}, own},
		{"TLS_CA that is needed", []Setting{ca, needed}, own},
		{"TLS_CA and TLS_TRUST_SYSTEM 1", []Setting{trust, ca}, both},
		{"TLS_CA and TLS_TRUST_SYSTEM 0", []Setting{ca, distrust}, own},
		{"no TLS_CA, but the need", []Setting{needed}, nil},
		{"no TLS_CA, TLS_TRUST_SYSTEM 0", []Setting{needed, distrust}, x509.NewCertPool()},
	} {
		Convey("A server with "+r.what, t, func() {
			k := newSocket(t, newContext(t))
			must(t, k.Set(append(r.settings, WithTLSKeyPair(identity.cert, identity.key))...), "set")
			transport := &engine.Transport{}
			So(k.opt.serveTLS(transport), ShouldBeNil)
			config := transport.TLS()
			if r.want == nil {
				So(config.ClientCAs, ShouldBeNil)
			} else {
				So(config.ClientCAs.Equal(r.want), ShouldBeTrue)
			}
		})
	}
	Convey("The option is 1 until it is set, and a client goes by that", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(ca), "set")
		So(k.opt.int(sockets.OptTLSTrustSystem), ShouldEqual, 1)
		ep, err := endpoint.Parse("tls://127.0.0.1:1")
		So(err, ShouldBeNil)
		config, err := k.opt.clientTLS(ep)
		So(err, ShouldBeNil)
		So(config.RootCAs.Equal(both), ShouldBeTrue)
	})
}

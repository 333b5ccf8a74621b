// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/certs"
	"github.com/zlink/zlink/core/sockets"
)

func TestReloadFromASlowDisk(t *testing.T) {
	Convey("While a certificate is read, connections come and go", t, func() {
		k := newSocket(t, newContext(t))
		identity := newIdentity(t, "one")
		identity.use(t, k)
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		endpoint := bind(t, k)
		reads, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
		readCertificate = func(path string) (tls.Certificate, error) {
			close(reads)
			<-goOn
			return certs.Certificate(path)
		}
		defer func() { readCertificate = certs.Certificate }()
		go func() { done <- k.SetOption(sockets.OptTLSCert, []byte(identity.cert)) }()
		<-reads
		for range 3 {
			within(t, patience, "a peer is served", func() {
				p := dial(t, endpoint)
				id := want(t, k, connected)
				mustSend(t, k, id, "hello")
				p.want("hello")
				must(t, p.Close(), "close")
				want(t, k, disconnected)
			})
		}
		close(goOn)
		So(<-done, ShouldBeNil)
	})
}

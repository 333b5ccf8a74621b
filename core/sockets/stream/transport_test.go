// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// everyTransport has an endpoint to bind of each.
var everyTransport = []string{"tcp://127.0.0.1:*", "ipc://*", "ipc://@",
	"ws://127.0.0.1:*/some/path", "tls://127.0.0.1:*", "wss://127.0.0.1:*"}

// addedTransports are those that tests have registered: only sockets speak them.
var addedTransports []string

// identity is a certificate for 127.0.0.1 and its key, in files; it is its own
// authority.
type identity struct{ cert, key string }

func newIdentity(t testing.TB, name string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err, "make a key")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err, "make a certificate")
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err, "marshal a key")
	folder := t.TempDir()
	id := identity{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	writePEM(t, id.cert, "CERTIFICATE", der)
	writePEM(t, id.key, "PRIVATE KEY", keyDER)
	return id
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600), "write %s", file)
}

// use makes the identity a socket's own, and trusted.
func (id identity) use(t testing.TB, sockets ...*Socket) {
	t.Helper()
	for _, k := range sockets {
		must(t, k.Set(WithTLSKeyPair(id.cert, id.key), WithTLSAuthorities(id.cert, false)), "set the TLS files")
	}
}

// fresh gives "ipc://@" a name that nobody has.
func fresh(endpoint string) string {
	if endpoint != "ipc://@" {
		return endpoint
	}
	return fmt.Sprintf("ipc://@zlink-test-%d-%d", os.Getpid(), names.Add(1))
}

var names atomic.Int32

// pairOver is pair for an endpoint.
func pairOver(t testing.TB, ctx *core.Context, endpoint string) (server, client *Socket, toClient, toServer string) {
	t.Helper()
	server, client = newSocket(t, ctx), newSocket(t, ctx)
	newIdentity(t, "one").use(t, server, client)
	unbounded(t, server) // cases queue more than the system takes
	must(t, server.Bind(fresh(endpoint)), "Bind %s", endpoint)
	must(t, client.Connect(lastEndpoint(t, server)), "Connect %s", lastEndpoint(t, server))
	return server, client, want(t, server, connected), want(t, client, connected)
}

func TestExchangeOverEveryTransport(t *testing.T) {
	for _, endpoint := range slices.Concat(everyTransport, addedTransports) {
		Convey("Two sockets over "+endpoint, t, func() {
			server, client, toClient, toServer := pairOver(t, newContext(t), endpoint)
			transport, _, _ := strings.Cut(endpoint, "://")

			Convey("exchange messages of every size both ways, in order", func() {
				exchangeEverySize(t, server, client, toClient, toServer)
			})
			Convey("send far more than the system takes before anybody reads", func() {
				count, size := fewer(3000), 10_000 // more than the system takes
				if raceBuild {
					size = 25_000
				}
				for i := range count {
					mustSend(t, server, toClient, pattern(size, i))
				}
				for i := range count {
					want(t, client, pattern(size, i))
				}
			})
			Convey("know each other's endpoints", func() {
				peers, err := server.Peers(-1)
				So(err, ShouldBeNil)
				So(len(peers), ShouldEqual, 1)
				So(peers[0].Remote, ShouldStartWith, transport+"://")
			})
			Convey("hear of the end, after what was sent before", func() {
				for i := range 100 {
					mustSend(t, client, toServer, pattern(5000, i))
				}
				So(client.Close(), ShouldBeNil)
				for i := range 100 {
					want(t, server, pattern(5000, i))
				}
				So(want(t, server, disconnected), ShouldEqual, toClient)
				So(send(server, toClient, "gone"), shouldBeErrno, errno.EHOSTUNREACH)
			})
			Convey("hear of the end when the server closes the peer", func() {
				for i := range 100 {
					mustSend(t, server, toClient, pattern(5000, i))
				}
				mustSend(t, server, toClient, disconnected)
				for i := range 100 {
					want(t, client, pattern(5000, i))
				}
				So(want(t, client, disconnected), ShouldEqual, toServer)
				So(want(t, server, disconnected), ShouldEqual, toClient)
			})
			Convey("end a connection above MAXMSGSIZE", func() {
				strict := newSocket(t, server.ctx)
				newIdentity(t, "two").use(t, strict)
				setInt64(t, strict, sockets.OptMaxMsgSize, 100)
				must(t, strict.Bind(fresh(endpoint)), "Bind")
				k := newSocket(t, server.ctx)
				must(t, k.Set(WithTLSVerify(false, ""), WithReconnect(-1, 0)), "set")
				must(t, k.Connect(lastEndpoint(t, strict)), "Connect")
				toClient, toServer := want(t, strict, connected), want(t, k, connected)
				mustSend(t, k, toServer, pattern(100, 1))
				mustSend(t, k, toServer, pattern(101, 2))
				want(t, strict, pattern(100, 1))
				So(want(t, strict, disconnected), ShouldEqual, toClient)
				So(want(t, k, disconnected), ShouldEqual, toServer)
			})
		})
	}
}

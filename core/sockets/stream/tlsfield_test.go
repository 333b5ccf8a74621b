// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/crypto/ocsp"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

func init() { renewEvery = 20 * time.Millisecond }

// shows connects and returns what the handshake has agreed on.
func shows(t testing.TB, k *Socket, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	config.InsecureSkipVerify = true
	c, err := tls.Dial("tcp", address(lastEndpoint(t, k)), config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.ConnectionState(), nil
}

// nameShown is the common name of the certificate that a client sees.
func nameShown(t testing.TB, k *Socket, asks string) string {
	t.Helper()
	state, err := shows(t, k, &tls.Config{ServerName: asks})
	must(t, err, "handshake")
	return state.PeerCertificates[0].Subject.CommonName
}

// replace puts files in the places of an identity's.
func (id identity) replace(t testing.TB, by identity) {
	t.Helper()
	must(t, os.Rename(by.cert, id.cert), "rename")
	must(t, os.Rename(by.key, id.key), "rename")
}

func TestSeveralCertificates(t *testing.T) {
	Convey("A listener shows the certificate with the name that a client asks for", t, func() {
		k := newSocket(t, newContext(t))
		first, a, b := newIdentity(t, "first.example"), newIdentity(t, "a.example"), newIdentity(t, "*.b.example")
		must(t, k.Set(WithTLSKeyPair(first.cert, first.key), WithTLSCerts(a.cert+":"+a.key+", "+b.cert+":"+b.key)), "settings")
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		So(nameShown(t, k, "a.example"), ShouldEqual, "a.example")
		So(nameShown(t, k, "x.b.example"), ShouldEqual, "*.b.example")
		So(nameShown(t, k, "first.example"), ShouldEqual, "first.example")
		So(nameShown(t, k, ""), ShouldEqual, "first.example")
		So(nameShown(t, k, "unknown"), ShouldEqual, "first.example")

		So(k.Set(WithTLSCerts(a.cert+":"+b.key)), shouldBeErrno, errno.EINVAL)
		So(nameShown(t, k, "x.b.example"), ShouldEqual, "*.b.example")
		must(t, k.Set(WithTLSCerts(a.cert+":"+a.key)), "fewer")
		So(nameShown(t, k, "x.b.example"), ShouldEqual, "first.example")
	})
	Convey("A file that cannot be used is an error of the bind", t, func() {
		k := newSocket(t, newContext(t))
		a, b := newIdentity(t, "a"), newIdentity(t, "b")
		for _, s := range []Setting{WithTLSCerts(a.cert + ":" + b.key), WithTLSCerts(a.cert), WithTLSOCSP(a.cert + "x"),
			WithTLSTicketKeys(a.cert), WithTLSTicketKeys(a.cert + "x")} {
			must(t, k.Set(WithTLSKeyPair(a.cert, a.key), WithTLSCerts(""), WithTLSOCSP(""), WithTLSTicketKeys(""), s), "settings")
			err := k.Bind("tls://127.0.0.1:*")
			So(err, shouldBeErrno, errno.EINVAL)
			So(errno.Detail(err), ShouldContainSubstring, "STREAM_TLS_")
			So(errno.Detail(err), ShouldContainSubstring, a.cert)
		}
	})
}

func TestFilesOfTLSAreWatched(t *testing.T) {
	Convey("A listener reads changed files again by itself", t, func() {
		k := newSocket(t, newContext(t))
		own, named := newIdentity(t, "one"), newIdentity(t, "named")
		folder := t.TempDir()
		must(t, k.Set(WithTLSKeyPair(own.cert, own.key), WithTLSCerts(folder)), "settings")
		m, err := k.Monitor(engine.EventAcceptFailed)
		must(t, err, "Monitor")
		defer m.Close()
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		So(nameShown(t, k, "named"), ShouldEqual, "one")

		own.replace(t, newIdentity(t, "two"))
		eventually(t, "the new certificate is shown", func() bool { return nameShown(t, k, "") == "two" })
		must(t, os.Rename(named.cert, filepath.Join(folder, "named.pem")), "rename")
		must(t, os.Rename(named.key, filepath.Join(folder, "named.key")), "rename")
		eventually(t, "the new file in the folder counts", func() bool { return nameShown(t, k, "named") == "named" })

		must(t, os.WriteFile(own.key, []byte("half"), 0o600), "write")
		eventually(t, "monitors hear of a file that cannot be used", func() bool {
			So(nameShown(t, k, ""), ShouldEqual, "two")
			e, err := m.Recv(true)
			return err == nil && e.Value == uint64(errno.EINVAL) && strings.Contains(e.Detail, own.key) &&
				e.Local == lastEndpoint(t, k)
		})
		own.replace(t, newIdentity(t, "three"))
		eventually(t, "it is read once it can be", func() bool { return nameShown(t, k, "") == "three" })
	})
	Convey("So it does with its authorities", t, func() {
		k := newSocket(t, newContext(t))
		own, trusted, other := newIdentity(t, "one"), newIdentity(t, "client"), newIdentity(t, "other")
		pair, err := tls.LoadX509KeyPair(trusted.cert, trusted.key)
		must(t, err, "load")
		must(t, k.Set(WithTLSKeyPair(own.cert, own.key), WithTLSAuthorities(trusted.cert, false), WithTLSClientCert(true)), "settings")
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		taken := func() bool { // a client of TLS 1.2 hears of it in its handshake
			_, err := shows(t, k, &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
			return err == nil
		}
		So(taken(), ShouldBeTrue)
		must(t, os.Rename(other.cert, trusted.cert), "rename")
		eventually(t, "the client is not trusted any more", func() bool { return !taken() })
	})
	Convey("What the options named last is watched", t, func() {
		k := newSocket(t, newContext(t))
		old, own := newIdentity(t, "old"), newIdentity(t, "one")
		must(t, k.Set(WithTLSKeyPair(old.cert, old.key)), "settings")
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		must(t, k.Set(WithTLSKeyPair(own.cert, own.key)), "others")
		So(nameShown(t, k, ""), ShouldEqual, "one")
		own.replace(t, newIdentity(t, "two"))
		old.replace(t, newIdentity(t, "never"))
		eventually(t, "the new certificate is shown", func() bool { return nameShown(t, k, "") == "two" })
	})
}

func TestStapled(t *testing.T) {
	Convey("An answer of OCSP is stapled, and a newer file counts by itself", t, func() {
		k := newSocket(t, newContext(t))
		own := newIdentity(t, "one")
		pair, err := tls.LoadX509KeyPair(own.cert, own.key)
		must(t, err, "load")
		file := filepath.Join(t.TempDir(), "answer")
		write := func(serial *big.Int, hours int) []byte {
			from := time.Now().Add(-time.Hour)
			der, err := ocsp.CreateResponse(pair.Leaf, pair.Leaf, ocsp.Response{Status: ocsp.Good, SerialNumber: serial, ThisUpdate: from,
				NextUpdate: from.Add(time.Duration(hours) * time.Hour)}, pair.PrivateKey.(crypto.Signer))
			must(t, err, "answer")
			must(t, os.WriteFile(file, der, 0o600), "write")
			return der
		}
		stapled := func() []byte {
			state, err := shows(t, k, &tls.Config{})
			must(t, err, "handshake")
			return state.OCSPResponse
		}
		answer := write(pair.Leaf.SerialNumber, 9)
		must(t, k.Set(WithTLSKeyPair(own.cert, own.key), WithTLSOCSP(file)), "settings")
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		So(stapled(), ShouldResemble, answer)
		newer := write(pair.Leaf.SerialNumber, 10)
		eventually(t, "the newer answer is stapled", func() bool { return bytes.Equal(stapled(), newer) })
		m, err := k.Monitor(engine.EventAcceptFailed)
		must(t, err, "Monitor")
		defer m.Close()
		must(t, os.WriteFile(file, newer[:40], 0o600), "write")
		eventually(t, "monitors hear of a file that is no answer", func() bool {
			So(stapled(), ShouldResemble, newer) // the one from before stays
			e, err := m.Recv(true)
			return err == nil && strings.Contains(e.Detail, "there is no answer of OCSP in it")
		})
		write(big.NewInt(1), 9)
		So(k.Set(WithTLSOCSP(file)), shouldBeErrno, errno.EINVAL)
		eventually(t, "a wrong answer is left out", func() bool { return stapled() == nil })
		must(t, k.Set(WithTLSOCSP("")), "none")
		So(stapled(), ShouldBeNil)
	})
}

func TestProtocolsOfTLS(t *testing.T) {
	Convey("Both sides offer protocols, and one that both have is chosen, in the server's order", t, func() {
		ctx := newContext(t)
		server, client := newSocket(t, ctx), newSocket(t, ctx)
		newIdentity(t, "one").use(t, server, client)
		kept := WithProperties("TLS-ALPN")
		must(t, server.Set(kept, WithMode(ModeFast), WithTLSALPN("chat/2, chat/1")), "server")
		must(t, client.Set(kept, WithMode(ModeFast), WithTLSVerify(false, ""), WithTLSALPN("chat/1 chat/2 other")), "client")
		must(t, server.Bind("tls://127.0.0.1:*"), "Bind")
		must(t, client.Connect(lastEndpoint(t, server)), "Connect")
		for _, k := range []*Socket{server, client} {
			up := recvKind(t, k, Connected)
			chosen, _ := up.Property("TLS-ALPN")
			So(chosen, ShouldEqual, "chat/2")
		}
		state, err := shows(t, server, &tls.Config{}) // who offers none is served
		So(err, ShouldBeNil)
		So(state.NegotiatedProtocol, ShouldEqual, "")
		_, err = shows(t, server, &tls.Config{NextProtos: []string{"http/1.1"}})
		So(err, ShouldNotBeNil)
		So(err.Error(), ShouldContainSubstring, "no application protocol")
	})
	Convey("A name may have 255 bytes", t, func() {
		k := newSocket(t, newContext(t))
		So(k.Set(WithTLSALPN("a, "+strings.Repeat("x", 255))), ShouldBeNil)
		So(k.Set(WithTLSALPN("a, "+strings.Repeat("x", 256))), shouldBeErrno, errno.EINVAL)
	})
}

func TestMinVersionOfTLS(t *testing.T) {
	Convey("With STREAM_TLS_MIN_VERSION 13 neither side speaks TLS 1.2", t, func() {
		k := newSocket(t, newContext(t))
		newIdentity(t, "one").use(t, k)
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		state, err := shows(t, k, &tls.Config{MaxVersion: tls.VersionTLS12})
		So(err, ShouldBeNil)
		So(state.Version, ShouldEqual, tls.VersionTLS12)
		must(t, k.Set(WithTLSMinVersion(TLS13)), "settings")
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		_, err = shows(t, k, &tls.Config{MaxVersion: tls.VersionTLS12})
		So(err, ShouldNotBeNil)
		state, err = shows(t, k, &tls.Config{})
		So(err, ShouldBeNil)
		So(state.Version, ShouldEqual, tls.VersionTLS13)
		ep, _ := endpoint.Parse("tls://127.0.0.1:1")
		config, err := k.opt.clientTLS(ep)
		So(err, ShouldBeNil)
		So(config.MinVersion, ShouldEqual, tls.VersionTLS13)
	})
}

// ticketBook keeps the last ticket of a client, or one that it was given.
type ticketBook struct{ ticket, shown *tls.ClientSessionState }

func (b *ticketBook) Get(string) (*tls.ClientSessionState, bool) { return b.shown, b.shown != nil }

func (b *ticketBook) Put(_ string, ticket *tls.ClientSessionState) {
	if ticket != nil {
		b.ticket = ticket
	}
}

// visit makes a connection with a ticket, which may be nil, and returns a new one, and whether
// the session was resumed. The server knows the client each time.
func visit(t testing.TB, k *Socket, client identity, version uint16, ticket *tls.ClientSessionState) (fresh *tls.ClientSessionState, resumed bool) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(client.cert, client.key)
	must(t, err, "load")
	book := &ticketBook{shown: ticket}
	c, err := tls.Dial("tcp", address(lastEndpoint(t, k)), &tls.Config{InsecureSkipVerify: true, MaxVersion: version, ServerName: "one",
		ClientSessionCache: book, Certificates: []tls.Certificate{pair}, NextProtos: []string{"chat"}})
	must(t, err, "Dial")
	up := recvKind(t, k, Connected)
	for name, want := range map[string]string{"TLS-SNI": "one", "TLS-ALPN": "chat", "TLS-Peer-Subject": "CN=client"} {
		got, _ := up.Property(name)
		So(got, ShouldEqual, want)
	}
	p := peer{c, t}
	must(t, k.Send(t.Context(), up.Peer, []byte(pattern(50_000, 1))), "send")
	p.want(pattern(50_000, 1)) // a ticket comes in front of that
	p.send("hello")
	So(string(recvKind(t, k, Data).Body), ShouldEqual, "hello")
	_ = c.Close()
	recvKind(t, k, Disconnected)
	return book.ticket, c.ConnectionState().DidResume
}

func TestTicketsOfSeveralProcesses(t *testing.T) {
	server, client := newIdentity(t, "one"), newIdentity(t, "client")
	file := filepath.Join(t.TempDir(), "keys")
	key := func() string {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		return base64.StdEncoding.EncodeToString(b) + "\n"
	}
	write := func(file string, keys ...string) string {
		must(t, os.WriteFile(file+".new", []byte(strings.Join(keys, "")), 0o600), "write")
		must(t, os.Rename(file+".new", file), "rename")
		return file
	}
	serve := func(file string) *Socket { // as another process would
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithMode(ModeFast), WithTLSKeyPair(server.cert, server.key), WithTLSAuthorities(client.cert, false),
			WithTLSClientCert(true), WithTLSALPN("chat"), WithProperties("TLS-SNI TLS-ALPN TLS-Peer-Subject"), WithTLSTicketKeys(file)), "settings")
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		return k
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		Convey("A session of "+tls.VersionName(version)+" goes on wherever the same keys are, with what is known of the client", t, func() {
			old, newest := key(), key()
			one, two := serve(write(file, old)), serve(file)
			ticket, resumed := visit(t, one, client, version, nil)
			So(resumed, ShouldBeFalse)
			_, resumed = visit(t, two, client, version, ticket)
			So(resumed, ShouldBeTrue)
			_, resumed = visit(t, serve(""), client, version, ticket)
			So(resumed, ShouldBeFalse)

			write(file, newest, old)
			three := serve(write(file+"3", newest))
			eventually(t, "new tickets have the newest key", func() bool {
				fresh, resumed := visit(t, one, client, version, ticket)
				So(resumed, ShouldBeTrue) // the older key still opens them
				if fresh == nil {         // TLS 1.2: a ticket that is good is not replaced
					fresh, _ = visit(t, one, client, version, nil)
				}
				_, resumed = visit(t, three, client, version, fresh)
				return resumed
			})
			write(file, newest)
			eventually(t, "a key that is not there any more opens nothing", func() bool {
				_, resumed := visit(t, one, client, version, ticket)
				return !resumed
			})
			write(file, "not a key")
			must(t, one.Set(WithTLSCerts("")), "another option")
			fresh, _ := visit(t, one, client, version, nil)
			_, resumed = visit(t, three, client, version, fresh)
			So(resumed, ShouldBeTrue)
		})
	}
}

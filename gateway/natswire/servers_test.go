// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	. "github.com/smartystreets/goconvey/convey"
)

// echoes reports whether a message goes to a server and comes back.
func echoes(c *Conn, u *user) bool {
	before := u.count()
	if c.Publish(Line("echo", ""), "", []byte("x")) != nil {
		return false
	}
	c.Flush()
	return until(func() bool { return u.count() > before })
}

func with(config Config, options ...nats.Option) Config {
	for _, option := range options {
		noError(option(&config.Options))
	}
	return config
}

func TestWhoConnects(t *testing.T) {
	Convey("A user and a password, or a token, in the URL or beside it; who has none is refused", t, func() {
		for _, one := range []struct {
			change func(o *server.Options)
			user   *url.Userinfo
			option nats.Option
		}{
			{func(o *server.Options) { o.Username, o.Password = "eve", "secret" }, url.UserPassword("eve", "secret"), nats.UserInfo("eve", "secret")},
			{func(o *server.Options) { o.Authorization = "secret" }, url.User("secret"), nats.Token("secret")},
		} {
			s, u := hub(t, one.change), &user{}
			_, err := Dial(u.config(s.ClientURL()))
			So(fmt.Sprint(err), ShouldContainSubstring, "Authorization Violation")
			c := dial(t, with(u.config(s.ClientURL()), one.option))
			_ = must(c.Subscribe("echo"))
			So(echoes(c, u), ShouldBeTrue)
			config := u.config(strings.Replace(s.ClientURL(), "://", "://"+one.user.String()+"@", 1))
			config.Servers = func() []string { return []string{s.ClientURL()} } // as nats.go lists them
			c = dial(t, config)
			_ = must(c.Subscribe("echo"))
			So(echoes(c, u), ShouldBeTrue)
		}
	})
	Convey("Credentials: a JWT and the signature of a seed", t, func() {
		change, file := credentials(t)
		s, u := hub(t, change), &user{}
		_, err := Dial(u.config(s.ClientURL()))
		So(err, ShouldNotBeNil)
		c := dial(t, with(u.config(s.ClientURL()), nats.UserCredentials(file)))
		_ = must(c.Subscribe("echo"))
		So(echoes(c, u), ShouldBeTrue)
	})
	Convey("What may not be published is told", t, func() {
		s, u := hub(t, func(o *server.Options) {
			o.Users = []*server.User{{Username: "eve", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"echo"}}}}}
		}), &user{}
		c := dial(t, with(u.config(s.ClientURL()), nats.UserInfo("eve", "x")))
		noError(c.Publish(Line("zl.in.a", ""), "", nil))
		c.Flush()
		So(<-u.said, ShouldEqual, `Permissions Violation for Publish to "zl.in.a"`)
	})
	Convey("What is no server of NATS is refused", t, func() {
		listener := must(net.Listen("tcp", "127.0.0.1:0"))
		defer func() { _ = listener.Close() }()
		go func() {
			for _, text := range []string{"HTTP/1.1 400 Bad Request\r\n", "INFO {}\r\n", "INFO {\r\n", `INFO {"headers":true}` + "\r\n-ERR 'no'\r\n", ""} {
				if conn, err := listener.Accept(); err == nil {
					_, _ = fmt.Fprint(conn, text)
					_ = conn.Close()
				}
			}
		}()
		for range 5 {
			_, err := Dial((&user{}).config("nats://" + listener.Addr().String()))
			So(err, ShouldNotBeNil)
		}
	})
}

// credentials make a server one of an operator, and return the file of a user.
func credentials(t *testing.T) (change func(o *server.Options), file string) {
	operator, account, person := must(nkeys.CreateOperator()), must(nkeys.CreateAccount()), must(nkeys.CreateUser())
	key := func(k nkeys.KeyPair) string { return must(k.PublicKey()) }
	claims := jwt.NewAccountClaims(key(account))
	accountJWT := must(claims.Encode(operator))
	userJWT := must(jwt.NewUserClaims(key(person)).Encode(account))
	file = t.TempDir() + "/user.creds"
	noError(os.WriteFile(file, must(jwt.FormatUserConfig(userJWT, must(person.Seed()))), 0o600))
	return func(o *server.Options) {
		resolver := &server.MemAccResolver{}
		noError(resolver.Store(key(account), accountJWT))
		o.TrustedKeys, o.AccountResolver = []string{key(operator)}, resolver
	}, file
}

// certificate makes one that signs itself, for 127.0.0.1, and returns its files.
func certificate(t *testing.T) (certFile, keyFile string) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), crand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der := must(x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key))
	certFile, keyFile = t.TempDir()+"/cert.pem", t.TempDir()+"/key.pem"
	noError(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	noError(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}), 0o600))
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	Convey("TLS with an authority and a certificate of the client's own", t, func() {
		cert, key := certificate(t)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(must(os.ReadFile(cert)))
		s, u := hub(t, func(o *server.Options) {
			o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(cert, key))}, ClientAuth: tls.RequireAndVerifyClientCert,
				ClientCAs: roots, MinVersion: tls.VersionTLS12}
			o.TLSTimeout = patience.Seconds()
		}), &user{}
		to := s.Addr().String()
		_, err := Dial(u.config("tls://" + to))
		So(fmt.Sprint(err), ShouldContainSubstring, "certificate")
		_, err = Dial(with(u.config("nats://"+to), nats.RootCAs(cert))) // without one of its own
		So(err, ShouldNotBeNil)
		for _, scheme := range []string{"tls://", "nats://"} {
			c := dial(t, with(u.config(scheme+to), nats.RootCAs(cert), nats.ClientCert(cert, key)))
			_ = must(c.Subscribe("echo"))
			So(echoes(c, u), ShouldBeTrue)
		}
	})
	Convey("A server without TLS is refused when TLS is wanted", t, func() {
		s, u := hub(t, nil), &user{}
		_, err := Dial(u.config("tls://" + s.Addr().String()))
		So(fmt.Sprint(err), ShouldContainSubstring, "has no TLS")
	})
	Convey("The name of a certificate is the host's, or that of a server of the list", t, func() {
		c := &Conn{c: Config{Options: nats.Options{Servers: []string{"nats://10.0.0.1", "tls://a.example:4222", "b.example"}}}}
		So([]string{c.nameOf("c.example"), c.nameOf("10.0.0.1"), c.nameOf("10.0.0.2")}, ShouldResemble, []string{"c.example", "10.0.0.1", "a.example"})
	})
}

func TestCluster(t *testing.T) {
	Convey("When its server goes away it goes on at another one, with its subscriptions", t, func() {
		hubs := []*server.Server{hub(t, nil), hub(t, nil)}
		u := &user{}
		config := u.config(hubs[0].ClientURL(), hubs[1].ClientURL())
		c := dial(t, config)
		_ = must(c.Subscribe("echo"))
		So(echoes(c, u), ShouldBeTrue)
		one, other := hubs[0], hubs[1]
		if c.URL() == other.ClientURL() {
			one, other = other, one
		}
		one.Shutdown()
		So(until(func() bool { return u.ups.Load() == 1 }), ShouldBeTrue)
		So(c.URL(), ShouldEqual, other.ClientURL())
		So(echoes(c, u), ShouldBeTrue)
		So(u.losses.Load(), ShouldEqual, 1)
	})
}

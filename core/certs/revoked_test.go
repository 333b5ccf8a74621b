// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// issuer is an authority.
type issuer struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var nextSerial int64 = 100

// sign makes a certificate; by itself when up has none.
func (up issuer) sign(name string, template x509.Certificate) issuer {
	nextSerial++
	own := issuer{t: up.t, key: newKey(up.t)}
	template.SerialNumber, template.Subject = big.NewInt(nextSerial), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.BasicConstraintsValid = true
	if up.cert == nil {
		up.key, up.cert = own.key, &template
	}
	raw := der(up.t)(x509.CreateCertificate(rand.Reader, &template, up.cert, &own.key.PublicKey, up.key))
	var err error
	if own.cert, err = x509.ParseCertificate(raw); err != nil {
		up.t.Fatal(err)
	}
	return own
}

func newAuthority(t *testing.T, name string) issuer {
	return issuer{t: t}.authority(name)
}

func (up issuer) authority(name string) issuer {
	return up.sign(name, x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign})
}

func (up issuer) leaf(name string) *x509.Certificate { return up.sign(name, x509.Certificate{}).cert }

func (up issuer) block() *pem.Block { return &pem.Block{Type: "CERTIFICATE", Bytes: up.cert.Raw} }

// list revokes certificates, in a list that began some time ago and is valid for an hour.
func (up issuer) list(age time.Duration, certs ...*x509.Certificate) *pem.Block {
	return up.listWith(age, nil, certs...)
}

func (up issuer) listWith(age time.Duration, extra []pkix.Extension, certs ...*x509.Certificate) *pem.Block {
	from := time.Now().Add(-age)
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(time.Hour), ExtraExtensions: extra}
	for _, cert := range certs {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: from})
	}
	return &pem.Block{Type: "X509 CRL", Bytes: der(up.t)(x509.CreateRevocationList(rand.Reader, template, up.cert, up.key))}
}

func TestRevocation(t *testing.T) {
	f := files{t, t.TempDir()}
	ca, other, twin := newAuthority(t, "ca"), newAuthority(t, "other"), newAuthority(t, "ca")
	middle := ca.authority("middle")
	good, bad, below := ca.leaf("good"), ca.leaf("bad"), middle.leaf("below")
	chain := func(certs ...*x509.Certificate) [][]*x509.Certificate { return [][]*x509.Certificate{certs} }
	const minute, day = time.Minute, 24 * time.Hour
	for _, r := range []struct {
		what   string
		file   []*pem.Block
		chains [][]*x509.Certificate
		why    string // "": taken
	}{
		{"a certificate that is not in the list", []*pem.Block{ca.list(minute, bad)}, chain(good, ca.cert), ""},
		{"one that is", []*pem.Block{ca.list(minute, bad)}, chain(bad, ca.cert), `revoked the certificate of "CN=bad"`},
		{"one that is in the second list", []*pem.Block{ca.list(minute), ca.list(minute, bad)}, chain(bad, ca.cert), "revoked"},
		{"one that is in an older list", []*pem.Block{ca.list(minute), ca.list(day, bad)}, chain(bad, ca.cert), "revoked"},
		{"one whose list is over", []*pem.Block{ca.list(day)}, chain(good, ca.cert), "held until"},
		{"one whose list begins later", []*pem.Block{ca.list(-minute)}, chain(good, ca.cert), "holds from"},
		{"one with an old list and one that holds", []*pem.Block{ca.list(day), ca.list(minute)}, chain(good, ca.cert), ""},
		{"one whose authority has no list, but another has", []*pem.Block{other.list(minute)}, chain(good, ca.cert), `none that "CN=ca" has signed`},
		{"a list by the name that another has signed", []*pem.Block{twin.list(minute)}, chain(good, ca.cert), "none that"},
		{"such a list beside a right one", []*pem.Block{twin.list(minute, good), ca.list(minute)}, chain(good, ca.cert), ""},
		{"one of an authority of the system's", []*pem.Block{ca.list(minute)}, chain(other.leaf("x"), other.cert), ""},
		{"one whose issuer is revoked", []*pem.Block{middle.list(minute), ca.list(minute, middle.cert)}, chain(below, middle.cert, ca.cert), `"CN=middle"`},
		{"one whose issuer is in no list's reach", []*pem.Block{middle.list(minute)}, chain(below, middle.cert, ca.cert), ""},
		{"one with two chains, one of which holds", []*pem.Block{ca.list(minute), other.list(minute, bad)},
			[][]*x509.Certificate{{bad, other.cert}, {bad, ca.cert}}, ""},
		{"one that is trusted itself", []*pem.Block{ca.list(minute, ca.cert)}, chain(ca.cert), ""},
	} {
		Convey("Lists and "+r.what, t, func() {
			a, err := ReadAuthorities(f.write("ca.pem", append(r.file, ca.block())...), false)
			So(err, ShouldBeNil)
			So(a.Revokes(), ShouldBeTrue)
			for range 2 { // the second time the signature is known
				err = a.Check(r.chains, time.Now())
				if r.why == "" {
					So(err, ShouldBeNil)
				} else {
					So(err, ShouldNotBeNil)
					So(err.Error(), ShouldContainSubstring, r.why)
				}
			}
		})
	}
	Convey("An authority that may not sign lists has none", t, func() {
		weak := issuer{t: t}.sign("weak", x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
		signing := issuer{t: t, key: weak.key, cert: &x509.Certificate{RawSubject: weak.cert.RawSubject,
			Subject: weak.cert.Subject, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}}
		a, err := ReadAuthorities(f.write("weak.pem", weak.block(), signing.list(minute)), false)
		So(err, ShouldBeNil)
		So(a.Check(chain(weak.leaf("x"), weak.cert), time.Now()).Error(), ShouldContainSubstring, "none that")
	})
	Convey("A list that means something else, or nothing, is refused", t, func() {
		part := []pkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
		for _, list := range []*pem.Block{ca.listWith(minute, part), {Type: "X509 CRL", Bytes: []byte{1, 2}}} {
			_, err := ReadAuthorities(f.write("ca.pem", ca.block(), list), false)
			So(errno.Of(err), ShouldEqual, errno.EINVAL)
			So(errno.Detail(err), ShouldContainSubstring, "a revocation list in it")
		}
	})
	Convey("Lists alone are no authorities", t, func() {
		_, err := ReadAuthorities(f.write("ca.pem", ca.list(minute)), false)
		So(errno.Detail(err), ShouldContainSubstring, "there is no certificate in it")
	})
}

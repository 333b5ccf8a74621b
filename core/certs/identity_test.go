// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/crypto/ocsp"

	"github.com/zlink/zlink/core/errno"
)

// author is an authority that certifies names and answers for them.
type author struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthor(t *testing.T, name string) *author {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a := &author{t: t, key: key}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw := der(t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	a.cert, _ = x509.ParseCertificate(raw)
	return a
}

// certify returns the blocks of a certificate with its chain, and of its key.
func (a *author) certify(serial int64, key crypto.Signer, names ...string) (chain []*pem.Block, private *pem.Block) {
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "common.test"}, DNSNames: names,
		NotAfter: time.Now().Add(time.Hour)}
	raw := der(a.t)(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	for _, b := range [][]byte{raw, a.cert.Raw} {
		chain = append(chain, &pem.Block{Type: "CERTIFICATE", Bytes: b})
	}
	return chain, &pem.Block{Type: "PRIVATE KEY", Bytes: der(a.t)(x509.MarshalPKCS8PrivateKey(key))}
}

// answer returns an answer of OCSP about a serial number.
func (a *author) answer(serial int64, status int, from, till time.Time) []byte {
	template := ocsp.Response{Status: status, SerialNumber: big.NewInt(serial), ThisUpdate: from, NextUpdate: till, RevokedAt: from}
	return der(a.t)(ocsp.CreateResponse(a.cert, a.cert, template, a.key))
}

func newECKey() crypto.Signer {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key
}

// hello is one of a client that can use all keys.
func hello(name string, schemes ...tls.SignatureScheme) *tls.ClientHelloInfo {
	if schemes == nil {
		schemes = []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256}
	}
	return &tls.ClientHelloInfo{ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: schemes,
		SupportedCurves: []tls.CurveID{tls.X25519}}
}

func serialFor(id *Identity, h *tls.ClientHelloInfo) int64 {
	c, err := id.Choose(h)
	So(err, ShouldBeNil)
	return c.Leaf.SerialNumber.Int64()
}

func shouldSay(actual any, expected ...any) string {
	err, _ := actual.(error)
	if text := ShouldEqual(errno.Of(err), errno.EINVAL); text != "" {
		return text
	}
	return ShouldContainSubstring(errno.Detail(err), expected[0])
}

func TestCertificateByName(t *testing.T) {
	f := files{t, t.TempDir()}
	a := newAuthor(t, "authority")
	both := func(name string, serial int64, key crypto.Signer, names ...string) string {
		chain, private := a.certify(serial, key, names...)
		return f.write(name, append(chain, private)...)
	}
	first := both("first.pem", 10, newECKey(), "first.example")
	exact := both("exact.pem", 11, newECKey(), "a.example", "B.Example.")
	wild := both("wild.pem", 12, newECKey(), "*.example")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := both("rsa.pem", 13, rsaKey, "a.example")
	bare := both("bare.pem", 14, newECKey())

	Convey("A client sees the certificate with the name that it asks for, or with a wildcard, or the first one", t, func() {
		id, err := (&ServerFiles{Cert: first, Key: first, Named: exact + ", " + wild + "\n" + other + " " + bare}).Read(nil)
		So(err, ShouldBeNil)
		for name, serial := range map[string]int64{"": 10, "first.example": 10, "a.example": 11, "A.EXAMPLE": 11, "a.example.": 11,
			"b.example": 11, "c.example": 12, "c.c.example": 10, "example": 10, "other": 10, "common.test": 14, "*.example": 12, ".": 10} {
			So(serialFor(id, hello(name)), ShouldEqual, serial)
		}
		So(serialFor(id, hello("a.example", tls.PSSWithSHA256)), ShouldEqual, 13)
		So(serialFor(id, hello("a.example", tls.Ed25519)), ShouldEqual, 11)
	})
	Convey("Without TLS_CERT the first one of the list stands for it", t, func() {
		id, err := (&ServerFiles{Named: exact + "," + wild}).Read(nil)
		So(err, ShouldBeNil)
		So(serialFor(id, hello("elsewhere")), ShouldEqual, 11)
	})
	Convey("A folder has files with both, or with the key beside", t, func() {
		folder := files{t, t.TempDir()}
		chain, private := a.certify(21, newECKey(), "one.example")
		folder.write("one.crt", chain...)
		folder.write("one.key", private)
		chain, private = a.certify(22, newECKey(), "two.example")
		folder.write("two.pem", append(chain, private)...)
		folder.text("README", []byte("nothing"))
		list := ServerFiles{Named: folder.folder}
		id, err := list.Read(nil)
		So(err, ShouldBeNil)
		So(serialFor(id, hello("one.example")), ShouldEqual, 21)
		So(serialFor(id, hello("two.example")), ShouldEqual, 22)

		before := Look(list.Paths())
		So(Look(list.Paths()).Same(before), ShouldBeTrue)
		chain, private = a.certify(23, newECKey(), "three.example")
		folder.write("three.pem", append(chain, private)...)
		after := Look(list.Paths())
		So(after.Same(before), ShouldBeFalse)
		So(os.Chtimes(filepath.Join(folder.folder, "one.key"), time.Time{}, time.Now().Add(time.Hour)), ShouldBeNil)
		So(Look(list.Paths()).Same(after), ShouldBeFalse)
		So(os.Remove(filepath.Join(folder.folder, "one.key")), ShouldBeNil)
		_, err = list.Read(nil)
		So(err, shouldSay, "one.crt")
	})
	Convey("What cannot be used is named", t, func() {
		chain, _ := a.certify(31, newECKey(), "x")
		_, alien := a.certify(32, newECKey(), "y")
		cert, key := f.write("31.pem", chain...), f.write("32.key", alien)
		empty := t.TempDir()
		for list, why := range map[string]string{
			cert + ":" + key:          "cannot use STREAM_TLS_CERTS " + key + ": it is not the key of " + cert,
			cert:                      "cannot use STREAM_TLS_CERTS " + cert,
			f.folder + "/nowhere.pem": "cannot read STREAM_TLS_CERTS " + f.folder + "/nowhere.pem",
			cert + ":":                "cannot use STREAM_TLS_CERTS " + cert + ":: a colon is between two files",
			":" + key:                 "cannot use STREAM_TLS_CERTS :" + key + ": a colon is between two files",
			empty:                     "cannot use STREAM_TLS_CERTS " + empty + ": there is no certificate in it",
		} {
			_, err := (&ServerFiles{Named: list}).Read(nil)
			So(err, shouldSay, why)
		}
		_, err := (&ServerFiles{}).Read(nil)
		So(err, shouldSay, "TLS_CERT is not set")
		_, err = (&ServerFiles{Cert: first, Key: first, Named: empty}).Read(nil)
		So(err, ShouldBeNil)
	})
}

func TestStaples(t *testing.T) {
	f := files{t, t.TempDir()}
	a, stranger := newAuthor(t, "authority"), newAuthor(t, "stranger")
	namesake := newAuthor(t, "authority")
	chain, key := a.certify(41, newECKey(), "a.example")
	whole := f.write("whole.pem", append(chain, key)...)
	alone := f.write("alone.pem", chain[0], key)
	chain, key = a.certify(42, newECKey(), "b.example")
	second := f.write("second.pem", append(chain, key)...)
	ago, later := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	good := a.answer(41, ocsp.Good, ago, later)

	stapled := func(cert string, staples string, name string) []byte {
		id, err := (&ServerFiles{Cert: cert, Key: cert, Named: second, Staples: staples}).Read(nil)
		So(err, ShouldBeNil)
		c, _ := id.Choose(hello(name))
		return c.OCSPStaple
	}
	Convey("A staple goes with the certificate that it is about, in DER and in PEM", t, func() {
		other := a.answer(42, ocsp.Good, ago, time.Time{})
		list := f.text("good.der", good) + "," + f.write("other.pem", &pem.Block{Type: "OCSP RESPONSE", Bytes: other})
		So(stapled(whole, list, "a.example"), ShouldResemble, good)
		So(stapled(alone, list, "a.example"), ShouldResemble, good)
		So(stapled(whole, list, "b.example"), ShouldResemble, other)
		So(stapled(whole, f.text("good.der", good), "b.example"), ShouldBeNil)
	})
	Convey("One that is over is not shown any more", t, func() {
		id, err := (&ServerFiles{Cert: whole, Key: whole, Staples: f.text("good.der", good)}).Read(nil)
		So(err, ShouldBeNil)
		So(id.first.now(later.Add(-time.Minute)).OCSPStaple, ShouldResemble, good)
		over := id.first.now(later.Add(time.Second))
		So(over.OCSPStaple, ShouldBeNil)
		So(over.Leaf, ShouldEqual, id.first.Leaf)
	})
	Convey("A bad one is refused; for a listener that goes on it is left out, or leaves the one from before", t, func() {
		before, err := (&ServerFiles{Cert: whole, Key: whole, Staples: f.text("good.der", good)}).Read(nil)
		So(err, ShouldBeNil)
		for i, c := range []struct {
			text []byte
			why  string
		}{
			{a.answer(43, ocsp.Good, ago, later), "it is about none of the server's certificates"},
			{stranger.answer(41, ocsp.Good, ago, later), "it is about none of the server's certificates"},
			{namesake.answer(41, ocsp.Good, ago, later), "has not signed it"},
			{a.answer(41, ocsp.Good, ago, ago), "it held until "},
			{a.answer(41, ocsp.Good, later, later), "it holds from "},
			{a.answer(41, ocsp.Revoked, ago, later), "was revoked on "},
			{a.answer(41, ocsp.Unknown, ago, later), "is not known"},
			{good[:len(good)-1], "there is no answer of OCSP in it"},
			{[]byte("text"), "there is no answer of OCSP in it"},
			{nil, "there is no answer of OCSP in it"},
		} {
			file := f.text(fmt.Sprintf("bad%d", i), c.text)
			own := ServerFiles{Cert: whole, Key: whole, Staples: file}
			_, err := own.Read(nil)
			So(err, shouldSay, "cannot use STREAM_TLS_OCSP "+file+": ")
			So(err, shouldSay, c.why)
			id, err := own.Read(before)
			So(err, shouldSay, c.why)
			if noAnswer := i == 2 || i > 6; noAnswer {
				So(id.first.OCSPStaple, ShouldResemble, good)
				So(id.first.until.Equal(before.first.until), ShouldBeTrue)
				continue
			}
			So(id.first.OCSPStaple, ShouldBeNil)
		}
		_, err = (&ServerFiles{Cert: whole, Key: whole, Staples: f.folder + "/nowhere"}).Read(nil)
		So(err, shouldSay, "cannot read STREAM_TLS_OCSP")
		both := f.text("over", a.answer(41, ocsp.Good, ago, ago)) + "," + f.folder + "/nowhere"
		id, err := (&ServerFiles{Cert: whole, Key: whole, Staples: both}).Read(before)
		So(err, shouldSay, "it held until ")
		So(id.first.OCSPStaple, ShouldBeNil)
	})
}

func TestTicketKeys(t *testing.T) {
	f := files{t, t.TempDir()}
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(append(make([]byte, 31), b)) + "\n" }
	Convey("A file has a key in each line, the newest first", t, func() {
		keys, err := TicketKeys(f.text("keys", []byte("# newest\r\n"+line(1)+"\n  "+line(2)+line(3))))
		So(err, ShouldBeNil)
		So(len(keys), ShouldEqual, 3)
		So(keys[0][31], ShouldEqual, 1)
		So(keys[2][31], ShouldEqual, 3)
	})
	Convey("A wrong one is named, and no part of a key", t, func() {
		many := ""
		for i := range 17 {
			many += line(byte(i))
		}
		for text, why := range map[string]string{
			"": "there is no key in it", "# only this\n": "there is no key in it", many: "there are more than 16 keys in it",
			line(1) + "c2hvcnQ=\n": "line 2 is not 32 bytes in base64", "secret!\n": "line 1 is not 32 bytes in base64",
		} {
			file := f.text("bad", []byte(text))
			_, err := TicketKeys(file)
			So(err, shouldSay, "cannot use STREAM_TLS_TICKET_KEYS "+file+": "+why)
			So(errno.Detail(err), ShouldNotContainSubstring, "secret")
		}
		_, err := TicketKeys(f.folder)
		So(err, shouldSay, "not a regular file")
		So(errors.Is(err, errno.EINVAL), ShouldBeTrue)
	})
}

func FuzzServerFiles(f *testing.F) {
	f.Add([]byte("MAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), []byte{0x30, 3, 2, 1, 0})
	f.Fuzz(func(t *testing.T, keys, staple []byte) {
		files := files{t, t.TempDir()}
		if found, err := TicketKeys(files.text("keys", keys)); (err == nil) != (len(found) > 0) {
			t.Fatalf("%d keys, and the error %v", len(found), err)
		}
		a := newAuthor(t, "authority")
		chain, key := a.certify(1, newECKey(), "a")
		own := files.write("own.pem", append(chain, key)...)
		id, err := (&ServerFiles{Cert: own, Key: own, Staples: files.text("staple", staple)}).Read(nil)
		if err == nil && id.first.OCSPStaple == nil {
			t.Fatal("neither a staple nor an error")
		}
	})
}

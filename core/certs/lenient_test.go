// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// oddCertificate is a certificate whose parts can be anything; nobody verifies it.
type oddCertificate struct {
	TBS struct {
		Version    int `asn1:"explicit,tag:0"`
		Serial     *big.Int
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     asn1.RawValue
		Validity   struct{ From, Till time.Time }
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Extensions []pkix.Extension `asn1:"explicit,optional,tag:3"`
	}
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// sequence is a SEQUENCE of what is given.
func sequence(parts ...[]byte) asn1.RawValue {
	raw, _ := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(parts, nil)})
	return asn1.RawValue{FullBytes: raw}
}

func marshal(t *testing.T, v any) []byte { return der(t)(asn1.Marshal(v)) }

func odd(t *testing.T, key crypto.PublicKey, change func(*oddCertificate)) []byte {
	c := &oddCertificate{}
	c.TBS.Version, c.TBS.Serial = 2, big.NewInt(1)
	c.TBS.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	c.Algorithm = c.TBS.Algorithm
	c.TBS.Issuer, c.TBS.Subject = sequence(), sequence()
	c.TBS.Validity.From, c.TBS.Validity.Till = time.Now().UTC(), time.Now().Add(time.Hour).UTC()
	c.TBS.Key.FullBytes = der(t)(x509.MarshalPKIXPublicKey(key))
	c.Signature = asn1.BitString{Bytes: []byte{1}, BitLength: 8}
	change(c)
	return marshal(t, *c)
}

func TestLenientCertificates(t *testing.T) {
	key := newKey(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	name := func(tag int, text string) asn1.RawValue {
		value := marshal(t, asn1.RawValue{Tag: tag, Bytes: []byte(text)})
		attribute := sequence(marshal(t, asn1.ObjectIdentifier{2, 5, 4, 3}), value)
		return sequence(marshal(t, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: attribute.FullBytes}))
	}
	bits := func(b []byte) []byte { return marshal(t, asn1.BitString{Bytes: b, BitLength: 8 * len(b)}) }
	ecOID := marshal(t, asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1})
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	san := func(value ...byte) pkix.Extension { return pkix.Extension{Id: []int{2, 5, 29, 17}, Value: value} }
	explicit := spelt(t)

	for _, r := range []struct {
		what   string
		key    crypto.PublicKey
		change func(*oddCertificate)
	}{
		{"a negative serial number", &key.PublicKey, func(c *oddCertificate) { c.TBS.Serial = big.NewInt(-5) }},
		{"a PrintableString with an @", &key.PublicKey, func(c *oddCertificate) { c.TBS.Subject = name(asn1.TagPrintableString, "a@b") }},
		{"a UTF8String that is Latin-1", &key.PublicKey, func(c *oddCertificate) { c.TBS.Issuer = name(asn1.TagUTF8String, "M\xFCller") }},
		{"an empty name of another kind", &key.PublicKey, func(c *oddCertificate) { c.TBS.Subject = name(28, "") }},
		{"a version that does not exist", &key.PublicKey, func(c *oddCertificate) { c.TBS.Version = 4 }},
		{"an extension twice", &key.PublicKey, func(c *oddCertificate) {
			c.TBS.Extensions = []pkix.Extension{san(0x30, 0), san(0x30, 0)}
		}},
		{"an address of three bytes", &key.PublicKey, func(c *oddCertificate) {
			c.TBS.Extensions = []pkix.Extension{san(0x30, 5, 0x87, 3, 1, 2, 3)}
		}},
		{"two different algorithms", &key.PublicKey, func(c *oddCertificate) { c.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 3} }},
		{"an RSA key without parameters", &rsaKey.PublicKey, func(c *oddCertificate) {
			c.TBS.Key = sequence(sequence(marshal(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1})).FullBytes,
				bits(x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)))
		}},
		{"a curve that is spelt out", &key.PublicKey, func(c *oddCertificate) {
			c.TBS.Key = sequence(sequence(ecOID, explicit).FullBytes, bits(point))
		}},
	} {
		Convey("A certificate with "+r.what+" gives its key", t, func() {
			raw := odd(t, r.key, r.change)
			_, err := x509.ParseCertificate(raw)
			So(err, ShouldNotBeNil)
			cert, err := ParseLeniently(raw)
			So(err, ShouldBeNil)
			So(r.key.(interface{ Equal(crypto.PublicKey) bool }).Equal(cert.PublicKey), ShouldBeTrue)
			So(cert.PublicKeyAlgorithm, ShouldNotEqual, x509.UnknownPublicKeyAlgorithm)
		})
	}
	Convey("One that is right is what x509 makes of it; a key that TLS cannot use is none", t, func() {
		raw := certificate(t, key).Bytes
		want, _ := x509.ParseCertificate(raw)
		got, err := ParseLeniently(raw)
		So(err, ShouldBeNil)
		So(got.Equal(want), ShouldBeTrue)
		cert, err := ParseLeniently(odd(t, &key.PublicKey, func(c *oddCertificate) {
			c.TBS.Serial = big.NewInt(-1)
			c.TBS.Key = sequence(sequence(ecOID, marshal(t, asn1.ObjectIdentifier{1, 3, 132, 0, 10})).FullBytes, bits(point))
		}))
		So(err, ShouldBeNil)
		So(cert.PublicKey, ShouldBeNil)
	})
	Convey("What is no certificate is refused, wherever it is cut or changed, and nothing breaks", t, func() {
		raw := odd(t, &key.PublicKey, func(c *oddCertificate) { c.TBS.Serial = big.NewInt(-5) })
		for i := range raw {
			cert, err := ParseLeniently(raw[:i])
			So(cert, ShouldBeNil)
			So(err, ShouldNotBeNil)
			for _, change := range []byte{0xFF, 0x80, 0x01} {
				bad := bytes.Clone(raw)
				bad[i] ^= change
				_, _ = ParseLeniently(bad)
				_ = ecKey(bad)
			}
		}
	})
}

// spelt are the parameters of P-256 in full (SEC 1, C.2).
func spelt(t *testing.T) []byte {
	c := elliptic.P256().Params()
	octets := func(n *big.Int) []byte { return marshal(t, n.FillBytes(make([]byte, 32))) }
	a := new(big.Int).Sub(c.P, big.NewInt(3))
	base := append([]byte{4}, append(c.Gx.FillBytes(make([]byte, 32)), c.Gy.FillBytes(make([]byte, 32))...)...)
	return sequence(marshal(t, 1),
		sequence(marshal(t, asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}), marshal(t, c.P)).FullBytes,
		sequence(octets(a), octets(c.B)).FullBytes,
		marshal(t, base), marshal(t, c.N), marshal(t, 1)).FullBytes
}

func TestOddFiles(t *testing.T) {
	f := files{t, t.TempDir()}
	key := newKey(t)
	cert, other := certificate(t, key), certificate(t, newKey(t))
	ec := der(t)(x509.MarshalECPrivateKey(key))
	certText := pem.EncodeToMemory(cert)
	keyText := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	utf16 := func(mark string, at int) func([]byte) []byte {
		return func(text []byte) []byte {
			out := []byte(mark)
			for _, b := range text {
				unit := [2]byte{}
				unit[at] = b
				out = append(out, unit[:]...)
			}
			return out
		}
	}
	bom := []byte("\xEF\xBB\xBF")
	for _, r := range []struct {
		what   string
		change func([]byte) []byte
	}{
		{"a byte-order mark", func(text []byte) []byte { return join(bom, text) }},
		{"two, where files were joined", func(text []byte) []byte { return join(bom, pem.EncodeToMemory(other), bom, text) }},
		{"UTF-16, low byte first", utf16("\xFF\xFE", 0)},
		{"UTF-16, high byte first", utf16("\xFE\xFF", 1)},
		{"CR and LF", func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) }},
		{"text before, between and behind", func(text []byte) []byte {
			return join([]byte("Bag Attributes\n    friendlyName: x\n"), text, []byte("\nsubject=CN = x\n"), text, []byte("end"))
		}},
		{"no end of line", func(text []byte) []byte { return bytes.TrimSpace(text) }},
		{"no end of line where files were joined", func(text []byte) []byte {
			return join(bytes.TrimSpace(pem.EncodeToMemory(other)), text)
		}},
		{"a key and a certificate", func([]byte) []byte { return join(keyText, certText) }},
		{"a certificate and a key", func([]byte) []byte { return join(certText, keyText) }},
		{"the certificate behind its authority's", func(text []byte) []byte { return join(pem.EncodeToMemory(other), text, keyText) }},
		{"an older name of its kind", func(text []byte) []byte {
			return bytes.ReplaceAll(text, []byte(" CERTIFICATE"), []byte(" X509 CERTIFICATE"))
		}},
		{"what OpenSSL trusts it for", func(text []byte) []byte {
			if !bytes.Contains(text, []byte("CERTIFICATE")) {
				return text
			}
			return pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: join(cert.Bytes, []byte{0x30, 0})})
		}},
	} {
		Convey("Files with "+r.what+" are read", t, func() {
			pair, err := KeyPair(f.text("cert.pem", r.change(certText)), f.text("key.pem", r.change(keyText)), "")
			So(err, ShouldBeNil)
			So(bytes.Equal(pair.Certificate[0], cert.Bytes), ShouldBeTrue)
			So(bytes.Equal(pair.Leaf.Raw, cert.Bytes), ShouldBeTrue)
			_, err = ReadAuthorities(f.text("ca.pem", r.change(certText)), false)
			So(err, ShouldBeNil)
		})
	}
	Convey("A chain keeps its order behind the certificate of the key", t, func() {
		third := certificate(t, newKey(t))
		pair, err := KeyPair(f.write("c.pem", other, third, cert), f.text("k.pem", keyText), "")
		So(err, ShouldBeNil)
		So(pair.Certificate, ShouldResemble, [][]byte{cert.Bytes, other.Bytes, third.Bytes})
	})
	Convey("A certificate that x509 refuses can be the own one, and keys with a curve that is spelt out", t, func() {
		raw := odd(t, &key.PublicKey, func(c *oddCertificate) { c.TBS.Serial = big.NewInt(-5) })
		scalar := marshal(t, der(t)(key.Bytes()))
		sec1 := sequence(marshal(t, 1), scalar,
			marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: spelt(t)})).FullBytes
		pkcs8 := sequence(marshal(t, 0),
			sequence(marshal(t, asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}), spelt(t)).FullBytes, marshal(t, sec1)).FullBytes
		for kind, bytes := range map[string][]byte{"EC PRIVATE KEY": sec1, "PRIVATE KEY": pkcs8} {
			pair, err := KeyPair(f.write("odd.pem", &pem.Block{Type: "CERTIFICATE", Bytes: raw}),
				f.write("odd.key", &pem.Block{Type: kind, Bytes: bytes}), "")
			So(err, ShouldBeNil)
			So(pair.PrivateKey.(*ecdsa.PrivateKey).Equal(key), ShouldBeTrue)
		}
	})
}

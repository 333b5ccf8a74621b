// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
)

// ParseLeniently parses a certificate that nobody verifies. x509.ParseCertificate refuses
// some certificates, for example for a negative serial number, a character that its
// kind of text does not allow, or an extension that is wrong or occurs twice. For those
// ParseLeniently returns what a handshake needs: the key, and the names as bytes. If that
// fails, too, the error is that of x509.ParseCertificate.
func ParseLeniently(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, nil
	}
	if cert = outline(der); cert == nil {
		return nil, err
	}
	return cert, nil
}

// element is an element of ASN.1: its tag, its content, and all of its bytes.
type element struct {
	tag           byte
	inside, whole []byte
}

// Tags of ASN.1.
const (
	tagInteger     = 0x02
	tagBits        = 0x03
	tagOctets      = 0x04
	tagOID         = 0x06
	tagSequence    = 0x30
	tagVersion     = 0xA0
	tagCurveOfKey  = 0xA0
	longLength     = 0x80
	lengthOfLength = 4
)

// readElement returns the first element of data. It accepts lengths that have more bytes
// than necessary.
func readElement(data []byte) (e element, ok bool) {
	if len(data) < 2 || data[0]&0x1F == 0x1F {
		return e, false
	}
	size, from := int(data[1]), 2
	if size >= longLength {
		count := size - longLength
		if count == 0 || count > lengthOfLength || len(data) < 2+count {
			return e, false
		}
		size, from = 0, 2+count
		for _, b := range data[2:from] {
			size = size<<8 | int(b)
		}
	}
	if size > len(data)-from {
		return e, false
	}
	return element{data[0], data[from : from+size], data[:from+size]}, true
}

// elements returns the elements of data up to the first that cannot be read.
func elements(data []byte) (all []element) {
	for len(data) > 0 {
		e, ok := readElement(data)
		if !ok {
			break
		}
		all = append(all, e)
		data = data[len(e.whole):]
	}
	return all
}

// outline finds the parts of a certificate by their positions (RFC 5280, 4.1). It returns
// nil if they are not there.
func outline(der []byte) *x509.Certificate {
	outer, ok := readElement(der)
	if !ok || outer.tag != tagSequence {
		return nil
	}
	tbs, ok := readElement(outer.inside)
	if !ok || tbs.tag != tagSequence {
		return nil
	}
	parts := elements(tbs.inside)
	if len(parts) > 0 && parts[0].tag == tagVersion {
		parts = parts[1:]
	}
	if len(parts) < 6 || parts[0].tag != tagInteger {
		return nil
	}
	for _, part := range parts[1:6] { // algorithm, issuer, validity, subject, key
		if part.tag != tagSequence {
			return nil
		}
	}
	cert := &x509.Certificate{Raw: der, RawTBSCertificate: tbs.whole, RawIssuer: parts[2].whole,
		RawSubject: parts[4].whole, RawSubjectPublicKeyInfo: parts[5].whole}
	cert.PublicKeyAlgorithm, cert.PublicKey = publicKey(parts[5])
	return cert
}

var (
	oidRSA = []byte{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1}
	oidEC  = []byte{0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1}
)

// publicKey parses a SubjectPublicKeyInfo. It returns nil for a key that TLS cannot use here.
func publicKey(info element) (x509.PublicKeyAlgorithm, crypto.PublicKey) {
	key, err := x509.ParsePKIXPublicKey(info.whole)
	if err != nil {
		key = oddKey(info)
	}
	switch key.(type) {
	case nil:
		return x509.UnknownPublicKeyAlgorithm, nil
	case *ecdsa.PublicKey:
		return x509.ECDSA, key
	}
	if bytes.Contains(info.whole, oidRSA) {
		return x509.RSA, key
	}
	return x509.UnknownPublicKeyAlgorithm, key
}

// oddKey parses keys that crypto/x509 does not accept: RSA without parameters, and EC with
// explicit curve parameters.
func oddKey(info element) crypto.PublicKey {
	parts := elements(info.inside)
	if len(parts) < 2 || parts[1].tag != tagBits || len(parts[1].inside) < 2 {
		return nil
	}
	algorithm, data := elements(parts[0].inside), parts[1].inside[1:]
	if len(algorithm) == 0 || algorithm[0].tag != tagOID {
		return nil
	}
	switch {
	case bytes.Equal(algorithm[0].inside, oidRSA):
		if key, err := x509.ParsePKCS1PublicKey(data); err == nil {
			return key
		}
	case bytes.Equal(algorithm[0].inside, oidEC) && len(algorithm) > 1:
		if c := curveOf(algorithm[1]); c != nil {
			if key, err := ecdsa.ParseUncompressedPublicKey(c, data); err == nil {
				return key
			}
		}
	}
	return nil
}

var curves = []struct {
	elliptic.Curve
	oid []byte
}{
	{elliptic.P256(), []byte{0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7}},
	{elliptic.P384(), []byte{0x2B, 0x81, 4, 0, 34}},
	{elliptic.P521(), []byte{0x2B, 0x81, 4, 0, 35}},
}

// curveOf returns the curve of named or explicit parameters (RFC 5480, 2.1.1; SEC 1, C.2).
// It returns nil for a curve that TLS cannot use here.
func curveOf(parameters element) elliptic.Curve {
	spelt := elements(parameters.inside)
	for _, c := range curves {
		if parameters.tag == tagOID && bytes.Equal(parameters.inside, c.oid) {
			return c.Curve
		}
		if parameters.tag == tagSequence && len(spelt) >= 5 && isSpelt(c.Params(), spelt) {
			return c.Curve
		}
	}
	return nil
}

// isSpelt reports whether the explicit field, generator and order are those of the curve.
func isSpelt(c *elliptic.CurveParams, parts []element) bool {
	field, base := elements(parts[1].inside), parts[3].inside
	size := (c.BitSize + 7) / 8
	return len(field) == 2 && bytes.Equal(bytes.TrimLeft(field[1].inside, "\x00"), c.P.Bytes()) &&
		parts[3].tag == tagOctets && len(base) > size &&
		bytes.Equal(base[1:1+size], c.Gx.FillBytes(make([]byte, size))) &&
		bytes.Equal(bytes.TrimLeft(parts[4].inside, "\x00"), c.N.Bytes())
}

// ecKey parses a key of RFC 5915 whose explicit curve stands in the key or in its PKCS#8
// envelope. It returns nil if der is no such key.
func ecKey(der []byte) crypto.PrivateKey {
	outer, ok := readElement(der)
	if !ok || outer.tag != tagSequence {
		return nil
	}
	parts := elements(outer.inside)
	if len(parts) < 2 || parts[0].tag != tagInteger {
		return nil
	}
	if parts[1].tag == tagSequence && len(parts) > 2 { // PKCS#8
		algorithm, inner := elements(parts[1].inside), parts[2].inside
		if len(algorithm) < 2 || !bytes.Equal(algorithm[0].inside, oidEC) {
			return nil
		}
		own, ok := readElement(inner)
		fields := elements(own.inside)
		if !ok || len(fields) < 2 {
			return nil
		}
		return scalarOn(curveOf(algorithm[1]), fields[1])
	}
	for _, part := range parts[2:] {
		if parameters, ok := readElement(part.inside); ok && part.tag == tagCurveOfKey {
			return scalarOn(curveOf(parameters), parts[1])
		}
	}
	return nil
}

func scalarOn(c elliptic.Curve, scalar element) crypto.PrivateKey {
	if c == nil || scalar.tag != tagOctets {
		return nil
	}
	key, err := ecdsa.ParseRawPrivateKey(c, scalar.inside)
	if err != nil {
		return nil
	}
	return key
}

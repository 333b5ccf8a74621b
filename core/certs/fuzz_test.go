// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// authorityAndList returns an authority's certificate, and a list that revokes one.
func authorityAndList(f *testing.F) (certificate, list []byte) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		certificate, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	}
	if err == nil {
		revokes := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
		revokes.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: time.Now()}}
		list, err = x509.CreateRevocationList(rand.Reader, revokes, template, key)
	}
	if err != nil {
		f.Fatal(err)
	}
	return certificate, list
}

// FuzzParseLeniently: what Go parses is returned as Go has it, and what is found without
// Go's parser is the same. Of anything else there are the names and a key, or an error.
func FuzzParseLeniently(f *testing.F) {
	f.Add([]byte{})
	cert, _ := authorityAndList(f)
	f.Add(cert)
	f.Fuzz(func(t *testing.T, der []byte) {
		strict, strictErr := x509.ParseCertificate(der)
		cert, err := ParseLeniently(der)
		if (cert == nil) != (err != nil) || (strictErr == nil && err != nil) {
			t.Fatalf("%x: %v, %v; Go says %v", der, cert, err, strictErr)
		}
		found := outline(der)
		if strictErr != nil || found == nil {
			return
		}
		if !bytes.Equal(found.RawSubject, strict.RawSubject) || !bytes.Equal(found.RawIssuer, strict.RawIssuer) {
			t.Fatalf("%x: other names than Go's", der)
		}
	})
}

// FuzzParseRevoked: a list or an error, and a list can be asked.
func FuzzParseRevoked(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x01})
	_, list := authorityAndList(f)
	f.Add(list)
	f.Fuzz(func(t *testing.T, der []byte) {
		list, err := parseRevoked(der)
		if (list == nil) != (err != nil) {
			t.Fatalf("%x: %v, %v", der, list, err)
		}
		if list != nil {
			list.isCurrent(time.Now())
		}
	})
}

// FuzzBlocks: PEM in any file of text is found or not, in any encoding.
func FuzzBlocks(f *testing.F) {
	const pem = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"
	for _, text := range []string{pem, "x\n" + pem + pem, "\xef\xbb\xbf" + pem, "\xff\xfe-\x00", "\xfe\xff\x00-", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for block := range blocks(text) {
			if isCertificate(block) {
				certificateOf(block)
			}
		}
		_, _ = chain(text)
	})
}

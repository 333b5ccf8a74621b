// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"
)

// clockSkew is by how much the clock of an authority may be ahead.
const clockSkew = 5 * time.Minute

// errOfAnother is what ocsp says of an answer that is about another certificate.
const errOfAnother = ocsp.ParseError("no response matching the supplied certificate")

var errNoStaple = errors.New("there is no answer of OCSP in it")

// staple reads an answer of OCSP and gives it to the certificate that it is about. none: the file is no answer.
func (id *Identity) staple(file string, now time.Time) (none bool, err error) {
	der, err := read(optStaples, file)
	if err != nil {
		return true, err
	}
	if len(der) > 0 && der[0] != tagSequence {
		err = errNoStaple
		for block := range blocks(der) {
			if block.Type == "OCSP RESPONSE" {
				der, err = block.Bytes, nil
				break
			}
		}
	}
	if none = err != nil; !none {
		none, err = id.take(der, now)
	}
	if err != nil {
		return none, unusable(optStaples, file, err)
	}
	return false, nil
}

// take finds the certificate that an answer is about. none: it is no answer, or a forged one.
func (id *Identity) take(der []byte, now time.Time) (none bool, err error) {
	wrong := errors.New("it is about none of the server's certificates")
	for _, s := range id.all {
		if s.Leaf.SerialNumber == nil { // not parsed by crypto/x509
			continue
		}
		answer, err := ocsp.ParseResponseForCert(der, s.Leaf, nil)
		if err == errOfAnother {
			continue
		} else if err != nil {
			return true, fmt.Errorf("%w: %w", errNoStaple, err)
		}
		if !bytes.Contains(der, hashed(answer.IssuerHash, s.Leaf.RawIssuer)) { // it has the issuer's name that way
			continue
		}
		if issuer := s.issuer(); issuer != nil {
			if _, err := ocsp.ParseResponseForCert(der, s.Leaf, issuer); err != nil {
				none, wrong = true, fmt.Errorf("the issuer of %q has not signed it: %w", name(s.Leaf), err)
				continue
			}
		}
		if err := usable(answer, s.Leaf, now); err != nil {
			s.bare = true
			return false, err
		}
		s.OCSPStaple, s.until = der, answer.NextUpdate
		return false, nil
	}
	return none, wrong
}

// issuer returns the certificate of the issuer, if it is in the chain.
func (s *shown) issuer() *x509.Certificate {
	for _, der := range s.Certificate.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil && s.Leaf.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

func hashed(h crypto.Hash, data []byte) []byte {
	sum := h.New()
	sum.Write(data)
	return sum.Sum(nil)
}

func usable(answer *ocsp.Response, cert *x509.Certificate, now time.Time) error {
	switch {
	case answer.Status == ocsp.Revoked:
		return fmt.Errorf("it says that the certificate of %q was revoked on %s", name(cert), day(answer.RevokedAt))
	case answer.Status != ocsp.Good:
		return fmt.Errorf("it says that the certificate of %q is not known", name(cert))
	case now.Add(clockSkew).Before(answer.ThisUpdate):
		return fmt.Errorf("it holds from %s on", day(answer.ThisUpdate))
	case !answer.NextUpdate.IsZero() && now.After(answer.NextUpdate):
		return fmt.Errorf("it held until %s", day(answer.NextUpdate))
	}
	return nil
}

// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"sync"
	"time"
)

// revoked is a certificate revocation list (RFC 5280, 5).
type revoked struct {
	issuer     string // its name, in DER
	serials    map[string]time.Time
	from, till time.Time // till zero: no end

	// x509.RevocationList has no place for lists of version 1, which OpenSSL makes when nothing else is said
	list *pkix.CertificateList
	// signers remembers the answers of isFrom by key (SubjectPublicKeyInfo). The keys are
	// those of verified authorities of one name, so they are few.
	signers sync.Map
}

// parseRevoked parses a list. It refuses a list that does not simply revoke certificates
// of its issuer: partial lists, changes to lists, and lists for other issuers.
func parseRevoked(der []byte) (*revoked, error) {
	//lint:ignore SA1019 as above
	list, err := x509.ParseDERCRL(der)
	if err != nil {
		return nil, fmt.Errorf("a revocation list in it is broken: %w", err)
	}
	tbs := &list.TBSCertList
	r := &revoked{list: list, serials: make(map[string]time.Time, len(tbs.RevokedCertificates)),
		from: tbs.ThisUpdate, till: tbs.NextUpdate}
	if r.issuer, err = issuerOf(tbs.Raw); err != nil {
		return nil, err
	}
	if err := noneCritical(tbs.Extensions); err != nil {
		return nil, err
	}
	for _, entry := range tbs.RevokedCertificates {
		if err := noneCritical(entry.Extensions); err != nil {
			return nil, err
		}
		r.serials[entry.SerialNumber.String()] = entry.RevocationTime
	}
	tbs.RevokedCertificates = nil // Raw has the signed bytes
	return r, nil
}

// issuerOf returns the issuer's name as a list encodes it, to compare it with the names
// in certificates.
func issuerOf(tbs []byte) (string, error) {
	outer, _ := readElement(tbs)
	parts := elements(outer.inside)
	if len(parts) > 0 && parts[0].tag == tagInteger { // version
		parts = parts[1:]
	}
	if len(parts) < 2 {
		return "", errors.New("a revocation list in it has no issuer")
	}
	return string(parts[1].whole), nil
}

func noneCritical(extensions []pkix.Extension) error {
	for _, e := range extensions {
		if e.Critical {
			return fmt.Errorf("a revocation list in it has the extension %v, which is critical and not known here; "+
				"only whole lists of one issuer are", asn1.ObjectIdentifier(e.Id))
		}
	}
	return nil
}

// isFrom reports whether the issuer has signed the list, and is allowed to.
func (r *revoked) isFrom(issuer *x509.Certificate) bool {
	if known, ok := r.signers.Load(string(issuer.RawSubjectPublicKeyInfo)); ok {
		return known.(bool)
	}
	is := issuer.KeyUsage == 0 || issuer.KeyUsage&x509.KeyUsageCRLSign != 0
	if is {
		//lint:ignore SA1019 as above
		is = issuer.CheckCRLSignature(r.list) == nil
	}
	r.signers.Store(string(issuer.RawSubjectPublicKeyInfo), is)
	return is
}

func (r *revoked) isCurrent(now time.Time) bool {
	return !now.Before(r.from) && (r.till.IsZero() || !now.After(r.till))
}

func (r *revoked) errNotCurrent(issuer *x509.Certificate, now time.Time) error {
	if now.Before(r.from) {
		return fmt.Errorf("x509: the revocation list of %q holds from %s on", name(issuer), day(r.from))
	}
	return fmt.Errorf("x509: the revocation list of %q held until %s", name(issuer), day(r.till))
}

func errRevoked(cert, issuer *x509.Certificate, when time.Time) error {
	return fmt.Errorf("x509: %q revoked the certificate of %q on %s", name(issuer), name(cert), day(when))
}

func errNoList(issuer *x509.Certificate) error {
	return fmt.Errorf("x509: the file of TLS_CA has revocation lists, but none that %q has signed", name(issuer))
}

func name(cert *x509.Certificate) string { return cert.Subject.String() }
func day(t time.Time) string             { return t.UTC().Format(time.RFC3339) }

// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"crypto/x509"
	"errors"
	"time"
)

// Authorities are the certificates that a side trusts to identify its peers.
type Authorities struct {
	Pool *x509.CertPool // nil: the system's

	own   map[string]bool       // certificates of the file
	lists map[string][]*revoked // by the issuer's name
}

// ReadAuthorities reads the authorities of a PEM file with their revocation lists. With
// system it adds the authorities that the system trusts. EINVAL as with KeyPair. If a
// file has several certificates, those that cannot be parsed are skipped; a revocation
// list is never skipped.
func ReadAuthorities(file string, system bool) (*Authorities, error) {
	a := &Authorities{Pool: x509.NewCertPool(), own: map[string]bool{}, lists: map[string][]*revoked{}}
	if system {
		if file == "" {
			a.Pool = nil
			return a, nil
		}
		if trusted, err := x509.SystemCertPool(); err == nil {
			a.Pool = trusted
		}
	}
	if file == "" {
		return a, nil
	}
	text, err := read("TLS_CA", file)
	if err == nil {
		if err = a.add(text); err != nil {
			err = unusable("TLS_CA", file, err)
		}
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// add reads the blocks of a file's text.
func (a *Authorities) add(text []byte) error {
	broken := errNoCertificate
	for block := range blocks(text) {
		switch {
		case isCertificate(block):
			cert, err := x509.ParseCertificate(certificateOf(block))
			if err != nil {
				broken = err
				continue
			}
			a.Pool.AddCert(cert)
			a.own[string(cert.Raw)] = true
		case block.Type == "X509 CRL":
			list, err := parseRevoked(block.Bytes)
			if err != nil {
				return err
			}
			a.lists[list.issuer] = append(a.lists[list.issuer], list)
		}
	}
	if len(a.own) == 0 {
		return broken
	}
	return nil
}

// Revokes reports whether there is any revocation list.
func (a *Authorities) Revokes() bool { return len(a.lists) > 0 }

// Check returns nil if at least one of the verified chains has no revoked certificate.
// Else it returns why the last chain is refused.
func (a *Authorities) Check(chains [][]*x509.Certificate, now time.Time) error {
	err := errors.New("no chain of certificates was verified")
	for _, chain := range chains {
		if err = a.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

// checkChain looks up every certificate of a chain in the lists. It skips the last one,
// which is trusted as it is. If the chain ends with an authority of the file, a list must
// cover the first certificate.
func (a *Authorities) checkChain(chain []*x509.Certificate, now time.Time) error {
	own := a.own[string(chain[len(chain)-1].Raw)]
	for i, cert := range chain[:len(chain)-1] {
		if err := a.checkOne(cert, chain[i+1], own && i == 0, now); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authorities) checkOne(cert, issuer *x509.Certificate, needed bool, now time.Time) error {
	var known, current bool
	var newest *revoked
	for _, list := range a.lists[string(issuer.RawSubject)] {
		if !list.isFrom(issuer) {
			continue
		}
		if when, is := list.serials[cert.SerialNumber.String()]; is {
			return errRevoked(cert, issuer, when)
		}
		known = true
		current = current || list.isCurrent(now)
		if newest == nil || list.from.After(newest.from) {
			newest = list
		}
	}
	switch {
	case current, !known && !needed:
		return nil
	case known:
		return newest.errNotCurrent(issuer, now)
	}
	return errNoList(issuer)
}

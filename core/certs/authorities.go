// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"crypto/x509"
	"errors"
	"time"
)

// Authorities are whom a side trusts to tell who its peers are.
type Authorities struct {
	Pool *x509.CertPool // nil: the system's

	own   map[string]bool       // certificates of the file
	lists map[string][]*revoked // by the issuer's name
}

// ReadAuthorities returns those of a PEM file, with its revocation lists, and, with
// system, those that the system trusts. EINVAL as with KeyPair. Of several
// certificates in the file, those that cannot be parsed are left out; a revocation
// list never is.
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

// add takes the blocks of a file.
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

// Revokes reports whether there is a revocation list.
func (a *Authorities) Revokes() bool { return len(a.lists) > 0 }

// Check returns nil when no certificate of one of the chains, which were verified, is
// revoked, and else why the last one cannot be taken.
func (a *Authorities) Check(chains [][]*x509.Certificate, now time.Time) error {
	err := errors.New("no chain of certificates was verified")
	for _, chain := range chains {
		if err = a.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

// checkChain asks the lists about every certificate of a chain but the last one, which
// is trusted as it is. The first one, when it comes from an authority of the file, has
// to be in the reach of a list.
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

// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names of options in sentences.
const (
	optNamed   = "STREAM_TLS_CERTS"
	optStaples = "STREAM_TLS_OCSP"
	optTickets = "STREAM_TLS_TICKET_KEYS"
)

// namedMost limits the certificates of a server, so that a folder that was named by mistake
// is not read for minutes.
const namedMost = 4096

// ServerFiles say where a server's certificates, keys and staples are.
type ServerFiles struct {
	Cert, Key string // "", "": only those of Named
	Password  string // opens all keys that are encrypted

	// Named is a list, with commas or blanks between. An entry is a folder, a file that has a
	// certificate and its key, or two files with a colon between. In a folder each file whose
	// name ends with .pem or .crt has a certificate; its key is in it, or in a file whose name
	// ends with .key instead.
	Named string

	// Staples is a list of files with answers of OCSP.
	Staples string
}

// Identity is what a server shows: one certificate of several, by the name that a client asks
// for. It does not change.
type Identity struct {
	first  *shown              // if no name fits
	byName map[string][]*shown // lower case; a first label "*" is any one
	all    []*shown
}

// shown is a certificate with its staple.
type shown struct {
	tls.Certificate
	until time.Time // the end of the staple; zero: none
	bare  bool      // an answer that is over, or says the worst, is there: no earlier one counts
}

// Entries returns the entries of a list.
func Entries(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
}

// Read reads all of the files. EINVAL as with KeyPair; also a staple that is over, says that
// a certificate was revoked, or is about none of them. If there is something that was read before, such a staple
// is left out, and a file that is no answer leaves the staple from before; the error comes with
// the identity then.
func (f *ServerFiles) Read(before *Identity) (*Identity, error) {
	id := &Identity{byName: map[string][]*shown{}}
	if f.Cert != "" || f.Key != "" || f.Named == "" {
		pair, err := KeyPair(f.Cert, f.Key, f.Password)
		if err != nil {
			return nil, err
		}
		id.add(pair)
	}
	pairs, err := f.named()
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		pair, err := keyPair(optNamed, optNamed, p[0], p[1], f.Password)
		if err != nil {
			return nil, err
		}
		id.add(pair)
	}
	if id.first == nil {
		return nil, unusable(optNamed, f.Named, errNoCertificate)
	}
	if err := id.stapleAll(f.Staples, before); err != nil && before == nil {
		return nil, err
	} else {
		return id, err
	}
}

// stapleAll reads all answers, and returns the first error. Files that are no answers leave those from before.
func (id *Identity) stapleAll(list string, before *Identity) (first error) {
	keep := false
	for _, file := range Entries(list) {
		none, err := id.staple(file, time.Now())
		keep = keep || none
		first = cmp.Or(first, err)
	}
	if keep && before != nil {
		id.keepStaples(before)
	}
	return first
}

// keepStaples gives certificates without a staple the one that they had.
func (id *Identity) keepStaples(before *Identity) {
	for _, s := range id.all {
		for _, was := range before.all {
			if s.OCSPStaple == nil && !s.bare && bytes.Equal(s.Certificate.Certificate[0], was.Certificate.Certificate[0]) {
				s.OCSPStaple, s.until = was.OCSPStaple, was.until
			}
		}
	}
}

// named returns the files of the list: certificate and key.
func (f *ServerFiles) named() (pairs [][2]string, err error) {
	for _, entry := range Entries(f.Named) {
		cert, key, two := strings.Cut(entry, ":")
		info, err := os.Stat(cert)
		switch {
		case two && (cert == "" || key == ""):
			return nil, unusable(optNamed, entry, errHalf)
		case !two && err == nil && info.IsDir():
			inside, err := pairsIn(cert)
			if err != nil {
				return nil, unusable(optNamed, cert, err)
			}
			pairs = append(pairs, inside...)
		case !two:
			pairs = append(pairs, [2]string{cert, cert})
		default:
			pairs = append(pairs, [2]string{cert, key})
		}
		if len(pairs) > namedMost {
			return nil, unusable(optNamed, entry, errTooMany)
		}
	}
	return pairs, nil
}

var errHalf = errors.New("a colon is between two files, a certificate and its key")

var errTooMany = errors.New("there are more than 4,096 certificates")

func pairsIn(folder string) (pairs [][2]string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	here := map[string]bool{}
	for _, e := range entries {
		here[e.Name()] = true
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext != ".pem" && ext != ".crt" {
			continue
		}
		file := filepath.Join(folder, e.Name())
		pair := [2]string{file, file}
		if key := strings.TrimSuffix(e.Name(), ext) + ".key"; here[key] {
			pair[1] = filepath.Join(folder, key)
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// Paths returns the files and folders that Read looks at.
func (f *ServerFiles) Paths() []string {
	paths := append([]string{f.Cert, f.Key}, Entries(f.Staples)...)
	for _, entry := range Entries(f.Named) {
		cert, _, _ := strings.Cut(entry, ":")
		paths = append(paths, cert)
	}
	pairs, _ := f.named()
	for _, p := range pairs {
		paths = append(paths, p[0], p[1])
	}
	return paths
}

func (id *Identity) add(pair tls.Certificate) {
	s := &shown{Certificate: pair}
	id.all = append(id.all, s)
	if id.first == nil {
		id.first = s
	}
	for _, name := range namesOf(pair.Leaf) {
		id.byName[name] = append(id.byName[name], s)
	}
}

// namesOf returns the names that a certificate is for. One without alternative names has its
// common name.
func namesOf(c *x509.Certificate) (names []string) {
	for _, name := range c.DNSNames {
		names = append(names, asked(name))
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, asked(c.Subject.CommonName))
	}
	return names
}

// asked returns a name as it is looked up.
func asked(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Choose returns the certificate for a client: the first one with the name that it asks for,
// or else with a wildcard, whose kind of key the client can use. It is for tls.Config.GetCertificate.
func (id *Identity) Choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return id.of(hello).now(time.Now()), nil
}

func (id *Identity) of(hello *tls.ClientHelloInfo) *shown {
	name := asked(hello.ServerName)
	if name == "" || len(id.all) == 1 {
		return id.first
	}
	found := id.byName[name]
	if _, parent, has := strings.Cut(name, "."); has {
		found = append(found[:len(found):len(found)], id.byName["*."+parent]...)
	}
	usable := *hello
	usable.ServerName = "" // the name fits
	for _, s := range found {
		if usable.SupportsCertificate(&s.Certificate) == nil {
			return s
		}
	}
	if len(found) > 0 { // the client hears what is missing
		return found[0]
	}
	return id.first
}

// now returns the certificate, without a staple that is over.
func (s *shown) now(now time.Time) *tls.Certificate {
	if s.until.IsZero() || now.Before(s.until) {
		return &s.Certificate
	}
	bare := s.Certificate
	bare.OCSPStaple = nil
	return &bare
}

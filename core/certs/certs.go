// SPDX-License-Identifier: MPL-2.0

// Package certs reads the files that TLS needs: certificates, private keys,
// encrypted or not, and authorities. It knows nothing of sockets.
package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/youmark/pkcs8"

	"github.com/zlink/zlink/core/errno"
)

// longestFile bounds what is read of a file, in bytes.
const longestFile = 16 << 20

// KeyPair reads a certificate and its private key. EINVAL: a file cannot be read
// or used, or the two do not belong together; the sentence names the option, the
// file and why.
func KeyPair(certFile, keyFile, password string) (tls.Certificate, error) {
	pair, err := Certificate(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if pair.PrivateKey, err = Key(keyFile, password); err != nil {
		return tls.Certificate{}, err
	}
	if !belongs(pair.PrivateKey, pair.Leaf) {
		return tls.Certificate{}, refuse("TLS_KEY", keyFile, errors.New("it is not the key of "+certFile))
	}
	return pair, nil
}

// Certificate reads a certificate, with what chains it to its authority behind
// it, from a PEM file; it has no key yet. EINVAL as with KeyPair.
func Certificate(file string) (cert tls.Certificate, err error) {
	text, err := read("TLS_CERT", file)
	if err != nil {
		return tls.Certificate{}, err
	}
	if cert.Certificate, err = chain(text); err == nil {
		cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0])
	}
	if err != nil {
		return tls.Certificate{}, refuse("TLS_CERT", file, err)
	}
	return cert, nil
}

// Key reads the first private key of a PEM file; password opens it if it is
// encrypted. EINVAL as with KeyPair.
func Key(file, password string) (crypto.PrivateKey, error) {
	text, err := read("TLS_KEY", file)
	if err != nil {
		return nil, err
	}
	key, err := privateKey(text, password)
	if err != nil {
		return nil, refuse("TLS_KEY", file, err)
	}
	return key, nil
}

// Authorities returns those of a PEM file and, with system, those that the
// system trusts. nil: the system's alone. EINVAL as with KeyPair.
func Authorities(file string, system bool) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if system {
		if file == "" {
			return nil, nil
		}
		if trusted, err := x509.SystemCertPool(); err == nil {
			pool = trusted
		}
	}
	if file == "" {
		return pool, nil
	}
	text, err := read("TLS_CA", file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, refuse("TLS_CA", file, errNoCertificate)
	}
	return pool, nil
}

var errNoCertificate = errors.New("there is no certificate in it")

func refuse(option, file string, why error) error {
	return errno.New(errno.EINVAL, "cannot use %s %s: %v", option, file, why)
}

func read(option, file string) ([]byte, error) {
	if file == "" {
		return nil, errno.New(errno.EINVAL, "%s is not set", option)
	}
	info, err := os.Stat(file)
	switch {
	case err == nil && !info.Mode().IsRegular(): // a pipe could block for ever
		err = errors.New("not a regular file")
	case err == nil && info.Size() > longestFile:
		err = errors.New("the file is too large")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	if err == nil {
		return text, nil
	}
	var why syscall.Errno
	var path *fs.PathError
	switch {
	case errors.As(err, &why):
		err = why
	case errors.As(err, &path):
		err = path.Err
	}
	return nil, errno.New(errno.EINVAL, "cannot read %s %s: %v", option, file, err)
}

func chain(text []byte) (all [][]byte, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			all = append(all, block.Bytes)
		}
		text = rest
	}
	if len(all) == 0 {
		return nil, errNoCertificate
	}
	return all, nil
}

func privateKey(text []byte, password string) (crypto.PrivateKey, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("there is no private key in it")
		}
		text = rest
		switch block.Type {
		case "ENCRYPTED PRIVATE KEY":
			if password == "" {
				return nil, errEncrypted
			}
			key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(password))
			if err != nil {
				return nil, errors.New("TLS_PASSWORD does not open it, or it is encrypted in an unknown way: " + err.Error())
			}
			return key, nil
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			der, err := decrypt(block, password)
			if err != nil {
				return nil, err
			}
			return parse(block.Type, der)
		}
	}
}

var errEncrypted = errors.New("it is encrypted and TLS_PASSWORD is not set")

// decrypt undoes the encryption of PEM itself (RFC 1423), which is weak, but
// which keys still have.
func decrypt(block *pem.Block, password string) ([]byte, error) {
	//lint:ignore SA1019 such keys are there, and who can read the file has the key either way
	if !x509.IsEncryptedPEMBlock(block) {
		return block.Bytes, nil
	}
	if password == "" {
		return nil, errEncrypted
	}
	//lint:ignore SA1019 as above
	der, err := x509.DecryptPEMBlock(block, []byte(password))
	if err != nil {
		return nil, errors.New("TLS_PASSWORD does not open it")
	}
	return der, nil
}

func parse(kind string, der []byte) (crypto.PrivateKey, error) {
	switch kind {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(der)
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// belongs tells whether a key is the one of a certificate.
func belongs(key crypto.PrivateKey, cert *x509.Certificate) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// SPDX-License-Identifier: MPL-2.0

// Package certs reads the files that TLS needs: certificates, authorities, and private
// keys, encrypted or not. It knows nothing of sockets.
package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"

	"github.com/zlink/zlink/core/errno"
)

// longestFile limits how many bytes of a file are read.
const longestFile = 16 << 20

// KeyPair reads a certificate and its private key. EINVAL: a file cannot be read or used,
// or the two do not belong together. The sentence names the option, the file and the
// reason.
func KeyPair(certFile, keyFile, password string) (tls.Certificate, error) {
	return keyPair("TLS_CERT", "TLS_KEY", certFile, keyFile, password)
}

func keyPair(certOption, keyOption, certFile, keyFile, password string) (tls.Certificate, error) {
	pair, err := readCertificate(certOption, certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if pair.PrivateKey, err = readKey(keyOption, keyFile, password); err != nil {
		return tls.Certificate{}, err
	}
	if !putFirst(&pair) {
		return tls.Certificate{}, unusable(keyOption, keyFile, errors.New("it is not the key of "+certFile))
	}
	return pair, nil
}

// Certificate reads a certificate from a PEM file, together with the chain to its
// authority. The result has no key yet. EINVAL as with KeyPair.
func Certificate(file string) (tls.Certificate, error) { return readCertificate("TLS_CERT", file) }

func readCertificate(option, file string) (cert tls.Certificate, err error) {
	text, err := read(option, file)
	if err != nil {
		return tls.Certificate{}, err
	}
	if cert.Certificate, err = chain(text); err == nil {
		cert.Leaf, err = ParseLeniently(cert.Certificate[0])
	}
	if err != nil {
		return tls.Certificate{}, unusable(option, file, err)
	}
	return cert, nil
}

// Key reads the first private key of a PEM file; password opens it if it is
// encrypted. EINVAL as with KeyPair.
func Key(file, password string) (crypto.PrivateKey, error) { return readKey("TLS_KEY", file, password) }

func readKey(option, file, password string) (crypto.PrivateKey, error) {
	text, err := read(option, file)
	if err != nil {
		return nil, err
	}
	key, err := privateKey(text, password)
	if err != nil {
		return nil, unusable(option, file, err)
	}
	return key, nil
}

var errNoCertificate = errors.New("there is no certificate in it")

func unusable(option, file string, why error) error {
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
	var path *fs.PathError
	switch number := errno.Of(err); {
	case number != errno.EFAULT: // the error carries a number
		err = number
	case errors.As(err, &path):
		err = path.Err
	}
	return nil, errno.New(errno.EINVAL, "cannot read %s %s: %v", option, file, err)
}

// putFirst moves the key's certificate to the front, where a handshake needs it, and
// reports whether there is such a certificate.
func putFirst(pair *tls.Certificate) bool {
	if belongs(pair.PrivateKey, pair.Leaf) {
		return true
	}
	for i, der := range pair.Certificate[1:] {
		if cert, err := ParseLeniently(der); err == nil && belongs(pair.PrivateKey, cert) {
			copy(pair.Certificate[1:], pair.Certificate[:i+1])
			pair.Certificate[0], pair.Leaf = der, cert
			return true
		}
	}
	return false
}

func chain(text []byte) (all [][]byte, err error) {
	for block := range blocks(text) {
		if isCertificate(block) {
			all = append(all, certificateOf(block))
		}
	}
	if len(all) == 0 {
		return nil, errNoCertificate
	}
	return all, nil
}

func privateKey(text []byte, password string) (crypto.PrivateKey, error) {
	for block := range blocks(text) {
		switch block.Type {
		case "ENCRYPTED PRIVATE KEY":
			if password == "" {
				return nil, errEncrypted
			}
			key, err := openSealed(block.Bytes, password)
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
	return nil, errors.New("there is no private key in it")
}

var errEncrypted = errors.New("it is encrypted and TLS_PASSWORD is not set")

// decrypt removes the encryption of PEM itself (RFC 1423). It is weak, but existing keys
// use it.
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

func parse(kind string, der []byte) (key crypto.PrivateKey, err error) {
	switch kind {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	default:
		key, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		if odd := ecKey(der); odd != nil {
			return odd, nil
		}
	}
	return key, err
}

// belongs reports whether a key belongs to a certificate.
func belongs(key crypto.PrivateKey, cert *x509.Certificate) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

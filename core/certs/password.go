// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"
	"math/big"
	"unicode/utf16"

	"github.com/youmark/pkcs8"
)

// A library opens keys of PKCS#8. This file adds what the library lacks: the longer hashes
// for PBKDF2 (RFC 8018, B.1.2), and the encryption of PKCS#12 (RFC 7292, B and C).

func init() {
	pkcs8.RegisterKDF(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, func() pkcs8.KDFParameters { return new(stretch) })
}

// stretch are the parameters of PBKDF2.
type stretch struct {
	Salt      []byte
	Rounds    int
	KeyLength int                      `asn1:"optional"`
	PRF       pkix.AlgorithmIdentifier `asn1:"optional"`
}

// hashesOfHMAC maps the last number of an identifier 1.2.840.113549.2.n to its hash.
var hashesOfHMAC = map[int]func() hash.Hash{7: sha1.New, 8: sha256.New224, 9: sha256.New, 10: sha512.New384,
	11: sha512.New, 12: sha512.New512_224, 13: sha512.New512_256}

// DeriveKey derives a key from a password.
func (s *stretch) DeriveKey(password []byte, size int) ([]byte, error) {
	oid, algorithm := s.PRF.Algorithm, sha1.New
	if len(oid) > 0 {
		family := asn1.ObjectIdentifier{1, 2, 840, 113549, 2}
		if len(oid) == 6 && oid[:5].Equal(family) {
			algorithm = hashesOfHMAC[oid[5]]
		} else {
			algorithm = nil
		}
	}
	if algorithm == nil || s.Rounds < 1 {
		return nil, errors.New("unknown parameters of PBKDF2")
	}
	return pbkdf2.Key(algorithm, string(password), s.Salt, s.Rounds, size)
}

// sealedKey is an EncryptedPrivateKeyInfo whose algorithm has the parameters of PKCS#12.
type sealedKey struct {
	Algorithm struct {
		Name       asn1.ObjectIdentifier
		Parameters struct {
			Salt   []byte
			Rounds int
		}
	}
	Data []byte
}

var pbeSHA1TripleDES = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}

// openSealed opens a key of PKCS#8.
func openSealed(der []byte, password string) (crypto.PrivateKey, error) {
	var sealed sealedKey
	if _, err := asn1.Unmarshal(der, &sealed); err != nil || !sealed.Algorithm.Name.Equal(pbeSHA1TripleDES) {
		return pkcs8.ParsePKCS8PrivateKey(der, []byte(password))
	}
	salt, rounds := sealed.Algorithm.Parameters.Salt, sealed.Algorithm.Parameters.Rounds
	data := sealed.Data
	if len(salt) == 0 || rounds < 1 || len(data) == 0 || len(data)%des.BlockSize != 0 {
		return nil, errors.New("it is broken")
	}
	block, err := des.NewTripleDESCipher(pkcs12Key(1, password, salt, rounds, 24))
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, pkcs12Key(2, password, salt, rounds, des.BlockSize)).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > des.BlockSize {
		return nil, errors.New("the password is wrong")
	}
	return parse("PRIVATE KEY", plain[:len(plain)-pad])
}

// pkcs12Key derives key material with SHA-1 (RFC 7292, B.2). Purpose 1 asks for a key, 2
// for an initial vector.
func pkcs12Key(purpose byte, password string, salt []byte, rounds, size int) []byte {
	const block = sha1.BlockSize
	fill := func(data []byte) []byte { // repeated to whole blocks
		whole := (len(data) + block - 1) / block * block
		return bytes.Repeat(data, whole/max(1, len(data))+1)[:whole]
	}
	var secret []byte
	for _, unit := range append(utf16.Encode([]rune(password)), 0) {
		secret = append(secret, byte(unit>>8), byte(unit))
	}
	input := append(fill(salt), fill(secret)...)
	var key []byte
	for {
		sum := sha1.Sum(append(bytes.Repeat([]byte{purpose}, block), input...))
		for range rounds - 1 {
			sum = sha1.Sum(sum[:])
		}
		if key = append(key, sum[:]...); len(key) >= size {
			return key[:size]
		}
		add := new(big.Int).SetBytes(fill(sum[:]))
		add.Add(add, big.NewInt(1))
		modulus := new(big.Int).Lsh(big.NewInt(1), 8*block)
		for at := 0; at < len(input); at += block {
			n := new(big.Int).SetBytes(input[at : at+block])
			n.Add(n, add).Mod(n, modulus).FillBytes(input[at : at+block])
		}
	}
}

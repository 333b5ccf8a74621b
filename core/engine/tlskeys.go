// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

// tlsSuite is a cipher suite of TLS 1.3 (RFC 8446, B.4).
type tlsSuite struct {
	hash func() hash.Hash
	key  int // size in bytes
	aead func(key []byte) (cipher.AEAD, error)
	// memory is the measured memory in bytes of a connection's keys and state.
	memory int64
}

var tlsSuites = map[uint16]*tlsSuite{
	tls.TLS_AES_128_GCM_SHA256:       {sha256.New, 16, newGCM, 3 << 10},
	tls.TLS_AES_256_GCM_SHA384:       {sha512.New384, 32, newGCM, 3 << 10},
	tls.TLS_CHACHA20_POLY1305_SHA256: {sha256.New, chacha20poly1305.KeySize, chacha20poly1305.New, 5 << 8},
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// tlsSecrets are the traffic secrets that a handshake of TLS 1.3 has agreed on. The log of
// keys (tls.Config.KeyLogWriter) is how crypto/tls tells them.
type tlsSecrets struct {
	client, server []byte
}

// Write takes a line of the log: a name, the client's random bytes, and the secret.
func (s *tlsSecrets) Write(line []byte) (int, error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return len(line), nil
	}
	secret, err := hex.AppendDecode(nil, fields[2])
	switch {
	case err != nil:
		return 0, err
	case string(fields[0]) == "CLIENT_TRAFFIC_SECRET_0":
		s.client = secret
	case string(fields[0]) == "SERVER_TRAFFIC_SECRET_0":
		s.server = secret
	}
	return len(line), nil
}

// tlsFlow protects the records of one direction (RFC 8446, 5.2 and 7).
type tlsFlow struct {
	suite  *tlsSuite
	secret []byte
	aead   cipher.AEAD
	iv     [12]byte
	nonce  [12]byte // of one record; here because what an interface gets would go to the heap
	seq    uint64   // records so far with these keys
}

var errNoSecret = errors.New("crypto/tls has not told its keys")

// start begins with a new secret.
func (f *tlsFlow) start(suite *tlsSuite, secret []byte) error {
	if suite == nil || len(secret) == 0 {
		return errNoSecret
	}
	f.suite, f.secret, f.seq = suite, secret, 0
	key, err := f.derive("key", suite.key)
	if err != nil {
		return err
	}
	iv, err := f.derive("iv", len(f.iv))
	if err != nil {
		return err
	}
	copy(f.iv[:], iv)
	f.aead, err = suite.aead(key)
	return err
}

// change goes on with the next secret.
func (f *tlsFlow) change() error {
	next, err := f.derive("traffic upd", len(f.secret))
	if err != nil {
		return err
	}
	return f.start(f.suite, next)
}

// derive is HKDF-Expand-Label of the secret, without a context.
func (f *tlsFlow) derive(label string, size int) ([]byte, error) {
	const prefix = "tls13 "
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(append(append(info, prefix...), label...), 0)
	return hkdf.Expand(f.suite.hash, f.secret, string(info), size)
}

// number sets the nonce of the next record.
func (f *tlsFlow) number() []byte {
	f.nonce = f.iv
	low := f.nonce[len(f.nonce)-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^f.seq)
	return f.nonce[:]
}

// Records, and what they hold.
const (
	recordHead = 5                             // type, version, length
	recordMost = 16 << 10                      // bytes of content
	recordSize = recordHead + recordMost + 256 // of the longest record
	sealedTail = chacha20poly1305.Overhead + 1 // what protection adds to the content, in all suites
	recordRoom = recordHead + sealedTail       // around the content of a record that this side sends

	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// seal appends a record with content. The byte behind content, which must be there, is
// changed meanwhile.
func (f *tlsFlow) seal(dst []byte, kind byte, content []byte) []byte {
	inner := content[:len(content)+1]
	behind := inner[len(content)]
	inner[len(content)] = kind
	size := len(inner) + sealedTail - 1
	dst = append(slices.Grow(dst, recordHead+size), recordData, 3, 3, byte(size>>8), byte(size))
	dst = f.aead.Seal(dst, f.number(), inner, dst[len(dst)-recordHead:])
	inner[len(content)] = behind
	f.seq++
	return dst
}

// open decrypts a whole record into dst, or, where dst has no room for all of it, where it
// lies. ok is false if it is not authentic.
func (f *tlsFlow) open(record, dst []byte) (kind byte, content []byte, ok bool) {
	sealed := record[recordHead:]
	if len(dst)+sealedTail-1 < len(sealed) {
		dst = sealed
	}
	content, err := f.aead.Open(dst[:0], f.number(), sealed, record[:recordHead])
	if err != nil {
		return 0, nil, false
	}
	f.seq++
	for at := len(content) - 1; at >= 0; at-- { // zeros at the end are padding
		if content[at] != 0 {
			return content[at], content[:at], true
		}
	}
	return 0, nil, true
}

// wholeRecord returns the first record of data, or nil if its end has not come. ok is
// false if it is longer than a record may be.
func wholeRecord(data []byte) (record []byte, ok bool) {
	if len(data) < recordHead {
		return nil, true
	}
	size := recordHead + int(binary.BigEndian.Uint16(data[3:]))
	if size > len(data) {
		return nil, size <= recordSize
	}
	return data[:size], size <= recordSize
}

// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/zlink/zlink/core/errno"
)

// defaultCiphers are the suites of TLS 1.2 that a socket uses by default: they make fresh
// keys for each connection and authenticate what they encrypt. The other suites of
// crypto/tls use CBC, which timing attacks break in other implementations than its own.
// No client of the last ten years needs them.
var defaultCiphers = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// ciphersNamed parses a list of suites of TLS 1.2, separated by colons, commas or blanks:
// names of RFCs or of OpenSSL, or DEFAULT. "" means DEFAULT. The order does not matter,
// because crypto/tls has its own. EINVAL: a suite does not exist.
func ciphersNamed(list string) ([]uint16, error) {
	names := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ", r) })
	if len(names) == 0 {
		return defaultCiphers, nil
	}
	var ids []uint16
	for _, name := range names {
		if name == "DEFAULT" {
			ids = append(ids, defaultCiphers...)
			continue
		}
		suite := cipherNamed(name)
		if suite == nil {
			return nil, errno.New(errno.EINVAL, "cannot use TLS_CIPHERS: there is no suite %q here", name)
		}
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			return nil, errno.New(errno.EINVAL, "cannot use TLS_CIPHERS: %s is of TLS 1.3, whose suites are always there", name)
		}
		ids = append(ids, suite.ID)
	}
	return ids, nil
}

// everyCipher returns all suites of crypto/tls except RC4, which RFC 7465 forbids.
func everyCipher() []*tls.CipherSuite {
	return slices.DeleteFunc(append(tls.CipherSuites(), tls.InsecureCipherSuites()...), func(s *tls.CipherSuite) bool {
		return strings.Contains(s.Name, "_RC4_")
	})
}

func cipherNamed(name string) *tls.CipherSuite {
	for _, suite := range everyCipher() {
		if name == suite.Name || name == opensslName(suite.Name) {
			return suite
		}
	}
	return nil
}

var opensslWords = strings.NewReplacer("AES_128_CBC", "AES128", "AES_256_CBC", "AES256", "AES_128", "AES128",
	"AES_256", "AES256", "3DES_EDE_CBC", "DES-CBC3",
	"CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "_", "-")

// opensslName returns OpenSSL's name of a suite of TLS 1.2: AES128-SHA for
// TLS_RSA_WITH_AES_128_CBC_SHA.
func opensslName(name string) string {
	exchange, cipher, found := strings.Cut(strings.TrimPrefix(name, "TLS_"), "_WITH_")
	if !found {
		return name
	}
	if exchange == "RSA" {
		return opensslWords.Replace(cipher)
	}
	return opensslWords.Replace(exchange + "_" + cipher)
}

// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"github.com/youmark/pkcs8"

	"github.com/zlink/zlink/core/errno"
)

// files are PEM files in a folder of the test's.
type files struct {
	t      *testing.T
	folder string
}

func (f files) write(name string, blocks ...*pem.Block) string {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	return f.text(name, text)
}

func (f files) text(name string, text []byte) string {
	path := filepath.Join(f.folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func certificate(t *testing.T, key *ecdsa.PrivateKey) *pem.Block {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &pem.Block{Type: "CERTIFICATE", Bytes: der}
}

// der ends the test on an error.
func der(t *testing.T) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeyPair(t *testing.T) {
	f := files{t, t.TempDir()}
	key := newKey(t)
	cert := f.write("cert.pem", certificate(t, key))
	ec := der(t)(x509.MarshalECPrivateKey(key))
	//lint:ignore SA1019 it is what is tested
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", ec, []byte("secret"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	plain := f.write("pkcs8.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: der(t)(x509.MarshalPKCS8PrivateKey(key))})
	sealed := f.write("sealed.pem", &pem.Block{Type: "ENCRYPTED PRIVATE KEY",
		Bytes: der(t)(pkcs8.MarshalPrivateKey(key, []byte("secret"), nil))})
	sealedOld := f.write("legacy.pem", legacy)

	Convey("A key is read in every form", t, func() {
		for _, file := range []string{plain, sealed, sealedOld,
			f.write("ec.pem", &pem.Block{Type: "EC PARAMETERS", Bytes: []byte{1}}, &pem.Block{Type: "EC PRIVATE KEY", Bytes: ec}),
			f.write("both.pem", certificate(t, key), &pem.Block{Type: "EC PRIVATE KEY", Bytes: ec})} {
			pair, err := KeyPair(cert, file, "secret")
			So(err, ShouldBeNil)
			So(key.Equal(pair.PrivateKey), ShouldBeTrue)
			So(len(pair.Certificate), ShouldEqual, 1)
		}
	})
	Convey("A certificate comes with its chain", t, func() {
		pair, err := KeyPair(f.write("chain.pem", certificate(t, key), certificate(t, newKey(t))), plain, "")
		So(err, ShouldBeNil)
		So(len(pair.Certificate), ShouldEqual, 2)
	})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := f.write("other.pem", &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	empty, text := f.text("empty.pem", nil), f.text("text.pem", []byte("certificate"))
	broken := f.write("broken.pem", &pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2, 3}})
	brokenKey := f.write("brokenkey.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1, 2, 3}})
	for _, r := range []struct{ what, cert, key, password, sentence string }{
		{"no certificate", "", plain, "", "TLS_CERT is not set"},
		{"no key", cert, "", "", "TLS_KEY is not set"},
		{"a file that is not there", "/no/such.pem", plain, "", "cannot read TLS_CERT /no/such.pem: no such file or directory"},
		{"a folder", cert, f.folder, "", "cannot read TLS_KEY " + f.folder + ": not a regular file"},
		{"an empty file", empty, plain, "", "there is no certificate in it"},
		{"a file of another kind", cert, text, "", "there is no private key in it"},
		{"a broken certificate", broken, plain, "", "cannot use TLS_CERT " + broken},
		{"a broken key", cert, brokenKey, "", "cannot use TLS_KEY " + brokenKey},
		{"the key of another certificate", cert, other, "", "it is not the key of " + cert},
		{"an encrypted key without a password", cert, sealed, "", "TLS_PASSWORD is not set"},
		{"one with a wrong password", cert, sealed, "wrong", "TLS_PASSWORD does not open it"},
		{"an old encrypted key without a password", cert, sealedOld, "", "TLS_PASSWORD is not set"},
		{"one with a wrong password", cert, sealedOld, "wrong", "TLS_PASSWORD does not open it"},
	} {
		Convey("It refuses "+r.what+": "+r.sentence, t, func() {
			_, err := KeyPair(r.cert, r.key, r.password)
			So(errno.Of(err), ShouldEqual, errno.EINVAL)
			So(errno.Detail(err), ShouldContainSubstring, r.sentence)
		})
	}
}

func TestAuthorities(t *testing.T) {
	f := files{t, t.TempDir()}
	one, two := certificate(t, newKey(t)), certificate(t, newKey(t))
	Convey("Authorities are those of the file", t, func() {
		pool, err := ReadAuthorities(f.write("ca.pem", one, two), false)
		So(err, ShouldBeNil)
		want := x509.NewCertPool()
		want.AppendCertsFromPEM(append(pem.EncodeToMemory(one), pem.EncodeToMemory(two)...))
		So(pool.Pool.Equal(want), ShouldBeTrue)
	})
	Convey("the system's alone without a file, and none without both", t, func() {
		pool, err := ReadAuthorities("", true)
		So(err, ShouldBeNil)
		So(pool.Pool, ShouldBeNil)
		pool, err = ReadAuthorities("", false)
		So(err, ShouldBeNil)
		So(pool.Pool.Equal(x509.NewCertPool()), ShouldBeTrue)
	})
	Convey("A file without one is refused", t, func() {
		_, err := ReadAuthorities(f.text("none.pem", []byte("x")), true)
		So(errno.Of(err), ShouldEqual, errno.EINVAL)
		So(errno.Detail(err), ShouldContainSubstring, "TLS_CA")
	})
}

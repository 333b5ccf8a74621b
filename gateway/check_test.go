// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	. "github.com/smartystreets/goconvey/convey"
)

// keyPair writes a certificate and its key.
func keyPair(t *testing.T) (cert, key string) {
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, key = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: must(x509.CreateCertificate(rand.Reader, form, form, &own.PublicKey, own))},
		key: {Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(own))}} {
		noError(os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

func TestCheck(t *testing.T) {
	Convey("What the library, NATS and the system would object to is wrong before anything is opened", t, func() {
		cert, key := keyPair(t)
		_, other := keyPair(t)
		for line, sentence := range map[string]string{
			"--listen any://:99999":                                 `--listen any://:99999: `,
			"--listen ws://:80/a/b":                                 "",
			"--listen any://[::1:80":                                "--listen any://[::1:80: ",
			"--route /a=b --route /a=c":                             "--route /a comes twice",
			"--route /a=b --route /c=b":                             "",
			"--proxy-from x":                                        `--proxy-from does not take the list: "x"`,
			"--ws-origin x":                                         `--ws-origin does not take the value: "x"`,
			"--ws-path x":                                           `--ws-path or --route does not take the value: "x"`,
			"--ws-health x":                                         "--ws-health does not take the value",
			"--properties Shoe-Size":                                `--properties does not take the list: "Shoe-Size"`,
			"--idle 1us":                                            "--idle 1µs: it is 1ms to 24h, or 0s",
			"--idle 99999h":                                         "--idle 99999h0m0s",
			"--metrics 127.0.0.1:99999":                             `--metrics 127.0.0.1:99999: there is no port "99999"`,
			"--nats-listen 127.0.0.1:99999":                         "--nats-listen 127.0.0.1:99999: there is no port",
			"--nats nats://":                                        "--nats nats:// is no URL",
			"--nats nats://me:secret@here:99999":                    "--nats nats://…@here:99999: there is no port",
			"--nats here:4222,nats://[::1]:4222":                    "",
			"--nats nats://a --nats-token x":                        "--nats-token is for the embedded server",
			"--nats nats://a --nats-store /tmp":                     "--nats-store is for the embedded server",
			"--nats-creds " + key:                                   "--nats-creds needs --nats",
			"--presence-replicas 3":                                 "--presence-replicas 3 needs --nats",
			"--nats-store " + key:                                   "is no folder",
			"--nats-store " + key + "/below":                        "cannot be used",
			"--nats-store /proc/below":                              "nothing can be written to /proc",
			"--nats-store " + t.TempDir() + "/a/b":                  "",
			"--tls-cert " + cert + " --tls-key " + key:              "",
			"--tls-cert " + cert + " --tls-key " + other:            "--tls-cert " + cert + " and --tls-key " + other,
			"--tls-cert " + key + " --tls-key " + key:               "--tls-cert " + key,
			"--nats a --nats-cert " + cert + " --nats-key " + other: "--nats-cert " + cert + " and --nats-key " + other,
			"--nats a --nats-cert " + cert + " --nats-key " + key:   "",
			"--nats a --nats-ca " + key:                             "--nats-ca " + key + " has no certificate",
			"--nats a --nats-ca " + cert:                            "",
			"--nats a --nats-creds " + key:                          "--nats-creds " + key + " has no JWT",
		} {
			if !strings.Contains(line, "--listen") {
				line += " --listen any://:1"
			}
			_, _, err := Parse(strings.Fields(line), none, os.Stdout)
			if sentence == "" {
				So(err, ShouldBeNil)
				continue
			}
			So(err != nil, ShouldBeTrue)
			So(err.Error(), ShouldContainSubstring, sentence)
			So(err.Error(), ShouldNotContainSubstring, "secret")
		}
	})
}

func TestAnswers(t *testing.T) {
	Convey("An answer that cannot be is malformed", t, func() {
		answered := func(body int, pairs ...string) int {
			m := &nats.Msg{Header: nats.Header{}, Data: make([]byte, body)}
			for i := 0; i < len(pairs); i += 2 {
				m.Header[pairs[i]] = []string{pairs[i+1]}
			}
			said := read(m, 100)
			return said.status
		}
		So(answered(100, headerStatus, "200", headerGroups, "a, b.c,"), ShouldEqual, 200)
		So(answered(100, headerStatus, "403"), ShouldEqual, 403)
		So(answered(101, headerStatus, "200"), ShouldEqual, 502) // --max-message is also for clients
		So(answered(101, headerStatus, "403"), ShouldEqual, 502)
		So(answered(0, headerStatus, "200", headerGroups, "a b"), ShouldEqual, 502) // commas divide
		So(answered(0, headerStatus, "200", headerUser, "a\u0085b"), ShouldEqual, 502)
		So(answered(0, headerStatus, "200", headerUser, "é 1"), ShouldEqual, 200)
	})
}

func TestOrders(t *testing.T) {
	Convey("A request that cannot be read is objected to in the protocol's words", t, func() {
		for text, sentence := range map[string]string{
			`[]`:                   "the request is no JSON object, and has the type array",
			`{"op":1}`:             "op of the request is a text, not a number",
			`{"id":-1}`:            "id of the request is a whole number of 32 bits, not a number -1",
			`{"code":"x"}`:         "code of the request is a whole number of 64 bits, not a string",
			`{"spread_ms":1e9999}`: "spread_ms of the request is a whole number of 64 bits",
			`{`:                    "the request is no JSON: unexpected end",
		} {
			So(noOrder(json.Unmarshal([]byte(text), &order{})), ShouldContainSubstring, sentence)
		}
	})
}

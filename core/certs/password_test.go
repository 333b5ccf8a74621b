// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"encoding/pem"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// One key, as OpenSSL writes it, plain and with the password "sécret".
const (
	plainKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0BjeOk1vkHYz80ne
jkiWnyCYzbGUKZ1651sq8qWkiNWhRANCAAQslViwQGxcSF6oKRznko3gVb/Zy7ok
tkl8kjJ8y2fRHRAUhIfgA3+pVfH9cYVMMgWsTuZpja3Dip7EePZS6Q86
-----END PRIVATE KEY-----
`
	pkcs12KeyText = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGxMBwGCiqGSIb3DQEMAQMwDgQIKAnJIBldJOwCAggABIGQPEtdNBvUDy4IIulo
jHxt9MNILwvxwJKdPsDRWI+fxI4btUX1nCg+mp65BN+sOu3g92ecS9Hd+v4NTV5W
DVG1eltmeCwxAYv1n6RcPqjk587a6OwJ9HMpS9jPg+RuYYD0A9Zkc1Yua/cCsdAd
BP2s5uNy32wbc70TboTBeDr9BMyoK8Oan6ykT8cEqbcpaqdU
-----END ENCRYPTED PRIVATE KEY-----
`
	sha512KeyText = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhxjDbRYR2biAICA+gw
DAYIKoZIhvcNAgsFADAdBglghkgBZQMEASoEEC7eAupH6PDhUTrMDkMCPw4EgZBy
BFCats47m/b4dYW1A3S8zTD9VYMVtH6jd/LOKGRJ8+bGfR+/pF9RKPM0Pb+HP50r
HBtj+0sOtkMBqQbenajOt6JVI//EonQaT3o/Rc311VvfLoN+/DvsymO2SKjZwvf9
8ZgMc9bM4I6jpka/5u3/MXygsB8VhtPbgwOSr9vNejoQOUDETZhZMO4vi9M67BI=
-----END ENCRYPTED PRIVATE KEY-----
`
)

func TestSealedKeys(t *testing.T) {
	f := files{t, t.TempDir()}
	want, err := Key(f.text("plain.pem", []byte(plainKey)), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"PBE-SHA1-3DES": pkcs12KeyText, "PBKDF2 with SHA-512": sha512KeyText} {
		Convey("A key that OpenSSL sealed with "+name, t, func() {
			Convey("opens with its password", func() {
				key, err := Key(f.text("k.pem", []byte(text)), "sécret")
				So(err, ShouldBeNil)
				So(key, ShouldResemble, want)
			})
			Convey("and with no other, nor changed, and nothing breaks", func() {
				_, err := Key(f.text("k.pem", []byte(text)), "secret")
				So(err, ShouldNotBeNil)
				block, _ := pem.Decode([]byte(text))
				for i := range 60 { // where the parameters are
					bad := bytes.Clone(block.Bytes)
					bad[i] ^= 0x81
					_, _ = openSealed(bad[:len(bad)-i%9], "sécret")
				}
			})
		})
	}
}

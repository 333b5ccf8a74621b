// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const scriptText = "chart ()"

func fixtureScript() script {
	sum := sha256.Sum256([]byte(scriptText))
	return script{"chart", "1.2.3", "dist/chart.min.js", hex.EncodeToString(sum[:]), []string{"LICENSE"}}
}

func fixtureArchive(text string) []byte {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	for name, body := range map[string]string{"package/dist/chart.min.js": text, "package/LICENSE": "free"} {
		So(files.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body))}), ShouldBeNil)
		_, err := files.Write([]byte(body))
		So(err, ShouldBeNil)
	}
	So(files.Close(), ShouldBeNil)
	So(zipped.Close(), ShouldBeNil)
	return out.Bytes()
}

// registryOf answers with the archive at a path, and notes what it was asked.
func registryOf(at string, archive []byte) (*httptest.Server, *[]string) {
	asked := &[]string{}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case at:
			w.Write(archive)
		case "/npm/chart/1.2.3":
			fmt.Fprintf(w, `{"dist": {"tarball": %q}}`, server.URL+at)
		default:
			http.NotFound(w, r)
		}
	}))
	Reset(server.Close)
	return server, asked
}

func TestFetch(t *testing.T) {
	const usual = "/npm/chart/-/chart-1.2.3.tgz"
	Convey("The script comes from the registry that npm is configured for", t, func() {
		dir := filepath.Join(t.TempDir(), "echarts")
		f := fixtureScript()
		Convey("with its license, and once", func() {
			server, asked := registryOf(usual, fixtureArchive(scriptText))
			npm := npmSettings{"registry": server.URL + "/npm"}
			So(f.fetch(dir, npm), ShouldBeNil)
			text, err := os.ReadFile(filepath.Join(dir, "chart.min.js"))
			So(err, ShouldBeNil)
			So(string(text), ShouldEqual, scriptText)
			So(filepath.Join(dir, "LICENSE"), shouldBeFile)
			So(f.fetch(dir, npm), ShouldBeNil)
			So(*asked, ShouldResemble, []string{usual + " "})
		})
		Convey("with the token for it, and where the registry says it lies", func() {
			server, asked := registryOf("/elsewhere", fixtureArchive(scriptText))
			address, _ := url.Parse(server.URL)
			npm := npmSettings{"registry": server.URL + "/npm/", "//" + address.Host + "/npm/:_authToken": "secret"}
			So(f.fetch(dir, npm), ShouldBeNil)
			So(*asked, ShouldResemble, []string{
				usual + " Bearer secret", "/npm/chart/1.2.3 Bearer secret", "/elsewhere Bearer secret"})
		})
		Convey("through npm's proxy", func() {
			proxy, asked := registryOf(usual, fixtureArchive(scriptText))
			npm := npmSettings{"registry": "http://registry.invalid/npm/", "proxy": proxy.URL}
			So(f.fetch(dir, npm), ShouldBeNil)
			So(*asked, ShouldResemble, []string{usual + " "})
			npm["noproxy"] = "other.invalid, .invalid"
			So(os.RemoveAll(dir), ShouldBeNil)
			So(f.fetch(dir, npm), ShouldNotBeNil)
			So(len(*asked), ShouldEqual, 1)
		})
		Convey("but not another file, or none, or half of one", func() {
			for _, archive := range [][]byte{fixtureArchive("other ()"), nil, fixtureArchive(scriptText)[:40]} {
				server, _ := registryOf(usual, archive)
				So(f.fetch(dir, npmSettings{"registry": server.URL + "/npm/"}), ShouldNotBeNil)
				So(filepath.Join(dir, "chart.min.js"), shouldBeAbsent)
			}
		})
		Convey("and an address that is none is told", func() {
			So(f.fetch(dir, npmSettings{"registry": "nonsense"}).Error(), ShouldContainSubstring, "nonsense")
		})
	})
	Convey("npm's files say NAME = VALUE; the environment stands over them", t, func() {
		file := filepath.Join(t.TempDir(), "npmrc")
		So(os.WriteFile(file, []byte("; registry=no\n# a\nregistry = \"https://a.invalid/\"\nproxy=null\n"+
			"cafile=${ZLINK_TEST_HOME}/ca.pem\n//a.invalid/:_authToken=t\nnonsense\n\n"), 0o600), ShouldBeNil)
		t.Setenv("NPM_CONFIG_USERCONFIG", file)
		t.Setenv("ZLINK_TEST_HOME", "/home")
		npm := npmHere()
		So(npm["cafile"], ShouldEqual, "/home/ca.pem")
		So(npm["proxy"], ShouldBeEmpty)
		if os.Getenv("npm_config_registry") == "" {
			registry, err := npm.registry()
			So(err, ShouldBeNil)
			So(registry.String(), ShouldEqual, "https://a.invalid/")
			So(npm.token(registry), ShouldEqual, "t")
		}
		t.Setenv("npm_config_registry", "https://b.invalid")
		registry, err := npmHere().registry()
		So(err, ShouldBeNil)
		So(registry.String(), ShouldEqual, "https://b.invalid/")
	})
}

func shouldBeFile(name any, _ ...any) string {
	if _, err := os.Stat(name.(string)); err != nil {
		return err.Error()
	}
	return ""
}

func shouldBeAbsent(name any, _ ...any) string {
	if shouldBeFile(name) == "" {
		return name.(string) + " is there"
	}
	return ""
}

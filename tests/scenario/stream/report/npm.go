// SPDX-License-Identifier: MPL-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// npmSettings are what npm would use here: the registry, proxies, certificates
// and tokens. npm itself need not be there.
type npmSettings map[string]string

// npmHere reads the settings where npm does: from npm_config_… in the
// environment, then the user's file, then the machine's.
func npmHere() npmSettings {
	s := npmSettings{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if len(name) > 11 && strings.EqualFold(name[:11], "npm_config_") {
			s.add(strings.ReplaceAll(strings.ToLower(name[11:]), "_", "-"), value)
		}
	}
	home, _ := os.UserHomeDir()
	files := []string{s["userconfig"], s["globalconfig"], "/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc"}
	if files[0] == "" {
		files[0] = filepath.Join(home, ".npmrc")
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			s.parse(string(text))
		}
	}
	return s
}

// add keeps what an earlier place said.
func (s npmSettings) add(name, value string) {
	if _, there := s[name]; !there && value != "" && value != "null" {
		s[name] = value
	}
}

var npmVariable = regexp.MustCompile(`\$\{(\w+)\}`)

// parse adds what a file says, NAME = VALUE in each line.
func (s npmSettings) parse(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || line[0] == ';' || line[0] == '#' {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		value = npmVariable.ReplaceAllStringFunc(value, func(v string) string {
			return os.Getenv(npmVariable.FindStringSubmatch(v)[1])
		})
		s.add(strings.TrimSpace(name), value)
	}
}

var errNoRegistry = errors.New("no npm registry is known: set npm_config_registry, or install npm")

// registry is where npm gets its packages: as it is configured, as npm says, or
// as Debian's package of npm has it, which is loaded for that and not installed.
func (s npmSettings) registry() (*url.URL, error) {
	text := s["registry"]
	if text == "" {
		out, _ := exec.Command("npm", "config", "get", "registry").Output()
		text = strings.TrimSpace(string(out))
	}
	if text == "" {
		text = debianRegistry()
	}
	if text == "" {
		return nil, errNoRegistry
	}
	registry, err := url.Parse(text)
	if err != nil || registry.Host == "" {
		return nil, fmt.Errorf("npm's registry %q is not a URL", text)
	}
	if !strings.HasSuffix(registry.Path, "/") {
		registry.Path += "/"
	}
	return registry, nil
}

var defaultRegistry = regexp.MustCompile(`(?m)^\s*registry: '(https://[^']+)'`)

func debianRegistry() string {
	dir, err := os.MkdirTemp("", "npm")
	if err != nil {
		return ""
	}
	defer os.RemoveAll(dir)
	load := exec.Command("sh", "-c", `apt-get -qq -o APT::Sandbox::User=root download npm && dpkg-deb -x npm_*.deb .`)
	load.Dir = dir
	if load.Run() != nil {
		return ""
	}
	files, _ := filepath.Glob(dir + "/usr/share/nodejs/npm/node_modules/npm-registry-fetch/lib/default-opts.js")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if m := defaultRegistry.FindSubmatch(text); m != nil {
			return string(m[1])
		}
	}
	return ""
}

// token is what the registry knows this machine by, if anything.
func (s npmSettings) token(registry *url.URL) string {
	return s["//"+registry.Host+registry.Path+":_authToken"]
}

// client reaches the registry the way that npm would.
func (s npmSettings) client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if s["proxy"] != "" || s["https-proxy"] != "" {
		transport.Proxy = s.proxy
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, file := range []string{s["cafile"], os.Getenv("NODE_EXTRA_CA_CERTS")} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		roots.AppendCertsFromPEM(text)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	return &http.Client{Transport: transport}, nil
}

func (s npmSettings) proxy(request *http.Request) (*url.URL, error) {
	host := request.URL.Hostname()
	for name := range strings.SplitSeq(s["noproxy"], ",") {
		name = strings.TrimPrefix(strings.TrimSpace(name), ".")
		if name != "" && (host == name || strings.HasSuffix(host, "."+name)) {
			return nil, nil
		}
	}
	proxy := s["https-proxy"]
	if proxy == "" || request.URL.Scheme == "http" && s["proxy"] != "" {
		proxy = s["proxy"]
	}
	return url.Parse(proxy)
}

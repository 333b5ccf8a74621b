// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Config says what a gateway does. Default has the values that README.md lists.
type Config struct {
	Listen  []string // endpoints
	Name    string   // the first part of the server's name in subjects
	Service string
	Routes  []Route
	Framing string // messages, length

	NATS           []string // URLs; none: the embedded server
	NATSCreds      string   // file
	NATSCA         string   // file
	NATSCert       string   // file
	NATSKey        string   // file
	NATSListen     string   // address of the embedded server; none
	NATSToken      string
	NATSStore      string // folder; "": a temporary one
	NATSPending    int64  // bytes
	Bundle         string // auto, on, off
	Auth           string // none, request, message
	AuthTimeout    time.Duration
	JWTKey         string // file
	JWTAudience    string
	JWTIssuer      string
	Presence       bool
	Replicas       int
	TLSCert        string // file
	TLSKey         string // file
	ProxyFrom      string
	WebPaths       string
	WebOrigins     string
	WebProtocols   string
	WebHealth      string
	Properties     string
	Profile        string // public, private
	MaxMessage     int64  // bytes
	Slow           string // cut, drop-newest, drop-oldest, refuse
	Metrics        string // address; none
	Drain          time.Duration
	TakeoverPath   string
	Log            func(sentence string) // nil: nobody is told
	HeartbeatEvery time.Duration         // of zl_servers
	DeadAfter      time.Duration         // without a heartbeat; at least 3 of them
	DrainPatience  time.Duration         // after a drain's time, until it ends all the same

	// nil: the profile's.
	MaxConnections     *int
	AddressConnections *int
	AddressRate        *int
	AcceptRate         *int
	SendBytes          *int
	SendTotal          *int64
	RecvTotal          *int64
	Idle               *time.Duration
}

// A Route gives clients of WebSockets that asked for a path a service. A path that ends in /* stands for
// all that begin so.
type Route struct{ Path, Service string }

// Default returns the values of settings that nobody has set.
func Default() Config {
	name, err := os.Hostname()
	if err != nil {
		name = "gateway"
	}
	return Config{
		Name: token(name), Service: "app", Framing: framingMessages,
		NATSListen: "127.0.0.1:4222", NATSPending: 64 << 20,
		Bundle: bundleAuto, Auth: authNone, AuthTimeout: 5 * time.Second, Presence: true, Replicas: 1,
		WebHealth:  "/healthz",
		Properties: "WS-Path WS-Query WS-Origin WS-Protocol TLS-Version TLS-SNI TLS-Peer-Subject",
		Profile:    profilePublic, MaxMessage: 64 << 10, Slow: "cut", Metrics: "127.0.0.1:9100", Drain: 20 * time.Second,
		HeartbeatEvery: time.Second, DeadAfter: 4 * time.Second, DrainPatience: 15 * time.Second,
	}
}

const (
	authNone        = "none"
	authRequest     = "request"
	authMessage     = "message"
	framingMessages = "messages"
	framingLength   = "length"
	profilePublic   = "public"
	profilePrivate  = "private"
	nowhere         = "none" // as an address
)

// maxPayload is the longest message that the embedded server takes.
const maxPayload = 8 << 20

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// token makes one of a host's name.
func token(name string) string {
	name, _, _ = strings.Cut(name, ".")
	name = regexp.MustCompile(`[^A-Za-z0-9_-]+`).ReplaceAllString(name, "_")
	return name[:min(len(name), 64)]
}

// Check says in a sentence what is wrong.
func (c *Config) Check() error {
	for _, check := range []func() error{c.checkListen, c.checkNames, c.checkNATS, c.checkAuth, c.checkKinds, c.checkLimits, c.checkFiles,
		c.checkPorts, c.checkSides, c.checkContents, c.checkClients} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkListen() error {
	if len(c.Listen) == 0 {
		return fmt.Errorf("--listen is missing: give an endpoint such as any://:7000")
	}
	for _, endpoint := range c.Listen {
		scheme, rest, has := strings.Cut(endpoint, "://")
		switch {
		case !has || rest == "":
			return fmt.Errorf("--listen %s is no endpoint: they look like any://:7000 or ws://127.0.0.1:8080/chat", endpoint)
		case !slices.Contains([]string{"any", "tcp", "tls", "ws", "wss", "ipc"}, scheme):
			return fmt.Errorf("--listen %s: there is no transport %s; there are any, tcp, tls, ws, wss and ipc", endpoint, scheme)
		case c.Framing == framingMessages && (scheme == "tcp" || scheme == "tls" || scheme == "ipc"):
			return fmt.Errorf("--listen %s needs --framing length, which is then also that of WebSockets; any:// takes clients of %s with --framing messages", endpoint, scheme)
		case (scheme == "tls" || scheme == "wss") && c.TLSCert == "":
			return fmt.Errorf("--listen %s needs --tls-cert and --tls-key", endpoint)
		}
	}
	if c.TakeoverPath != "" && len(c.NATS) == 0 {
		return fmt.Errorf("--takeover needs --nats: two gateways at a time cannot both embed the server at %s", c.NATSListen)
	}
	return nil
}

func (c *Config) checkNames() error {
	if !tokenForm.MatchString(c.Name) {
		return fmt.Errorf("--name %q: only letters, digits, _ and - are allowed, at most 64", c.Name)
	}
	if !tokenForm.MatchString(c.Service) {
		return fmt.Errorf("--service %q: only letters, digits, _ and - are allowed, at most 64", c.Service)
	}
	for _, r := range c.Routes {
		if !strings.HasPrefix(r.Path, "/") || !tokenForm.MatchString(r.Service) {
			return fmt.Errorf("--route %s=%s: it has to be a path that begins with /, =, and a service of letters, digits, _ and -", r.Path, r.Service)
		}
	}
	return nil
}

func (c *Config) checkNATS() error {
	for _, one := range c.NATS {
		if scheme, _, has := strings.Cut(one, "://"); has && scheme != "nats" && scheme != "tls" {
			return fmt.Errorf("--nats %s: it begins with nats:// or tls://", redact(one))
		}
	}
	if len(c.NATS) > 0 {
		if (c.NATSCert == "") != (c.NATSKey == "") {
			return fmt.Errorf("--nats-cert and --nats-key need each other")
		}
		return nil
	}
	if c.NATSListen == nowhere {
		return nil
	}
	host, _, err := net.SplitHostPort(c.NATSListen)
	if err != nil {
		return fmt.Errorf("--nats-listen %s is no address such as 127.0.0.1:4222, and not none", c.NATSListen)
	}
	if ip := net.ParseIP(host); c.NATSToken == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--nats-listen %s lets other machines in: give a --nats-token, or an address such as 127.0.0.1:4222", c.NATSListen)
	}
	return nil
}

func (c *Config) checkAuth() error {
	switch {
	case c.Auth != authNone && c.Auth != authRequest && c.Auth != authMessage:
		return fmt.Errorf("--auth %s: it is none, request or message", c.Auth)
	case c.JWTKey != "" && c.Auth == authNone:
		return fmt.Errorf("--jwt-key needs --auth request or --auth message, which say where the token is")
	case c.JWTKey == "" && (c.JWTAudience != "" || c.JWTIssuer != ""):
		return fmt.Errorf("--jwt-audience and --jwt-issuer need --jwt-key")
	case c.AuthTimeout < 10*time.Millisecond || c.AuthTimeout > time.Hour:
		return fmt.Errorf("--auth-timeout %v: it is 10ms to 1h", c.AuthTimeout)
	}
	if c.JWTKey != "" {
		_, err := newVerifier(c)
		return err
	}
	return nil
}

func (c *Config) checkKinds() error {
	switch {
	case c.Framing != framingMessages && c.Framing != framingLength:
		return fmt.Errorf("--framing %s: it is messages or length", c.Framing)
	case c.Profile != profilePublic && c.Profile != profilePrivate:
		return fmt.Errorf("--profile %s: it is public or private", c.Profile)
	case !slices.Contains(bundleKinds, c.Bundle):
		return fmt.Errorf("--bundle %s: it is auto, on or off", c.Bundle)
	case !slices.Contains(slowKinds, c.Slow):
		return fmt.Errorf("--slow %s: it is one of %s", c.Slow, strings.Join(slowKinds, ", "))
	}
	return nil
}

func (c *Config) checkLimits() error {
	switch {
	case c.MaxMessage < 1 || c.MaxMessage > maxPayload-headerRoom:
		return fmt.Errorf("--max-message %d: it is 1 to %d", c.MaxMessage, maxPayload-headerRoom)
	case c.NATSPending < c.MaxMessage:
		return fmt.Errorf("--nats-pending %d is less than one message of --max-message %d", c.NATSPending, c.MaxMessage)
	case c.Replicas < 1 || c.Replicas > 5:
		return fmt.Errorf("--presence-replicas %d: it is 1 to 5", c.Replicas)
	case c.Drain < 0 || c.Drain > 24*time.Hour:
		return fmt.Errorf("--drain %v: it is 0s to 24h", c.Drain)
	case c.HeartbeatEvery <= 0 || c.DeadAfter < 3*c.HeartbeatEvery:
		return fmt.Errorf("a gateway is dead after 3 heartbeats at least")
	}
	if c.Metrics != nowhere {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			return fmt.Errorf("--metrics %s is no address such as 127.0.0.1:9100, and not none", c.Metrics)
		}
	}
	return nil
}

func (c *Config) checkFiles() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("--tls-cert and --tls-key need each other")
	}
	for flag, name := range map[string]string{"--tls-cert": c.TLSCert, "--tls-key": c.TLSKey, "--nats-creds": c.NATSCreds,
		"--nats-ca": c.NATSCA, "--nats-cert": c.NATSCert, "--nats-key": c.NATSKey} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("%s %s cannot be read: %w", flag, name, err)
		}
	}
	if c.TakeoverPath != "" && !filepath.IsAbs(c.TakeoverPath) && c.TakeoverPath[0] != '@' {
		return fmt.Errorf("--takeover %s: it is a path from /, or @ and a name", c.TakeoverPath)
	}
	return nil
}

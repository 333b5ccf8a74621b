// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// What is wrong with a setting is said before anything is opened, by those who would use it.

// flagOf names the flags whose values the library looks at.
var flagOf = strings.NewReplacer("socket option STREAM_PROPERTIES", "--properties", "socket option STREAM_PROXY_FROM", "--proxy-from",
	"socket option STREAM_WS_ORIGINS", "--ws-origin", "socket option STREAM_WS_PROTOCOLS", "--ws-protocol",
	"socket option STREAM_WS_HEALTH_PATH", "--ws-health", "socket option STREAM_WS_PATHS", "--ws-path or --route",
	"socket option STREAM_IDLE_TIMEOUT", "--idle")

// checkClients has the library look at what the clients' side is made of.
func (c *Config) checkClients() error {
	if c.Idle != nil && *c.Idle != 0 && (*c.Idle < time.Millisecond || *c.Idle > 24*time.Hour) {
		return fmt.Errorf("--idle %v: it is 1ms to 24h, or 0s", *c.Idle)
	}
	for i, r := range c.Routes {
		for _, other := range c.Routes[:i] {
			if other.Path == r.Path {
				return fmt.Errorf("--route %s comes twice", r.Path)
			}
		}
	}
	socket, err := stream.Open((&Gateway{config: *c}).socketSettings()...)
	if err != nil {
		return fmt.Errorf("a setting of the clients' side is wrong: %s", flagOf.Replace(errno.Detail(err)))
	}
	_ = socket.Close()
	for _, text := range c.Listen {
		if _, err := endpoint.Parse(everywhere(text)); err != nil {
			return fmt.Errorf("--listen %s: %s", text, errno.Detail(err))
		}
	}
	return nil
}

// checkPorts looks at addresses whose form is right.
func (c *Config) checkPorts() error {
	for flag, address := range map[string]string{"--metrics": c.Metrics, "--nats-listen": c.NATSListen} {
		if _, port, err := net.SplitHostPort(address); err == nil {
			if _, err := net.LookupPort("tcp", port); err != nil {
				return fmt.Errorf("%s %s: there is no port %q", flag, address, port)
			}
		}
	}
	for _, text := range c.NATS {
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		server, err := url.Parse(text)
		if err != nil || server.Hostname() == "" {
			return fmt.Errorf("--nats %s is no URL such as nats://127.0.0.1:4222", redact(text))
		}
		if port := server.Port(); port != "" {
			if _, err := net.LookupPort("tcp", port); err != nil {
				return fmt.Errorf("--nats %s: there is no port %q", redact(text), port)
			}
		}
	}
	return nil
}

// checkSides refuses what says nothing, because it is for servers of NATS that there are not.
func (c *Config) checkSides() error {
	if len(c.NATS) > 0 {
		for flag, value := range map[string]string{"--nats-token": c.NATSToken, "--nats-store": c.NATSStore} {
			if value != "" {
				return fmt.Errorf("%s is for the embedded server, and --nats names others", flag)
			}
		}
		return nil
	}
	for flag, value := range map[string]string{"--nats-creds": c.NATSCreds, "--nats-ca": c.NATSCA, "--nats-cert": c.NATSCert, "--nats-key": c.NATSKey} {
		if value != "" {
			return fmt.Errorf("%s needs --nats: the embedded server has no use for it", flag)
		}
	}
	if c.Replicas > 1 {
		return fmt.Errorf("--presence-replicas %d needs --nats and a cluster: the embedded server is alone", c.Replicas)
	}
	return checkStore(c.NATSStore)
}

// checkStore looks whether the embedded server could write to a folder, or make it.
func checkStore(store string) error {
	for folder := store; folder != ""; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		switch {
		case errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder):
			continue // the server makes it
		case err != nil:
			return fmt.Errorf("--nats-store %s cannot be used: %w", store, err)
		case !info.IsDir():
			return fmt.Errorf("--nats-store %s cannot be used: %s is no folder", store, folder)
		}
		probe, err := os.CreateTemp(folder, ".zlink-gateway-")
		if err != nil {
			return fmt.Errorf("--nats-store %s cannot be used: nothing can be written to %s", store, folder)
		}
		_, _ = probe.Close(), os.Remove(probe.Name())
		return nil
	}
	return nil
}

// checkContents looks into files that can be read.
func (c *Config) checkContents() error {
	for flag, pair := range map[string][2]string{"tls": {c.TLSCert, c.TLSKey}, "nats": {c.NATSCert, c.NATSKey}} {
		if pair[0] == "" {
			continue
		}
		if _, err := tls.LoadX509KeyPair(pair[0], pair[1]); err != nil {
			return fmt.Errorf("--%s-cert %s and --%s-key %s: %w", flag, pair[0], flag, pair[1], err)
		}
	}
	if c.NATSCA != "" {
		text, err := os.ReadFile(c.NATSCA)
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
			return fmt.Errorf("--nats-ca %s has no certificate", c.NATSCA)
		}
	}
	if c.NATSCreds != "" {
		text, err := os.ReadFile(c.NATSCreds)
		if err != nil || !strings.Contains(string(text), "-----BEGIN NATS USER JWT-----") || !strings.Contains(string(text), "NKEY SEED-----") {
			return fmt.Errorf("--nats-creds %s has no JWT and seed of a user of NATS", c.NATSCreds)
		}
	}
	return nil
}

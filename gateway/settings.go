// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// A setting is a flag, a variable of the environment, and a line of the file.
type setting struct {
	name, value, text string
	set               func(c *Config, value string) error
}

// settings are in the order in which help shows them.
var settings = []setting{
	{"listen", "ENDPOINT", "where clients connect: any://:7000, ws://127.0.0.1:8080/chat; a list, or again", listOf(func(c *Config) *[]string { return &c.Listen })},
	{"name", "NAME", "the first part of the server's name in subjects", textOf(func(c *Config) *string { return &c.Name })},
	{"service", "NAME", "the service of clients that no route has", textOf(func(c *Config) *string { return &c.Service })},
	{"route", "PATH=SERVICE", "that of WebSockets with this path; again", addRoute},
	{"framing", "KIND", "of WebSockets: messages, length", textOf(func(c *Config) *string { return &c.Framing })},
	{"nats", "URLS", "servers of NATS, with commas between; none: the embedded one", listOf(func(c *Config) *[]string { return &c.NATS })},
	{"nats-creds", "FILE", "credentials for them", textOf(func(c *Config) *string { return &c.NATSCreds })},
	{"nats-ca", "FILE", "authorities of their certificates", textOf(func(c *Config) *string { return &c.NATSCA })},
	{"nats-cert", "FILE", "the gateway's own certificate for them", textOf(func(c *Config) *string { return &c.NATSCert })},
	{"nats-key", "FILE", "and its key", textOf(func(c *Config) *string { return &c.NATSKey })},
	{"nats-listen", "ADDRESS", "of the embedded server; none", textOf(func(c *Config) *string { return &c.NATSListen })},
	{"nats-token", "TOKEN", "what its back ends have to give", textOf(func(c *Config) *string { return &c.NATSToken })},
	{"nats-store", "DIR", "of its JetStream", textOf(func(c *Config) *string { return &c.NATSStore })},
	{"nats-pending", "BYTES", "of messages from NATS that may wait", numberOf(func(c *Config) *int64 { return &c.NATSPending })},
	{"bundle", "KIND", "put messages of many clients into one message of NATS: auto (for back ends that take them), on, off", textOf(func(c *Config) *string { return &c.Bundle })},
	{"auth", "KIND", "none, request, message", textOf(func(c *Config) *string { return &c.Auth })},
	{"auth-timeout", "TIME", "for the first message, and for the answer", timeOf(func(c *Config) *time.Duration { return &c.AuthTimeout })},
	{"jwt-key", "FILE", "verify tokens with it instead of asking", textOf(func(c *Config) *string { return &c.JWTKey })},
	{"jwt-audience", "TEXT", "what aud has to be", textOf(func(c *Config) *string { return &c.JWTAudience })},
	{"jwt-issuer", "TEXT", "what iss has to be", textOf(func(c *Config) *string { return &c.JWTIssuer })},
	{"presence", "on|off", "tell in NATS where users are", onOff(func(c *Config) *bool { return &c.Presence })},
	{"presence-replicas", "N", "of its buckets", countOf(func(c *Config) *int { return &c.Replicas })},
	{"tls-cert", "FILE", "of tls, wss and any", textOf(func(c *Config) *string { return &c.TLSCert })},
	{"tls-key", "FILE", "and its key", textOf(func(c *Config) *string { return &c.TLSKey })},
	{"proxy-from", "LIST", "proxies whose connections begin with a PROXY header", textOf(func(c *Config) *string { return &c.ProxyFrom })},
	{"ws-path", "LIST", "paths besides the one of the endpoint", textOf(func(c *Config) *string { return &c.WebPaths })},
	{"ws-origin", "LIST", "pages that may connect; *: all", textOf(func(c *Config) *string { return &c.WebOrigins })},
	{"ws-protocol", "LIST", "subprotocols", textOf(func(c *Config) *string { return &c.WebProtocols })},
	{"ws-health", "PATH", "answered with 200 on the port of WebSockets", textOf(func(c *Config) *string { return &c.WebHealth })},
	{"properties", "LIST", "kept of each client", textOf(func(c *Config) *string { return &c.Properties })},
	{"profile", "KIND", "public, private", textOf(func(c *Config) *string { return &c.Profile })},
	{"max-message", "BYTES", "from a client and to one", numberOf(func(c *Config) *int64 { return &c.MaxMessage })},
	{"max-connections", "N", "0: no limit", limitOf(func(c *Config) **int { return &c.MaxConnections })},
	{"address-connections", "N", "of one address; 0: no limit", limitOf(func(c *Config) **int { return &c.AddressConnections })},
	{"address-rate", "N", "new ones of one address in a second; 0: no limit", limitOf(func(c *Config) **int { return &c.AddressRate })},
	{"accept-rate", "N", "new ones in a second; 0: no limit", limitOf(func(c *Config) **int { return &c.AcceptRate })},
	{"send-bytes", "BYTES", "that may wait for one client", limitOf(func(c *Config) **int { return &c.SendBytes })},
	{"send-total", "BYTES", "that may wait for all clients", totalOf(func(c *Config) **int64 { return &c.SendTotal })},
	{"recv-total", "BYTES", "that may wait from all clients", totalOf(func(c *Config) **int64 { return &c.RecvTotal })},
	{"slow", "KIND", "what happens to a client whose queue is full: cut, drop-newest, drop-oldest, refuse", textOf(func(c *Config) *string { return &c.Slow })},
	{"idle", "TIME", "a client that says nothing for so long is ended; 0s: never", setIdle},
	{"metrics", "ADDRESS", "of /metrics, /healthz and /readyz; none", textOf(func(c *Config) *string { return &c.Metrics })},
	{"drain", "TIME", "over which a drain ends the clients", timeOf(func(c *Config) *time.Duration { return &c.Drain })},
	{"takeover", "PATH", "take the listeners of the gateway that runs with this path", textOf(func(c *Config) *string { return &c.TakeoverPath })},
}

func textOf(at func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error { *at(c) = value; return nil }
}

// listOf adds: a setting may come again.
func listOf(at func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, value string) error {
		for _, entry := range strings.Split(value, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				*at(c) = append(*at(c), entry)
			}
		}
		return nil
	}
}

var errNumber = errors.New("it is a number that is not negative")

func numberOf(at func(*Config) *int64) func(*Config, string) error {
	return func(c *Config, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return errNumber
		}
		*at(c) = n
		return nil
	}
}

func countOf(at func(*Config) *int) func(*Config, string) error {
	return func(c *Config, value string) error {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 0 {
			return errNumber
		}
		*at(c) = int(n)
		return nil
	}
}

func limitOf(at func(*Config) **int) func(*Config, string) error {
	return func(c *Config, value string) error {
		*at(c) = new(int)
		return countOf(func(c *Config) *int { return *at(c) })(c, value)
	}
}

func totalOf(at func(*Config) **int64) func(*Config, string) error {
	return func(c *Config, value string) error {
		*at(c) = new(int64)
		return numberOf(func(c *Config) *int64 { return *at(c) })(c, value)
	}
}

func timeOf(at func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return errors.New("it is a time such as 500ms, 20s or 2m")
		}
		*at(c) = d
		return nil
	}
}

func setIdle(c *Config, value string) error {
	c.Idle = new(time.Duration)
	return timeOf(func(c *Config) *time.Duration { return c.Idle })(c, value)
}

func onOff(at func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, value string) error {
		if value != "on" && value != "off" {
			return errors.New("it is on or off")
		}
		*at(c) = value == "on"
		return nil
	}
}

func addRoute(c *Config, value string) error {
	path, service, has := strings.Cut(value, "=")
	if !has {
		return errors.New("it is a path, =, and a service")
	}
	c.Routes = append(c.Routes, Route{path, service})
	return nil
}

// What Parse returns besides a Config.
type Orders struct {
	Check   bool // only say whether the settings are right
	Version bool // only print the version
}

// ErrHelp: the usage was asked for, and printed.
var ErrHelp = flag.ErrHelp

// Parse reads settings from the command line, the environment and the file that --config names, in this order of
// importance, and checks them. An error is a sentence.
func Parse(arguments []string, environment func(name string) (string, bool), output io.Writer) (Config, Orders, error) {
	var orders Orders
	line, file, err := parseLine(arguments, &orders, output)
	if err != nil || orders.Version {
		return Config{}, orders, err
	}
	around := map[string][]string{}
	for _, s := range settings {
		if value, has := environment(variable(s.name)); has {
			around[s.name] = []string{value}
		}
	}
	if value, has := environment(variable("config")); has && file == "" {
		file = value
	}
	inFile := map[string][]string{}
	if file != "" {
		if inFile, err = parseFile(file); err != nil {
			return Config{}, orders, err
		}
	}
	config := Default()
	for _, s := range settings {
		origin, values := "--"+s.name, line[s.name]
		if values == nil {
			origin, values = variable(s.name), around[s.name]
		}
		if values == nil {
			origin, values = s.name+" in "+file, inFile[s.name]
		}
		for _, value := range values {
			if err := s.set(&config, value); err != nil {
				return Config{}, orders, fmt.Errorf("%s %q: %w", origin, value, err)
			}
		}
	}
	return config, orders, config.Check()
}

func variable(name string) string {
	return "ZLINK_GATEWAY_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func parseLine(arguments []string, orders *Orders, output io.Writer) (given map[string][]string, file string, err error) {
	given = map[string][]string{}
	flags := flag.NewFlagSet("zlink-gateway", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "config", "", "")
	flags.BoolVar(&orders.Check, "check", false, "")
	flags.BoolVar(&orders.Version, "version", false, "")
	for _, s := range settings {
		flags.Func(s.name, "", func(value string) error {
			given[s.name] = append(given[s.name], value)
			return nil
		})
	}
	err = flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(output)
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%s is no flag; --help shows them", flags.Arg(0))
	}
	return given, file, err
}

func usage(output io.Writer) {
	_, _ = fmt.Fprintf(output, "usage: zlink-gateway --listen ENDPOINT [FLAG...]\n\n")
	for _, s := range append([]setting{
		{"config", "FILE", "read settings from it, lines of name = value", nil},
		{"check", "", "say whether the settings are right, and exit", nil},
		{"version", "", "print the version, and exit", nil},
	}, settings...) {
		_, _ = fmt.Fprintf(output, "  %-30s %s\n", strings.TrimSpace("--"+s.name+" "+s.value), s.text)
	}
}

// longestFile bounds what is read of it, in bytes.
const longestFile = 1 << 20

// parseFile reads lines of name = value.
func parseFile(name string) (map[string][]string, error) {
	known := map[string]bool{}
	for _, s := range settings {
		known[s.name] = true
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--config %s cannot be read: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	values, lines := map[string][]string{}, bufio.NewScanner(io.LimitReader(file, longestFile))
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, has := strings.Cut(text, "=")
		key = strings.TrimSpace(key)
		switch {
		case !has:
			return nil, fmt.Errorf("line %d of %s has no =: a line is name = value", number, name)
		case !known[key]:
			return nil, fmt.Errorf("line %d of %s: there is no setting %s", number, name, key)
		}
		values[key] = append(values[key], strings.TrimSpace(value))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--config %s cannot be read: %w", name, err)
	}
	return values, nil
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// plan is how large a cluster is.
type plan struct {
	prefix    string // of the names of sites
	folder    string // for logs, configurations and what nats-servers store
	program   string // zlink-gateway
	haproxies int
	gateways  int
	nats      int
	backends  int
	compares  bool // the first gateway puts no messages into bundles
	drain     time.Duration
	away      time.Duration // how long a program is gone, or its cable is, when that happens
}

// cluster is everything that runs but the clients.
type cluster struct {
	plan
	network   *network
	nats      []*process
	gateways  []*gateway
	haproxies []*haproxy
	backends  []*process
	bareServe *process
	self      string // this program
}

type gateway struct {
	*process
	name, listen, metrics string
}

type haproxy struct {
	*process
	config string
	clock  string // where it says that it is there
}

// The ports of each program.
const (
	natsPort    = 4222
	routePort   = 6222
	natsWebPort = 8080
	natsTell    = 8222 // what it has counted
	clientPort  = 7000
	metricsPort = 9100
	healthPort  = 8404
)

func at(address string, port int) string { return fmt.Sprintf("%s:%d", address, port) }

// build starts everything, in the order in which it needs each other.
func build(n *network, p plan) (c *cluster, err error) {
	c = &cluster{plan: p, network: n}
	if c.self, err = os.Executable(); err != nil {
		return nil, err
	}
	for _, start := range []func() error{c.startNATS, c.startGateways, c.startFronts, c.startBackends} {
		if err := start(); err != nil {
			c.end()
			return nil, err
		}
	}
	return c, nil
}

// process makes one of this name and site, which is not started yet.
func (c *cluster) process(s site, command ...string) *process {
	return &process{name: s.name, site: s, command: command, log: filepath.Join(c.folder, s.name+".log")}
}

func (c *cluster) startNATS() error {
	var sites []site
	var routes []string
	for i := range c.plan.nats {
		s, err := c.network.site(fmt.Sprintf("%snats%d", c.prefix, i+1))
		if err != nil {
			return err
		}
		sites = append(sites, s)
		routes = append(routes, "nats://"+at(s.address, routePort))
	}
	for _, s := range sites {
		config := filepath.Join(c.folder, s.name+".conf")
		if err := os.WriteFile(config, []byte(natsText(s, c.folder, routes)), 0o600); err != nil {
			return err
		}
		p := c.process(s, c.self, "nats", "--config", config)
		if err := p.start(); err != nil {
			return err
		}
		c.nats = append(c.nats, p)
	}
	for i, s := range sites {
		if err := c.listens(c.nats[i], at(s.address, natsPort)); err != nil {
			return err
		}
	}
	return nil
}

// natsText is the configuration of one nats-server. Routes notice within moments that one is cut off.
func natsText(s site, folder string, routes []string) string {
	text := fmt.Sprintf(`server_name: %s
listen: %s
http: %s
max_payload: 1MB
ping_interval: "1s"
ping_max: 2
write_deadline: "2s"
websocket { listen: "%s", no_tls: true }
jetstream { store_dir: "%s", max_memory_store: 64MB, max_file_store: 256MB }
`, s.name, at(s.address, natsPort), at(s.address, natsTell), at(s.address, natsWebPort), filepath.Join(folder, s.name))
	if len(routes) == 1 {
		return text
	}
	return text + fmt.Sprintf("cluster { name: lab, listen: \"%s\", ping_interval: \"500ms\", routes: [%s] }\n",
		at(s.address, routePort), strings.Join(routes, ", "))
}

// natsServers are the addresses of all of them, with commas between.
func (c *cluster) natsServers() string {
	var all []string
	for _, p := range c.nats {
		all = append(all, "nats://"+at(p.site.address, natsPort))
	}
	return strings.Join(all, ",")
}

func (c *cluster) startGateways() error {
	for i := range c.plan.gateways {
		s, err := c.network.site(fmt.Sprintf("%sgw%d", c.prefix, i+1))
		if err != nil {
			return err
		}
		g := &gateway{name: s.name, listen: at(s.address, clientPort), metrics: at(s.address, metricsPort)}
		g.process = c.process(s, c.gatewayCommand(g)...)
		if err := g.start(); err != nil {
			return err
		}
		c.gateways = append(c.gateways, g)
	}
	for _, g := range c.gateways {
		if err := c.healthy(g.process, "http://"+g.metrics+"/readyz"); err != nil {
			return err
		}
	}
	return nil
}

// gatewayCommand has no limits for one address, because all clients have one.
func (c *cluster) gatewayCommand(g *gateway) []string {
	command := []string{c.program, "--listen", "any://" + g.listen, "--name", g.name, "--service", labService,
		"--framing", "messages", "--nats", c.natsServers(), "--metrics", g.metrics, "--drain", c.drain.String(),
		"--presence-replicas", strconv.Itoa(len(c.nats)), "--ws-origin", "*",
		"--max-connections", "0", "--address-connections", "0", "--address-rate", "0", "--accept-rate", "0",
		"--send-total", strconv.Itoa(256 << 20), "--recv-total", strconv.Itoa(256 << 20)}
	if c.plan.haproxies > 0 {
		command = append(command, "--proxy-from", c.network.all())
	}
	if c.plan.compares && len(c.gateways) == 0 {
		command = append(command, "--bundle", "off")
	}
	return command
}

func (c *cluster) startFronts() error {
	var behind []string
	for _, g := range c.gateways {
		behind = append(behind, g.listen)
	}
	for i := range c.plan.haproxies {
		s, err := c.network.site(fmt.Sprintf("%sfront%d", c.prefix, i+1))
		if err != nil {
			return err
		}
		h := &haproxy{config: filepath.Join(c.folder, s.name+".cfg"), clock: at(s.address, healthPort)}
		text := haproxyText(at(s.address, clientPort), h.clock, filepath.Join(c.folder, s.name+".sock"), behind)
		if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
			return err
		}
		h.process = c.process(s, "haproxy", "-W", "-db", "-f", h.config)
		if err := h.start(); err != nil {
			return err
		}
		if err := c.healthy(h.process, "http://"+h.clock+"/health"); err != nil {
			return err
		}
		c.haproxies = append(c.haproxies, h)
	}
	return nil
}

func (c *cluster) startBackends() error {
	for i := range c.plan.backends {
		s, err := c.network.site(fmt.Sprintf("%sback%d", c.prefix, i+1))
		if err != nil {
			return err
		}
		p := c.process(s, c.self, "backend", "--nats", c.natsServers(), "--service", labService)
		if err := p.start(); err != nil {
			return err
		}
		if err := until(10*time.Second, func() bool { return strings.Contains(p.tail(), " serves") }); err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, err, p.tail())
		}
		c.backends = append(c.backends, p)
	}
	return nil
}

// startBare starts the library's own echo server.
func (c *cluster) startBare() (address string, err error) {
	s, err := c.network.site(c.prefix + "bare")
	if err != nil {
		return "", err
	}
	c.bareServe = c.process(s, c.self, "bare", "--listen", "any://"+at(s.address, clientPort))
	if err := c.bareServe.start(); err != nil {
		return "", err
	}
	return at(s.address, clientPort), c.listens(c.bareServe, at(s.address, clientPort))
}

// fronts are where clients connect: HAProxy, or without one the gateways themselves.
func (c *cluster) fronts() (all []string) {
	for _, h := range c.haproxies {
		all = append(all, at(h.site.address, clientPort))
	}
	if len(all) == 0 {
		for _, g := range c.gateways {
			all = append(all, g.listen)
		}
	}
	return all
}

func (c *cluster) every() (all []*process) {
	for _, h := range c.haproxies {
		all = append(all, h.process)
	}
	for _, g := range c.gateways {
		all = append(all, g.process)
	}
	all = append(append(all, c.backends...), c.nats...)
	if c.bareServe != nil {
		all = append(all, c.bareServe)
	}
	return all
}

// end kills everything.
func (c *cluster) end() {
	for _, p := range c.every() {
		p.kill()
	}
}

// dead are the programs that ended by themselves.
func (c *cluster) dead() (all []string) {
	for _, p := range c.every() {
		if !p.alive() {
			all = append(all, p.name+" ended by itself:\n"+p.tail())
		}
	}
	return all
}

const startTime = 20 * time.Second

// listens waits until a program accepts connections.
func (c *cluster) listens(p *process, address string) error {
	return c.await(p, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// healthy waits until a program says that it is.
func (c *cluster) healthy(p *process, url string) error {
	return c.await(p, func() bool { return healthOf(url) })
}

func healthOf(url string) bool {
	answer, err := asking.Get(url)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (c *cluster) await(p *process, holds func() bool) error {
	err := until(startTime, func() bool { return holds() || !p.alive() })
	if err == nil && !p.alive() {
		err = errors.New("it ended")
	}
	if err != nil {
		return fmt.Errorf("%s does not start: %w\n%s", p.name, err, p.tail())
	}
	return nil
}

// has reports whether a program can be found.
func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

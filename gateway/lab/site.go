// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// site is where a program of the lab runs: a network namespace with one interface, or an address of
// this machine.
type site struct {
	name, address string
	namespace     bool
}

// network makes sites. Its namespaces hang on one bridge; the lab itself has the first address of it.
// It is in a namespace of its own (lab.sh), which takes all of them with it when it ends.
type network struct {
	namespaces bool
	base       string // of the addresses
	made       int
}

const bridge = "lab0"

func newNetwork(namespaces bool) (*network, error) {
	n := &network{namespaces: namespaces, base: "10.77.0", made: 1}
	if !namespaces {
		// Another lab may run on this machine: each has addresses of its own.
		n.base = fmt.Sprintf("127.%d.%d", 64+os.Getpid()%128, os.Getpid()/128%256)
		return n, nil
	}
	return n, ip("link set lo up",
		"link add "+bridge+" type bridge",
		"addr add "+n.own()+"/24 dev "+bridge,
		"link set "+bridge+" up")
}

// own is the address of the lab.
func (n *network) own() string { return n.address(1) }

func (n *network) address(i int) string { return fmt.Sprintf("%s.%d", n.base, i) }

// all are the addresses from which sites connect. On one machine that is the first of all.
func (n *network) all() string {
	if n.namespaces {
		return n.address(0) + "/24"
	}
	return "127.0.0.0/8"
}

// site makes one of this name, which is at most 10 characters long.
func (n *network) site(name string) (site, error) {
	n.made++
	s := site{name: name, address: n.address(n.made), namespace: n.namespaces}
	if !n.namespaces {
		return s, nil
	}
	return s, ip("netns add "+name,
		fmt.Sprintf("link add v%s type veth peer name eth0 netns %s", name, name),
		fmt.Sprintf("link set v%s master %s up", name, bridge),
		fmt.Sprintf("-n %s addr add %s/24 dev eth0", name, s.address),
		fmt.Sprintf("-n %s link set lo up", name),
		fmt.Sprintf("-n %s link set eth0 up", name))
}

// cable pulls or plugs the cable of a site.
func (s site) cable(plugged bool) error {
	state := "down"
	if plugged {
		state = "up"
	}
	return ip(fmt.Sprintf("link set v%s %s", s.name, state))
}

// inside is the command that runs a command there.
func (s site) inside(command []string) []string {
	if !s.namespace {
		return command
	}
	return append([]string{"ip", "netns", "exec", s.name}, command...)
}

// ip runs commands of ip(8), up to the first that fails.
func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

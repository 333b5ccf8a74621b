// SPDX-License-Identifier: MPL-2.0

// Command lab shows what a cluster of gateways does when something fails, and what it costs. It makes the
// cluster in network namespaces: HAProxy, gateways, nats-servers, back ends, and clients that number every
// message; doc/cluster.md says what came of it. lab.sh starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// parts are the programs that the lab starts from its own file.
var parts = map[string]func([]string) error{
	"nats": runNATS, "backend": runBackend, "bare": runBare, "run": run, "cluster": runCluster,
}

func main() {
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: lab run|cluster|nats|backend|bare [FLAG...]")
		os.Exit(2)
	}
	if err := parts[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// settings are the flags of a run.
type settings struct {
	plan       plan
	crowd      crowdPlan
	folder     string
	namespaces bool
	rest       time.Duration
	comparing  comparing
	alone      bool
	only       string
}

func (s *settings) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.StringVar(&s.folder, "out", "build/lab", "folder for the report and the logs")
	f.StringVar(&s.plan.program, "gateway", "build/bin/zlink-gateway", "the gateway's program")
	f.BoolVar(&s.namespaces, "namespaces", false, "each program in a network namespace of its own; as root")
	f.IntVar(&s.plan.haproxies, "haproxies", 2, "number of HAProxy")
	f.IntVar(&s.plan.gateways, "gateways", 4, "number of gateways")
	f.IntVar(&s.plan.nats, "nats", 3, "number of nats-servers: 1 or 3")
	f.IntVar(&s.plan.backends, "backends", 2, "number of back ends")
	f.DurationVar(&s.plan.drain, "drain", 3*time.Second, "over which a gateway ends its clients when it is restarted")
	return f
}

func (s *settings) parse(arguments []string) error {
	f := s.flags("run")
	f.IntVar(&s.crowd.clients, "clients", 8000, "number of clients, half of them over WebSocket")
	f.DurationVar(&s.crowd.interval, "interval", 2*time.Second, "between two messages of a client")
	f.IntVar(&s.crowd.size, "size", 64, "bytes of a message")
	f.IntVar(&s.crowd.perSecond, "rate", 1500, "clients that come in a second, at the start")
	f.IntVar(&s.comparing.clients, "compare", 100, "clients of the loads that compare; 0: none")
	f.StringVar(&s.comparing.only, "loads", "", "those whose part and name have these words, as in 'throughput 16: gateway', with semicolons between; none: all")
	f.BoolVar(&s.alone, "compare-only", false, "only the loads that compare")
	f.DurationVar(&s.comparing.length, "length", 5*time.Second, "of each load")
	f.DurationVar(&s.plan.away, "away", 3*time.Second, "how long what fails is gone")
	f.DurationVar(&s.rest, "rest", 3*time.Second, "between two events")
	f.StringVar(&s.only, "events", "", "those whose names have these words, with commas between; none: all")
	return f.Parse(arguments)
}

// run is the whole proof.
func run(arguments []string) error {
	var s settings
	if err := s.parse(arguments); err != nil {
		return err
	}
	start := time.Now()
	say := func(format string, values ...any) {
		fmt.Printf("%5.1f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, values...))
	}
	if err := s.prepare(); err != nil {
		return err
	}
	r := &report{Title: "A cluster of gateways", Machine: machine(s)}
	err := s.work(r, say)
	if err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	if err := r.write(s.folder); err != nil {
		return err
	}
	for _, row := range r.Rows {
		fmt.Printf("%-11s %-75s %12s %s\n", row.Part, row.Name, row.Text(), row.Unit)
	}
	fmt.Printf("%s, and results.csv beside it\n", filepath.Join(s.folder, "report.html"))
	for _, goal := range r.Warnings {
		fmt.Println("missed:", goal)
	}
	if len(r.Faults) > 0 {
		return errors.New("faults:\n" + strings.Join(r.Faults, "\n"))
	}
	if !s.alone {
		fmt.Println("no message came twice, and every loss was told")
	}
	return nil
}

func machine(s settings) string {
	return fmt.Sprintf("%s, %d processors, %s. %d HAProxy, %d gateways, %d nats-servers, %d back ends, %d clients.",
		time.Now().UTC().Format("2006-01-02 15:04"), runtime.NumCPU(), runtime.Version(), s.plan.haproxies, s.plan.gateways,
		s.plan.nats, s.plan.backends, s.crowd.clients)
}

// prepare makes the folder, with absolute names, because programs run elsewhere.
func (s *settings) prepare() (err error) {
	if s.folder, err = filepath.Abs(s.folder); err != nil {
		return err
	}
	if s.plan.program, err = filepath.Abs(s.plan.program); err != nil {
		return err
	}
	if _, err := os.Stat(s.plan.program); err != nil {
		return err
	}
	s.plan.folder = filepath.Join(s.folder, "run")
	if err := os.RemoveAll(s.plan.folder); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(s.plan.folder, 0o755), allowDescriptors())
}

// allowDescriptors raises the limit to what the system allows.
func allowDescriptors() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

func (s *settings) work(r *report, say func(string, ...any)) error {
	n, err := newNetwork(s.namespaces)
	if err != nil {
		return err
	}
	if s.comparing.clients > 0 {
		if err := compare(n, s.plan, s.comparing, r, say); err != nil {
			return err
		}
	}
	if s.alone {
		return nil
	}
	c, err := build(n, s.plan)
	if err != nil {
		return err
	}
	defer c.end()
	say("the cluster stands")
	t, err := newTrial(c, s.crowd, r, say)
	if err != nil {
		return err
	}
	all := s.chosen()
	err = s.happenings(t, all)
	t.end(all)
	return err
}

func (s *settings) happenings(t *trial, all []*event) error {
	t.crowd.calm.Store(true)
	time.Sleep(s.rest)
	t.crowd.calm.Store(false)
	if err := t.group(s.comparing.length); err != nil {
		return err
	}
	t.publishing(2 * s.crowd.interval)
	for _, e := range all {
		if err := t.happen(e, s.rest); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) chosen() (some []*event) {
	for _, e := range events() {
		for word := range strings.SplitSeq(s.only, ",") {
			if strings.Contains(e.name, word) {
				some = append(some, e)
				break
			}
		}
	}
	return some
}

// runCluster is a cluster for a first look, until it is interrupted.
func runCluster(arguments []string) error {
	s := settings{}
	f := s.flags("cluster")
	if err := f.Parse(arguments); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if s.plan.haproxies > 0 && !has("haproxy") {
		fmt.Println("there is no HAProxy here: clients connect to the gateways themselves")
		s.plan.haproxies = 0
	}
	n, err := newNetwork(s.namespaces)
	if err != nil {
		return err
	}
	c, err := build(n, s.plan)
	if err != nil {
		return err
	}
	defer c.end()
	fmt.Println("clients (any://, service " + labService + "):")
	for _, front := range c.fronts() {
		fmt.Println("  " + front)
	}
	fmt.Println("back ends, beside the echo that runs:\n  " + c.natsServers())
	for _, g := range c.gateways {
		fmt.Printf("%s: http://%s/metrics, process %d\n", g.name, g.metrics, g.pid())
	}
	fmt.Println("logs: " + s.plan.folder + "; Ctrl-C ends all of it")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	for _, g := range c.gateways {
		_ = g.signal(syscall.SIGTERM) // they drain together
	}
	for _, g := range c.gateways {
		g.end(s.plan.drain + 5*time.Second)
	}
	return nil
}

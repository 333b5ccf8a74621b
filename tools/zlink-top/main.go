// SPDX-License-Identifier: MPL-2.0

// Zlink-top shows what a context of zlink does, in a terminal, from the local socket of
// zlink_ctx_set_admin. doc/tools.md describes it; the manual page is made from that.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/zlink/zlink/core/admin"
)

// version is set by the build.
var version = "unknown"

const (
	exitFailed = 1
	exitUsage  = 2

	leastInterval = 200 * time.Millisecond
)

const usage = `usage: zlink-top [OPTION...] FILE
  FILE is what the program has given to zlink_ctx_set_admin, or SetAdmin in Go
  --once         write one page, with the rates of one interval, and end
  --interval S   seconds between two pages (1)
  --sort KEY     order of the sockets: id, connections, in, out, queued, refused or memory
  --version, --help
keys: q ends, s sorts by the next column, S by the one before, space stops and goes on
`

type options struct {
	path     string
	once     bool
	interval time.Duration
	sort     int
}

// errSaid ends the program well after --help or --version.
var errSaid = errors.New("said")

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("zlink-top", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.BoolVar(&o.once, "once", false, "")
	seconds := flags.Float64("interval", 1, "")
	key := flags.String("sort", "id", "")
	tell := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return o, errSaid
	case err != nil:
		return o, err
	}
	if *tell {
		fmt.Fprintln(out, "zlink-top", version)
		return o, errSaid
	}
	o.sort = slices.IndexFunc(columns, func(c column) bool { return c.key == *key })
	if o.sort < 0 {
		return o, fmt.Errorf("there is no order %q", *key)
	}
	if !(*seconds >= leastInterval.Seconds() && *seconds <= 3600) {
		return o, fmt.Errorf("the interval is from %v to 3600 seconds", leastInterval.Seconds())
	}
	o.interval = time.Duration(*seconds * float64(time.Second))
	if flags.NArg() != 1 {
		return o, errors.New("one file is needed")
	}
	o.path = flags.Arg(0)
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, errSaid):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "zlink-top: %v\n%s", err, usage)
		os.Exit(exitUsage)
	}
	client := &admin.Client{Path: o.path, Timeout: 10 * time.Second}
	if o.once {
		err = once(client, o, os.Stdout)
	} else {
		err = live(client, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "zlink-top:", plain(err.Error()))
		os.Exit(exitFailed)
	}
}

// once writes one page of any size.
func once(client *admin.Client, o options, out io.Writer) error {
	before, err := client.Ask()
	if err != nil {
		return err
	}
	time.Sleep(o.interval)
	now, err := client.Ask()
	if err != nil {
		return err
	}
	p := page{before: before, now: now, sort: o.sort}
	_, err = io.WriteString(out, strings.Join(p.lines(), "\n")+"\n")
	return err
}

// live shows pages until a key or a signal ends it.
func live(client *admin.Client, o options) error {
	term, err := openTerminal()
	if err != nil {
		return fmt.Errorf("%w; --once needs no terminal", err)
	}
	defer term.close()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	v := view{client: client, order: o.sort, term: term}
	v.ask()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		v.show()
		select {
		case <-tick.C:
			if !v.stopped {
				v.ask()
			}
		case <-resized:
		case <-signals:
			return nil
		case key, ok := <-term.keys:
			if !ok || !v.key(key) {
				return nil
			}
		}
	}
}

// view is what a terminal shows.
type view struct {
	client  *admin.Client
	term    *terminal
	before  admin.Report
	now     admin.Report
	err     error // of the last question
	order   int
	stopped bool
}

func (v *view) ask() {
	r, err := v.client.Ask()
	if v.err = err; err == nil && r.Monotonic != v.now.Monotonic {
		v.before, v.now = v.now, r
	}
}

// key obeys a key. false: the program ends.
func (v *view) key(key byte) bool {
	switch key {
	case 'q', 'Q', 3: // and Ctrl-C
		return false
	case 's':
		v.order = (v.order + 1) % len(columns)
	case 'S':
		v.order = (v.order + len(columns) - 1) % len(columns)
	case ' ':
		v.stopped = !v.stopped
	}
	return true
}

func (v *view) show() {
	p := page{before: v.before, now: v.now, sort: v.order}
	lines := p.lines()
	if v.err != nil {
		lines = append([]string{"no answer: " + plain(v.err.Error())}, lines...)
	}
	help := "q end  s sort  space stop"
	if v.stopped {
		help = "q end  s sort  space go on (stopped)"
	}
	v.term.draw(lines, help)
}

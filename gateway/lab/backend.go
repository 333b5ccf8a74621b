// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// The lab's own names.
const (
	labService = "lab"
	labGroup   = "lab"
	bareEcho   = "lab.echo" // what clients of NATS' own listener publish to
	bareFan    = "lab.fan"  // and subscribe to
	eventStamp = "2006-01-02T15:04:05.000000Z07:00"
)

// runBackend is a back end: it answers each message of a client with the same bytes, and has each new
// client join a group. It prints when it loses its nats-server, and when it has one again.
func runBackend(arguments []string) error {
	flags := flag.NewFlagSet("backend", flag.ContinueOnError)
	servers := flags.String("nats", nats.DefaultURL, "servers, with commas between")
	service := flags.String("service", labService, "the clients' service")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	say := func(what string) { fmt.Println(time.Now().Format(eventStamp), what) }
	c, err := connectNATS(*servers, "backend", say)
	if err != nil {
		return err
	}
	b := &backend{c: c}
	if err := errors.Join(
		b.serve("zl.in."+*service+".>", b.answer),
		b.serve("zl.bundle.in."+*service+".>", b.answer), // an answer has the form of what it answers
		b.serve(bareEcho, b.answer),
		b.serve("zl.event."+*service+".connect.>", b.welcome),
		c.Flush()); err != nil {
		return err
	}
	say("serves")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return c.Drain()
}

// connectNATS returns a connection that finds another server within moments.
func connectNATS(servers, name string, say func(string)) (*nats.Conn, error) {
	return nats.Connect(servers, nats.Name(name), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.PingInterval(500*time.Millisecond), nats.MaxPingsOutstanding(2), nats.Timeout(time.Second),
		nats.ReconnectBufSize(-1), // what cannot be sent now fails, instead of coming much later
		nats.DisconnectErrHandler(func(*nats.Conn, error) { say("cut") }),
		nats.ReconnectHandler(func(*nats.Conn) { say("back") }))
}

type backend struct{ c *nats.Conn }

func (b *backend) serve(subject string, handle nats.MsgHandler) error {
	s, err := b.c.QueueSubscribe(subject, "backends", handle)
	if err != nil {
		return err
	}
	return s.SetPendingLimits(-1, 256<<20)
}

// answer sends the bytes back. While there is no server it cannot; the client sees a gap.
func (b *backend) answer(m *nats.Msg) {
	if err := m.Respond(m.Data); err != nil {
		fmt.Fprintln(os.Stderr, m.Reply, err)
	}
}

// welcome has a new client join the group.
func (b *backend) welcome(m *nats.Msg) {
	request := fmt.Appendf(nil, `{"op":"join","id":%s,"group":%q}`, m.Header.Get("Zl-Id"), labGroup)
	if err := b.c.Publish("zl.ctl."+m.Header.Get("Zl-Server"), request); err != nil {
		fmt.Fprintln(os.Stderr, m.Subject, err)
	}
}

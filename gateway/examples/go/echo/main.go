// SPDX-License-Identifier: MPL-2.0

// Command echo is a back end: it answers each message of a client with the same bytes. Start as many
// as you like; they share the messages.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats.go"
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// answer sends bytes back, as text if they came as text. The reply subject is the client.
func answer(m *nats.Msg) {
	reply := nats.NewMsg(m.Reply)
	reply.Data = m.Data
	if m.Header.Get("Zl-Text") != "" {
		reply.Header.Set("Zl-Text", "1")
	}
	if err := m.RespondMsg(reply); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func run() error {
	c, err := nats.Connect(setting("NATS_URL", nats.DefaultURL), nats.Name("echo"), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	service := setting("SERVICE", "app")
	for _, subject := range []string{"zl.in.", "zl.bundle.in."} { // an answer to a bundle has the same form
		if _, err := c.QueueSubscribe(subject+service+".>", "echo", answer); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return c.Drain() // answers what has come already
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

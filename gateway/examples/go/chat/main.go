// SPDX-License-Identifier: MPL-2.0

// Command chat is a back end with rooms, which are groups of the gateways. It keeps nothing about a
// client, so any number of it share the work. A client sends a line:
//
//	join ROOM          leave ROOM          say ROOM TEXT
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

const usage = "? join ROOM | leave ROOM | say ROOM TEXT"

var room = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

type chat struct{ nats *nats.Conn }

// handle carries out one line. The subject is zl.in.<service>.<server>.<id>.
func (c chat) handle(m *nats.Msg) {
	words := strings.Split(m.Subject, ".")
	server, id := words[3], words[4]
	line := string(m.Data)
	if !utf8.ValidString(line) {
		line = ""
	}
	verb, rest, _ := strings.Cut(line, " ")
	name, text, _ := strings.Cut(rest, " ")
	switch {
	case !room.MatchString(name):
		c.text(m.Reply, usage)
	case verb == "join" || verb == "leave":
		c.text(m.Reply, c.member(server, id, verb, name))
	case verb == "say" && text != "":
		c.text("zl.group.room."+name, name+" "+server+"."+id+": "+text)
	default:
		c.text(m.Reply, usage)
	}
}

// member has a client join or leave, and returns what to tell it.
func (c chat) member(server, id, verb, name string) string {
	request := fmt.Appendf(nil, `{"op":%q,"id":%s,"group":"room.%s"}`, verb, id, name)
	answer, err := c.nats.Request("zl.ctl."+server, request, 2*time.Second)
	if err != nil {
		return "? " + err.Error()
	}
	var said struct {
		Status int
		Error  string
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil || said.Status != 200 {
		return "? " + said.Error
	}
	return verb + " " + name
}

// text sends text to a client or a group.
func (c chat) text(subject, text string) {
	m := nats.NewMsg(subject)
	m.Header.Set("Zl-Text", "1")
	m.Data = []byte(text)
	if err := c.nats.PublishMsg(m); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func run() error {
	conn, err := nats.Connect(setting("NATS_URL", nats.DefaultURL), nats.Name("chat"), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	service := setting("SERVICE", "app")
	if _, err := conn.QueueSubscribe("zl.in."+service+".*.*", "chat", chat{conn}.handle); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return conn.Drain()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

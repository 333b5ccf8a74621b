// SPDX-License-Identifier: MPL-2.0

// Package examples runs the back ends of this folder behind two gateways, and a third one that makes bundles.
package examples

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	. "github.com/smartystreets/goconvey/convey"
)

const patience = 20 * time.Second

// backEnds are the programs of one language.
type backEnds struct {
	language string
	missing  func() string                            // why they cannot run here; "": they can
	command  func(t *testing.T, name string) []string // of a program, which may be started more than once
}

func languages() []backEnds {
	return []backEnds{
		{"Go", func() string { return "" }, func(t *testing.T, name string) []string { return []string{built(t, "./go/"+name)} }},
		{"Node.js", func() string {
			return tried("node", "-e", "require('nats')", "npm install --prefix gateway/examples/node")
		},
			func(t *testing.T, name string) []string { return []string{"node", "node/" + name + ".js"} }},
		{"Python", func() string { return tried("python3", "-c", "import nats", "pip install nats-py") },
			func(t *testing.T, name string) []string { return []string{"python3", "python/" + name + ".py"} }},
	}
}

// tried runs a line in the language's folder, where its packages may be.
func tried(program, flag, line, remedy string) string {
	command := exec.Command(program, flag, line)
	command.Dir = map[string]string{"node": "node", "python3": "python"}[program]
	if out, err := command.CombinedOutput(); err != nil {
		words := strings.Fields(string(out))
		return fmt.Sprintf("%s %s %q: %v: %s (%s)", program, flag, line, err, strings.Join(words[max(0, len(words)-6):], " "), remedy)
	}
	return ""
}

func built(t *testing.T, pack string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", program, pack).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pack, err, out)
	}
	return program
}

// begin starts a program that ends with the test, and returns its log.
func begin(t *testing.T, command *exec.Cmd, environment ...string) (log string) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	command.Stdout, command.Stderr = file, file
	command.Env = append(os.Environ(), environment...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		kill.Stop()
		if t.Failed() {
			text, _ := os.ReadFile(file.Name())
			t.Logf("%s:\n%s", command, text)
		}
	})
	return file.Name()
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func says(log, word string) func() bool {
	return func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), word)
	}
}

// freePort may be taken by another before it is used; programs would say so.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// natsServer is one in this process.
func natsServer(t *testing.T) (url string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the nats-server does not start")
	}
	return s.ClientURL()
}

// gateway starts one, and returns where its clients connect.
func gateway(t *testing.T, program, url, name string, more ...string) (address string) {
	t.Helper()
	address, metrics := freePort(t), freePort(t)
	log := begin(t, exec.Command(program, append([]string{"--listen", "any://" + address, "--name", name, "--nats", url, "--metrics", metrics,
		"--drain", "0s", "--ws-origin", "*"}, more...)...))
	until(t, "the gateway is ready: "+log, func() bool {
		answer, err := http.Get("http://" + metrics + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return address
}

// client is one of tcp, or of WebSocket, which sends text.
type client struct {
	t   *testing.T
	c   net.Conn
	in  *bufio.Reader
	web bool
}

func connect(t *testing.T, address string, web bool) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(patience)))
	one := &client{t, c, bufio.NewReader(c), web}
	if web {
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		for line := ""; line != "\r\n"; {
			line, err = one.in.ReadString('\n')
			must(t, err)
		}
	}
	return one
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (one *client) say(text string) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	if one.web {
		head = []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	}
	_, err := one.c.Write(append(head, text...))
	must(one.t, err)
}

// hears returns the next message; over WebSocket it has to be text.
func (one *client) hears() string {
	one.t.Helper()
	head := make([]byte, 4)
	if one.web {
		head = head[:2]
	}
	_, err := io.ReadFull(one.in, head)
	must(one.t, err)
	size := int(head[len(head)-1])
	if one.web && head[0] != 0x81 {
		one.t.Fatalf("no text, but %x", head)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(one.in, body)
	must(one.t, err)
	return string(body)
}

func TestExamples(t *testing.T) {
	program := os.Getenv("ZLINK_GATEWAY") // build.sh has it
	if program == "" {
		program = built(t, "../cmd/zlink-gateway")
	}
	for _, l := range languages() {
		t.Run(l.language, func(t *testing.T) {
			if why := l.missing(); why != "" {
				fmt.Println("not run here: back ends in " + l.language + ": " + why)
				t.Skip(why)
			}
			url := natsServer(t)
			first, second := gateway(t, program, url, "first"), gateway(t, program, url, "second")
			bundles := gateway(t, program, url, "third", "--bundle", "on")
			t.Run("echo", func(t *testing.T) {
				tryEcho(t, url, []string{first, bundles}, l.command(t, "echo"))
			})
			t.Run("chat", func(t *testing.T) {
				tryChat(t, url, first, second, l.command(t, "chat"))
			})
		})
	}
}

// tryEcho: two of them share the messages, and each is answered once.
func tryEcho(t *testing.T, url string, addresses, command []string) {
	for range 2 {
		until(t, "echo is ready", says(begin(t, exec.Command(command[0], command[1:]...), "NATS_URL="+url), "ready"))
	}
	Convey("Each message comes back once, as it was sent", t, func() {
		for i := range 2 * len(addresses) {
			one := connect(t, addresses[i/2], i%2 == 1)
			heard := map[string]int{}
			for i := range 20 {
				one.say(fmt.Sprint("message ", i))
			}
			for range 20 {
				heard[one.hears()]++
			}
			So(heard, ShouldHaveLength, 20)
			one.say("the last")
			So(one.hears(), ShouldEqual, "the last") // and nothing else before it
		}
	})
}

// tryChat: a room has members at two gateways.
func tryChat(t *testing.T, url, first, second string, command []string) {
	until(t, "chat is ready", says(begin(t, exec.Command(command[0], command[1:]...), "NATS_URL="+url, "SERVICE=app"), "ready"))
	Convey("A room has members at two gateways", t, func() {
		here, there, out := connect(t, first, false), connect(t, second, true), connect(t, second, true)
		for _, one := range []*client{here, there} {
			one.say("join lobby")
			So(one.hears(), ShouldEqual, "join lobby")
		}
		out.say("what?")
		So(out.hears(), ShouldEqual, "? join ROOM | leave ROOM | say ROOM TEXT")
		out.say("say lobby good morning")
		So(here.hears(), ShouldStartWith, "lobby second-")
		So(there.hears(), ShouldEndWith, ": good morning")
		there.say("leave lobby")
		So(there.hears(), ShouldEqual, "leave lobby")
		here.say("say lobby anyone?")
		So(here.hears(), ShouldEndWith, ": anyone?")
		there.say("join lobby") // nothing came in between
		So(there.hears(), ShouldEqual, "join lobby")
	})
}

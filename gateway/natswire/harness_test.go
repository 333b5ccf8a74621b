// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// patience ends a test that hangs; it decides none.
const patience = 30 * time.Second

func must[T any](value T, err error) T {
	noError(err)
	return value
}

func noError(err error) {
	if err != nil {
		panic(err)
	}
}

func until(is func() bool) bool {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// A toy is a server of which a test says what it does.
type toy struct {
	listener net.Listener
	come     chan *guest
}

// A guest is a connection to a toy, after the greeting.
type guest struct {
	net.Conn
	in    *bufio.Reader
	once  sync.Once
	lines chan string // that have come, but PING
	mute  atomic.Bool // answers no PING
}

func newToy(t *testing.T) *toy {
	s := &toy{must(net.Listen("tcp", "127.0.0.1:0")), make(chan *guest, 16)}
	t.Cleanup(func() { _ = s.listener.Close() })
	go s.accept(s.listener)
	return s
}

func (s *toy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go s.greet(conn)
	}
}

// again listens where it did before.
func (s *toy) again() {
	s.listener = must(net.Listen("tcp", s.listener.Addr().String()))
	go s.accept(s.listener)
}

func (s *toy) greet(conn net.Conn) {
	g := &guest{Conn: conn, in: bufio.NewReader(conn), lines: make(chan string, 4096)}
	_, _ = io.WriteString(conn, `INFO {"headers":true,"max_payload":1048576}`+"\r\n")
	for range 2 { // CONNECT, PING
		if _, err := g.in.ReadString('\n'); err != nil {
			return
		}
	}
	_, _ = io.WriteString(conn, "PONG\r\n")
	s.come <- g
}

// InProcessConn makes a toy an embedded server.
func (s *toy) InProcessConn() (net.Conn, error) {
	here, there := net.Pipe()
	go s.greet(there)
	return here, nil
}

func (s *toy) url() string { return "nats://" + s.listener.Addr().String() }

// read begins to read, and to answer each PING.
func (g *guest) read() {
	go func() {
		defer close(g.lines)
		for {
			text, err := g.in.ReadString('\n')
			switch text = strings.TrimSuffix(text, "\r\n"); {
			case err != nil:
				return
			case text != "PING":
				g.lines <- text
			case !g.mute.Load():
				_, _ = io.WriteString(g, "PONG\r\n")
			}
		}
	}()
}

// line returns one that is no PING; "": the connection has ended.
func (g *guest) line() string {
	g.once.Do(g.read)
	select {
	case line := <-g.lines:
		return line
	case <-time.After(patience):
		return "nothing came"
	}
}

func (g *guest) say(format string, args ...any) {
	_, err := fmt.Fprintf(g, format, args...)
	noError(err)
}

// A user is who has a connection.
type user struct {
	mu      sync.Mutex
	took    []string // subject, reply, headers and body
	hold    chan struct{}
	dropped atomic.Int64
	ups     atomic.Int64
	losses  atomic.Int64
	inDoubt atomic.Uint64
	said    chan string
	failed  atomic.Int64
}

func (u *user) all() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string{}, u.took...)
}

func (u *user) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.took)
}

// config is one of a user that keeps what comes.
func (u *user) config(urls ...string) Config {
	u.said = make(chan string, 64)
	o := nats.GetDefaultOptions()
	o.Servers, o.Name = urls, "test"
	return Config{Options: o, Servers: func() []string { return append([]string{}, urls...) }, Pending: 1 << 20, Longest: 100 << 10,
		PingEvery: time.Hour, DeadAfter: time.Hour, StuckFor: patience,
		Take: func(some []Msg) {
			if u.hold != nil {
				<-u.hold
			}
			u.mu.Lock()
			defer u.mu.Unlock()
			for _, m := range some {
				u.took = append(u.took, fmt.Sprintf("%s %s %q %s %v", m.Subject, m.Reply, m.Header, m.Body, m.TooLong))
			}
		},
		Dropped: func(*Msg) { u.dropped.Add(1) },
		Up:      func(string) { u.ups.Add(1) },
		Lost:    func(_ error, inDoubt uint64) { u.losses.Add(1); u.inDoubt.Add(inDoubt) },
		Said: func(text string) {
			select {
			case u.said <- text:
			default:
			}
		},
		Failed: func(error) { u.failed.Add(1) }}
}

func dial(t *testing.T, config Config) *Conn {
	t.Helper()
	c, err := Dial(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// hub is a server of NATS.
func hub(t *testing.T, change func(o *server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	if change != nil {
		change(o)
	}
	s := must(server.NewServer(o))
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

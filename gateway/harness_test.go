// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// patience ends a test that hangs; it decides none.
const patience = 30 * time.Second

// must ends a test for what is not its subject.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func noError(err error) {
	if err != nil {
		panic(err)
	}
}

// small is a gateway for tests: nothing that another one could have.
func small(change ...func(c *Config)) Config {
	c := Default()
	c.Name, c.Listen, c.NATSListen, c.Metrics = "test", []string{"any://127.0.0.1:*"}, "127.0.0.1:0", "127.0.0.1:0"
	c.AddressConnections, c.AddressRate = new(int), new(int)
	for _, f := range change {
		f(&c)
	}
	return c
}

// start starts a gateway that ends with the test.
func start(t *testing.T, change ...func(c *Config)) *Gateway {
	t.Helper()
	c := small(change...)
	c.Log = func(sentence string) {
		if testing.Verbose() {
			fmt.Println(sentence)
		}
	}
	g, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// natsServer is one of its own, as a cluster's.
func natsServer(t *testing.T, port int, change ...func(o *server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	for _, f := range change {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
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

func at(urls string) func(c *Config) { return func(c *Config) { c.NATS = []string{urls} } }

// backEnd is a connection to a gateway's NATS.
func backEnd(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func listenTo(conn *nats.Conn, subject string) *nats.Subscription {
	sub := must(conn.SubscribeSync(subject))
	noError(conn.Flush())
	return sub
}

func next(sub *nats.Subscription) *nats.Msg { return must(sub.NextMsg(patience)) }

// ask returns the status and the body of an answer.
func ask(conn *nats.Conn, subject string, header nats.Header, body []byte) (string, string) {
	m, err := conn.RequestMsg(&nats.Msg{Subject: subject, Header: header, Data: body}, patience)
	if err != nil {
		return err.Error(), ""
	}
	return first(m.Header, headerStatus), string(m.Data)
}

// order is a request to zl.ctl; it returns the status.
func command(conn *nats.Conn, g *Gateway, format string, args ...any) string {
	status, _ := ask(conn, "zl.ctl."+g.Server(), nil, fmt.Appendf(nil, format, args...))
	return status
}

// idOf is the client that a subject of zl.in or zl.event names.
func idOf(m *nats.Msg) string { return m.Subject[strings.LastIndexByte(m.Subject, '.')+1:] }

func address(g *Gateway) string {
	_, rest, _ := strings.Cut(g.Endpoints()[0], "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// A peer is a client of tcp.
type peer struct{ conn net.Conn }

func dial(t *testing.T, g *Gateway) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address(g))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	noError(conn.SetDeadline(time.Now().Add(patience)))
	return &peer{conn}
}

func (p *peer) send(body string) {
	_, err := p.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	noError(err)
}

func (p *peer) read() (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(p.conn, body)
	return string(body), err
}

// A page of a browser, so to speak.
type browser struct{ conn net.Conn }

func open(g *Gateway, path string, header http.Header) (*browser, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, buffered, _, err := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}.Dial(ctx, "ws://"+address(g)+path)
	if err != nil {
		return nil, err
	}
	noError(conn.SetDeadline(time.Now().Add(patience)))
	if buffered != nil { // what came with the answer
		return &browser{ahead{conn, buffered}}, nil
	}
	return &browser{conn}, nil
}

type ahead struct {
	net.Conn
	reader io.Reader
}

func (a ahead) Read(p []byte) (int, error) { return a.reader.Read(p) }

func (b *browser) text(s string)  { noError(wsutil.WriteClientText(b.conn, []byte(s))) }
func (b *browser) bytes(s string) { noError(wsutil.WriteClientBinary(b.conn, []byte(s))) }

// read returns a message, or the code that the server closed with.
func (b *browser) read() (body string, text bool, err error) {
	data, op, err := wsutil.ReadServerData(b.conn)
	return string(data), op == ws.OpText, err
}

// closed reads up to the end, and returns the code and the text of it.
func (b *browser) closed() (int, string) {
	for {
		_, _, err := b.read()
		if end, is := err.(wsutil.ClosedError); is {
			return int(end.Code), end.Reason
		}
		if err != nil {
			return 0, err.Error()
		}
	}
}

// until waits for a state.
func until(is func() bool) bool {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(2 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// metric returns a line of /metrics.
func metric(g *Gateway, name string) string {
	answer := must(http.Get("http://" + g.Metrics().String() + "/metrics"))
	defer func() { _ = answer.Body.Close() }()
	for line := range strings.Lines(string(must(io.ReadAll(answer.Body)))) {
		if rest, is := strings.CutPrefix(line, "zlink_gateway_"+name+" "); is {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

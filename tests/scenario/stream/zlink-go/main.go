// SPDX-License-Identifier: MPL-2.0

// Command zlink-go is an echo server as a Go program writes it: the package
// core/sockets/stream without cgo, the mode FAST, batches. Its settings are
// those of the servers in C: environment variables, and flags, which win.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
	"github.com/zlink/zlink/tests/scenario/stream/goserver"
)

const maxBatch = 1024

type config struct {
	port, ioThreads, backlog, hwm, sndbuf, rcvbuf int
	transport, tlsCert, tlsKey                    string
}

func settings() config {
	port := flag.Int("port", 0, "port to listen on, 0: any free one")
	ioThreads := goserver.Setting("IO_THREADS", "io threads of the context", 2)
	backlog := goserver.Setting("BACKLOG", "listen backlog", 32768)
	hwm := goserver.Setting("HWM", "messages queued for or from one connection", 1_000_000)
	sndbuf := goserver.Setting("SNDBUF", "socket send buffer in bytes, 0: system's", 262144)
	rcvbuf := goserver.Setting("RCVBUF", "socket receive buffer in bytes, 0: system's", 262144)
	transport := goserver.Text("TRANSPORT", "tcp, tls, ws, wss or ipc", "tcp")
	tlsCert := goserver.Text("TLS_CERT", "PEM file of the certificate, for tls and wss", "")
	tlsKey := goserver.Text("TLS_KEY", "PEM file of its key", "")
	flag.Parse()
	return config{*port, *ioThreads, *backlog, *hwm, *sndbuf, *rcvbuf, *transport, *tlsCert, *tlsKey}
}

// endpoint is where to listen. A port names an abstract ipc socket, and else
// the process.
func (c config) endpoint() string {
	if c.transport != "ipc" {
		return fmt.Sprintf("%s://*:%d", c.transport, c.port)
	}
	number := c.port
	if number == 0 {
		number = os.Getpid()
	}
	return fmt.Sprintf("ipc://@zlink-go-echo-%d", number)
}

// place is what a client needs of an endpoint: its port, or where an ipc socket
// is.
func place(endpoint string) (string, error) {
	if name, ok := strings.CutPrefix(endpoint, "ipc://"); ok {
		return name, nil
	}
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	return parsed.Port(), nil
}

// listen returns a bound socket and its place.
func listen(zctx *core.Context, c config) (*stream.Socket, string, error) {
	if err := zctx.Set(core.OptIOThreads, c.ioThreads); err != nil {
		return nil, "", err
	}
	socket, err := stream.Listen(c.endpoint(), stream.InContext(zctx),
		stream.WithBacklog(c.backlog), stream.WithSendHWM(c.hwm), stream.WithRecvHWM(c.hwm),
		stream.WithSendBuffer(c.sndbuf), stream.WithRecvBuffer(c.rcvbuf), stream.WithLinger(0),
		stream.WithTLSKeyPair(c.tlsCert, c.tlsKey))
	if err != nil {
		return nil, "", err
	}
	where, err := place(socket.Addr())
	return socket, where, err
}

// dropEvents takes the events out of a batch; they hold no memory.
func dropEvents(msgs []stream.Message) []stream.Message {
	kept := 0
	for i := range msgs {
		if msgs[i].Kind == stream.Data {
			msgs[kept] = msgs[i]
			kept++
		}
	}
	return msgs[:kept]
}

// sendAll sends what was received; messages for peers that have gone are
// skipped.
func sendAll(ctx context.Context, socket *stream.Socket, msgs []stream.Message) error {
	for len(msgs) > 0 {
		sent, err := socket.SendBatch(ctx, msgs)
		msgs = msgs[sent:]
		if err == nil {
			continue
		}
		if errno.Of(err) != errno.EHOSTUNREACH {
			return err
		}
		msgs[0].Release()
		msgs = msgs[1:]
	}
	return nil
}

// echo answers until ctx is done, whose cause it returns.
func echo(ctx context.Context, socket *stream.Socket) error {
	msgs := make([]stream.Message, maxBatch)
	for {
		n, err := socket.RecvBatch(ctx, msgs)
		if err == nil {
			err = sendAll(ctx, socket, dropEvents(msgs[:n]))
		}
		if err != nil {
			return err
		}
	}
}

func run(c config) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	zctx := core.NewContext()
	defer func() { _ = zctx.Term() }()
	socket, where, err := listen(zctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	fmt.Println("LISTENING", where)
	if err := echo(ctx, socket); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func main() {
	if err := run(settings()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

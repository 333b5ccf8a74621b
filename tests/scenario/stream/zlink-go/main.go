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
}

func settings() config {
	port := flag.Int("port", 0, "port to listen on, 0: any free one")
	ioThreads := goserver.Setting("IO_THREADS", "io threads of the context", 2)
	backlog := goserver.Setting("BACKLOG", "listen backlog", 32768)
	hwm := goserver.Setting("HWM", "messages queued for or from one connection", 1_000_000)
	sndbuf := goserver.Setting("SNDBUF", "socket send buffer in bytes, 0: system's", 262144)
	rcvbuf := goserver.Setting("RCVBUF", "socket receive buffer in bytes, 0: system's", 262144)
	flag.Parse()
	return config{*port, *ioThreads, *backlog, *hwm, *sndbuf, *rcvbuf}
}

// listen returns a bound socket and its port.
func listen(zctx *core.Context, c config) (*stream.Socket, string, error) {
	if err := zctx.Set(core.OptIOThreads, c.ioThreads); err != nil {
		return nil, "", err
	}
	socket, err := stream.Listen(fmt.Sprintf("tcp://*:%d", c.port), stream.InContext(zctx),
		stream.WithBacklog(c.backlog), stream.WithSendHWM(c.hwm), stream.WithRecvHWM(c.hwm),
		stream.WithSendBuffer(c.sndbuf), stream.WithRecvBuffer(c.rcvbuf), stream.WithLinger(0))
	if err != nil {
		return nil, "", err
	}
	text := socket.Addr()
	return socket, text[strings.LastIndexByte(text, ':')+1:], nil
}

// dropEvents takes the events out of a batch; they hold no memory.
func dropEvents(msgs []stream.Message) []stream.Message {
	kept := 0
	for i := range msgs {
		if msgs[i].Event == stream.Data {
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
	socket, port, err := listen(zctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	fmt.Println("LISTENING", port)
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

// SPDX-License-Identifier: MPL-2.0

// Command zlink-go is an echo server as a Go program writes it: the package
// core/sockets/stream without cgo, the mode FAST, batches. Its settings are
// those of the servers in C: environment variables, and flags, which win.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

const maxBatch = 1024

type config struct {
	port, ioThreads, backlog, hwm, sndbuf, rcvbuf int
}

// setting is a flag whose default an environment variable may replace.
func setting(env, usage string, value int) *int {
	if text, ok := os.LookupEnv(env); ok {
		number, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is a number, not %q\n", env, text)
			os.Exit(2)
		}
		value = int(number)
	}
	return flag.Int(strings.ToLower(strings.ReplaceAll(env, "_", "-")), value, usage)
}

func settings() config {
	port := flag.Int("port", 0, "port to listen on, 0: any free one")
	ioThreads := setting("IO_THREADS", "io threads of the context", 2)
	backlog := setting("BACKLOG", "listen backlog", 32768)
	hwm := setting("HWM", "messages queued for or from one connection", 1_000_000)
	sndbuf := setting("SNDBUF", "socket send buffer in bytes, 0: system's", 262144)
	rcvbuf := setting("RCVBUF", "socket receive buffer in bytes, 0: system's", 262144)
	flag.Parse()
	return config{*port, *ioThreads, *backlog, *hwm, *sndbuf, *rcvbuf}
}

// listen returns a bound socket and its port.
func listen(zctx *core.Context, c config) (*stream.Socket, string, error) {
	if err := zctx.Set(core.OptIOThreads, c.ioThreads); err != nil {
		return nil, "", err
	}
	socket, err := stream.New(zctx)
	if err != nil {
		return nil, "", err
	}
	endpoint := make([]byte, 256)
	size := 0
	for _, option := range []struct {
		name  stream.Option
		value int
	}{
		{stream.OptMode, stream.ModeFast},
		{stream.OptBacklog, c.backlog},
		{stream.OptSndHwm, c.hwm},
		{stream.OptRcvHwm, c.hwm},
		{stream.OptSndBuf, c.sndbuf},
		{stream.OptRcvBuf, c.rcvbuf},
		{stream.OptLinger, 0},
	} {
		if err == nil {
			err = socket.SetOption(option.name, binary.NativeEndian.AppendUint32(nil, uint32(option.value)))
		}
	}
	if err == nil {
		err = socket.Bind(fmt.Sprintf("tcp://*:%d", c.port))
	}
	if err == nil {
		size, err = socket.Option(stream.OptLastEndpoint, endpoint)
	}
	if err != nil {
		_ = socket.Close()
		return nil, "", err
	}
	text := strings.TrimRight(string(endpoint[:size]), "\x00")
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

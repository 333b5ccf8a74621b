// SPDX-License-Identifier: MPL-2.0

// Command gonet is an echo server on Go's packages net and crypto/tls, with a
// goroutine for each connection. Bytes go back as they came.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/zlink/zlink/tests/scenario/stream/goserver"
)

const bufferSize = 32 * 1024

type config struct {
	port, ioThreads, backlog, sndbuf, rcvbuf int
	transport, tlsCert, tlsKey               string
}

func settings() config {
	port := flag.Int("port", 0, "port to listen on, 0: any free one")
	ioThreads := goserver.Setting("IO_THREADS", "processors that Go may use at a time", 2)
	backlog := goserver.Setting("BACKLOG", "listen backlog", 32768)
	sndbuf := goserver.Setting("SNDBUF", "socket send buffer in bytes, 0: system's", 262144)
	rcvbuf := goserver.Setting("RCVBUF", "socket receive buffer in bytes, 0: system's", 262144)
	transport := goserver.Text("TRANSPORT", "tcp or tls", "tcp")
	tlsCert := goserver.Text("TLS_CERT", "PEM file of the certificate, for tls", "")
	tlsKey := goserver.Text("TLS_KEY", "PEM file of its key", "")
	flag.Parse()
	return config{*port, *ioThreads, *backlog, *sndbuf, *rcvbuf, *transport, *tlsCert, *tlsKey}
}

// wrapper returns what the transport makes of an accepted connection. The
// handshake is part of the first read.
func (c config) wrapper() (func(net.Conn) net.Conn, error) {
	if c.transport == "tcp" {
		return func(conn net.Conn) net.Conn { return conn }, nil
	}
	if c.transport != "tls" {
		return nil, fmt.Errorf("TRANSPORT is tcp or tls, not %q", c.transport)
	}
	certificate, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
	settings := &tls.Config{Certificates: []tls.Certificate{certificate}}
	return func(conn net.Conn) net.Conn { return tls.Server(conn, settings) }, err
}

// setBuffers sets a listener's buffers, which accepted sockets inherit.
func (c config) setBuffers(_, _ string, raw syscall.RawConn) error {
	var err error
	set := func(fd uintptr) {
		if c.sndbuf > 0 {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, c.sndbuf)
		}
		if err == nil && c.rcvbuf > 0 {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, c.rcvbuf)
		}
	}
	return errors.Join(raw.Control(set), err)
}

func (c config) listen(ctx context.Context) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: c.setBuffers}
	l, err := lc.Listen(ctx, "tcp4", fmt.Sprintf(":%d", c.port))
	if err != nil {
		return nil, err
	}
	listener := l.(*net.TCPListener)
	// Package net has no backlog; listening once more changes it.
	raw, err := listener.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), c.backlog) })
		err = errors.Join(err, failed)
	}
	return listener, err
}

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, bufferSize)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func run(c config) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	runtime.GOMAXPROCS(c.ioThreads)
	wrap, err := c.wrapper()
	if err != nil {
		return err
	}
	listener, err := c.listen(ctx)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	fmt.Println("LISTENING", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go echo(wrap(conn))
	}
}

func main() {
	if err := run(settings()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// SPDX-License-Identifier: MPL-2.0

// Command scene is what the picture of zlink-top shows: a game server that reports through FILE, and its players, some of
// whom read slowly. It prints a line when all have come, and runs until it is ended.
//
//	scene FILE
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/sockets/stream"
)

const (
	tick     = time.Second / 30
	players  = 200 // say 64 bytes each tick, and hear them again
	browsers = 60  // hear of the world each tick
	watchers = 12  // get 16 KiB each tick; every fourth is slow
	group    = "all"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: scene FILE")
	}
	game := listen("tcp")
	world := listen("ws")
	replay := listen("tcp", stream.WithSendBuffer(64<<10), stream.WithSendBytes(512<<10), stream.WithFullPolicy(stream.FullDropOldest))
	if err := core.Default().SetAdmin(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	go echo(game)
	publish(world, make([]byte, 1024))
	publish(replay, make([]byte, 16<<10))
	for range players {
		go play(game.Addr())
	}
	for range browsers {
		go browse(world.Addr())
	}
	for i := range watchers {
		go watch(replay.Addr(), i%4 == 0)
	}
	for _, of := range []struct {
		socket *stream.Socket
		all    int
	}{{game, players}, {world, browsers}, {replay, watchers}} {
		for n := 0; n < of.all; n, _ = of.socket.PeerCount() {
			time.Sleep(tick)
		}
	}
	fmt.Println("all have come")
	for {
		time.Sleep(3 * tick)
		visit(game.Addr())
	}
}

func listen(transport string, settings ...stream.Setting) *stream.Socket {
	socket, err := stream.Listen(transport+"://127.0.0.1:*", settings...)
	if err != nil {
		log.Fatal(err)
	}
	return socket
}

func echo(socket *stream.Socket) {
	for msg := range socket.Messages(context.Background()) {
		if msg.Kind == stream.Data {
			_ = socket.TrySend(msg.Peer, msg.Body) // the next one comes at once
		}
	}
}

// publish has everybody who comes join, and tells them all the same each tick.
func publish(socket *stream.Socket, body []byte) {
	go func() {
		for msg := range socket.Messages(context.Background()) {
			if msg.Kind == stream.Connected {
				_ = socket.Join(msg.Peer, group)
			}
		}
	}()
	go func() {
		for range time.Tick(tick) {
			_, _ = socket.Publish(group, body)
		}
	}()
}

func dial(endpoint string) net.Conn {
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

func play(endpoint string) {
	conn := dial(endpoint)
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	frame := binary.BigEndian.AppendUint32(nil, 64)
	for frame = append(frame, make([]byte, 64)...); ; time.Sleep(tick) {
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}

var elsewhere = core.NewContext() // it reports to nobody

func browse(endpoint string) {
	socket, err := stream.Dial(endpoint, stream.InContext(elsewhere))
	if err != nil {
		log.Fatal(err)
	}
	for range socket.Messages(context.Background()) {
	}
}

func watch(endpoint string, slow bool) {
	conn := dial(endpoint)
	if !slow {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		log.Fatal(err)
	}
	for buffer := make([]byte, 16<<10); ; time.Sleep(3 * tick) {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// visit says hello and leaves.
func visit(endpoint string) {
	conn := dial(endpoint)
	_, _ = conn.Write([]byte("\x00\x00\x00\x05hello"))
	_ = conn.Close()
}

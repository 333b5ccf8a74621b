// SPDX-License-Identifier: MPL-2.0

package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sockets/stream"
)

// An echo server, and a client that asks it once.
func Example() {
	server, err := stream.Listen("tcp://127.0.0.1:*", stream.WithSendHWM(1000))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for msg := range server.Messages(ctx) {
			if msg.Kind != stream.Data {
				continue // a client came, or went
			}
			if err := server.TrySend(msg.Peer, msg.Body); errors.Is(err, errno.EAGAIN) {
				_ = server.AbortPeer(msg.Peer) // it does not read
			}
		}
	}()

	client, err := stream.Dial(server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for msg := range client.Messages(ctx) {
		switch msg.Kind {
		case stream.Connected:
			if err := client.Send(ctx, msg.Peer, []byte("hello")); err != nil {
				log.Fatal(err)
			}
		case stream.Data:
			fmt.Printf("%s\n", msg.Body)
			return
		}
	}
	// Output: hello
}

// Batches cost less per message. What SendBatch does not take stays here.
func ExampleSocket_RecvBatch() {
	server, err := stream.Listen("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client, err := stream.Dial(server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	hello, err := client.Recv(ctx) // Connected
	if err != nil {
		log.Fatal(err)
	}
	out := []stream.Message{
		{Peer: hello.Peer, Body: []byte("one")},
		{Peer: hello.Peer, Body: []byte("two")},
		{Peer: hello.Peer, Body: []byte("three")},
	}
	if n, err := client.SendBatch(ctx, out); err != nil {
		log.Fatalf("%d sent: %v", n, err)
	}

	in := make([]stream.Message, 16)
	for got := 0; got < len(out); {
		n, err := server.RecvBatch(ctx, in)
		if err != nil {
			log.Fatal(err)
		}
		for i := range in[:n] {
			if in[i].Kind == stream.Data {
				fmt.Printf("%s\n", in[i].Body)
				got++
			}
			in[i].Release()
		}
	}
	// Output:
	// one
	// two
	// three
}

// Settings are typed; errors carry the number that C callers get.
func ExampleListen() {
	server, err := stream.Listen("tcp://127.0.0.1:*",
		stream.WithSendHWM(1000),
		stream.WithMaxMessageSize(64<<10),
		stream.WithLinger(time.Second))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	_, err = stream.Listen(server.Addr())
	fmt.Println(errors.Is(err, errno.EADDRINUSE))
	_, err = server.TryRecv()
	fmt.Println(errors.Is(err, errno.EAGAIN))
	err = server.TrySend(1, []byte("nobody is there"))
	fmt.Println(errors.Is(err, errno.EHOSTUNREACH))
	// Output:
	// true
	// true
	// true
}

// A context ends a wait, as its time-out does here.
func ExampleSocket_Recv() {
	server, err := stream.Listen("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = server.Recv(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// Shutdown waits until everything is written.
func ExampleSocket_Shutdown() {
	ctx := context.Background()
	server, err := stream.Listen("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	client, err := stream.Dial(server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	hello, err := server.Recv(ctx) // Connected
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Send(ctx, hello.Peer, []byte("goodbye")); err != nil {
		log.Fatal(err)
	}
	if err := server.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	for msg := range client.Messages(ctx) {
		if msg.Kind == stream.Data {
			fmt.Printf("%s\n", msg.Body)
			break
		}
	}
	// Output: goodbye
}

// A context of its own has its own io threads and limits, and an end.
func ExampleInContext() {
	own := core.NewContext()
	if err := own.Set(core.OptIOThreads, 1); err != nil {
		log.Fatal(err)
	}
	server, err := stream.Listen("tcp://127.0.0.1:*", stream.InContext(own))
	if err != nil {
		log.Fatal(err)
	}
	own.Shutdown() // ends what waits, on all its sockets
	_, err = server.Recv(context.Background())
	fmt.Println(errors.Is(err, errno.ETERM))
	_ = server.Close()
	fmt.Println(own.Term()) // waits for closed sockets' linger
	// Output:
	// true
	// <nil>
}

// A monitor reports what happens to endpoints and connections.
func ExampleSocket_Monitor() {
	server, err := stream.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	events, err := server.Monitor(engine.EventListening | engine.EventAccepted)
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close()
	if err := server.Bind("tcp://127.0.0.1:*"); err != nil {
		log.Fatal(err)
	}
	event, err := events.Recv(false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Kind == engine.EventListening, event.Local == server.Addr())
	// Output: true true
}

// Poll waits for several sockets, monitors and descriptors.
func ExamplePoll() {
	one, err := stream.Listen("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	defer one.Close()
	two, err := stream.Dial(one.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer two.Close()
	items := []sockets.PollItem{
		{Socket: one, Events: sockets.PollIn},
		{Socket: two, Events: sockets.PollIn},
	}
	for seen := 0; seen < 2; {
		if _, err := sockets.Poll(items, time.Minute); err != nil {
			log.Fatal(err)
		}
		for _, item := range items {
			if item.Revents&sockets.PollIn != 0 {
				msg, err := item.Socket.(*stream.Socket).TryRecv()
				if err != nil {
					log.Fatal(err)
				}
				fmt.Println(msg.Kind == stream.Connected)
				seen++
			}
		}
	}
	// Output:
	// true
	// true
}

// In the mode COMPAT a message is two frames.
func ExampleSocket_RecvFrame() {
	server, err := stream.Listen("tcp://127.0.0.1:*", stream.WithMode(stream.ModeCompat))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client, err := stream.Dial(server.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	id, body := make([]byte, 255), make([]byte, 1024)
	n, _, err := server.RecvFrame(id, false)
	if err != nil {
		log.Fatal(err)
	}
	if _, _, err := server.RecvFrame(body, false); err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, body[0]) // 4 bytes name the peer, which has come: 1
	if err := server.SendFrame(id[:n], true, false); err != nil {
		log.Fatal(err)
	}
	if err := server.SendFrame([]byte("hello"), false, false); err != nil {
		log.Fatal(err)
	}
	// Output: 4 1
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"flag"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// bareGroup has every client of the bare server.
const bareGroup = "lab"

// runBare is the library alone: a server that answers each message with the same bytes, and has
// a group of all, to which it sends what begins as a message of the group.
func runBare(arguments []string) error {
	flags := flag.NewFlagSet("bare", flag.ContinueOnError)
	listen := flags.String("listen", "any://127.0.0.1:7000", "endpoint")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	socket, err := stream.Listen(*listen, stream.WithMode(stream.ModeFast), stream.WithFraming(stream.FramingMessages))
	if err != nil {
		return err
	}
	batch := make([]stream.Message, 1024)
	for {
		n, err := socket.RecvBatch(context.Background(), batch)
		if err != nil {
			return err
		}
		if err := bareAnswer(socket, batch[:n]); err != nil {
			return err
		}
	}
}

func bareAnswer(socket *stream.Socket, batch []stream.Message) error {
	answers := batch[:0]
	for _, m := range batch {
		switch {
		case m.Kind == stream.Connected:
			if err := socket.Join(m.Peer, bareGroup); err != nil && errno.Of(err) != errno.EHOSTUNREACH {
				return err
			}
		case m.Kind == stream.Data && len(m.Body) > 0 && m.Body[0] == kindCast:
			_, err := socket.Publish(bareGroup, m.Body)
			m.Release()
			if err != nil {
				return err
			}
		case m.Kind == stream.Data:
			answers = append(answers, m)
		}
	}
	for len(answers) > 0 {
		sent, err := socket.SendBatch(context.Background(), answers)
		answers = answers[sent:]
		if err == nil {
			continue
		}
		if errno.Of(err) != errno.EHOSTUNREACH {
			return err
		}
		answers[0].Release() // its peer has gone
		answers = answers[1:]
	}
	return nil
}

// SPDX-License-Identifier: MPL-2.0

// Package stream is the STREAM socket: one socket that talks to many raw peers
// over tcp, tls, ws, wss and ipc. On the wire a message is its length in four
// bytes, big endian, and its body.
//
//	server, err := stream.Listen("tcp://*:5555")
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	for msg := range server.Messages(ctx) {
//		if msg.Kind != stream.Data {
//			continue // a client came, or went
//		}
//		if err := server.TrySend(msg.Peer, msg.Body); errors.Is(err, errno.EAGAIN) {
//			_ = server.AbortPeer(msg.Peer) // it does not read
//		}
//	}
//
// [Listen], [Dial] and [Open] make sockets; a socket may bind and connect any
// number of endpoints. Each connection is a peer with a routing id. A [Message]
// of a peer is Connected, then its Data in order, then Disconnected. A dialled
// connection that is lost is dialled again, as a new peer.
//
// A received body lies in memory of the socket, not of the garbage collector:
// use it, then call [Message.Release], as [Socket.Messages] does by itself.
//
// Calls that wait take a context.Context and end with its cause. Other errors
// carry the number that C callers get: errors.Is(err, errno.EAGAIN). Calls with
// Try in their name do not wait.
//
// Any number of goroutines may send and close peers, while one receives. Close
// may be called by any, and ends their calls with ENOTSOCK. All else is for one
// goroutine at a time.
//
// With [WithMode] a socket is in the mode COMPAT instead, as sockets of the C
// library are at first: two frames for a message, [Socket.RecvFrame] and
// [Socket.SendFrame]. doc/go.md has more of all this.
//
// The package owns what an application sees: options, endpoints, the routing
// table, the modes, waiting. It moves no bytes itself; core/engine does.
package stream

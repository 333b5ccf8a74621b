// SPDX-License-Identifier: MPL-2.0

// Package stream is the STREAM socket: one socket that talks to many raw peers
// over tcp, tls, ws, wss and ipc. On the wire a message is a length in four
// bytes, big endian, followed by the body.
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
// [Listen], [Dial] and [Open] create sockets. A socket may bind and connect any
// number of endpoints. Each connection is a peer with a routing id. The messages of
// a peer are Connected, then its Data in order, then Disconnected (see [Message]).
// When a dialled connection is lost, the socket dials again and gets a new peer.
//
// A received body lies in memory of the socket that the garbage collector does not
// manage. Use the body, then call [Message.Release]; [Socket.Messages] does that for you.
//
// Calls that wait take a context.Context and end with its cause. Other errors
// carry the number that C callers get: errors.Is(err, errno.EAGAIN). Calls with
// Try in their name do not wait.
//
// Any number of goroutines may send and close peers while one goroutine receives. Any
// goroutine may call Close, which makes the other calls return ENOTSOCK. All other
// methods are for one goroutine at a time.
//
// [WithMode] can put a socket into the mode COMPAT, in which sockets of the C library
// start: a message is two frames, and the calls are [Socket.RecvFrame] and
// [Socket.SendFrame]. doc/go.md has more about all this.
//
// The package owns what an application sees: options, endpoints, the routing
// table, the modes, waiting. It moves no bytes itself; core/engine does.
package stream

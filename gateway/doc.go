// SPDX-License-Identifier: MPL-2.0

// Package gateway joins clients of zlink to NATS. PROTOCOL.md has the subjects and headers, README.md the
// settings; the program is cmd/zlink-gateway.
//
// The way in: receive takes a batch from the socket, and publishes each message with the subject that its
// client keeps. The client of NATS copies it into a buffer that goes to the server when it is full, or when
// nothing follows. When NATS is slow or away, publishing waits, the batch is not released, and the socket
// stops to read.
//
// The way out: all subscriptions deliver into one channel. pump moves what it has into a queue with a limit in
// bytes, and deliver takes all of the queue at a time, and gives it to the socket in batches.
// A send to a client never waits, so a slow client delays nobody.
//
// One goroutine receives, one pumps, one delivers; there is none for each message. Each question about a
// client has one while it lasts.
package gateway

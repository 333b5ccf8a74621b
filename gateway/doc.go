// SPDX-License-Identifier: MPL-2.0

// Package gateway joins clients of zlink to NATS. PROTOCOL.md has the subjects and headers, README.md the
// settings; the program is cmd/zlink-gateway.
//
// The way in: receive takes a batch from the socket, and publishes each message with the line of the protocol that its
// client keeps. natswire copies it into a buffer, which receive writes when it is full, or when
// nothing follows. When NATS is slow or away, publishing waits, the batch is not released, and the socket
// stops to read.
//
// The way out: natswire reads what all subscriptions bring into blocks with a limit in bytes, and calls deliver,
// which gives it to the socket in batches. A send to a client never waits, so a slow client delays nobody.
//
// One goroutine receives, one reads from NATS, one delivers; there is none for each message. Each question about a
// client has one while it lasts.
package gateway

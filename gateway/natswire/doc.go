// SPDX-License-Identifier: MPL-2.0

// Package natswire is a connection to NATS for messages in bulk: it allocates nothing for a message, writes many with one
// call, and bounds what waits in bytes. It does not ask for answers, and has no JetStream: nats.go does that on a connection of its own.
//
// Out: Publish appends to a buffer, and Flush writes it. When NATS is away or slow, the buffer is full and Publish waits; what is in the
// buffer goes to the next server. TryPublish never waits.
//
// In: one goroutine reads into blocks and finds the messages in them, another one gives them to Take. When the blocks have
// reached their bound, messages are given to Dropped instead. Reading never waits, so NATS has no reason to end the connection.
//
// One goroutine reads and connects again, one takes, one writes for those who may not wait, one asks NATS whether it is there.
package natswire

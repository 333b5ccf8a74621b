// SPDX-License-Identifier: MPL-2.0

// Package engine moves bytes between the kernel and the queues of core/shm. It has
// shards (one event loop each), listeners, dialers and connections. It passes whole
// frames as runs to the socket above it, and writes what the socket's senders have
// queued. It knows nothing of routing frames, option numbers, or C.
//
// Only one thread touches the content of a connection, listener or dialer: the driver of
// its shard, which is the thread that holds the driver role (driver.go).
package engine

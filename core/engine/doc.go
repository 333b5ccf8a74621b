// SPDX-License-Identifier: MPL-2.0

// Package engine moves bytes between the kernel and the queues of core/shm:
// shards (one event loop each), listeners, dialers, connections. It hands whole
// frames to the socket above it as runs and writes what the socket's senders
// queued. It knows nothing of routing frames, options by number, or C.
//
// Everything in a connection, listener or dialer is touched only by the driver of
// its shard: the one thread that holds the driver role (driver.go).
package engine

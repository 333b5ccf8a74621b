// SPDX-License-Identifier: MPL-2.0

// Package sockets is what a socket of any type has: the numbers of its options, how
// long its calls wait, Poll, and monitors of its events. A socket type is a package
// below this one. The package knows nothing of routing ids, frames, or C.
package sockets

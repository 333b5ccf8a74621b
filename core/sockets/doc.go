// SPDX-License-Identifier: MPL-2.0

// Package sockets holds what sockets of every type share: option numbers, how long calls
// wait, Poll, and monitors of events. Each socket type is a package below this one. The
// package knows nothing of routing ids, frames, or C.
package sockets

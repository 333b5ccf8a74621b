// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/wait"
)

// openFd returns the socket's descriptor for somebody else's event loop, made
// on first request: it becomes readable when OptEvents may have changed.
func (k *Socket) openFd() (int, error) {
	if k.fd == nil {
		w := wait.New()
		if _, err := w.OpenFd(); err != nil {
			return -1, errno.New(errno.Of(err), "cannot open an eventfd for the socket")
		}
		k.fd = w
		k.readers.Add(w)
		if k.readable() || !k.shared.RxInbox.MarkAsleep() {
			w.Signal()
		}
	}
	return k.fd.Fd(), nil
}

// closeFd closes the descriptor of openFd.
func (k *Socket) closeFd() {
	if k.fd != nil {
		k.readers.Remove(k.fd)
		k.fd.CloseFd()
	}
}

// events says what would not block now, and, when that is not a receive, has
// the descriptor become readable at the next message.
//
// Invariant: while the descriptor is not readable, the inbox is empty and
// marked, so that an event loop may take one message for each time it wakes, or
// all of them, with level or edge triggering.
func (k *Socket) events() int32 {
	k.look()
	if k.readable() {
		return PollIn | PollOut
	}
	if k.fd == nil {
		return PollOut
	}
	k.fd.Reset()
	if !k.shared.RxInbox.MarkAsleep() {
		k.fd.Signal()
		return PollIn | PollOut
	}
	k.summon()
	return PollOut
}

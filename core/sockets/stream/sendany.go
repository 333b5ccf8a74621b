// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// SendAny is Socket.Send to a peer of any socket of the process in the mode FAST: routing ids are
// unique in a process, so the id alone names socket and peer. Any goroutine may call it. The options
// of the peer's socket apply. The errors are those of Send; EHOSTUNREACH also: the peer's
// socket is closed. ENOTSUP: it is in the mode COMPAT. ClosePeer, AbortPeer and all other calls for a peer are
// methods of its socket.
func SendAny(ctx context.Context, peer uint32, body []byte) error {
	return sendAny(peer, content{bytes: body}, sockets.Waiting{Ctx: ctx})
}

// TrySendAny is SendAny without waiting: it returns EAGAIN instead.
func TrySendAny(peer uint32, body []byte) error {
	return sendAny(peer, content{bytes: body}, sockets.Waiting{Not: true})
}

func sendAny(peer uint32, body content, w sockets.Waiting) error {
	if peer == 0 {
		return errno.New(errno.EINVAL, "the message has no routing id")
	}
	k := ids.owner(peer)
	if k == nil || !k.pin() {
		return errUnknown(peer)
	}
	defer k.leave()
	if k.mode() != ModeFast { // its phases belong to its sender and its receiver
		return errno.New(errno.ENOTSUP, "the routing id %d is of a socket in the mode COMPAT", peer)
	}
	s, err := k.findPeer(peer)
	if err == nil {
		err = k.queue(s, peer, body, w)
	}
	if errno.Of(err) == errno.ENOTSOCK { // the caller has named no socket
		return errUnknown(peer)
	}
	return err
}

func errUnknown(peer uint32) error {
	return errno.New(errno.EHOSTUNREACH, "no socket of the process has a peer with the routing id %d", peer)
}

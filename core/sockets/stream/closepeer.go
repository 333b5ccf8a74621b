// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"unicode/utf8"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Codes that end a WebSocket connection (RFC 6455, 7.4). Applications may use 3000 to
// 4999 for their own purposes.
const (
	CloseNormal    = 1000 // sent by ClosePeer
	CloseGoingAway = 1001 // sent by Close
	CloseNoCode    = 1005 // received only: the peer gave no code
	CloseAbnormal  = 1006 // received only: the connection ended without a close frame of the peer
)

// ClosePeerWith is ClosePeer that sends a code and a reason to a peer of ws or wss. For
// other peers it is the same as ClosePeer. It works in both modes. EINVAL: peer is 0, the
// code may not be sent (only 1000 to 1003, 1007 to 1014, 3000 to 4999 may), or the reason
// is not UTF-8 or is longer than 123 bytes. EHOSTUNREACH: the peer does not exist.
func (k *Socket) ClosePeerWith(peer uint32, code int, reason string) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	switch {
	case peer == 0:
		return errno.New(errno.EINVAL, "0 is no routing id")
	case !engine.PossibleCode(code):
		return errno.New(errno.EINVAL, "no connection may be closed with the code %d", code)
	case len(reason) > engine.CloseReasonMax:
		return errno.New(errno.EINVAL, "a reason has at most %d bytes, not %d", engine.CloseReasonMax, len(reason))
	case !utf8.ValidString(reason):
		return errno.New(errno.EINVAL, "the reason is not UTF-8")
	}
	s := k.shared.Find(peer)
	if s == nil {
		return errno.New(errno.EHOSTUNREACH, "no peer has the routing id %d", peer)
	}
	return k.closePeerWith(s, peer, uint16(code), reason)
}

// ClosePeer ends the connection to a peer once everything queued for it is written. Any
// goroutine may call it, as Send. Messages received before are still delivered, followed by
// Disconnected. A dialled peer is not dialled again. EINVAL: peer is 0. EHOSTUNREACH: the
// peer does not exist.
func (k *Socket) ClosePeer(peer uint32) error {
	s, err := k.enterPeer(peer)
	if err != nil {
		return err
	}
	defer k.leave()
	return k.closePeer(s, peer)
}

// AbortPeer ends the connection to a peer at once: it discards what is queued for the peer
// and resets the connection. It also ends a connection that is still closing after
// ClosePeer or after the peer ended its side. Any goroutine may call it, in both modes.
// Messages received before are still delivered, followed by Disconnected. A dialled peer
// is not dialled again. EINVAL: peer is 0. EHOSTUNREACH: the connection does not exist.
func (k *Socket) AbortPeer(peer uint32) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if peer == 0 {
		return errno.New(errno.EINVAL, "0 is no routing id")
	}
	if s := k.shared.Find(peer); s != nil && s.BeginAbort(k.serial, peer) {
		k.resetPeer(s, peer, engine.CauseAbortedHere)
		return nil
	}
	c := k.closingPeer(peer)
	if c == nil {
		return errno.New(errno.EHOSTUNREACH, "no connection has the routing id %d", peer)
	}
	c.OnDriver(func() { c.Reset(engine.CauseAbortedHere) })
	return nil
}

// resetPeer resets the connection of a session after BeginAbort.
func (k *Socket) resetPeer(s *shm.Session, peer uint32, why engine.Cause) {
	sh := k.shard(s)
	sh.Post(func() {
		found := sh.ConnOf(s, k.serial, peer)
		if found == nil { // it began to close meanwhile
			found = k.closingPeer(peer)
		}
		if found != nil {
			found.Reset(why)
		}
	})
	k.flush(s, false)
}

// closingPeer returns the connection called rid that senders no longer find.
func (k *Socket) closingPeer(rid uint32) *engine.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closing[rid]
}

// closePeer ends a connection once everything queued for it is written.
func (k *Socket) closePeer(s *shm.Session, rid uint32) error {
	return k.closePeerWith(s, rid, CloseNormal, "")
}

// closePeerWith is closePeer with a code and a reason for a peer of WebSocket.
func (k *Socket) closePeerWith(s *shm.Session, rid uint32, code uint16, reason string) error {
	if !s.BeginClose(k.serial, rid) {
		return errno.New(errno.EHOSTUNREACH, "the peer %d is gone", rid)
	}
	sh := k.shard(s)
	sh.Post(func() { sh.FinishConn(s, k.serial, rid, code, reason) })
	k.flush(s, false)
	return nil
}

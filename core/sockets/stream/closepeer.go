// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"unicode/utf8"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Codes that end a WebSocket connection (RFC 6455, 7.4). 3000 to 4999 are those of
// applications.
const (
	CloseNormal    = 1000 // what ClosePeer says
	CloseGoingAway = 1001 // what Close says
	CloseNoCode    = 1005 // received only: the peer gave no code
	CloseAbnormal  = 1006 // received only: the connection ended without a word of the peer
)

// setFarewell makes the message, of Disconnected, carry what the peer said. Messages
// are copied often, so they are not longer for that: the reason lies in the room that
// the empty Body has.
func (m *Message) setFarewell(s *shm.Session) {
	code, reason := s.Farewell()
	m.code = code
	if reason != "" {
		m.Body = append(make([]byte, 0, len(reason)), reason...)[:0]
	}
}

// CloseCode returns, of Disconnected of ws and wss, the code and the reason that the
// peer gave; without one CloseNoCode or CloseAbnormal. 0: of anything else. The reason
// goes with Release.
func (m *Message) CloseCode() (code int, reason string) {
	if m.code == 0 {
		return 0, ""
	}
	return int(m.code), string(m.Body[:cap(m.Body)])
}

// ClosePeerWith is ClosePeer that tells a peer of ws or wss a code and a reason; to
// others it is ClosePeer. In both modes. EINVAL: peer is 0, the code is not one that
// may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999), or the reason is no UTF-8
// or longer than 123 bytes. EHOSTUNREACH: there is no such peer.
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

// ClosePeer ends the connection to a peer after what is queued for it. Any
// goroutine, as Send. What was received before is still delivered, and then
// Disconnected; a dialled peer is not dialled again. EINVAL: peer is 0. EHOSTUNREACH: there is no such peer.
func (k *Socket) ClosePeer(peer uint32) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	s, err := k.findPeer(peer)
	if err != nil {
		return err
	}
	return k.closePeer(s, peer)
}

// AbortPeer ends the connection to a peer at once: what is queued for it is
// discarded, and the connection reset. It also ends one that ClosePeer, or the end
// of the peer's side, has left behind. Any goroutine, in both modes. What was
// received before is still delivered, and then Disconnected; a dialled peer is not
// dialled again. EINVAL: peer is 0. EHOSTUNREACH: there is no such connection.
func (k *Socket) AbortPeer(peer uint32) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if peer == 0 {
		return errno.New(errno.EINVAL, "0 is no routing id")
	}
	if s := k.shared.Find(peer); s != nil && s.BeginAbort(k.serial, peer) {
		sh := k.shard(s)
		sh.Post(func() {
			found := sh.ConnOf(s, k.serial, peer)
			if found == nil { // it began to close meanwhile
				found = k.closingPeer(peer)
			}
			if found != nil {
				found.Reset()
			}
		})
		k.flush(s, false)
		return nil
	}
	c := k.closingPeer(peer)
	if c == nil {
		return errno.New(errno.EHOSTUNREACH, "no connection has the routing id %d", peer)
	}
	c.OnDriver(c.Reset)
	return nil
}

// closingPeer returns the connection that rid named and senders no longer find.
func (k *Socket) closingPeer(rid uint32) *engine.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closing[rid]
}

// closePeer ends a connection after what is queued for it.
func (k *Socket) closePeer(s *shm.Session, rid uint32) error {
	return k.closePeerWith(s, rid, CloseNormal, "")
}

// closePeerWith is closePeer with what a peer of WebSocket is told.
func (k *Socket) closePeerWith(s *shm.Session, rid uint32, code uint16, reason string) error {
	if !s.BeginClose(k.serial, rid) {
		return errno.New(errno.EHOSTUNREACH, "the peer %d is gone", rid)
	}
	sh := k.shard(s)
	sh.Post(func() { sh.FinishConn(s, k.serial, rid, code, reason) })
	k.flush(s, false)
	return nil
}

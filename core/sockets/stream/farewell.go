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

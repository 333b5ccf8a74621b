// SPDX-License-Identifier: MPL-2.0

package shm

import "sync"

// The disconnect event of a WebSocket connection carries what its peer said at the end.
// The code lies in Down.Msgs, which no event uses otherwise. The reason is rare and lies in a
// map until the session's slot is free.

// Down.Msgs holds the code in its low bits. DownReason is the bit that says that there is a
// reason. From bit DownCause on lies why the connection ended.
//
//capi:const ZL
const (
	DownReason = 1 << 16
	DownCause  = 24
)

var reasons struct {
	sync.Mutex
	of map[*Session]string
}

// SetCause stores why the connection ended. It is called once, before Down is pushed.
func (s *Session) SetCause(why uint8) { s.Down.Msgs |= uint32(why) << DownCause }

// Cause returns why the connection ended. The receiver calls it while it has Down.
func (s *Session) Cause() uint8 { return uint8(s.Down.Msgs >> DownCause) }

// SetFarewell stores what the peer said. It is called once, before Down is pushed.
func (s *Session) SetFarewell(code uint16, reason string) {
	s.Down.Msgs |= uint32(code)
	if reason == "" {
		return
	}
	s.Down.Msgs |= DownReason
	reasons.Lock()
	defer reasons.Unlock()
	if reasons.of == nil {
		reasons.of = map[*Session]string{}
	}
	reasons.of[s] = reason
}

// Farewell returns what the peer said; code 0 means nothing. The receiver calls it while
// it has Down.
func (s *Session) Farewell() (code uint16, reason string) {
	if s.Down.Msgs&DownReason != 0 {
		reasons.Lock()
		defer reasons.Unlock()
		reason = reasons.of[s]
	}
	return uint16(s.Down.Msgs), reason
}

// dropReason forgets the reason when the slot becomes free.
func (s *Session) dropReason() {
	if s.Down.Msgs&DownReason == 0 {
		return
	}
	reasons.Lock()
	defer reasons.Unlock()
	if delete(reasons.of, s); len(reasons.of) == 0 {
		reasons.of = nil // after a crowd has gone
	}
}

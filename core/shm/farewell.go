// SPDX-License-Identifier: MPL-2.0

package shm

import "sync"

// The disconnect event of a WebSocket connection carries what its peer said at the end.
// The code lies in Down.Msgs, which no event uses otherwise. The reason is rare and lies in a
// map until the session's slot is free.

// DownReason is the bit of Down.Msgs that says that there is a reason. The bits below it
// hold the code.
//
//capi:const ZL
const DownReason = 1 << 16

var reasons struct {
	sync.Mutex
	of map[*Session]string
}

// SetFarewell stores what the peer said. It is called once, before Down is pushed.
func (s *Session) SetFarewell(code uint16, reason string) {
	s.Down.Msgs = uint32(code)
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

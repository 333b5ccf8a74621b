// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"

	"github.com/gobwas/ws"
)

// What the two sides of a WebSocket connection say at its end: codes and reasons of
// RFC 6455, 7.4.

// CloseReasonMax is the longest reason of a Close frame in bytes: a control frame has
// 125, and the code takes two of them.
//
//capi:const ZL
const CloseReasonMax = 125 - 2

// PossibleCode reports whether a Close frame may have a code.
func PossibleCode(code int) bool {
	return code >= 0 && code < 5000 && possibleCode(ws.StatusCode(code))
}

// say sets what the Close frame of a WebSocket connection says, unless that is settled.
func (c *Conn) say(code ws.StatusCode, why string) {
	if m := c.manners(); m != nil && !c.link.ended {
		m.say(code, why)
	}
}

// farewell is what the peer has said, in the codes of RFC 6455 also when it has not;
// 0: it is no WebSocket.
func (c *Conn) farewell() (code ws.StatusCode, why string) {
	m := c.manners()
	if m == nil {
		return 0, ""
	}
	code, why, closed := m.heard()
	switch {
	case !closed:
		return ws.StatusAbnormalClosure, ""
	case code == 0:
		return ws.StatusNoStatusRcvd, ""
	}
	return code, why
}

// keepFarewell hands it on with the disconnect event.
func (c *Conn) keepFarewell() {
	if code, why := c.farewell(); code != 0 {
		c.Shared.SetFarewell(uint16(code), why)
	}
}

// farewellText is the same for monitors.
func (c *Conn) farewellText() string {
	code, why := c.farewell()
	switch {
	case code == 0:
		return ""
	case why == "":
		return fmt.Sprintf("close code %d", code)
	}
	return fmt.Sprintf("close code %d, %q", code, why)
}

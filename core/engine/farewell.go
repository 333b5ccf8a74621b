// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
)

// What the two sides of a WebSocket connection say at its end: codes and reasons of
// RFC 6455, 7.4.

// CloseReasonMax is the longest reason of a Close frame in bytes: a control frame holds
// 125 bytes, and the code takes two of them.
//
//capi:const ZL
const CloseReasonMax = 125 - 2

// PossibleCode reports whether a Close frame may carry a code.
func PossibleCode(code int) bool {
	return code >= 0 && code < 5000 && possibleCode(webCode(code))
}

// say sets the content of a WebSocket connection's Close frame, unless it is set already.
func (c *Conn) say(code webCode, why string) {
	if m := c.manners(); m != nil && !c.link.said {
		m.say(code, why)
	}
}

// farewell returns what the peer has said. If the peer said nothing, the code is the one
// that RFC 6455 has for that. 0 means that the connection is not a WebSocket.
func (c *Conn) farewell() (code webCode, why string) {
	m := c.manners()
	if m == nil {
		return 0, ""
	}
	code, why, closed := m.heard()
	switch {
	case !closed:
		return webAbnormalClosure, ""
	case code == 0:
		return webNoStatusRcvd, ""
	}
	return code, why
}

// keepFarewell attaches it to the disconnect event.
func (c *Conn) keepFarewell() {
	if code, why := c.farewell(); code != 0 {
		c.Shared.SetFarewell(uint16(code), why)
	}
}

// farewellText is the farewell as monitors get it.
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

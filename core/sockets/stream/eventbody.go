// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"net/netip"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
)

// An event says more than a message has fields for: messages are copied often and must
// not grow for it. The rest lies in the room behind the empty Body: the length of the peer's
// address, the address, and what the peer said at its end.

// eventRoom is the room of an address without a zone, with its length.
const eventRoom = 1 + 16 + 2

// setEvent stores what an event of a session says.
func (m *Message) setEvent(s *shm.Session) {
	why := ""
	switch m.Kind {
	case Disconnected:
		m.code, why = s.Farewell()
		m.why = engine.Cause(s.Cause())
	case Connected:
	default:
		return
	}
	address := engine.AddressOf(s).AddrPort
	if !address.IsValid() && why == "" {
		return
	}
	room, _ := address.AppendBinary(make([]byte, 1, eventRoom+len(why)))
	room[0] = byte(len(room) - 1)
	room = append(room, why...)
	m.Body = room[:0:len(room)]
}

// parts returns the address and the words of the peer of an event.
func (m *Message) parts() (address, why []byte) {
	if m.Kind != Connected && m.Kind != Disconnected || cap(m.Body) == 0 {
		return nil, nil
	}
	room := m.Body[:cap(m.Body)]
	end := 1 + int(room[0])
	return room[1:end], room[end:]
}

// Address returns the peer's address, from its Connected or Disconnected message. It is not
// valid for any other message, and for a peer of ipc. Like Body, it lasts until Release.
func (m *Message) Address() (address netip.AddrPort) {
	packed, _ := m.parts()
	_ = address.UnmarshalBinary(packed) // of nothing: not valid
	return address
}

// Reason returns why the connection ended, from its Disconnected message. For any other
// message it is engine.CauseUnknown.
func (m *Message) Reason() engine.Cause { return m.why }

// CloseCode returns the code and the reason that a peer of ws or wss gave, from its
// Disconnected message. If the peer gave no code, CloseCode returns CloseNoCode or
// CloseAbnormal. For any other message the code is 0. The reason is valid until Release.
func (m *Message) CloseCode() (code int, reason string) {
	if m.code == 0 {
		return 0, ""
	}
	_, why := m.parts()
	return int(m.code), string(why)
}

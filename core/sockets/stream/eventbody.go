// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"net/netip"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
)

// An event says more than a message has fields for: messages are copied often and must
// not grow for it. The rest lies in the room behind the empty Body: the length of the peer's
// address, the address, the length of what the peer said at its end, that, and the texts of the
// peer's card.

// eventRoom is the room of an address without a zone, with both lengths.
const eventRoom = 1 + 16 + 2 + 1

// setEvent stores what an event of a session says.
func (m *Message) setEvent(s *shm.Session) {
	why := ""
	switch m.Kind {
	case Disconnected:
		var code uint16
		code, why = s.Farewell()
		m.end = packEnd(engine.Cause(s.Cause()), code)
	case Connected, Asking:
	default:
		return
	}
	address, texts := engine.AddressOf(s).AddrPort, s.Card().Texts()
	if !address.IsValid() && why == "" && texts == nil {
		return
	}
	room, _ := address.AppendBinary(make([]byte, 1, eventRoom+len(why)+len(texts)))
	room[0] = byte(len(room) - 1)
	room = append(append(room, byte(len(why))), why...)
	room = append(room, texts...)
	m.Body = room[:0:len(room)]
}

// parts returns the address and the words of the peer of an event, and what is kept of it.
func (m *Message) parts() (address, why, texts []byte) {
	if m.Kind != Connected && m.Kind != Disconnected && m.Kind != Asking || cap(m.Body) == 0 {
		return nil, nil, nil
	}
	room := m.Body[:cap(m.Body)]
	address, room = room[1:1+room[0]], room[1+room[0]:]
	end := 1 + int(room[0])
	return address, room[1:end], room[end:]
}

// Address returns the peer's address, from its Connected or Disconnected message. It is not
// valid for any other message, and for a peer of ipc. Like Body, it lasts until Release.
func (m *Message) Address() (address netip.AddrPort) {
	packed, _, _ := m.parts()
	_ = address.UnmarshalBinary(packed) // of nothing: not valid
	return address
}

// Reason returns why the connection ended, from its Disconnected message. For any other
// message it is engine.CauseUnknown.
func (m *Message) Reason() engine.Cause { return engine.Cause(m.end & (engine.Causes - 1)) }

// CloseCode returns the code and the reason that a peer of ws or wss gave, from its
// Disconnected message. If the peer gave no code, CloseCode returns CloseNoCode or
// CloseAbnormal. For any other message the code is 0. The reason is valid until Release.
func (m *Message) CloseCode() (code int, reason string) {
	if code = m.code(); code == 0 {
		return 0, ""
	}
	_, why, _ := m.parts()
	return code, string(why)
}

// A cause takes 5 bits of Message.end, and a code the other 11: from 1 on those of the protocol, from
// ownCodes on those of applications.
const (
	causeBits = 5
	protocol  = 1000
	ownCodes  = 32
	own       = 3000
	ownEnd    = 5000
)

func packEnd(why engine.Cause, code uint16) uint16 {
	place := uint16(0)
	switch {
	case code >= own && code < ownEnd:
		place = code - own + ownCodes
	case code >= protocol && code < protocol+ownCodes-1:
		place = code - protocol + 1
	}
	return uint16(why) | place<<causeBits
}

func (m *Message) code() int {
	switch place := int(m.end >> causeBits); {
	case place >= ownCodes:
		return place - ownCodes + own
	case place > 0:
		return place - 1 + protocol
	}
	return 0
}

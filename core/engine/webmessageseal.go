// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
)

// Seal appends a message of WebSocket for each frame. Between messages it appends the owed pong
// and ping.
func (m *webMessages) Seal(dst []byte, above Source) []byte {
	if m.writeLeft == 0 {
		dst = m.appendOwed(dst)
	}
	for data := above.Bytes(sealBytes); len(data) > 0; {
		if m.writeLeft > 0 {
			n, from := min(m.writeLeft, uint64(len(data))), len(dst)
			if m.packing != packNone {
				dst, data = m.appendPacked(dst, data[:n]), data[n:]
				continue
			}
			dst, data = append(dst, data[:n]...), data[n:]
			m.seal(dst[from:])
			continue
		}
		n := copy(m.sendHead[m.sendHave:], data)
		data = data[n:]
		if m.sendHave += uint8(n); m.sendHave == lengthSize {
			dst = m.beginSend(dst)
		}
	}
	return dst
}

// beginSend begins the message of a frame whose length field is there.
func (m *webMessages) beginSend(dst []byte) []byte {
	m.sendHave = 0
	if m.pongOwed || m.pingOwed { // messages may follow each other without a pause
		dst = m.appendOwed(dst)
	}
	length, op := binary.BigEndian.Uint32(m.sendHead[:]), webOpBinary
	if length&^shm.LengthMask != 0 {
		op = webOpText
	}
	m.writeLeft, m.writeAt = uint64(length&shm.LengthMask), 0
	if check.On {
		check.That(!m.closed, "nothing follows a Close frame")
	}
	if m.deflates && m.writeLeft >= deflateMin {
		m.packing, m.packOp = packFirst, op
		return dst
	}
	return m.appendHeader(dst, op, m.writeLeft)
}

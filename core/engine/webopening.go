// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
)

// opening checks what a WebSocket peer sends first, to recognize a peer that does not know
// of the 4-byte length. Messages may split the stream anywhere, so only this is an error:
// the first message ends, everything so far is text, and the frame whose length the first
// bytes would be, at least 512 MiB, is incomplete. A peer that really sends such a length
// puts other bytes, or the whole frame, into the first message.
type opening struct {
	known bool // the answer is certain
	have  uint8
	first [lengthSize]byte
	bytes uint64 // of the stream so far
}

// look checks the next bytes of the stream.
func (o *opening) look(part []byte) {
	o.have += uint8(copy(o.first[o.have:], part))
	o.bytes += uint64(len(part))
	if o.have > 0 && o.first[0] < ' ' { // less than 512 MiB
		o.known = true
		return
	}
	for _, c := range part {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7F {
			o.known = true
			return
		}
	}
}

// endMessage follows at the end of a message.
func (o *opening) endMessage() error {
	if o.have < lengthSize {
		return nil
	}
	o.known = true
	if o.bytes >= lengthSize+uint64(binary.BigEndian.Uint32(o.first[:])) {
		return nil
	}
	return webBreach(webInvalidFramePayloadData, "text without the 4 bytes of zlink's length, big endian, in front of each body")
}

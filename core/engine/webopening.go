// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// opening looks at what a WebSocket peer sends first, to tell one that does not know
// of the 4 bytes of length. Any split of the stream over messages is right, so only
// this is taken for wrong: the first message ends, all that came is text, and what
// would be the length, at least 512 MiB then, has not come. Who sends a length like
// that in earnest puts bytes of another kind, or all of it, into the first message.
type opening struct {
	known bool // nothing is to be found any more
	have  uint8
	first [lengthSize]byte
	bytes uint64 // of the stream so far
}

// look takes the next bytes of the stream.
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

// endMessage is called at the end of a message.
func (o *opening) endMessage() error {
	if o.have < lengthSize {
		return nil
	}
	o.known = true
	if o.bytes >= lengthSize+uint64(binary.BigEndian.Uint32(o.first[:])) {
		return nil
	}
	return webBreach(ws.StatusInvalidFramePayloadData, "text without the 4 bytes of zlink's length, big endian, in front of each body")
}

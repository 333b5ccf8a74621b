// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"unsafe"

	"github.com/zlink/zlink/core/shm"
)

// unmarked is the layer of framingBeside: it clears the mark of text in the frames that are sent.
// Driver only.
type unmarked struct {
	Plain
	have uint8 // bytes of head
	head [lengthSize]byte
	left uint64 // bytes of the body that is being sent
}

// Decode changes nothing.
func (u *unmarked) Decode(below Level, buf []byte) (int, error) { return below.Read(buf) }

// Seal appends the next frames without their marks.
func (u *unmarked) Seal(dst []byte, above Source) []byte {
	from := len(dst)
	dst = above.Gather(dst, sealBytes)
	u.clear(dst[from:])
	return dst
}

// clear clears the marks in the next bytes of the stream. The mark is in the first byte of a frame.
func (u *unmarked) clear(data []byte) {
	for len(data) > 0 {
		if u.left > 0 {
			n := min(u.left, uint64(len(data)))
			data = data[n:]
			u.left -= n
			continue
		}
		if u.have == 0 {
			data[0] &= shm.LengthMask >> 24
		}
		n := copy(u.head[u.have:], data)
		data = data[n:]
		if u.have += uint8(n); u.have == lengthSize {
			u.have, u.left = 0, uint64(binary.BigEndian.Uint32(u.head[:]))
		}
	}
}

// Size returns the size of the layer and of the link that it needs.
func (u *unmarked) Size() int64 { return int64(unsafe.Sizeof(*u) + unsafe.Sizeof(link{})) }

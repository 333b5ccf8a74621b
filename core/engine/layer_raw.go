// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"unsafe"
)

// rawMost is the longest message in bytes that FramingRaw makes of what comes.
const rawMost = 60 << 10

// raw is the layer of FramingRaw. What a read brings becomes a frame; of a frame that is sent,
// the body goes out. Driver only.
type raw struct {
	Plain
	most int   // longest body
	err  error // follows held

	held  uint8 // the last bytes of carry are still to be returned
	carry [lengthSize + 1]byte

	have uint8 // bytes of head
	head [lengthSize]byte
	left uint64 // bytes of the body that is being sent
}

func newRaw(longest int64) *raw {
	if longest > 0 && longest < rawMost {
		return &raw{most: int(longest)}
	}
	return &raw{most: rawMost}
}

// Decode reads once, behind the place for the length.
func (r *raw) Decode(below Level, buf []byte) (n int, err error) {
	if r.held > 0 || r.err != nil {
		return r.release(buf)
	}
	if len(buf) <= lengthSize { // what is read may not be more than its rate allows, or than fits
		if n, err = below.Read(r.carry[lengthSize:]); n == 0 {
			return 0, err
		}
		binary.BigEndian.PutUint32(r.carry[:], 1)
		r.held, r.err = uint8(len(r.carry)), err
		return r.release(buf)
	}
	n, err = below.Read(buf[lengthSize:min(len(buf), lengthSize+r.most)])
	if n > 0 {
		binary.BigEndian.PutUint32(buf, uint32(n))
		n += lengthSize
	}
	return n, err
}

// release returns bytes that found no room before.
func (r *raw) release(buf []byte) (n int, err error) {
	n = copy(buf, r.carry[len(r.carry)-int(r.held):])
	if r.held -= uint8(n); r.held == 0 {
		err, r.err = r.err, nil
	}
	return n, err
}

// Seal appends the bodies of the next frames.
func (r *raw) Seal(dst []byte, above Source) []byte {
	for from := len(dst); len(dst) == from; {
		data := above.Bytes(sealBytes)
		if len(data) == 0 {
			break
		}
		dst = r.strip(dst, data)
	}
	return dst
}

// strip appends data without the length fields in it.
func (r *raw) strip(dst, data []byte) []byte {
	for len(data) > 0 {
		if r.left > 0 {
			n := min(r.left, uint64(len(data)))
			dst, data = append(dst, data[:n]...), data[n:]
			r.left -= n
			continue
		}
		n := copy(r.head[r.have:], data)
		data = data[n:]
		if r.have += uint8(n); r.have == lengthSize {
			r.have, r.left = 0, uint64(binary.BigEndian.Uint32(r.head[:]))
		}
	}
	return dst
}

// Size returns the size of the layer and of the link that it needs.
func (r *raw) Size() int64 { return int64(unsafe.Sizeof(*r) + unsafe.Sizeof(link{})) }

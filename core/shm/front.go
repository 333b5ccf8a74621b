// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"encoding/binary"
	"math"
)

// What lies in front of a body
//
// A frame of a send queue begins as it does on the wire. That is the body's length in 4 bytes,
// or, where Queues.TxHeaders is set, the size of a header in 2 bytes, the body's in 4, and the
// header. All are big endian. A received frame with a header (Run.Text is RunHeaders) has the
// same bytes in another order, so that runs are walked in one way only: a length of 4 bytes, and
// within that the header's size in 2, the header and the body.

// FrontSize is how many bytes a frame with a header has beside its header and its body.
const FrontSize = 6

// HeaderMost is the longest header in bytes.
//
//capi:const ZL
const HeaderMost = 65535

// HeadersMost is the most bytes that a header and a body have together: in a run, a length of 4
// bytes has to take both and the header's size.
const HeadersMost = math.MaxUint32 - (FrontSize - lengthSize)

// Kinds of the messages of a run, as Run.Text says.
//
//capi:const ZL
const (
	RunText    = 1 // text of WebSocket
	RunHeaders = 2 // each body is preceded by a header's size in 2 bytes, and the header
)

// Framed returns the size in bytes of a whole frame that begins with a front of FrontSize bytes.
func Framed(front []byte) uint64 {
	return FrontSize + uint64(binary.BigEndian.Uint16(front)) + uint64(binary.BigEndian.Uint32(front[2:]))
}

// putFront stores what a frame with a header begins with on the wire.
func putFront(to []byte, header, body int) {
	binary.BigEndian.PutUint16(to, uint16(header))
	binary.BigEndian.PutUint32(to[2:], uint32(body))
}

// Unwire turns the front of a frame, as it came from the wire, into that of a run.
func Unwire(front []byte) {
	header := binary.BigEndian.Uint16(front)
	binary.BigEndian.PutUint32(front, FrontSize-lengthSize+uint32(header)+binary.BigEndian.Uint32(front[2:]))
	binary.BigEndian.PutUint16(front[lengthSize:], header)
}

// Split returns the header and the body of a frame of a run with RunHeaders, which NextBody
// returned. The header is nil if it has no bytes.
func Split(frame []byte) (header, body []byte) {
	const size = FrontSize - lengthSize
	n := int(binary.BigEndian.Uint16(frame))
	if n > 0 {
		header = frame[size : size+n : size+n]
	}
	return header, frame[size+n:]
}

// parcelWith is parcelOf for a message of q that is copied.
func (q *Queues) parcelWith(header, body int) parcel {
	if q.TxHeaders == 0 {
		return parcelOf(body, false)
	}
	return parcelOf(FrontSize-lengthSize+header+body, false)
}

// Weight returns what a message of q counts as the length of its body to Judge, Refuse, Stuck and
// DropOldest.
func (q *Queues) Weight(header, body []byte) int {
	if q.TxHeaders == 0 {
		return len(body)
	}
	return FrontSize - lengthSize + len(header) + len(body)
}

// pieces are the parts of a frame: its front, and what follows.
type pieces [3][]byte

// piecesOf returns the parts of a frame of q. front is for the first of them.
func (q *Queues) piecesOf(front *[FrontSize]byte, header, body []byte, mark uint32) pieces {
	if q.TxHeaders == 0 {
		binary.BigEndian.PutUint32(front[:], uint32(len(body))|mark)
		return pieces{front[:lengthSize], nil, body}
	}
	putFront(front[:], len(header), len(body))
	return pieces{front[:], header, body}
}

// AppendHeader is Append, with a copy, for a socket whose messages have headers. TxHeaders of q
// is set.
func (s *Session) AppendHeader(q *Queues, rid uint32, header, body []byte) AppendResult {
	return s.appendParcel(q, rid, header, body, nil, q.parcelWith(len(header), len(body)))
}

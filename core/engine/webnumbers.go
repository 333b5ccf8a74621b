// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// What RFC 6455 defines by numbers, and its masking. Libraries for all of WebSocket bring
// net/http along, whose tables and start every process would pay for.

// webOp is the kind of a frame.
type webOp byte

// The kinds of frames.
const (
	webOpContinuation webOp = 0x0
	webOpText         webOp = 0x1
	webOpBinary       webOp = 0x2
	webOpClose        webOp = 0x8
	webOpPing         webOp = 0x9
	webOpPong         webOp = 0xa
)

// isControl reports whether a frame of this kind may come between those of a message. Kinds
// that have no meaning yet count as well.
func (op webOp) isControl() bool { return op >= webOpClose }

// webControlMax is the most bytes that a ping, a pong or a Close frame carries.
const webControlMax = 125

// webCode is the code of a Close frame.
type webCode uint16

// Codes of RFC 6455, 7.4.1.
const (
	webNormalClosure           webCode = 1000
	webGoingAway               webCode = 1001
	webProtocolError           webCode = 1002
	webUnsupportedData         webCode = 1003
	webNoStatusRcvd            webCode = 1005
	webAbnormalClosure         webCode = 1006
	webInvalidFramePayloadData webCode = 1007
	webPolicyViolation         webCode = 1008
	webMessageTooBig           webCode = 1009
	webInternalServerError     webCode = 1011
	webTryAgain                webCode = 1013 // in the registry of the RFC
)

// webMask puts a mask on payload, or takes it off. offset is the number of bytes of the frame
// in front of payload.
func webMask(payload []byte, mask [4]byte, offset int) { webMaskTo(payload, payload, mask, offset) }

// webMaskTo is webMask for payload that moves to dst meanwhile. dst may begin in front of
// payload, at any distance, but not behind it: 64 bytes are read before the first of them is
// written.
func webMaskTo(dst, payload []byte, mask [4]byte, offset int) {
	at := bits.RotateLeft32(binary.LittleEndian.Uint32(mask[:]), -8*(offset&3))
	wide := uint64(at)<<32 | uint64(at)
	dst = dst[:len(payload)]
	if n := len(payload) &^ 63; n > 0 {
		from, to := unsafe.Pointer(&payload[0]), unsafe.Pointer(&dst[0])
		for at := 0; at < n; at += 64 {
			x := (*[8]uint64)(unsafe.Add(from, at)) // both systems may read them anywhere
			y := (*[8]uint64)(unsafe.Add(to, at))
			a, b, c, d := x[0]^wide, x[1]^wide, x[2]^wide, x[3]^wide
			e, f, g, h := x[4]^wide, x[5]^wide, x[6]^wide, x[7]^wide
			y[0], y[1], y[2], y[3] = a, b, c, d
			y[4], y[5], y[6], y[7] = e, f, g, h
		}
		payload, dst = payload[n:], dst[n:]
	}
	for len(payload) >= 8 && len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(payload)^wide)
		payload, dst = payload[8:], dst[8:]
	}
	for i := range dst {
		dst[i] = payload[i] ^ byte(wide>>(8*i))
	}
}

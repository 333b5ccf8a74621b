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
func webMask(payload []byte, mask [4]byte, offset int) {
	at := bits.RotateLeft32(binary.LittleEndian.Uint32(mask[:]), -8*(offset&3))
	wide := uint64(at)<<32 | uint64(at)
	for ; len(payload) >= 128; payload = payload[128:] {
		words := (*[16]uint64)(unsafe.Pointer(&payload[0])) // both systems may read them anywhere
		for i := 0; i < 16; i += 8 {
			words[i] ^= wide
			words[i+1] ^= wide
			words[i+2] ^= wide
			words[i+3] ^= wide
			words[i+4] ^= wide
			words[i+5] ^= wide
			words[i+6] ^= wide
			words[i+7] ^= wide
		}
	}
	for ; len(payload) >= 8; payload = payload[8:] {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^wide)
	}
	for i := range payload {
		payload[i] ^= byte(wide >> (8 * i))
	}
}

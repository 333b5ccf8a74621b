// SPDX-License-Identifier: MPL-2.0

package main

// #include "zlink.h"
import "C"

import (
	"time"
	"unsafe"

	"github.com/zlink/zlink/core/shm"
)

//export zgo_close_peer
func zgo_close_peer(handle C.uintptr_t, peer C.uint32_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.ClosePeer(uint32(peer))
	}
	return result(err)
}

//export zgo_close_peer_with
func zgo_close_peer_with(handle C.uintptr_t, peer C.uint32_t, code C.int, reason unsafe.Pointer, size C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.ClosePeerWith(uint32(peer), int(code), string(bytes(reason, size)))
	}
	return result(err)
}

// zgo_close_reason stores the reason of a disconnect event, followed by a NUL.
//
//export zgo_close_reason
func zgo_close_reason(s unsafe.Pointer, to unsafe.Pointer, room C.size_t) {
	_, reason := (*shm.Session)(s).Farewell()
	out := bytes(to, room)
	out[copy(out[:len(out)-1], reason)] = 0
}

//export zgo_abort_peer
func zgo_abort_peer(handle C.uintptr_t, peer C.uint32_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.AbortPeer(uint32(peer))
	}
	return result(err)
}

//export zgo_drain
func zgo_drain(handle C.uintptr_t, spreadMs, code C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.Drain(time.Duration(spreadMs)*time.Millisecond, int(code))
	}
	return result(err)
}

// zgo_event_taken is for the receiver of a disconnect event whose peer could still be
// sent to.
//
//export zgo_event_taken
func zgo_event_taken(handle C.uintptr_t, s unsafe.Pointer) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.ForC().EventTaken((*shm.Session)(s))
	}
}

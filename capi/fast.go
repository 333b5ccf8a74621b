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

// zgo_peer_gets returns the length of a property. If there is room for that and a NUL, it stores
// them; else, if there is any room, it stores a NUL.
//
//export zgo_peer_gets
func zgo_peer_gets(handle C.uintptr_t, peer C.uint32_t, name *C.char, to unsafe.Pointer, room C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	value := ""
	if err == nil {
		value, err = k.PeerProperty(uint32(peer), C.GoString(name))
	}
	if err != nil {
		return result(err)
	}
	if room > 0 {
		out, fits := bytes(to, min(room, C.size_t(len(value)+1))), value
		if len(out) <= len(value) {
			fits = ""
		}
		out[copy(out, fits)] = 0
	}
	return C.int(len(value))
}

//export zgo_accept_peer_with
func zgo_accept_peer_with(handle C.uintptr_t, peer C.uint32_t, protocol unsafe.Pointer, size C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.AcceptPeerWith(uint32(peer), string(bytes(protocol, size)))
	}
	return result(err)
}

//export zgo_accept_peer
func zgo_accept_peer(handle C.uintptr_t, peer C.uint32_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.AcceptPeer(uint32(peer))
	}
	return result(err)
}

//export zgo_refuse_peer
func zgo_refuse_peer(handle C.uintptr_t, peer C.uint32_t, status C.int, text unsafe.Pointer, size C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.RefusePeer(uint32(peer), int(status), string(bytes(text, size)))
	}
	return result(err)
}

//export zgo_set_peer_data
func zgo_set_peer_data(handle C.uintptr_t, peer C.uint32_t, data, free, hint C.uintptr_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.ForC().GiveData(uint32(peer), shm.Given{Data: uintptr(data), Free: uintptr(free), Hint: uintptr(hint)})
	}
	return result(err)
}

// zgo_release_card drops a reference to a peer's card that may be the last one.
//
//export zgo_release_card
func zgo_release_card(card unsafe.Pointer) { (*shm.Card)(card).Release() }

//export zgo_drain
func zgo_drain(handle C.uintptr_t, spreadMs, code C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.Drain(time.Duration(spreadMs)*time.Millisecond, int(code))
	}
	return result(err)
}

// zgo_event_taken is for the receiver of a disconnect event whose peer could still be
// sent to, or has a card.
//
//export zgo_event_taken
func zgo_event_taken(handle C.uintptr_t, s unsafe.Pointer) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.ForC().EventTaken((*shm.Session)(s))
	}
}

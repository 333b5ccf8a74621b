// SPDX-License-Identifier: MPL-2.0

package main

// #include "zlink.h"
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/shm"
)

//export zgo_await
func zgo_await(handle C.uintptr_t, dontWait C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.ForC().AwaitRun(dontWait != 0)
	}
	return result(err)
}

//export zgo_resume
func zgo_resume(handle C.uintptr_t) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.ForC().Resume()
	}
}

//export zgo_free_session
func zgo_free_session(s unsafe.Pointer) { shm.FreeSession((*shm.Session)(s)) }

//export zgo_send
func zgo_send(handle C.uintptr_t, data unsafe.Pointer, size C.size_t, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.SendFrame(bytes(data, size), flags&C.ZLINK_SNDMORE != 0, flags&C.ZLINK_DONTWAIT != 0)
	}
	return result(err)
}

// zgo_send_owned returns 1 when it took the owner's reference, 0 when it copied.
//
//export zgo_send_owned
func zgo_send_owned(handle C.uintptr_t, data unsafe.Pointer, size C.size_t, flags C.int, owner unsafe.Pointer) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	taken, err := k.ForC().SendFrameOwned(bytes(data, size), owner, flags&C.ZLINK_SNDMORE != 0, flags&C.ZLINK_DONTWAIT != 0)
	if err != nil {
		return result(err)
	}
	if taken {
		return 1
	}
	return 0
}

// zgo_no_frames says why a socket has no frames.
//
//export zgo_no_frames
func zgo_no_frames(handle C.uintptr_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		_, _, err = k.RecvFrame(nil, true)
	}
	return result(err)
}

//export zgo_flush
func zgo_flush(handle C.uintptr_t) {
	if k, err := socketOf(uintptr(handle)); err == nil {
		k.ForC().Flush()
	}
}

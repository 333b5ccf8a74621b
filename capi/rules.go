// SPDX-License-Identifier: MPL-2.0

package main

/*
#include "msg.h"
*/
import "C"

import (
	"unsafe"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets/stream"
)

// The calls of the data path by the full rules. Each is one call of the core, as a Go
// program would make it. rules.c says when they are used.

// sized returns a size, or -errno.
func sized(size int, err error) C.int64_t {
	if err != nil {
		return C.int64_t(result(err))
	}
	return C.int64_t(size)
}

//export zgo_recv
func zgo_recv(handle C.uintptr_t, buf unsafe.Pointer, size C.size_t, flags C.int) C.int64_t {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return sized(0, err)
	}
	n, _, err := k.RecvFrame(bytes(buf, min(size, maxFrame)), flags&C.ZLINK_DONTWAIT != 0)
	return sized(n, err)
}

// maxFrame is the length of the longest possible frame.
const maxFrame = 1<<32 - 1

// zgo_msg_recv receives into a message, in either mode.
//
//export zgo_msg_recv
func zgo_msg_recv(handle C.uintptr_t, msg unsafe.Pointer, flags C.int) C.int64_t {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return sized(0, err)
	}
	size, failed, dontWait := 0, C.int(0), flags&C.ZLINK_DONTWAIT != 0
	if k.ForC().Queues().RxPhase == shm.PhaseFast {
		_, err = k.ForC().RecvInto(1, dontWait, func(_ int, p stream.Piece) bool {
			size = len(p.Data)
			failed = fillMessage((*C.zlink_msg_t)(msg), p)
			return failed == 0
		})
	} else {
		err = k.ForC().RecvFrameInto(dontWait, func(p stream.Piece) bool {
			size = len(p.Data)
			failed = fillFrame((*C.zlink_msg_t)(msg), p)
			return failed == 0
		})
	}
	if err == nil {
		err = unfilled(failed)
	}
	return sized(size, err)
}

// unfilled is the error of a message that could not be filled, or nil.
func unfilled(failed C.int) error {
	switch failed {
	case 0:
		return nil
	case C.ENOMEM:
		return errno.New(errno.ENOMEM, "no memory for a message")
	}
	return errno.EFAULT // it is no message
}

// fillMessage returns 0 or an errno.
func fillMessage(msg *C.zlink_msg_t, p stream.Piece) C.int {
	return C.zl_fill_message(msg, run(p), contentOf(p))
}

// fillFrame is fillMessage for a frame of the mode COMPAT.
func fillFrame(msg *C.zlink_msg_t, p stream.Piece) C.int {
	return C.zl_fill_frame(msg, run(p), contentOf(p), (*C.zl_slab)(unsafe.Pointer(p.Slab)), C.bool(p.More))
}

func run(p stream.Piece) *C.zl_run { return (*C.zl_run)(unsafe.Pointer(p.Run)) }

func contentOf(p stream.Piece) C.zl_content {
	return C.zl_content{header: start(p.Header), header_size: C.size_t(len(p.Header)), data: start(p.Data), size: C.size_t(len(p.Data))}
}

func start(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

//export zgo_recv_batch
func zgo_recv_batch(handle C.uintptr_t, first unsafe.Pointer, room C.size_t, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	msgs, failed := unsafe.Slice((*C.zlink_msg_t)(first), room), C.int(0)
	n, err := k.ForC().RecvInto(len(msgs), flags&C.ZLINK_DONTWAIT != 0, func(n int, p stream.Piece) bool {
		failed = fillMessage(&msgs[n], p)
		return failed == 0
	})
	if err == nil && n == 0 {
		err = unfilled(failed)
	}
	if err != nil {
		return result(err)
	}
	return C.int(n)
}

// zgo_await waits until there may be a run for a receive of the mode FAST (fast) or COMPAT.
//
//export zgo_await
func zgo_await(handle C.uintptr_t, fast C.bool, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.ForC().AwaitRun(bool(fast), flags&C.ZLINK_DONTWAIT != 0)
	}
	return result(err)
}

//export zgo_send
func zgo_send(handle C.uintptr_t, data unsafe.Pointer, size C.size_t, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.SendFrame(bytes(data, size), flags&C.ZLINK_SNDMORE != 0, flags&C.ZLINK_DONTWAIT != 0)
	}
	return result(err)
}

// zgo_msg_send sends a message in either mode. It returns 1 if it took the owner's
// reference, and 0 if it copied.
//
//export zgo_msg_send
func zgo_msg_send(handle C.uintptr_t, p *C.zl_parcel, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	more, dontWait := flags&C.ZLINK_SNDMORE != 0, flags&C.ZLINK_DONTWAIT != 0
	return took(k.ForC().SendMessage(uint32(p.routing_id), parcel(p), more, dontWait))
}

// took returns 1 if a call took the owner's reference, 0 if it copied, or -errno.
func took(owner bool, err error) C.int {
	switch {
	case err != nil:
		return result(err)
	case owner:
		return 1
	}
	return 0
}

// zgo_send_any is zgo_msg_send to a peer of any socket in the mode FAST.
//
//export zgo_send_any
func zgo_send_any(p *C.zl_parcel, flags C.int) C.int {
	return took((*stream.Socket)(nil).ForC().SendAny(uint32(p.routing_id), parcel(p), flags&C.ZLINK_DONTWAIT != 0))
}

// parcel is a message of C.
func parcel(p *C.zl_parcel) stream.Parcel {
	return stream.Parcel{Header: bytes(p.header, p.header_size), Body: bytes(p.data, p.size), Owner: p.owner, Text: p.text != 0}
}

// zgo_send_batch sends messages of the mode FAST, and returns how many it sent. It takes their owners' references.
//
//export zgo_send_batch
func zgo_send_batch(handle C.uintptr_t, first *C.zl_parcel, count C.size_t, flags C.int) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	sent := 0
	for parcels := unsafe.Slice(first, count); sent < len(parcels) && err == nil; {
		n := 0
		n, err = sendParcels(k, parcels[sent:], flags&C.ZLINK_DONTWAIT != 0)
		sent += n
	}
	if sent > 0 && !k.ForC().Queues().Waiting() {
		k.ForC().Flush()
	}
	if sent == 0 {
		return result(err)
	}
	return C.int(sent)
}

// sendParcels sends the first parcel, or as many as precede one with an owner.
func sendParcels(k *stream.Socket, parcels []C.zl_parcel, dontWait bool) (int, error) {
	if p := &parcels[0]; p.owner != nil {
		if err := k.ForC().SendLong(uint32(p.routing_id), parcel(p), dontWait); err != nil {
			return 0, err
		}
		return 1, nil
	}
	msgs := make([]stream.Message, 0, len(parcels))
	for i := 0; i < len(parcels) && parcels[i].owner == nil; i++ {
		p := &parcels[i]
		msgs = append(msgs, stream.Message{Peer: uint32(p.routing_id), Text: p.text != 0, Body: bytes(p.data, p.size),
			Header: bytes(p.header, p.header_size)})
	}
	return k.ForC().SendMany(msgs, dontWait)
}

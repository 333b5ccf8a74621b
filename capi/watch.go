// SPDX-License-Identifier: MPL-2.0

package main

/*
#include "internal.h"
#include "zlink.h"
*/
import "C"

import (
	"math"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sockets/stream"
)

// knownEvents are the events that a monitor may ask for.
const knownEvents = C.ZLINK_EVENT_ALL | C.ZLINK_EVENT_STREAM_WRITABLE | C.ZLINK_EVENT_STREAM_DRAINED

//export zgo_monitor_open
func zgo_monitor_open(handle C.uintptr_t, events C.int, code *C.int) C.uintptr_t {
	k, err := socketOf(uintptr(handle))
	if err == nil && events&knownEvents == 0 {
		err = errno.New(errno.EINVAL, "%#x names no event", int(events))
	}
	var m *sockets.Monitor
	if err == nil {
		m, err = k.Monitor(engine.EventKind(events & knownEvents))
	}
	if err != nil {
		*code = result(err)
		return 0
	}
	monitor := socketHandles.put(m)
	if monitor == 0 {
		_ = m.Close()
		*code = result(errno.New(errno.EMFILE, "the process has all the sockets it can"))
	}
	return C.uintptr_t(monitor)
}

//export zgo_monitors_stop
func zgo_monitors_stop(handle C.uintptr_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err == nil {
		err = k.ForC().StopMonitors()
	}
	return result(err)
}

//export zgo_monitor_recv
func zgo_monitor_recv(handle C.uintptr_t, out *C.zlink_monitor_event_t, flags C.int) C.int {
	m, err := monitorOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	e, err := m.Recv(flags&C.ZLINK_DONTWAIT != 0)
	if err != nil {
		return result(err)
	}
	*out = C.zlink_monitor_event_t{event: C.uint64_t(e.Kind), value: C.uint64_t(e.Value)}
	setID(&out.routing_id, e.RoutingID)
	setText(&out.local_addr, e.Local)
	setText(&out.remote_addr, e.Remote)
	tell(e.Detail)
	return 0
}

//export zgo_monitor_reason
func zgo_monitor_reason(handle C.uintptr_t) C.int {
	m, err := monitorOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	return C.int(m.Cause())
}

func setID(out *C.zlink_routing_id_t, id []byte) {
	out.size = C.uint8_t(copy(unsafe.Slice((*byte)(&out.data[0]), len(out.data)), id))
}

// setText stores a text with its NUL, and cuts it if it is too long.
func setText(out *[256]C.char, text string) {
	n := copy(unsafe.Slice((*byte)(unsafe.Pointer(&out[0])), len(out)-1), text)
	out[n] = 0
}

func setPeer(out *C.zlink_peer_info_t, p stream.Peer) {
	*out = C.zlink_peer_info_t{connected_time: C.uint64_t(p.Connected.UnixMilli()), msgs_sent: C.uint64_t(p.Sent),
		msgs_received: C.uint64_t(p.Received)}
	setID(&out.routing_id, p.RoutingID)
	setText(&out.remote_addr, p.Remote)
}

//export zgo_peer_info
func zgo_peer_info(handle C.uintptr_t, id *C.zlink_routing_id_t, out *C.zlink_peer_info_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	p, err := k.Peer(unsafe.Slice((*byte)(&id.data[0]), id.size))
	if err != nil {
		return result(err)
	}
	setPeer(out, p)
	return 0
}

//export zgo_peer_id
func zgo_peer_id(handle C.uintptr_t, index C.int, out *C.zlink_routing_id_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	id, err := k.ForC().PeerID(int(index))
	if err != nil {
		return result(err)
	}
	setID(out, id)
	return 0
}

//export zgo_peer_count
func zgo_peer_count(handle C.uintptr_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	n, err := k.PeerCount()
	if err != nil {
		return result(err)
	}
	return C.int(n)
}

// zgo_peers stores up to room peers in out, and their number in count. Without out it
// stores the number of all peers.
//
//export zgo_peers
func zgo_peers(handle C.uintptr_t, out *C.zlink_peer_info_t, room C.size_t, count *C.size_t) C.int {
	k, err := socketOf(uintptr(handle))
	if err != nil {
		return result(err)
	}
	if out == nil {
		n, err := k.PeerCount()
		*count = C.size_t(n)
		return result(err)
	}
	peers, err := k.Peers(int(min(room, math.MaxInt32)))
	if err != nil {
		return result(err)
	}
	*count = C.size_t(len(peers))
	for i, place := 0, unsafe.Slice(out, *count); i < len(place); i++ {
		setPeer(&place[i], peers[i])
	}
	return 0
}

# SPDX-License-Identifier: MPL-2.0
"""libzlink.so by ctypes: which file it is, and the functions that the binding calls."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

MESSAGE_SIZE = 64
STREAM = 11
MODE, MODE_FAST = 300, 1
DONTWAIT, EXCEPT = 1, 4
PROPERTY_EVENT, PROPERTY_CLOSE_CODE, PROPERTY_REASON, PROPERTY_TEXT = 300, 301, 302, 303


def _file() -> str:
    """ZLINK_LIBRARY, or the file that came with the wheel, or what the system's loader finds."""
    given = os.environ.get("ZLINK_LIBRARY")
    beside = os.path.join(os.path.dirname(__file__), "libzlink.so.5")
    return given or (beside if os.path.exists(beside) else "libzlink.so.5")


def _load() -> tuple[ctypes.CDLL, ctypes.PyDLL]:
    name = _file()
    try:
        return ctypes.CDLL(name, use_errno=True), ctypes.PyDLL(name, use_errno=True)
    except OSError as error:
        raise ImportError(
            f"zlink_stream needs libzlink.so.5, and cannot load {name!r}: {error}. Install the library, or name"
            " its file in the environment variable ZLINK_LIBRARY"
        ) from None


# A call by the first lets other threads of Python run meanwhile; the second is for what never waits.
_waits, _quick = _load()


class RoutingId(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint8), ("data", ctypes.c_uint8 * 255)]


class MonitorEvent(ctypes.Structure):
    _fields_ = [
        ("event", c_uint64),
        ("value", c_uint64),
        ("routing_id", RoutingId),
        ("local_addr", ctypes.c_char * 256),
        ("remote_addr", ctypes.c_char * 256),
    ]


class Stats(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("connections", c_uint64),
        ("accepted", c_uint64),
        ("dialled", c_uint64),
        ("closed", c_uint64),
        ("msgs_in", c_uint64),
        ("msgs_out", c_uint64),
        ("bytes_in", c_uint64),
        ("bytes_out", c_uint64),
        ("msgs_queued", c_uint64),
        ("bytes_queued", c_uint64),
        ("refused", c_uint64),
        ("oversize", c_uint64),
        ("memory", c_uint64),
        ("abandoned", c_uint64),
        ("ended_by", c_uint64 * 32),
        ("turned_away", c_uint64),
        ("msgs_dropped", c_uint64),
        ("bytes_dropped", c_uint64),
        ("publishes", c_uint64),
        ("deliveries", c_uint64),
        ("undelivered", c_uint64),
        ("replaced", c_uint64),
    ]


def _function(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, "zlink_" + name)
    function.restype = result
    function.argtypes = arguments
    return function


version = _function(_quick, "version", None, POINTER(c_int), POINTER(c_int), POINTER(c_int))
has = _function(_quick, "has", c_int, c_char_p)
strerror = _function(_quick, "strerror", c_char_p, c_int)
error_detail = _function(_quick, "error_detail", c_char_p)

LogFunction = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)
set_log = _function(_waits, "set_log", c_int, LogFunction, c_int, c_void_p)

ctx_new = _function(_waits, "ctx_new", c_void_p)
ctx_term = _function(_waits, "ctx_term", c_int, c_void_p)
ctx_shutdown = _function(_waits, "ctx_shutdown", c_int, c_void_p)
ctx_set = _function(_waits, "ctx_set", c_int, c_void_p, c_int, c_int)
ctx_get = _function(_waits, "ctx_get", c_int, c_void_p, c_int)
ctx_set_admin = _function(_waits, "ctx_set_admin", c_int, c_void_p, c_char_p)

socket = _function(_waits, "socket", c_void_p, c_void_p, c_int)
close = _function(_waits, "close", c_int, c_void_p)
setsockopt = _function(_waits, "setsockopt", c_int, c_void_p, c_int, c_void_p, c_size_t)
getsockopt = _function(_waits, "getsockopt", c_int, c_void_p, c_int, c_void_p, POINTER(c_size_t))
bind = _function(_waits, "bind", c_int, c_void_p, c_char_p)
connect = _function(_waits, "connect", c_int, c_void_p, c_char_p)
unbind = _function(_waits, "unbind", c_int, c_void_p, c_char_p)
disconnect = _function(_waits, "disconnect", c_int, c_void_p, c_char_p)

msg_init = _function(_quick, "msg_init", c_int, c_void_p)
msg_init_size = _function(_quick, "msg_init_size", c_int, c_void_p, c_size_t)
msg_close = _function(_quick, "msg_close", c_int, c_void_p)
msg_move = _function(_quick, "msg_move", c_int, c_void_p, c_void_p)
msg_data = _function(_quick, "msg_data", c_void_p, c_void_p)
msg_size = _function(_quick, "msg_size", c_size_t, c_void_p)
msg_get = _function(_quick, "msg_get", c_int, c_void_p, c_int)
msg_set = _function(_quick, "msg_set", c_int, c_void_p, c_int, c_int)
msg_gets = _function(_quick, "msg_gets", c_char_p, c_void_p, c_char_p)
msg_header = _function(_quick, "msg_header", c_void_p, c_void_p, POINTER(c_size_t))
msg_set_header = _function(_quick, "msg_set_header", c_int, c_void_p, c_char_p, c_size_t)
msg_routing_id = _function(_quick, "msg_routing_id", c_uint32, c_void_p)
msg_set_routing_id = _function(_quick, "msg_set_routing_id", c_int, c_void_p, c_uint32)
msg_send = _function(_waits, "msg_send", c_int, c_void_p, c_void_p, c_int)
recv_batch = _function(_waits, "stream_recv_batch", c_int, c_void_p, c_void_p, c_size_t, c_int)
send_batch = _function(_waits, "stream_send_batch", c_int, c_void_p, c_void_p, c_size_t, c_int)
send_any = _function(_waits, "stream_send_any", c_int, c_void_p, c_int)
send_key = _function(_waits, "stream_send_key", c_int, c_void_p, c_void_p, c_uint64, c_int)

multicast = _function(
    _waits, "stream_multicast", c_int, c_void_p, POINTER(c_uint32), c_size_t, c_void_p, c_int, POINTER(c_int)
)
join = _function(_waits, "stream_join", c_int, c_void_p, c_uint32, c_char_p)
leave = _function(_waits, "stream_leave", c_int, c_void_p, c_uint32, c_char_p)
publish = _function(_waits, "stream_publish", c_int, c_void_p, c_char_p, c_void_p, c_int)
publish_key = _function(_waits, "stream_publish_key", c_int, c_void_p, c_char_p, c_void_p, c_uint64, c_int)
close_peer = _function(_waits, "stream_close_peer", c_int, c_void_p, c_uint32)
close_peer_with = _function(_waits, "stream_close_peer_with", c_int, c_void_p, c_uint32, c_int, c_char_p)
abort_peer = _function(_waits, "stream_abort_peer", c_int, c_void_p, c_uint32)
accept_peer = _function(_waits, "stream_accept_peer", c_int, c_void_p, c_uint32)
accept_peer_with = _function(_waits, "stream_accept_peer_with", c_int, c_void_p, c_uint32, c_char_p)
refuse_peer = _function(_waits, "stream_refuse_peer", c_int, c_void_p, c_uint32, c_int, c_char_p)
peer_gets = _function(_waits, "stream_peer_gets", c_int, c_void_p, c_uint32, c_char_p, c_void_p, c_size_t)
drain = _function(_waits, "stream_drain", c_int, c_void_p, c_int, c_int)
stream_stats = _function(_waits, "stream_stats", c_int, c_void_p, POINTER(Stats))
peer_count = _function(_waits, "socket_peer_count", c_int, c_void_p)

monitor_open = _function(_waits, "socket_monitor_open", c_void_p, c_void_p, c_int)
monitor_recv = _function(_waits, "monitor_recv", c_int, c_void_p, POINTER(MonitorEvent), c_int)
monitor_reason = _function(_waits, "monitor_reason", c_int, c_void_p)

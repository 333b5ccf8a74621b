# SPDX-License-Identifier: MPL-2.0
"""zlink for Python: one STREAM socket, thousands of raw clients."""

from __future__ import annotations

import ctypes

from . import _native
from ._batch import Batch, Message
from ._constants import ContextOption, Event, Option, Reason, Watch
from ._errors import EFSM, ETERM, Again, Ended, PeerGone, ZlinkError
from ._log import set_logger
from ._socket import Context, Monitor, MonitorEvent, Socket, send_any
from .aio import AsyncSocket

__all__ = [
    "EFSM",
    "ETERM",
    "Again",
    "AsyncSocket",
    "Batch",
    "Context",
    "ContextOption",
    "Ended",
    "Event",
    "Message",
    "Monitor",
    "MonitorEvent",
    "Option",
    "PeerGone",
    "Reason",
    "Socket",
    "Watch",
    "ZlinkError",
    "has",
    "library_version",
    "send_any",
    "set_logger",
]


def library_version() -> str:
    """Of the library that is loaded: "MAJOR.MINOR.PATCH"."""
    parts = [ctypes.c_int() for _ in range(3)]
    _native.version(*map(ctypes.byref, parts))
    return ".".join(str(part.value) for part in parts)


def has(capability: str) -> bool:
    """Whether the library has a transport: "tcp", "ws", "tls"…"""
    return bool(_native.has(capability.encode()) == 1)

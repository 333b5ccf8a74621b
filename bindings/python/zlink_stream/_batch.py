# SPDX-License-Identifier: MPL-2.0
"""Messages: as objects of Python, and as native ones in a batch."""

from __future__ import annotations

import ctypes
import errno
import operator
from typing import Iterator, Optional, Union

from . import _native
from ._constants import Event, Reason
from ._errors import ZlinkError, check, last

Body = Union[bytes, bytearray, memoryview]
_EVENTS = tuple(Event)
_SIZE = _native.MESSAGE_SIZE
_MESSAGES, _HEADERS = 1, 3  # of FRAMING


def number(value: int, bits: int = 32) -> int:
    """A peer or a key; ctypes would cut it to its bits, and name another one."""
    value = operator.index(value)
    if not 0 <= value < 1 << bits:
        raise ValueError(f"a number of {bits} bits is wanted, not {value}")
    return value


def whole(value: int) -> int:
    """An int of C, with a sign."""
    value = operator.index(value)
    if not -1 << 31 <= value < 1 << 31:
        raise ValueError(f"a whole number of 32 bits is wanted, not {value}")
    return value


class _Kept:
    """A native message that is moved out of its batch, and released once."""

    def __init__(self, source: int) -> None:
        self._memory = ctypes.create_string_buffer(_SIZE)
        self.at = ctypes.addressof(self._memory)
        _native.msg_init(self.at)
        _native.msg_move(self.at, source)

    def __del__(self) -> None:
        _native.msg_close(self.at)


class Message:
    """What was received: peer, event, and copies of body and header."""

    __slots__ = ("peer", "event", "body", "is_text", "header", "_kept")

    def __init__(
        self, peer: int, event: Event, body: bytes, is_text: bool, header: bytes, kept: Optional[_Kept]
    ) -> None:
        self.peer = peer
        self.event = event
        self.body = body
        self.is_text = is_text  # it came as text, with FRAMING 1
        self.header = header  # what came in front of the body, with FRAMING 3
        self._kept = kept

    @property
    def is_data(self) -> bool:
        return self.event is Event.DATA

    @property
    def reason(self) -> Reason:
        """Of DISCONNECTED: why."""
        return Reason.UNKNOWN if self._kept is None else Reason(_native.msg_get(self._kept.at, _native.PROPERTY_REASON))

    @property
    def close_code(self) -> int:
        """Of DISCONNECTED of ws and wss: what the peer said, 1005 or 1006; else 0."""
        return 0 if self._kept is None else int(_native.msg_get(self._kept.at, _native.PROPERTY_CLOSE_CODE))

    def property(self, name: str) -> Optional[str]:
        """Of an event: "Peer-Address", "Peer-Port", "Close-Reason", and what PROPERTIES names; None: it has none.

        Of peers that are there Socket.peer_property tells the same.
        """
        text = None if self._kept is None else _native.msg_gets(self._kept.at, name.encode())
        return None if text is None else str(text.decode(errors="replace"))

    def __repr__(self) -> str:
        return f"<Message peer={self.peer} {self.event.name} {len(self.body)} bytes>"


class Batch:
    """Room for capacity native messages, len(batch) of which are in use. One thread at a time.

    What is in it belongs to it until the next receive, a send that takes it, clear or close.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a batch has room for 1 message at least")
        self._memory = ctypes.create_string_buffer(capacity * _SIZE)
        first = ctypes.addressof(self._memory)
        self._places = [first + i * _SIZE for i in range(capacity)]
        self._count = 0
        for at in self._places:
            _native.msg_init(at)

    @property
    def capacity(self) -> int:
        return len(self._places)

    def __len__(self) -> int:
        return self._count

    def _at(self, index: int) -> int:
        if not 0 <= index < self._count:
            raise IndexError(f"the batch has {self._count} messages, not {index + 1}")
        return self._places[index]

    def peer(self, index: int) -> int:
        return int(_native.msg_routing_id(self._at(index)))

    def event(self, index: int) -> Event:
        return Event(_native.msg_get(self._at(index), _native.PROPERTY_EVENT))

    def view(self, index: int) -> memoryview:
        """The bytes themselves, not a copy: only for use before the batch changes."""
        at = self._at(index)
        size = _native.msg_size(at)
        if size == 0:
            return memoryview(b"")
        return memoryview((ctypes.c_char * size).from_address(_native.msg_data(at))).cast("B")

    def body(self, index: int) -> bytes:
        """A copy of the bytes."""
        at = self._at(index)
        return ctypes.string_at(_native.msg_data(at), _native.msg_size(at))

    def header(self, index: int) -> bytes:
        """A copy of what came in front of the body, with FRAMING 3; b"": it has none."""
        return _header(self._at(index))

    def set_header(self, index: int, header: Body) -> None:
        """Gives a message a copy of a header of at most 65535 bytes (EMSGSIZE); none takes it away."""
        _set_header(self._at(index), header)

    def add(self, peer: int, body: Body, text: bool = False, *, header: Body = b"") -> None:
        """Adds a message for a peer, with a copy of the bytes. ENOBUFS: the batch is full."""
        if self._count == len(self._places):
            raise ZlinkError(errno.ENOBUFS, "the batch is full")
        _fill(self._places[self._count], peer, body, text, header)
        self._count += 1

    def clear(self) -> None:
        """Releases every message."""
        for at in self._places[: self._count]:
            _native.msg_close(at)
            _native.msg_init(at)
        self._count = 0

    close = clear

    def __del__(self) -> None:
        for at in getattr(self, "_places", ()):
            _native.msg_close(at)

    def _messages(self, framing: int) -> list[Message]:
        return list(self._each(framing))

    def _each(self, framing: int) -> Iterator[Message]:
        framed, headed, header = framing == _MESSAGES, framing == _HEADERS, b""
        size_of, peer_of, data_of, get = _native.msg_size, _native.msg_routing_id, _native.msg_data, _native.msg_get
        copy, data = ctypes.string_at, Event.DATA
        for at in self._places[: self._count]:
            size = size_of(at)
            if size > 0:  # an event has no body
                text = framed and get(at, _native.PROPERTY_TEXT) == 1
                if headed:
                    header = _header(at)
                yield Message(peer_of(at), data, copy(data_of(at), size), text, header, None)
                continue
            event = _EVENTS[get(at, _native.PROPERTY_EVENT)]
            text = framed and get(at, _native.PROPERTY_TEXT) == 1
            if headed:
                header = _header(at)
            yield Message(peer_of(at), event, b"", text, header, None if event is data else _Kept(at))

    def _data_runs(self) -> Iterator[tuple[int, int]]:
        """First and end of what lies between events."""
        size_of, get, first = _native.msg_size, _native.msg_get, 0
        for index, at in enumerate(self._places[: self._count]):
            if size_of(at) == 0 and get(at, _native.PROPERTY_EVENT) != 0:
                if first < index:
                    yield first, index
                first = index + 1
        if first < self._count:
            yield first, self._count


def _header(at: int) -> bytes:
    size = ctypes.c_size_t()
    header = _native.msg_header(at, ctypes.byref(size))
    return b"" if header is None else ctypes.string_at(header, size.value)


def _set_header(at: int, header: Body) -> None:
    copy = bytes(memoryview(header))
    check(_native.msg_set_header(at, copy, len(copy)))


def _fill(at: int, peer: int, body: Body, text: bool, header: Body) -> None:
    """Makes the initialised message at a place one for a peer; 0: for nobody yet."""
    if not isinstance(body, bytes):
        body = bytes(memoryview(body))  # not of a number, which would be so many zeros
    peer = number(peer)
    size = len(body)
    _native.msg_close(at)
    if _native.msg_init_size(at, size) != 0:
        failed = last()
        _native.msg_init(at)
        raise failed
    if size > 0:
        ctypes.memmove(_native.msg_data(at), body, size)
    if peer != 0:
        _native.msg_set_routing_id(at, peer)
    if text:
        check(_native.msg_set(at, _native.PROPERTY_TEXT, 1))
    if header:
        _set_header(at, header)


class _Outgoing:
    """A native message of its own for one send; it is released whether that took it or not."""

    def __init__(self, peer: int, body: Body, text: bool, header: Body) -> None:
        self._memory = ctypes.create_string_buffer(_SIZE)
        self.at = ctypes.addressof(self._memory)
        _native.msg_init(self.at)
        try:
            _fill(self.at, peer, body, text, header)
        except BaseException:
            _native.msg_close(self.at)
            raise

    def __enter__(self) -> int:
        return self.at

    def __exit__(self, *_: object) -> None:
        _native.msg_close(self.at)

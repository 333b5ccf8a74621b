# SPDX-License-Identifier: MPL-2.0
"""Contexts, sockets in the mode FAST, and monitors."""

from __future__ import annotations

import ctypes
import errno
import threading
from collections import deque
from types import TracebackType
from typing import Deque, Iterable, Iterator, NamedTuple, Optional, Sequence, Type, TypeVar, Union

from . import _native
from ._batch import Batch, Body, Message, _Outgoing, number, whole
from ._constants import WIDE, ContextOption, Option, Reason, Watch
from ._errors import Ended, ZlinkError, check, last, of, was_there

def _text(text: str) -> bytes:
    """For C, which takes a NUL as the end: what is behind it would be ignored."""
    if "\0" in text:
        raise ValueError(f"a text without a NUL is wanted, not {text!r}")
    return text.encode()


_Self = TypeVar("_Self", bound="_Closing")


class _Closing:
    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class Context(_Closing):
    """The io threads, and what sockets share. Any thread."""

    def __init__(self, io_threads: Optional[int] = None) -> None:
        self._handle: Optional[int] = _native.ctx_new()
        if self._handle is None:
            raise last()
        self._lock = threading.RLock()  # a finalizer may run wherever it is held
        self._sockets = 0  # that are open
        self._closed = False
        if io_threads is not None:
            self.set(ContextOption.IO_THREADS, io_threads)

    def socket(self, **options: Union[int, str]) -> Socket:
        """A socket; options by their names in small letters: context.socket(profile=1, linger=0)."""
        return Socket(self, **options)

    def set(self, option: ContextOption, value: int) -> None:
        check(_native.ctx_set(self._handle, whole(option), whole(value)))

    def get(self, option: ContextOption) -> int:
        ctypes.set_errno(0)  # -1 is also the value of an option that nobody has set
        value: int = _native.ctx_get(self._handle, whole(option))
        return value if value < 0 and ctypes.get_errno() == 0 else check(value)

    def set_admin(self, path: Optional[str]) -> None:
        """Programs of the same user, such as zlink-top, may ask for the statistics at this path; None ends that."""
        check(_native.ctx_set_admin(self._handle, _text(path) if path else None))

    def shutdown(self) -> None:
        """Makes every blocked and later call on its sockets raise Ended."""
        check(_native.ctx_shutdown(self._handle))

    def close(self) -> None:
        """Shuts down. Whoever is later, this or the close of its last socket, waits until what was sent is out
        (LINGER). Twice is once."""
        if self._closed:
            return
        self.shutdown()
        with self._lock:
            self._closed = True
        self._end()

    def _opened(self) -> None:
        with self._lock:
            self._sockets += 1

    def _gone(self) -> None:
        with self._lock:
            self._sockets -= 1
        self._end()

    def _end(self) -> None:
        with self._lock:
            if not self._closed or self._sockets > 0 or self._handle is None:
                return
            handle, self._handle = self._handle, None
        while _native.ctx_term(handle) != 0 and ctypes.get_errno() == errno.EINTR:
            pass

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            _native.ctx_shutdown(handle)
            try:  # a thread of its own, because that waits for what was sent
                threading.Thread(target=_native.ctx_term, args=(handle,), daemon=True).start()
            except RuntimeError:
                pass  # the interpreter ends


class MonitorEvent(NamedTuple):
    event: Watch
    value: int
    peer: int
    local: str
    remote: str
    reason: Reason
    detail: str


class Monitor(_Closing):
    """The events of a socket, for a thread of its own: for event in monitor. It may outlive its socket."""

    def __init__(self, handle: int) -> None:
        self._handle: Optional[int] = handle

    def receive(self, wait: bool = True) -> MonitorEvent:
        """The next event. Again: there is none, with wait=False. Ended."""
        got = _native.MonitorEvent()
        while _native.monitor_recv(self._handle, ctypes.byref(got), 0 if wait else _native.DONTWAIT) != 0:
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise of(code)
        detail = _native.error_detail().decode(errors="replace")
        reason = Reason(_native.monitor_reason(self._handle))
        peer = int.from_bytes(bytes(got.routing_id.data[: got.routing_id.size]), "big") if got.routing_id.size == 4 else 0
        local, remote = got.local_addr.decode(errors="replace"), got.remote_addr.decode(errors="replace")
        return MonitorEvent(Watch(got.event), got.value, peer, local, remote, reason, detail)

    def __iter__(self) -> Iterator[MonitorEvent]:
        """Up to MONITOR_STOPPED, which comes last, and without it."""
        while True:
            event = self.receive()
            if event.event == Watch.MONITOR_STOPPED:
                return
            yield event

    def close(self) -> None:
        """Twice is once."""
        handle, self._handle = self._handle, None
        if handle is not None:
            check(_native.close(handle))

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            _native.close(handle)


class Socket(_Closing):
    """A STREAM socket in the mode FAST: many peers, each with a number.

    One thread at a time, except that any number of threads may send, publish, join and end peers while one receives.
    """

    def __init__(self, context: Context, **options: Union[int, str]) -> None:
        self._context = context
        self._handle: Optional[int] = _native.socket(context._handle, _native.STREAM)
        if self._handle is None:
            raise last()
        context._opened()
        self._framing = 0
        self._batch = Batch(256)
        self._received: Deque[Message] = deque()
        try:
            self.set(Option.MODE, _native.MODE_FAST)
            for name, value in options.items():
                if name.upper() not in Option.__members__:
                    raise ZlinkError(errno.EINVAL, f"there is no option {name}")
                self.set(Option[name.upper()], value)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------ options

    def set(self, option: Option, value: Union[int, str, bytes]) -> None:
        if isinstance(value, int):
            bits = 64 if option in WIDE else 32
            most = 1 << bits if option == Option.AFFINITY else 1 << bits - 1
            if not -(1 << bits - 1) <= value < most:
                raise ZlinkError(errno.EINVAL, f"{option.name} has {bits} bits, and {value} has more")
            data = (value & (1 << bits) - 1).to_bytes(bits // 8, "little")
        else:
            data = _text(value) if isinstance(value, str) else value
        check(_native.setsockopt(self._handle, option, data, len(data)))
        if option == Option.FRAMING:
            self._framing = self.get(option)

    def _get(self, option: Option, room: int) -> bytes:
        buffer, size = ctypes.create_string_buffer(room), ctypes.c_size_t(room)
        check(_native.getsockopt(self._handle, option, buffer, ctypes.byref(size)))
        return buffer.raw[: size.value]

    def get(self, option: Option) -> int:
        """Of an option that is a number."""
        return int.from_bytes(self._get(option, 8 if option in WIDE else 4), "little", signed=option is not Option.AFFINITY)

    def get_text(self, option: Option) -> str:
        """Of an option that is a text."""
        return self._get(option, 65536).rstrip(b"\0").decode(errors="replace")

    @property
    def last_endpoint(self) -> str:
        """The last bound endpoint, with the port that the system chose."""
        return self.get_text(Option.LAST_ENDPOINT)

    # ---------------------------------------------------------------- endpoints

    def bind(self, endpoint: str) -> str:
        """Listens, and returns last_endpoint."""
        check(_native.bind(self._handle, _text(endpoint)))
        return self.last_endpoint

    def connect(self, endpoint: str) -> None:
        check(_native.connect(self._handle, _text(endpoint)))

    def unbind(self, endpoint: str) -> None:
        check(_native.unbind(self._handle, _text(endpoint)))

    def disconnect(self, endpoint: str) -> None:
        check(_native.disconnect(self._handle, _text(endpoint)))

    # ------------------------------------------------------------------ receive

    def receive_batch(self, batch: Batch, wait: bool = True) -> int:
        """Fills a batch with what is there, and waits for the first message only. Returns len(batch); Again: nothing
        came in RCVTIMEO, or there is nothing with wait=False. Ended."""
        batch._count = 0  # the library releases what it replaces
        places, flags = batch._places, 0 if wait else _native.DONTWAIT
        while True:
            count = _native.recv_batch(self._handle, places[0], len(places), flags)
            if count > 0:
                batch._count = count
                return int(count)
            code = ctypes.get_errno()
            if code != errno.EINTR:  # handlers of signals have run: they may raise
                raise of(code)

    def receive_many(self, wait: bool = True) -> list[Message]:
        """What is there, up to 256 messages; waits for the first only. With wait=False there may be none."""
        if self._received:
            got = list(self._received)
            self._received.clear()
            return got
        try:
            self.receive_batch(self._batch, wait)
        except ZlinkError as error:
            if not wait and error.errno == errno.EAGAIN:
                return []
            raise
        return self._batch._messages(self._framing)

    def receive(self, wait: bool = True) -> Message:
        """One message. It takes what is there with one call, and later ones get the rest. Again, Ended."""
        if not self._received:
            got = self.receive_many(wait)
            if not got:
                raise of(errno.EAGAIN)
            self._received.extend(got)
        return self._received.popleft()

    def __iter__(self) -> Iterator[Message]:
        """Messages, until the context is shut down."""
        while True:
            try:
                yield self.receive()
            except Ended:
                return

    # --------------------------------------------------------------------- send

    def send(
        self,
        peer: int,
        body: Body,
        *,
        wait: bool = True,
        text: bool = False,
        key: Optional[int] = None,
        header: Body = b"",
    ) -> None:
        """Queues a copy of the body for a peer. Again: its queue is full, with wait=False or after SNDTIMEO.
        PeerGone. With a key it never waits, and takes the place of the unsent one with the same key. text is for
        FRAMING 1, a header of at most 65535 bytes for FRAMING 3."""
        if peer == 0:
            raise ZlinkError(errno.EINVAL, "the peer 0 is nobody")
        with _Outgoing(peer, body, text, header) as at:
            while True:
                if key is not None:
                    sent = _native.send_key(self._handle, at, number(key, 64), 0)
                else:
                    sent = _native.msg_send(at, self._handle, 0 if wait else _native.DONTWAIT)
                if sent >= 0:
                    return
                code = ctypes.get_errno()
                if code != errno.EINTR:
                    raise of(code)

    def send_batch(self, batch: Batch, wait: bool = True) -> list[tuple[int, int]]:
        """Sends what is in a batch, except events: received messages go back to their peers. Returns the index and the
        errno of each that was not taken, EAGAIN or EHOSTUNREACH; these are still in the batch."""
        refused: list[tuple[int, int]] = []
        places, flags = batch._places, 0 if wait else _native.DONTWAIT
        for first, end in batch._data_runs():
            while first < end:
                sent = _native.send_batch(self._handle, places[first], end - first, flags)
                if sent > 0:
                    first += sent
                    continue
                code = ctypes.get_errno()
                if code in (errno.EAGAIN, errno.EHOSTUNREACH):
                    refused.append((first, code))
                    first += 1
                elif code != errno.EINTR:
                    raise of(code)
        return refused

    def multicast(
        self, peers: Sequence[int], body: Body, *, text: bool = False, except_peer: int = 0, header: Body = b""
    ) -> tuple[int, dict[int, int]]:
        """Sends one message to many peers, and never waits. Returns how many took it, and the errno of the others."""
        ids, errors = (ctypes.c_uint32 * len(peers))(*map(number, peers)), (ctypes.c_int * len(peers))()
        flags = _native.EXCEPT if except_peer else 0
        with _Outgoing(except_peer, body, text, header) as at:
            taken = check(_native.multicast(self._handle, ids, len(peers), at, flags, errors))
        return taken, {peer: error for peer, error in zip(peers, errors) if error != 0}

    def publish(
        self,
        group: str,
        body: Body,
        *,
        key: Optional[int] = None,
        text: bool = False,
        except_peer: int = 0,
        header: Body = b"",
    ) -> int:
        """Sends to the members of a group, except one perhaps, and never waits. Returns how many took it. With a key it
        takes the place of the unsent one with the same key."""
        flags = _native.EXCEPT if except_peer else 0
        with _Outgoing(except_peer, body, text, header) as at:
            if key is None:
                return check(_native.publish(self._handle, _text(group), at, flags))
            return check(_native.publish_key(self._handle, _text(group), at, number(key, 64), flags))

    def join(self, peer: int, group: str) -> None:
        """Makes a peer a member of a group, until it leaves or its connection ends."""
        check(_native.join(self._handle, number(peer), _text(group)))

    def leave(self, peer: int, group: str) -> None:
        check(_native.leave(self._handle, number(peer), _text(group)))

    # -------------------------------------------------------------------- peers

    def close_peer(self, peer: int, code: Optional[int] = None, reason: Optional[str] = None) -> bool:
        """Closes a connection once what is queued for it has arrived; a peer of ws or wss is told the code. False: it had
        ended already, which a program that is told later cannot know."""
        if code is None and reason is None:
            return was_there(_native.close_peer(self._handle, number(peer)))
        text = None if reason is None else _text(reason)
        return was_there(_native.close_peer_with(self._handle, number(peer), 1000 if code is None else whole(code), text))

    def abort_peer(self, peer: int) -> bool:
        """Resets a connection at once; what is queued for it is discarded. False: it had ended already."""
        return was_there(_native.abort_peer(self._handle, number(peer)))

    def accept_peer(self, peer: int, protocol: Optional[str] = None) -> None:
        """Takes somebody who asks (Event.ASKING) as a peer. ACCEPT_TIMEOUT must have been set at bind. Of a request for
        a WebSocket the protocol is one that it offers, or "" for none; None: that of WS_PROTOCOLS."""
        if protocol is None:
            check(_native.accept_peer(self._handle, number(peer)))
        else:
            check(_native.accept_peer_with(self._handle, number(peer), _text(protocol)))

    def refuse_peer(self, peer: int, status: int = 0, text: Optional[str] = None) -> None:
        """Turns somebody who asks away; a request for a WebSocket gets the status (0: 403) and the text."""
        check(_native.refuse_peer(self._handle, number(peer), whole(status), None if text is None else _text(text)))

    def peer_property(self, peer: int, name: str) -> Optional[str]:
        """A property of a peer that is there; None: it has none of that name. PeerGone."""
        room = 256
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = _native.peer_gets(self._handle, number(peer), _text(name), buffer, room)
            if size < 0 and ctypes.get_errno() == errno.EINVAL and peer != 0:
                return None
            if check(size) < room:
                return buffer.raw[:size].decode(errors="replace")
            room = size + 1

    @property
    def peer_count(self) -> int:
        return check(_native.peer_count(self._handle))

    # --------------------------------------------------------------------- rest

    def drain(self, spread_ms: int, ws_code: int = 0) -> None:
        """Stops listening and dialling, and ends all peers over that time; Event.DRAINED says when nobody is left."""
        check(_native.drain(self._handle, whole(spread_ms), whole(ws_code)))

    def stats(self) -> dict[str, Union[int, dict[Reason, int]]]:
        """The counters of zlink_stream_stats by their names; ended_by has those that are not 0."""
        got = _native.Stats()
        got.size = ctypes.sizeof(got)
        check(_native.stream_stats(self._handle, ctypes.byref(got)))
        names = [field[0] for field in _native.Stats._fields_ if field[0] not in ("size", "ended_by")]
        all_of: dict[str, Union[int, dict[Reason, int]]] = {name: getattr(got, name) for name in names}
        all_of["ended_by"] = {reason: got.ended_by[reason] for reason in Reason if got.ended_by[reason]}
        return all_of

    def monitor(self, events: Watch = Watch.ALL) -> Monitor:
        handle = _native.monitor_open(self._handle, whole(events))
        if handle is None:
            raise last()
        return Monitor(handle)

    def close(self) -> None:
        """Returns at once, unless the context is closed; what was sent goes out for up to LINGER. Twice is once. No other
        thread may be in a call: Context.shutdown ends one that waits."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            check(_native.close(handle))
        finally:
            self._context._gone()

    @property
    def closed(self) -> bool:
        return self._handle is None

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            self._handle = None
            _native.close(handle)
            with self._context._lock:
                self._context._sockets -= 1


def send_any(peer: int, body: Body, *, wait: bool = True, text: bool = False, header: Body = b"") -> None:
    """Socket.send to a peer of any socket of the process: its id is enough. PeerGone also: its socket is closed."""
    if peer == 0:
        raise ZlinkError(errno.EINVAL, "the peer 0 is nobody")
    with _Outgoing(peer, body, text, header) as at:
        while _native.send_any(at, 0 if wait else _native.DONTWAIT) < 0:
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise of(code)

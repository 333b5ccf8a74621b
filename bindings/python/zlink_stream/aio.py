# SPDX-License-Identifier: MPL-2.0
"""A socket for asyncio: it waits by the loop's reader of the socket's descriptor, and no thread waits."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from types import TracebackType
from typing import AsyncIterator, Deque, Optional, Type

from ._batch import Body, Message
from ._constants import POLLIN, Option
from ._errors import Again, Ended, ZlinkError
from ._socket import Socket

_LONGEST_PAUSE = 0.032


class AsyncSocket:
    """async with AsyncSocket(context.socket()) as server: async for message in server: …

    One task receives; any may send. What never waits is called on .socket: publish, join, close_peer…
    """

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self._received: Deque[Message] = deque()
        self._waiter: Optional[asyncio.Future[None]] = None

    async def _readable(self) -> None:
        if self._waiter is not None:
            raise ZlinkError(errno.EBUSY, "another task receives")
        loop, descriptor = asyncio.get_running_loop(), self.socket.get(Option.FD)
        self._waiter = waiter = loop.create_future()
        loop.add_reader(descriptor, self._wake)
        try:
            if not self.socket.get(Option.EVENTS) & POLLIN:
                await waiter
        finally:
            self._waiter = None
            loop.remove_reader(descriptor)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive_many(self) -> list[Message]:
        """What is there, at least one message. Ended."""
        if self._received:
            got = list(self._received)
            self._received.clear()
            return got
        await asyncio.sleep(0)  # other tasks have a turn between batches
        while True:
            got = self.socket.receive_many(wait=False)
            if got:
                return got
            await self._readable()

    async def receive(self) -> Message:
        """One message. Ended."""
        if not self._received:
            self._received.extend(await self.receive_many())
        return self._received.popleft()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages, until the context is shut down."""
        while True:
            try:
                message = await self.receive()
            except Ended:
                return
            yield message

    async def send(self, peer: int, body: Body, *, text: bool = False, header: Body = b"") -> None:
        """Queues a copy of the body; while the peer's queue is full it tries again after 1 to 32 ms. PeerGone, Ended."""
        pause = 0.001
        while True:
            try:
                return self.socket.send(peer, body, wait=False, text=text, header=header)
            except Again:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Ends a receive that waits with ENOTSOCK. Twice is once."""
        if self._waiter is not None and not self._waiter.done():
            asyncio.get_running_loop().remove_reader(self.socket.get(Option.FD))
            self._waiter.set_exception(ZlinkError(errno.ENOTSOCK, "the socket was closed"))
        self.socket.close()

    async def __aenter__(self) -> AsyncSocket:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

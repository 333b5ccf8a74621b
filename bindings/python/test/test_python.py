# SPDX-License-Identifier: MPL-2.0
"""The binding for Python on the real library: test_python.py [CASE...]"""
import asyncio
import ctypes
import errno
import faulthandler
import gc
import logging
import os
import signal
import socket as network
import sys
import threading
import time
from typing import Any, Callable, Optional

import zlink_stream as zlink
from zlink_stream import Event, Option, Reason, Watch, ZlinkError, _native


class Skip(Exception):
    pass


class Pair:
    """A server and its client, and what each calls the other."""

    def __init__(self, transport: str = "tcp", **options: Any) -> None:
        files = {}
        if transport in ("tls", "wss"):
            if "TLS_CERT" not in os.environ:
                raise Skip("there is no certificate")
            files = {"tls_cert": os.environ["TLS_CERT"], "tls_key": os.environ["TLS_KEY"]}
        self.context = zlink.Context()
        self.server = self.context.socket(rcvtimeo=30000, linger=1000, **files, **options)
        self.client = self.context.socket(rcvtimeo=30000, linger=1000, **options)
        if files:
            self.client.set(Option.TLS_CA, files["tls_cert"])
        self.client.connect(self.server.bind(f"{transport}://127.0.0.1:*"))
        self.to_server = expect(self.client, Event.CONNECTED).peer
        self.to_client = expect(self.server, Event.CONNECTED).peer

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.client.close()
        self.context.close()


def expect(socket: zlink.Socket, event: Event, body: Optional[bytes] = None) -> zlink.Message:
    message = socket.receive()
    assert message.event is event, message
    assert body is None or message.body == body, message.body
    return message


def fails(code: int, call: Callable[..., Any], *arguments: Any, **named: Any) -> zlink.ZlinkError:
    try:
        call(*arguments, **named)
    except zlink.ZlinkError as error:
        assert error.errno == code, error
        return error
    raise AssertionError(f"{call} succeeded")


# ------------------------------------------------------------------- exchange


def exchange(transport: str) -> None:
    with Pair(transport) as p:
        bodies = [b"hello", b"", b"x" * 100000]
        for body in bodies:
            p.client.send(p.to_server, body)
        batch = zlink.Batch(8)
        got: "list[bytes]" = []
        while len(got) < 3:
            p.server.receive_batch(batch)
            for i in range(len(batch)):
                assert batch.event(i) is Event.DATA and batch.peer(i) == p.to_client
                assert bytes(batch.view(i)) == batch.body(i)
                got.append(batch.body(i))
            assert p.server.send_batch(batch) == []  # as they came
        assert got == bodies
        for body in bodies:
            expect(p.client, Event.DATA, body)
        assert p.server.peer_property(p.to_client, "Transport") == transport
        assert p.server.peer_property(p.to_client, "no such") is None
        assert p.server.peer_count == 1
        assert p.server.close_peer(p.to_client) is True
        assert expect(p.client, Event.DISCONNECTED).reason is Reason.PEER_CLOSED
        ended = expect(p.server, Event.DISCONNECTED)
        assert ended.reason is Reason.CLOSED_HERE and ended.property("Peer-Address") == "127.0.0.1"
        assert ended.property("no such") is None
        for late in (p.server.close_peer, p.server.abort_peer, lambda peer: p.server.close_peer(peer, 1000, "late")):
            assert late(p.to_client) is False
        fails(errno.EINVAL, p.server.abort_peer, 0)
        stats = p.server.stats()
        assert stats["msgs_in"] == 3 and stats["ended_by"] == {Reason.CLOSED_HERE: 1}, stats


def tcp() -> None:
    exchange("tcp")


def ws() -> None:
    exchange("ws")


def tls() -> None:
    exchange("tls")


def wss() -> None:
    exchange("wss")


def text() -> None:
    with Pair("ws", framing=1) as p:
        p.client.send(p.to_server, "häh".encode(), text=True)
        p.client.send(p.to_server, b"\xff")
        assert expect(p.server, Event.DATA, "häh".encode()).is_text
        assert not expect(p.server, Event.DATA, b"\xff").is_text
        p.server.close_peer(p.to_client, 4000, "enough")
        ended = expect(p.client, Event.DISCONNECTED)
        assert ended.close_code == 4000 and ended.property("Close-Reason") == "enough"


def headers() -> None:
    for transport in ("tcp", "ws"):
        with Pair(transport, framing=3) as p:
            sent = [(b"h", b"body"), (b"", b"no header"), (b"\0only a header", b""), (b"x" * 65535, b"y" * 100000)]
            for header, body in sent:
                p.client.send(p.to_server, body, header=header)
            batch = zlink.Batch(8)
            got: "list[tuple[bytes, bytes]]" = []
            while len(got) < len(sent):
                p.server.receive_batch(batch)
                got += [(batch.header(i), batch.body(i)) for i in range(len(batch))]
                for i in range(len(batch)):
                    if batch.body(i) == b"body":
                        batch.set_header(i, b"other")
                assert p.server.send_batch(batch) == []
            assert got == sent
            for header, body in [(b"other", b"body"), *sent[1:]]:
                assert expect(p.client, Event.DATA, body).header == header
            batch.clear()
            batch.add(p.to_client, b"added", header=bytearray(b"from a batch"))
            assert p.server.send_batch(batch) == []
            p.server.join(p.to_client, "room")
            assert p.server.publish("room", b"published", header=b"p") == 1
            assert p.server.publish("room", b"keyed", key=1, header=b"k") == 1
            assert p.server.multicast([p.to_client], b"listed", header=memoryview(b"m")) == (1, {})
            wanted = [(b"from a batch", b"added"), (b"p", b"published"), (b"k", b"keyed"), (b"m", b"listed")]
            for header, body in wanted:
                assert expect(p.client, Event.DATA, body).header == header
            fails(errno.EMSGSIZE, p.server.send, p.to_client, b"", header=b"x" * 65536)
    with Pair() as p:
        assert fails(errno.EINVAL, p.server.send, p.to_client, b"body", header=b"h").detail
        p.server.send(p.to_client, b"none")
        assert expect(p.client, Event.DATA, b"none").header == b""


# --------------------------------------------------------------------- errors


def errors() -> None:
    with Pair() as p:
        error = fails(errno.EINVAL, p.server.bind, "5555")
        assert error.detail == 'endpoint "5555" has no "://"', error
        assert str(error) == '[Errno 22] Invalid argument: endpoint "5555" has no "://"', error
        assert "Address already in use: " in str(fails(errno.EADDRINUSE, p.client.bind, p.server.last_endpoint))
        assert isinstance(fails(errno.EAGAIN, p.server.receive, wait=False), zlink.Again)
        assert p.server.receive_many(wait=False) == []
        gone = fails(errno.EHOSTUNREACH, p.server.send, 123456789, b"hello")
        assert isinstance(gone, zlink.PeerGone) and gone.detail
        assert fails(errno.EINVAL, p.server.send, 0, b"hello").detail
        fails(errno.EINVAL, p.server.set, Option.FRAMING, 77)
        fails(errno.EINVAL, p.server.set, Option.SNDHWM, 1 << 40)
        fails(errno.EINVAL, p.server.join, p.to_client, "")
        fails(errno.EINVAL, p.server.monitor, Watch(0))
        assert fails(errno.EINVAL, p.context.socket, colour=1).detail == "there is no option colour"
        small = zlink.Batch(1)
        small.add(p.to_client, b"one")
        assert fails(errno.ENOBUFS, small.add, p.to_client, b"two").detail == "the batch is full"
        assert p.server.send_batch(small) == []
        expect(p.client, Event.DATA, b"one")


def refused() -> None:
    """A message that was not taken stays in its batch, and the others are sent."""
    with Pair() as p:
        batch = zlink.Batch(3)
        batch.add(p.to_client, b"first")
        batch.add(77777, b"kept")
        batch.add(p.to_client, b"last")
        assert p.server.send_batch(batch, wait=False) == [(1, errno.EHOSTUNREACH)]
        assert batch.body(1) == b"kept" and batch.peer(1) == 77777 and batch.body(0) == b""
        expect(p.client, Event.DATA, b"first")
        expect(p.client, Event.DATA, b"last")
        batch.clear()
        try:
            batch.body(0)
            raise AssertionError("an empty batch has a message")
        except IndexError:
            pass


# ------------------------------------------------------------------ ownership


def arguments() -> None:
    """What C would cut to its bits, or at a NUL, never gets there."""

    def bad(kind: type[BaseException], call: Callable[..., Any], *given: Any, **named: Any) -> None:
        try:
            call(*given, **named)
        except kind:
            return
        raise AssertionError(f"{call} took {given} {named}")

    with zlink.Context() as context, context.socket(linger=0) as server, context.socket(linger=0) as client:
        client.connect(server.bind("tcp://127.0.0.1:*"))
        expect(server, Event.CONNECTED)
        peer = expect(client, Event.CONNECTED).peer
        for wrong in (peer | 1 << 32, peer - (1 << 32), -1):
            for call in (client.abort_peer, client.close_peer):
                bad(ValueError, call, wrong)
            bad(ValueError, client.join, wrong, "room")
            bad(ValueError, client.multicast, [peer, wrong], b"x")
            bad(ValueError, client.send, wrong, b"x")
        bad(TypeError, client.join, 1.5, "room")
        for key in (-1, 1 << 64):
            bad(ValueError, client.send, peer, b"x", key=key)
            bad(ValueError, client.publish, "room", b"x", key=key)
        for text in ("room\0x", "\0"):
            bad(ValueError, client.join, peer, text)
            bad(ValueError, client.bind, "tcp://127.0.0.1:*" + text)
            bad(ValueError, client.set, Option.TLS_CERT, text)
        for value in (1 << 63, -(1 << 63) - 1, 1 << 70):
            bad(zlink.ZlinkError, client.set, Option.RECV_BYTES_TOTAL, value)
        for large in (1 << 32, (1 << 32) + 1000, -(1 << 32)):
            bad(ValueError, context.set, zlink.ContextOption.MAX_SOCKETS, large)
            bad(ValueError, context.get, large + zlink.ContextOption.MAX_SOCKETS)
            bad(ValueError, client.close_peer, peer, large, "x")
            bad(ValueError, client.refuse_peer, peer, large)
            bad(ValueError, client.drain, large)
            bad(ValueError, client.drain, 0, large)
            bad(ValueError, client.monitor, large + zlink.Watch.ALL)
        for body in (7, [1, 2], {1: 2}, "text"):
            bad(TypeError, client.send, peer, body)
            bad(TypeError, client.send, peer, b"x", header=body)
        client.send(peer, bytearray(b"as before"))
        expect(server, Event.DATA, b"as before")


def closed_once() -> None:
    with Pair() as p:
        monitor = p.server.monitor()
        p.server.close()
        p.server.close()  # once
        assert p.server.closed
        for call in (
            lambda: p.server.send(p.to_client, b"hello"),
            lambda: p.server.receive(),
            lambda: p.server.bind("tcp://127.0.0.1:*"),
            lambda: p.server.stats(),
            lambda: p.server.publish("group", b"hello"),
            lambda: p.server.monitor(),
        ):
            assert fails(errno.ENOTSOCK, call).detail
        monitor.close()
        monitor.close()
        fails(errno.ENOTSOCK, monitor.receive)
    p.context.close()  # once
    fails(errno.EFAULT, p.context.socket)


def context_is_held() -> None:
    """A context that is closed first ends with its last socket, and what is forgotten is closed."""
    context = zlink.Context(io_threads=1)
    assert context.get(zlink.ContextOption.IO_THREADS) == 1
    try:
        context.get(12345)
        raise AssertionError("there is no such option")
    except zlink.ZlinkError:
        pass
    assert context.get(zlink.ContextOption.THREAD_NAME_PREFIX) == -1  # nobody has set it
    one, two = context.socket(linger=0), context.socket(linger=0)
    context.close()
    assert context._handle is not None
    assert isinstance(fails(zlink.ETERM, one.receive), zlink.Ended)
    one.close()
    assert context._handle is not None
    two.close()
    assert context._handle is None
    forgotten = zlink.Context()
    endpoint = forgotten.socket().bind("tcp://127.0.0.1:*")
    gc.collect()
    with zlink.Context() as other, other.socket() as again:
        deadline = time.monotonic() + 30
        while True:  # the forgotten socket has given its port back
            try:
                again.bind(endpoint)
                break
            except zlink.ZlinkError as error:
                assert error.errno == errno.EADDRINUSE and time.monotonic() < deadline, error


def freed_once() -> None:
    """Bodies are copies; the native messages, and what is kept of events, are released once."""
    closed: "dict[int, int]" = {}
    real = _native.msg_close

    def count(at: int) -> int:
        closed[at] = closed.get(at, 0) + 1
        return int(real(at))

    with Pair() as p:
        _native.msg_close = count
        try:
            p.client.send(p.to_server, b"y" * 100000)
            assert sum(closed.values()) == 2, closed  # before it was filled, and after it was sent
            body = expect(p.server, Event.DATA).body
            p.client.send(p.to_server, b"z" * 100000)
            expect(p.server, Event.DATA, b"z" * 100000)
            assert body == b"y" * 100000
            p.server.abort_peer(p.to_client)
            ended = expect(p.server, Event.DISCONNECTED)
            assert ended._kept is not None
            at = ended._kept.at
            closed.clear()
            del ended
            gc.collect()
            assert closed == {at: 1}, closed
            closed.clear()
            batch = zlink.Batch(4)
            batch.add(p.to_client, b"a")
            del batch
            gc.collect()
            assert sum(closed.values()) == 5, closed
        finally:
            _native.msg_close = real


# ----------------------------------------------------------------------- rest


def typed_options() -> None:
    """Every option that can be read has the size that the binding knows, and keeps what is set."""
    texts = {5, 32, 92, 95, 96, 97, 100, 102, 303, 321, 322, 325, 327, 328, 329, 330, 334, 336, 337, 338, 340, 346}
    with zlink.Context() as context, context.socket(ws_paths="/a, /b", maxmsgsize=1 << 40) as socket:
        for option in Option:
            if option is Option.CONNECT_ROUTING_ID:
                continue
            if option in texts:
                socket.get_text(option)
                continue
            size = ctypes.c_size_t(64)
            _native.getsockopt(socket._handle, option, ctypes.create_string_buffer(64), ctypes.byref(size))
            wide = option in (Option.AFFINITY, Option.MAXMSGSIZE, Option.SEND_BYTES_TOTAL, Option.RECV_BYTES_TOTAL)
            assert size.value == (8 if wide else 4), (option, size.value)
            socket.get(option)
        assert socket.get_text(Option.WS_PATHS) == "/a, /b" and socket.get(Option.MAXMSGSIZE) == 1 << 40
        assert socket.get(Option.LINGER) == -1 and socket.get(Option.MODE) == 1
        socket.set(Option.AFFINITY, 1 << 63)
        assert socket.get(Option.AFFINITY) == 1 << 63
    assert ctypes.sizeof(_native.MonitorEvent) == 784 and zlink.library_version() == sys_version()
    assert zlink.has("tcp") and not zlink.has("pigeon")


def sys_version() -> str:
    return os.environ.get("ZLINK_VERSION", zlink.library_version())


def groups() -> None:
    with Pair() as p, p.context.socket(rcvtimeo=30000, linger=0) as other:
        other.connect(p.server.last_endpoint)
        to_other = expect(p.server, Event.CONNECTED).peer
        expect(other, Event.CONNECTED)
        p.server.join(p.to_client, "room")
        p.server.join(to_other, "room")
        assert p.server.publish("room", b"all") == 2
        assert p.server.publish("room", b"but one", except_peer=to_other) == 1
        p.server.leave(to_other, "room")
        assert p.server.publish("room", bytearray(b"state"), key=7) == 1
        assert p.server.publish("nobody's", b"?") == 0
        assert p.server.multicast([to_other, 99999], memoryview(b"list")) == (1, {99999: errno.EHOSTUNREACH})
        p.server.send(to_other, b"keyed", key=7)
        zlink.send_any(p.to_client, b"by its id")
        assert isinstance(fails(errno.EHOSTUNREACH, zlink.send_any, p.to_client ^ 1 << 31, b"nobody"), zlink.PeerGone)
        assert isinstance(fails(errno.EINVAL, zlink.send_any, 0, b"nobody"), zlink.ZlinkError)
        for body in (b"all", b"but one", b"state", b"by its id"):
            expect(p.client, Event.DATA, body)
        for body in (b"all", b"list", b"keyed"):
            expect(other, Event.DATA, body)


def monitors() -> None:
    with Pair() as p:
        monitor = p.server.monitor(Watch.DISCONNECTED)
        assert isinstance(fails(errno.EAGAIN, monitor.receive, wait=False), zlink.Again)
        p.server.abort_peer(p.to_client)
        event = monitor.receive()
        assert event.event is Watch.DISCONNECTED and event.peer == p.to_client, event
        assert event.reason is Reason.ABORTED_HERE and event.remote.startswith("tcp://127.0.0.1:"), event
        p.server.close()
        assert list(monitor) == []
        monitor.close()


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[int, str]] = []
        self.came = threading.Condition()
        self.errors: list[ZlinkError] = []
        self.broken = False

    def emit(self, record: logging.LogRecord) -> None:
        with self.came:
            self.all.append((record.levelno, record.getMessage()))
            self.came.notify_all()
        if len(self.all) == 1:
            self.errors.append(fails(zlink.EFSM, zlink.set_logger, None))
        if self.broken:
            raise RuntimeError("a handler fails")

    def wait(self, level: int, start: str) -> None:
        with self.came:
            assert self.came.wait_for(lambda: any(n == level and t.startswith(start) for n, t in self.all), 30)


def log() -> None:
    logger, records = logging.getLogger("zlink"), Records()
    logger.propagate = False
    logger.addHandler(records)
    logger.setLevel(logging.INFO)
    zlink.set_logger(logger)
    with Pair() as p:
        records.wait(logging.INFO, "listening local=tcp://127.0.0.1:")
        records.wait(logging.INFO, "connected local=tcp://127.0.0.1:")
        assert len(records.errors) == 1
        hooked: list[Any] = []
        hook, sys.excepthook = sys.excepthook, lambda *what: hooked.append(what)
        try:
            records.broken = True
            fails(errno.EADDRINUSE, p.context.socket().bind, p.server.last_endpoint)
            records.wait(logging.ERROR, "binding failed local=tcp://127.0.0.1:")
            zlink.set_logger(logger, logging.DEBUG)  # who ran has returned
        finally:
            records.broken, sys.excepthook = False, hook
        assert {kind for kind, *_ in hooked} == {RuntimeError}  # also of a connection that was late
        gc.collect()
        p.server.abort_peer(p.to_client)
        records.wait(logging.INFO, "disconnected local=tcp://127.0.0.1:")
    zlink.set_logger(logger, logging.CRITICAL)  # nothing is that
    count = len(records.all)
    with Pair():
        pass
    zlink.set_logger(None)
    assert len(records.all) == count
    zlink.set_logger(logger)  # and so it is at the end of the interpreter


def asking_and_draining() -> None:
    with zlink.Context() as context:
        server = context.socket(accept_timeout=30000, rcvtimeo=30000)
        client = context.socket(rcvtimeo=30000, reconnect_ivl=-1)
        other = context.socket(reconnect_ivl=-1)
        with server, client, other:
            endpoint = server.bind("ws://127.0.0.1:*")
            client.connect(endpoint)
            asks = expect(server, Event.ASKING).peer
            server.accept_peer(asks)
            fails(zlink.EFSM, server.refuse_peer, asks)
            assert expect(server, Event.CONNECTED).peer == asks
            other.connect(endpoint)
            server.refuse_peer(expect(server, Event.ASKING).peer, 401, "who are you?")
            assert expect(server, Event.DISCONNECTED).reason is Reason.REFUSED
            expect(client, Event.CONNECTED)
            server.drain(0, 1012)
            assert expect(client, Event.DISCONNECTED).close_code == 1012
            assert expect(server, Event.DISCONNECTED).reason is Reason.DRAINED
            assert expect(server, Event.DRAINED).peer == 0


def subprotocol() -> None:
    """The application chooses one of those that a request offers."""
    request = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    request += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    request += b"Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n\r\n"
    with zlink.Context() as context, context.socket(accept_timeout=30000, rcvtimeo=30000, linger=0) as server:
        port = int(server.bind("ws://127.0.0.1:*/chat").split(":")[2].split("/")[0])
        for protocol, answers in (("chat.v1", True), ("", False), (None, False)):
            with network.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(request)
                asks = expect(server, Event.ASKING).peer
                assert "does not offer" in fails(errno.EINVAL, server.accept_peer, asks, "other").detail
                server.accept_peer(asks, protocol)
                expect(server, Event.CONNECTED)
                answer = b""
                while not answer.endswith(b"\r\n\r\n"):
                    answer += client.recv(1)
                assert (b"\r\nSec-WebSocket-Protocol: chat.v1\r\n" in answer) == answers, answer
                assert (b"Sec-WebSocket-Protocol" in answer) == answers, answer
            expect(server, Event.DISCONNECTED)


def threads() -> None:
    """Three threads send while one receives; the context's end ends it."""
    senders, each = 3, 500
    with Pair() as p:

        def send(n: int) -> None:
            for i in range(each):
                p.server.send(p.to_client, b"%d %d" % (n, i))

        ended: "list[str]" = []

        def receive() -> None:
            ended.extend(str(message) for message in p.server)
            ended.append("end")

        running = [threading.Thread(target=send, args=(n,)) for n in range(senders)]
        waiting = threading.Thread(target=receive)
        for thread in (*running, waiting):
            thread.start()
        following = [0] * senders
        for _ in range(senders * each):
            n, i = map(int, p.client.receive().body.split())
            assert i == following[n]  # one thread's messages keep their order
            following[n] += 1
        for thread in running:
            thread.join()
        p.context.shutdown()
        waiting.join()
        assert ended == ["end"]
        assert isinstance(fails(zlink.ETERM, p.server.send, p.to_client, b"late"), zlink.Ended)


def interrupted() -> None:
    """A handler of a signal runs while a receive waits, and may end it."""

    class Alarm(Exception):
        pass

    def handler(*_: object) -> None:
        raise Alarm

    with Pair() as p:
        before = signal.signal(signal.SIGUSR1, handler)
        poke = threading.Thread(target=lambda: [time.sleep(0.05), os.kill(os.getpid(), signal.SIGUSR1)])
        try:
            poke.start()
            p.server.receive()
            raise AssertionError("nothing came")
        except Alarm:
            pass
        finally:
            poke.join()
            signal.signal(signal.SIGUSR1, before)


def asynchronous() -> None:
    async def serve(server: zlink.AsyncSocket) -> None:
        async for message in server:
            if message.is_data:
                await server.send(message.peer, message.body)

    async def ask(context: zlink.Context, endpoint: str, name: bytes) -> None:
        async with zlink.AsyncSocket(context.socket(linger=0)) as client:
            client.socket.connect(endpoint)
            peer = (await client.receive()).peer
            for i in range(100):
                await client.send(peer, b"%s %d" % (name, i))
            for i in range(100):
                assert (await client.receive()).body == b"%s %d" % (name, i)

    async def main() -> None:
        context = zlink.Context()
        server = zlink.AsyncSocket(context.socket(linger=0))
        endpoint = server.socket.bind("ws://127.0.0.1:*")
        serving = asyncio.create_task(serve(server))
        await asyncio.gather(*(ask(context, endpoint, b"client %d" % n) for n in range(5)))
        context.shutdown()
        await serving  # it ends by itself

        context = zlink.Context()
        idle = zlink.AsyncSocket(context.socket(linger=0))
        idle.socket.bind("tcp://127.0.0.1:*")
        waiting = asyncio.create_task(idle.receive())
        await asyncio.sleep(0.01)
        try:
            await idle.receive()
            raise AssertionError("two tasks receive")
        except zlink.ZlinkError as error:
            assert error.errno == errno.EBUSY
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        waiting = asyncio.create_task(idle.receive())
        await asyncio.sleep(0.01)
        idle.close()
        idle.close()
        (error,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(error, zlink.ZlinkError) and error.errno == errno.ENOTSOCK
        context.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def asynchronous_waits() -> None:
    """A send to a peer whose queue is full waits, and other tasks go on."""

    async def main() -> None:
        with Pair(send_bytes=65536, rcvhwm=1, sndbuf=4096, rcvbuf=4096, recv_bytes=65536) as p:
            server, body, sent = zlink.AsyncSocket(p.server), b"z" * 50000, 0

            async def flood() -> None:
                nonlocal sent
                for sent in range(1, 101):
                    await server.send(p.to_client, body)

            flooding = asyncio.create_task(flood())
            while True:
                before = sent
                await asyncio.sleep(0.02)
                if sent > 0 and sent == before:
                    break
            assert sent < 100
            got = 0
            while got < 100:
                got += sum(len(m.body) == 50000 for m in p.client.receive_many(wait=False))
                await asyncio.sleep(0)
            await flooding

    asyncio.run(asyncio.wait_for(main(), 60))


CASES = [
    tcp,
    ws,
    tls,
    wss,
    text,
    headers,
    errors,
    refused,
    arguments,
    closed_once,
    context_is_held,
    freed_once,
    typed_options,
    groups,
    monitors,
    log,
    asking_and_draining,
    subprotocol,
    threads,
    interrupted,
    asynchronous,
    asynchronous_waits,
]

if __name__ == "__main__":
    for case in CASES:
        if sys.argv[1:] and case.__name__ not in sys.argv[1:]:
            continue
        faulthandler.dump_traceback_later(60, exit=True)  # ends what hangs
        start = time.monotonic()
        try:
            case()
        except Skip as why:
            print(f"skipped {case.__name__}: {why}")
            continue
        print(f"ok {case.__name__} ({(time.monotonic() - start) * 1000:.0f} ms)", flush=True)

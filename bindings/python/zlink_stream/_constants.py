# SPDX-License-Identifier: MPL-2.0
"""Names of numbers, as zlink.h has them without ZLINK_ and STREAM_."""

from __future__ import annotations

import enum


class Option(enum.IntEnum):
    """Options of sockets; doc/options.md has meaning and range of each."""

    AFFINITY = 4
    ROUTING_ID = 5  # text
    SNDBUF = 11
    RCVBUF = 12
    FD = 14  # get only, as are the next two
    EVENTS = 15
    TYPE = 16
    LINGER = 17
    RECONNECT_IVL = 18
    BACKLOG = 19
    RECONNECT_IVL_MAX = 21
    MAXMSGSIZE = 22
    SNDHWM = 23
    RCVHWM = 24
    RCVTIMEO = 27
    SNDTIMEO = 28
    LAST_ENDPOINT = 32  # text, get only
    TCP_KEEPALIVE = 34
    TCP_KEEPALIVE_CNT = 35
    TCP_KEEPALIVE_IDLE = 36
    TCP_KEEPALIVE_INTVL = 37
    IMMEDIATE = 39
    IPV6 = 42
    TOS = 57
    CONNECT_ROUTING_ID = 61  # text, set only
    HANDSHAKE_IVL = 66
    HEARTBEAT_IVL = 75
    HEARTBEAT_TTL = 76
    HEARTBEAT_TIMEOUT = 77
    CONNECT_TIMEOUT = 79
    TCP_MAXRT = 80
    USE_FD = 89
    BINDTODEVICE = 92  # text
    TLS_CERT = 95  # text, as are the next two
    TLS_KEY = 96
    TLS_CA = 97
    TLS_VERIFY = 98
    TLS_REQUIRE_CLIENT_CERT = 99
    TLS_HOSTNAME = 100  # text
    TLS_TRUST_SYSTEM = 101
    TLS_PASSWORD = 102  # text
    MODE = 300  # FAST; the binding sets it
    CLOSE_TIMEOUT = 301
    HEADER_MAX = 302
    TLS_CIPHERS = 303  # text
    SEND_BYTES = 304
    SEND_BYTES_TOTAL = 305
    FULL_POLICY = 306
    RECV_BYTES = 307
    RECV_BYTES_TOTAL = 308
    RATE_MESSAGES = 309
    RATE_BYTES = 310
    RATE_POLICY = 311
    IDLE_TIMEOUT = 312
    FIRST_MESSAGE_TIMEOUT = 313
    MAX_AGE = 314
    MAX_CONNECTIONS = 315
    ADDRESS_CONNECTIONS = 316
    ADDRESS_PREFIX4 = 317
    ADDRESS_PREFIX6 = 318
    ACCEPT_RATE = 319
    ADDRESS_ACCEPT_RATE = 320
    ALLOW = 321  # text, as is the next one
    DENY = 322
    HANDSHAKES = 323
    PROFILE = 324
    PROPERTIES = 325  # text
    PROPERTY_BYTES = 326
    PROXY_FROM = 327  # text, as are the next three
    WS_PROTOCOLS = 328
    WS_ORIGINS = 329
    WS_HEALTH_PATH = 330
    FRAMING = 331
    WS_DEFLATE = 332
    ACCEPT_TIMEOUT = 333
    WS_PATHS = 334  # text
    PEER_DATA = 335
    TLS_ALPN = 336  # text, as are the next two
    TLS_TICKET_KEYS = 337
    TLS_OCSP = 338
    TLS_MIN_VERSION = 339
    TLS_CERTS = 340  # text
    REUSEPORT = 345
    LISTEN_NAME = 346  # text


#: Options whose value has 64 bits.
WIDE = frozenset({Option.AFFINITY, Option.MAXMSGSIZE, Option.SEND_BYTES_TOTAL, Option.RECV_BYTES_TOTAL})


class ContextOption(enum.IntEnum):
    """Options of contexts."""

    IO_THREADS = 1
    MAX_SOCKETS = 2
    SOCKET_LIMIT = 3
    MAX_MSGSZ = 5
    THREAD_NAME_PREFIX = 9
    IPV6 = 42
    BLOCKY = 70


class Event(enum.IntEnum):
    """What a message is."""

    DATA = 0
    CONNECTED = 1
    DISCONNECTED = 2
    WRITABLE = 3
    DRAINED = 4
    ASKING = 5


class Reason(enum.IntEnum):
    """Why a connection ended: doc/reasons.md."""

    UNKNOWN = 0
    PEER_CLOSED = 1
    RESET = 2
    IDLE = 3
    NO_PONG = 4
    HANDSHAKE = 5
    PROTOCOL = 6
    TOO_LONG = 7
    QUEUE_BOUND = 8
    RATE = 9
    LIMIT = 10
    CLOSED_HERE = 11
    ABORTED_HERE = 12
    DRAINED = 13
    FIRST_MESSAGE = 14
    AGE = 15
    STALLED = 16
    CONTEXT = 17
    NO_MEMORY = 18
    REFUSED = 19
    UNDECIDED = 20


class Watch(enum.IntFlag):
    """Events of monitors: doc/api/monitoring.md."""

    CONNECTED = 0x0001
    CONNECT_DELAYED = 0x0002
    CONNECT_RETRIED = 0x0004
    LISTENING = 0x0008
    BIND_FAILED = 0x0010
    ACCEPTED = 0x0020
    ACCEPT_FAILED = 0x0040
    CLOSED = 0x0080
    CLOSE_FAILED = 0x0100
    DISCONNECTED = 0x0200
    MONITOR_STOPPED = 0x0400
    HANDSHAKE_FAILED_NO_DETAIL = 0x0800
    CONNECTION_READY = 0x1000
    HANDSHAKE_FAILED_PROTOCOL = 0x2000
    HANDSHAKE_FAILED_AUTH = 0x4000
    ALL = 0xFFFF
    WRITABLE = 0x10000
    DRAINED = 0x20000


POLLIN = 1

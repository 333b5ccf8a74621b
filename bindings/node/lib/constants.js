// SPDX-License-Identifier: MPL-2.0
// Names of numbers, as zlink.h has them without ZLINK_ and STREAM_.
'use strict';

// Options of sockets: doc/options.md.
const Option = Object.freeze({
  AFFINITY: 4,
  ROUTING_ID: 5,
  SNDBUF: 11,
  RCVBUF: 12,
  FD: 14,
  EVENTS: 15,
  TYPE: 16,
  LINGER: 17,
  RECONNECT_IVL: 18,
  BACKLOG: 19,
  RECONNECT_IVL_MAX: 21,
  MAXMSGSIZE: 22,
  SNDHWM: 23,
  RCVHWM: 24,
  RCVTIMEO: 27,
  SNDTIMEO: 28,
  LAST_ENDPOINT: 32,
  TCP_KEEPALIVE: 34,
  TCP_KEEPALIVE_CNT: 35,
  TCP_KEEPALIVE_IDLE: 36,
  TCP_KEEPALIVE_INTVL: 37,
  IMMEDIATE: 39,
  IPV6: 42,
  TOS: 57,
  CONNECT_ROUTING_ID: 61,
  HANDSHAKE_IVL: 66,
  HEARTBEAT_IVL: 75,
  HEARTBEAT_TTL: 76,
  HEARTBEAT_TIMEOUT: 77,
  CONNECT_TIMEOUT: 79,
  TCP_MAXRT: 80,
  USE_FD: 89,
  BINDTODEVICE: 92,
  TLS_CERT: 95,
  TLS_KEY: 96,
  TLS_CA: 97,
  TLS_VERIFY: 98,
  TLS_REQUIRE_CLIENT_CERT: 99,
  TLS_HOSTNAME: 100,
  TLS_TRUST_SYSTEM: 101,
  TLS_PASSWORD: 102,
  MODE: 300,
  CLOSE_TIMEOUT: 301,
  HEADER_MAX: 302,
  TLS_CIPHERS: 303,
  SEND_BYTES: 304,
  SEND_BYTES_TOTAL: 305,
  FULL_POLICY: 306,
  RECV_BYTES: 307,
  RECV_BYTES_TOTAL: 308,
  RATE_MESSAGES: 309,
  RATE_BYTES: 310,
  RATE_POLICY: 311,
  IDLE_TIMEOUT: 312,
  FIRST_MESSAGE_TIMEOUT: 313,
  MAX_AGE: 314,
  MAX_CONNECTIONS: 315,
  ADDRESS_CONNECTIONS: 316,
  ADDRESS_PREFIX4: 317,
  ADDRESS_PREFIX6: 318,
  ACCEPT_RATE: 319,
  ADDRESS_ACCEPT_RATE: 320,
  ALLOW: 321,
  DENY: 322,
  HANDSHAKES: 323,
  PROFILE: 324,
  PROPERTIES: 325,
  PROPERTY_BYTES: 326,
  PROXY_FROM: 327,
  WS_PROTOCOLS: 328,
  WS_ORIGINS: 329,
  WS_HEALTH_PATH: 330,
  FRAMING: 331,
  WS_DEFLATE: 332,
  ACCEPT_TIMEOUT: 333,
  WS_PATHS: 334,
  PEER_DATA: 335,
  TLS_ALPN: 336,
  TLS_TICKET_KEYS: 337,
  TLS_OCSP: 338,
  TLS_MIN_VERSION: 339,
  TLS_CERTS: 340,
  REUSEPORT: 345,
  LISTEN_NAME: 346,
});

// Options whose value is a text.
const TEXT = new Set([
  Option.ROUTING_ID, Option.LAST_ENDPOINT, Option.CONNECT_ROUTING_ID, Option.BINDTODEVICE, Option.TLS_CERT,
  Option.TLS_KEY, Option.TLS_CA, Option.TLS_HOSTNAME, Option.TLS_PASSWORD, Option.TLS_CIPHERS, Option.ALLOW,
  Option.DENY, Option.PROPERTIES, Option.PROXY_FROM, Option.WS_PROTOCOLS, Option.WS_ORIGINS,
  Option.WS_HEALTH_PATH, Option.WS_PATHS, Option.TLS_ALPN, Option.TLS_TICKET_KEYS, Option.TLS_OCSP,
  Option.TLS_CERTS,
  Option.LISTEN_NAME,
]);

// Options whose value has 64 bits.
const WIDE = new Set([Option.AFFINITY, Option.MAXMSGSIZE, Option.SEND_BYTES_TOTAL, Option.RECV_BYTES_TOTAL]);

// Options of contexts.
const ContextOption = Object.freeze({
  IO_THREADS: 1,
  MAX_SOCKETS: 2,
  SOCKET_LIMIT: 3,
  MAX_MSGSZ: 5,
  THREAD_NAME_PREFIX: 9,
  IPV6: 42,
  BLOCKY: 70,
});

// What a message is.
const Event = Object.freeze({
  DATA: 0,
  CONNECTED: 1,
  DISCONNECTED: 2,
  WRITABLE: 3,
  DRAINED: 4,
  ASKING: 5,
});

// Why a connection ended: doc/reasons.md.
const Reason = Object.freeze({
  UNKNOWN: 0,
  PEER_CLOSED: 1,
  RESET: 2,
  IDLE: 3,
  NO_PONG: 4,
  HANDSHAKE: 5,
  PROTOCOL: 6,
  TOO_LONG: 7,
  QUEUE_BOUND: 8,
  RATE: 9,
  LIMIT: 10,
  CLOSED_HERE: 11,
  ABORTED_HERE: 12,
  DRAINED: 13,
  FIRST_MESSAGE: 14,
  AGE: 15,
  STALLED: 16,
  CONTEXT: 17,
  NO_MEMORY: 18,
  REFUSED: 19,
  UNDECIDED: 20,
});

// The counters of zlink_stream_stats_t in their order.
const COUNTERS = [
  'connections', 'accepted', 'dialled', 'closed', 'msgs_in', 'msgs_out', 'bytes_in', 'bytes_out',
  'msgs_queued', 'bytes_queued', 'refused', 'oversize', 'memory', 'abandoned', 'ended_by', 'turned_away',
  'msgs_dropped', 'bytes_dropped', 'publishes', 'deliveries', 'undelivered', 'replaced',
];

module.exports = { Option, TEXT, WIDE, ContextOption, Event, Reason, COUNTERS };

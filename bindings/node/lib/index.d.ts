// SPDX-License-Identifier: MPL-2.0
/// <reference types="node" />

export type Body = string | Uint8Array;

/** A call that failed: code, such as 'EADDRINUSE', errno, and in detail one sentence, or ''. */
export class ZlinkError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly detail: string;
}

/** Options of sockets: doc/options.md. */
export const Option: {
  readonly AFFINITY: 4;
  readonly ROUTING_ID: 5;
  readonly SNDBUF: 11;
  readonly RCVBUF: 12;
  readonly FD: 14;
  readonly EVENTS: 15;
  readonly TYPE: 16;
  readonly LINGER: 17;
  readonly RECONNECT_IVL: 18;
  readonly BACKLOG: 19;
  readonly RECONNECT_IVL_MAX: 21;
  readonly MAXMSGSIZE: 22;
  readonly SNDHWM: 23;
  readonly RCVHWM: 24;
  readonly RCVTIMEO: 27;
  readonly SNDTIMEO: 28;
  readonly LAST_ENDPOINT: 32;
  readonly TCP_KEEPALIVE: 34;
  readonly TCP_KEEPALIVE_CNT: 35;
  readonly TCP_KEEPALIVE_IDLE: 36;
  readonly TCP_KEEPALIVE_INTVL: 37;
  readonly IMMEDIATE: 39;
  readonly IPV6: 42;
  readonly TOS: 57;
  readonly CONNECT_ROUTING_ID: 61;
  readonly HANDSHAKE_IVL: 66;
  readonly HEARTBEAT_IVL: 75;
  readonly HEARTBEAT_TTL: 76;
  readonly HEARTBEAT_TIMEOUT: 77;
  readonly CONNECT_TIMEOUT: 79;
  readonly TCP_MAXRT: 80;
  readonly USE_FD: 89;
  readonly BINDTODEVICE: 92;
  readonly TLS_CERT: 95;
  readonly TLS_KEY: 96;
  readonly TLS_CA: 97;
  readonly TLS_VERIFY: 98;
  readonly TLS_REQUIRE_CLIENT_CERT: 99;
  readonly TLS_HOSTNAME: 100;
  readonly TLS_TRUST_SYSTEM: 101;
  readonly TLS_PASSWORD: 102;
  readonly MODE: 300;
  readonly CLOSE_TIMEOUT: 301;
  readonly HEADER_MAX: 302;
  readonly TLS_CIPHERS: 303;
  readonly SEND_BYTES: 304;
  readonly SEND_BYTES_TOTAL: 305;
  readonly FULL_POLICY: 306;
  readonly RECV_BYTES: 307;
  readonly RECV_BYTES_TOTAL: 308;
  readonly RATE_MESSAGES: 309;
  readonly RATE_BYTES: 310;
  readonly RATE_POLICY: 311;
  readonly IDLE_TIMEOUT: 312;
  readonly FIRST_MESSAGE_TIMEOUT: 313;
  readonly MAX_AGE: 314;
  readonly MAX_CONNECTIONS: 315;
  readonly ADDRESS_CONNECTIONS: 316;
  readonly ADDRESS_PREFIX4: 317;
  readonly ADDRESS_PREFIX6: 318;
  readonly ACCEPT_RATE: 319;
  readonly ADDRESS_ACCEPT_RATE: 320;
  readonly ALLOW: 321;
  readonly DENY: 322;
  readonly HANDSHAKES: 323;
  readonly PROFILE: 324;
  readonly PROPERTIES: 325;
  readonly PROPERTY_BYTES: 326;
  readonly PROXY_FROM: 327;
  readonly WS_PROTOCOLS: 328;
  readonly WS_ORIGINS: 329;
  readonly WS_HEALTH_PATH: 330;
  readonly FRAMING: 331;
  readonly WS_DEFLATE: 332;
  readonly ACCEPT_TIMEOUT: 333;
  readonly WS_PATHS: 334;
  readonly PEER_DATA: 335;
  readonly TLS_ALPN: 336;
  readonly TLS_TICKET_KEYS: 337;
  readonly TLS_OCSP: 338;
  readonly TLS_MIN_VERSION: 339;
  readonly TLS_CERTS: 340;
  readonly REUSEPORT: 345;
  readonly LISTEN_NAME: 346;
};
export type Option = (typeof Option)[keyof typeof Option];

/** Options of contexts. */
export const ContextOption: {
  readonly IO_THREADS: 1;
  readonly MAX_SOCKETS: 2;
  readonly SOCKET_LIMIT: 3;
  readonly MAX_MSGSZ: 5;
  readonly THREAD_NAME_PREFIX: 9;
  readonly IPV6: 42;
  readonly BLOCKY: 70;
};
export type ContextOption = (typeof ContextOption)[keyof typeof ContextOption];

/** What a message is. */
export const Event: {
  readonly DATA: 0;
  readonly CONNECTED: 1;
  readonly DISCONNECTED: 2;
  readonly WRITABLE: 3;
  readonly DRAINED: 4;
  readonly ASKING: 5;
};
export type Event = (typeof Event)[keyof typeof Event];

/** Why a connection ended: doc/reasons.md. */
export const Reason: {
  readonly UNKNOWN: 0;
  readonly PEER_CLOSED: 1;
  readonly RESET: 2;
  readonly IDLE: 3;
  readonly NO_PONG: 4;
  readonly HANDSHAKE: 5;
  readonly PROTOCOL: 6;
  readonly TOO_LONG: 7;
  readonly QUEUE_BOUND: 8;
  readonly RATE: 9;
  readonly LIMIT: 10;
  readonly CLOSED_HERE: 11;
  readonly ABORTED_HERE: 12;
  readonly DRAINED: 13;
  readonly FIRST_MESSAGE: 14;
  readonly AGE: 15;
  readonly STALLED: 16;
  readonly CONTEXT: 17;
  readonly NO_MEMORY: 18;
  readonly REFUSED: 19;
  readonly UNDECIDED: 20;
};
export type Reason = (typeof Reason)[keyof typeof Reason];

export interface Message {
  readonly peer: number;
  readonly event: Event;
  /** A view of the bytes of all messages that came with it. */
  readonly body: Buffer;
  /** It came as text, with FRAMING 1. */
  readonly isText: boolean;
  /** What came in front of the body, with FRAMING 3: a view, as the body is. */
  readonly header: Buffer;
  readonly isData: boolean;
  /** Of DISCONNECTED: why, and the code of a WebSocket. */
  readonly reason: Reason;
  readonly closeCode: number;
  /** Of an event; null: it has none of that name. */
  property(name: string): string | null;
}

/** Options by their names in small letters: { profile: 1 }. */
export type SocketOptions = { [name in Lowercase<keyof typeof Option>]?: number | string };

export class Context {
  constructor(options?: { ioThreads?: number });
  socket(options?: SocketOptions): Socket;
  set(option: ContextOption, value: number): void;
  get(option: ContextOption): number;
  /** Programs of the same user, such as zlink-top, may ask for the statistics at this path; null ends that. */
  setAdmin(path: string | null): void;
  /** Ends every loop and makes every later call on its sockets fail with ETERM. */
  shutdown(): void;
  /** Shuts down; kept when its last socket is closed and what was sent is out. */
  close(): Promise<void>;
}

/** Native messages, for what goes back as it came. */
export class Batch {
  constructor(capacity?: number);
  peer(index: number): number;
}

export interface SendOptions {
  /** With FRAMING 1: as text. */
  text?: boolean;
  /** With FRAMING 3: at most 65535 bytes. */
  header?: Body;
  /** The message takes the place of the unsent one with the same key. */
  key?: number | bigint;
}

export interface Stats {
  readonly ended_by: readonly number[];
  readonly connections: number;
  readonly accepted: number;
  readonly dialled: number;
  readonly closed: number;
  readonly msgs_in: number;
  readonly msgs_out: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly msgs_queued: number;
  readonly bytes_queued: number;
  readonly refused: number;
  readonly oversize: number;
  readonly memory: number;
  readonly abandoned: number;
  readonly turned_away: number;
  readonly msgs_dropped: number;
  readonly bytes_dropped: number;
  readonly publishes: number;
  readonly deliveries: number;
  readonly undelivered: number;
  readonly replaced: number;
}

/** Made by Context.socket. */
export interface Socket extends AsyncIterable<Message> {
  readonly closed: boolean;
  readonly lastEndpoint: string;
  set(option: Option, value: number | string): void;
  get(option: Option): number | string;
  bind(endpoint: string): string;
  connect(endpoint: string): void;
  unbind(endpoint: string): void;
  disconnect(endpoint: string): void;
  receive(): Promise<Message>;
  receiveMany(): Promise<Message[]>;
  tryReceiveMany(): Message[];
  receiveBatch(batch: Batch): Promise<number>;
  sendBatch(batch: Batch): { index: number; errno: number }[];
  /** While the peer's queue is full it tries again after 1 to 32 ms. */
  send(peer: number, body: Body, options?: SendOptions): Promise<void>;
  /** EAGAIN: the peer's queue is full. */
  trySend(peer: number, body: Body, options?: SendOptions): void;
  publish(group: string, body: Body, options?: SendOptions & { except?: number }): number;
  multicast(peers: Iterable<number>, body: Body, options?: Omit<SendOptions, 'key'>): { taken: number; errors: Map<number, number> };
  join(peer: number, group: string): void;
  leave(peer: number, group: string): void;
  /** False: it had ended already; so is abortPeer. */
  closePeer(peer: number, code?: number, reason?: string): boolean;
  abortPeer(peer: number): boolean;
  /** The protocol is one that the request for a WebSocket offers, or '' for none. */
  acceptPeer(peer: number, protocol?: string): void;
  refusePeer(peer: number, status?: number, text?: string): void;
  peerProperty(peer: number, name: string): string | null;
  drain(spreadMs: number, code?: number): void;
  stats(): Stats;
  close(): void;
}

/** To a peer of any socket of the process, by its id alone. EAGAIN: its queue is full. EHOSTUNREACH: it has gone. */
export function sendAny(peer: number, body: Body, options?: Omit<SendOptions, 'key'>): void;

export type LogLevel = 'error' | 'warning' | 'info' | 'debug';

/** Has a function get what happens at all sockets of the process, up to a level, on the event loop of who asks for it. null ends it. */
export function setLog(level: LogLevel, call: (level: LogLevel, line: string) => void): void;
export function setLog(level: null): void;

/** Of the library that is loaded, such as "1.3.0". */
export function libraryVersion(): string;

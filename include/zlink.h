/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zlink: one socket, thousands of raw stream clients.
 *
 * Conventions that hold for every declaration below:
 *
 *  - A function that fails returns -1 or NULL and sets the calling thread's
 *    errno; zlink_errno () returns the same value and zlink_error_detail ()
 *    one sentence about what was wrong.
 *  - Handles are opaque. NULL, a closed handle or any other value gives EFAULT
 *    (contexts, timers) or ENOTSOCK (sockets, monitors), not a crash. Counters,
 *    stopwatches and threads are pointers: only NULL is recognized.
 *  - A socket belongs to one thread at a time, except for sends: in the mode COMPAT
 *    one thread may receive while one other sends, and in FAST any number may send.
 *    Any thread may use a context, and close a socket that no other thread uses.
 *  - Times are milliseconds unless a name says otherwise; sizes are bytes.
 *  - In a child made by fork () every call that can fail gives ENOTSUP, unless the
 *    process forked before its first call on a context (doc/host.md).
 */
#ifndef ZLINK_H_INCLUDED
#define ZLINK_H_INCLUDED

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && __GNUC__ >= 4
#define ZLINK_EXPORT __attribute__ ((visibility ("default")))
#else
#define ZLINK_EXPORT
#endif

/* ---------------------------------------------------------------- version */

#define ZLINK_VERSION_MAJOR 1
#define ZLINK_VERSION_MINOR 3
#define ZLINK_VERSION_PATCH 0

#define ZLINK_MAKE_VERSION(major, minor, patch) \
    ((major) * 10000 + (minor) * 100 + (patch))
#define ZLINK_VERSION                                             \
    ZLINK_MAKE_VERSION (ZLINK_VERSION_MAJOR, ZLINK_VERSION_MINOR, \
                        ZLINK_VERSION_PATCH)

/* Stores the version of the loaded library; NULL pointers are skipped. */
ZLINK_EXPORT void zlink_version (int *major, int *minor, int *patch);

/* 1 when the library has the named capability: "stream", or a transport, "tcp",
 * "ipc", "tls", "ws", "wss", "any". Else 0. NULL is not a capability. */
ZLINK_EXPORT int zlink_has (const char *capability);

/* ----------------------------------------------------------------- errors */

#define ZLINK_HAUSNUMERO 156384712

#ifndef ENOTSUP
#define ENOTSUP (ZLINK_HAUSNUMERO + 1)
#endif
#ifndef EPROTONOSUPPORT
#define EPROTONOSUPPORT (ZLINK_HAUSNUMERO + 2)
#endif
#ifndef ENOBUFS
#define ENOBUFS (ZLINK_HAUSNUMERO + 3)
#endif
#ifndef ENETDOWN
#define ENETDOWN (ZLINK_HAUSNUMERO + 4)
#endif
#ifndef EADDRINUSE
#define EADDRINUSE (ZLINK_HAUSNUMERO + 5)
#endif
#ifndef EADDRNOTAVAIL
#define EADDRNOTAVAIL (ZLINK_HAUSNUMERO + 6)
#endif
#ifndef ECONNREFUSED
#define ECONNREFUSED (ZLINK_HAUSNUMERO + 7)
#endif
#ifndef EINPROGRESS
#define EINPROGRESS (ZLINK_HAUSNUMERO + 8)
#endif
#ifndef ENOTSOCK
#define ENOTSOCK (ZLINK_HAUSNUMERO + 9)
#endif
#ifndef EMSGSIZE
#define EMSGSIZE (ZLINK_HAUSNUMERO + 10)
#endif
#ifndef EAFNOSUPPORT
#define EAFNOSUPPORT (ZLINK_HAUSNUMERO + 11)
#endif
#ifndef ENETUNREACH
#define ENETUNREACH (ZLINK_HAUSNUMERO + 12)
#endif
#ifndef ECONNABORTED
#define ECONNABORTED (ZLINK_HAUSNUMERO + 13)
#endif
#ifndef ECONNRESET
#define ECONNRESET (ZLINK_HAUSNUMERO + 14)
#endif
#ifndef ENOTCONN
#define ENOTCONN (ZLINK_HAUSNUMERO + 15)
#endif
#ifndef ETIMEDOUT
#define ETIMEDOUT (ZLINK_HAUSNUMERO + 16)
#endif
#ifndef EHOSTUNREACH
#define EHOSTUNREACH (ZLINK_HAUSNUMERO + 17)
#endif
#ifndef ENETRESET
#define ENETRESET (ZLINK_HAUSNUMERO + 18)
#endif

/* Errors of zlink's own. */
#define EFSM (ZLINK_HAUSNUMERO + 51)           /* not possible in this state */
#define ENOCOMPATPROTO (ZLINK_HAUSNUMERO + 52) /* transport and socket type  */
#define ETERM (ZLINK_HAUSNUMERO + 53)          /* the context was shut down  */
#define EMTHREAD (ZLINK_HAUSNUMERO + 54)       /* no io thread available     */

/* The calling thread's errno. */
ZLINK_EXPORT int zlink_errno (void);

/* A text for an errno value, the system's or zlink's; never NULL, static. */
ZLINK_EXPORT const char *zlink_strerror (int errnum);

/* One sentence about what was wrong with the calling thread's last failed zlink
 * call; "" when there is nothing to add to the errno. Valid until the
 * thread's next zlink call. After zlink_monitor_recv has succeeded: why the
 * event's handshake failed or its connection ended, whose verified certificate
 * the new peer has, or "". */
ZLINK_EXPORT const char *zlink_error_detail (void);

/* ------------------------------------------------------------------- log */

#define ZLINK_LOG_NONE 0
#define ZLINK_LOG_ERROR 1   /* an endpoint or a descriptor cannot be had */
#define ZLINK_LOG_WARNING 2 /* failed handshakes, limits, connections that ended badly */
#define ZLINK_LOG_INFO 3    /* connections, listeners */
#define ZLINK_LOG_DEBUG 4   /* each step of a connection */

/* Gets a line of the log, without its end; it is valid until the function returns. */
typedef void (zlink_log_fn) (int level, const char *line, void *arg);

/* Has fn get what happens on all sockets of the process, up to a level. fn runs on one thread of
 * the library, one line after another, with no lock held: it may call zlink, but not
 * zlink_set_log (EFSM), and it delays no socket. At most 100 lines a second come; a line says
 * how many more there were. NULL or ZLINK_LOG_NONE ends it; when the call returns, the
 * function before does not run any more. Off by default. EINVAL: there is no such level. */
ZLINK_EXPORT int zlink_set_log (zlink_log_fn *fn, int level, void *arg);

/* A function for zlink_set_log: writes each line to a descriptor, (void *) (intptr_t) fd, with its level
 * in front, as error, warning, info or debug. What a descriptor that must not block does not take
 * is counted, and a line says so. The descriptor stays the caller's, open until the log has ended. */
ZLINK_EXPORT void zlink_log_to_fd (int level, const char *line, void *fd);

/* --------------------------------------------------------------- contexts */

#define ZLINK_IO_THREADS 1
#define ZLINK_MAX_SOCKETS 2
#define ZLINK_SOCKET_LIMIT 3
#define ZLINK_THREAD_PRIORITY 3
#define ZLINK_THREAD_SCHED_POLICY 4
#define ZLINK_MAX_MSGSZ 5
#define ZLINK_MSG_T_SIZE 6
#define ZLINK_THREAD_AFFINITY_CPU_ADD 7
#define ZLINK_THREAD_AFFINITY_CPU_REMOVE 8
#define ZLINK_THREAD_NAME_PREFIX 9

#define ZLINK_IO_THREADS_DFLT 2
#define ZLINK_MAX_SOCKETS_DFLT 1023
#define ZLINK_THREAD_PRIORITY_DFLT -1
#define ZLINK_THREAD_SCHED_POLICY_DFLT -1

/* A new context, freed by zlink_ctx_term. NULL: EMFILE. The first call of a process
 * starts the library: ENOMEM or EAGAIN when the process lacks the address space or
 * the threads (zlink_error_detail says which); a later call tries again. */
ZLINK_EXPORT void *zlink_ctx_new (void);

/* Shuts the context down, waits until its sockets are closed and their linger
 * is over, and frees it. It does not wait for monitors; close these before or
 * afterwards. EFAULT: not a context. EINTR: a signal handler ran; call again. */
ZLINK_EXPORT int zlink_ctx_term (void *context);

/* Makes every blocked and later call on the context's sockets, except
 * zlink_close, fail with ETERM, and on monitors that have no event left.
 * Returns at once. */
ZLINK_EXPORT int zlink_ctx_shutdown (void *context);

/* Sets or reads a context option. EINVAL: unknown option or bad value. The
 * options of the io threads must be set before the first bind or connect. */
ZLINK_EXPORT int zlink_ctx_set (void *context, int option, int value);
ZLINK_EXPORT int zlink_ctx_get (void *context, int option);

/* Lets programs of the same user ask for the statistics of all sockets of the context, as
 * zlink-top and zlink-exporter do, through a local socket with the file path. NULL or "" ends
 * that, another path replaces it, and zlink_ctx_term ends it. Off by default. EADDRINUSE:
 * somebody listens there, or the file is no socket. ETERM, EFAULT. */
ZLINK_EXPORT int zlink_ctx_set_admin (void *context, const char *path);

/* --------------------------------------------------------------- messages */

/* A message. Opaque: initialise it with a zlink_msg_init function, never copy
 * or move it in memory, and end it with zlink_msg_close or by sending it. */
typedef struct zlink_msg_t
{
#if defined(__GNUC__)
    unsigned char _[64] __attribute__ ((aligned (sizeof (void *))));
#else
    union
    {
        unsigned char bytes[64];
        void *align;
    } _;
#endif
} zlink_msg_t;

/* Message properties and flags. */
#define ZLINK_MORE 1
#define ZLINK_SHARED 3
#define ZLINK_STREAM_EVENT 300
#define ZLINK_STREAM_CLOSE_CODE 301
#define ZLINK_STREAM_REASON 302
#define ZLINK_STREAM_TEXT 303

/* Values of ZLINK_STREAM_EVENT, in the mode FAST; events have an empty body. */
#define ZLINK_STREAM_DATA 0
#define ZLINK_STREAM_CONNECTED 1
#define ZLINK_STREAM_DISCONNECTED 2
#define ZLINK_STREAM_WRITABLE 3 /* a send to the peer got EAGAIN, and now has room */
#define ZLINK_STREAM_DRAINED 4 /* of the socket: no peer is left; routing id 0 */
#define ZLINK_STREAM_ASKING 5  /* somebody waits for zlink_stream_accept_peer or _refuse_peer */

/* Values of ZLINK_STREAM_REASON and of zlink_monitor_reason, and places in
 * zlink_stream_stats_t.ended_by: why a connection ended. doc/reasons.md has more. */
#define ZLINK_STREAM_REASON_UNKNOWN 0
#define ZLINK_STREAM_REASON_PEER_CLOSED 1   /* the peer closed it, or ended its side */
#define ZLINK_STREAM_REASON_RESET 2         /* the peer reset it, or the network failed */
#define ZLINK_STREAM_REASON_IDLE 3          /* nothing was received for too long */
#define ZLINK_STREAM_REASON_NO_PONG 4       /* the peer did not answer pings */
#define ZLINK_STREAM_REASON_HANDSHAKE 5     /* its TLS or WebSocket handshake failed */
#define ZLINK_STREAM_REASON_PROTOCOL 6      /* the peer broke TLS or WebSocket */
#define ZLINK_STREAM_REASON_TOO_LONG 7      /* a message above ZLINK_MAXMSGSIZE */
#define ZLINK_STREAM_REASON_QUEUE_BOUND 8   /* too many bytes waited for it, or from it */
#define ZLINK_STREAM_REASON_RATE 9          /* the peer sent too much too fast */
#define ZLINK_STREAM_REASON_LIMIT 10        /* too many connections; address not let in */
#define ZLINK_STREAM_REASON_CLOSED_HERE 11  /* this side closed it */
#define ZLINK_STREAM_REASON_ABORTED_HERE 12 /* zlink_stream_abort_peer */
#define ZLINK_STREAM_REASON_DRAINED 13      /* the socket was drained */
#define ZLINK_STREAM_REASON_FIRST_MESSAGE 14 /* no message came in time */
#define ZLINK_STREAM_REASON_AGE 15          /* it had lived as long as it may */
#define ZLINK_STREAM_REASON_STALLED 16      /* the peer took nothing until
                                             * ZLINK_STREAM_CLOSE_TIMEOUT was over */
#define ZLINK_STREAM_REASON_CONTEXT 17      /* the context was shut down */
#define ZLINK_STREAM_REASON_NO_MEMORY 18    /* this side had no memory for it */
#define ZLINK_STREAM_REASON_REFUSED 19      /* zlink_stream_refuse_peer */
#define ZLINK_STREAM_REASON_UNDECIDED 20    /* nobody decided in ZLINK_STREAM_ACCEPT_TIMEOUT */

/* Frees the data given to zlink_msg_init_data or zlink_stream_set_peer_data; may run on
 * any thread. */
typedef void (zlink_free_fn) (void *data, void *hint);

/* An empty message. */
ZLINK_EXPORT int zlink_msg_init (zlink_msg_t *msg);

/* A message of size bytes, not initialised. ENOMEM. */
ZLINK_EXPORT int zlink_msg_init_size (zlink_msg_t *msg, size_t size);

/* A message around the caller's data, which is not copied. ffn (data, hint) is
 * called exactly once, when the bytes are in the kernel or the last copy is
 * closed; NULL: the data outlives the message. On failure (ENOMEM) the data
 * stays the caller's. */
ZLINK_EXPORT int zlink_msg_init_data (
  zlink_msg_t *msg, void *data, size_t size, zlink_free_fn *ffn, void *hint);

/* As zlink_send and zlink_recv, with a message instead of a buffer. A message
 * that was sent is empty afterwards; one that was not stays the caller's.
 * A received message replaces the old content and is never truncated. ENOMEM
 * loses nothing: the next call receives it. */
ZLINK_EXPORT int zlink_msg_send (zlink_msg_t *msg, void *socket, int flags);
ZLINK_EXPORT int zlink_msg_recv (zlink_msg_t *msg, void *socket, int flags);

/* Ends a message. EFAULT: not a valid message. */
ZLINK_EXPORT int zlink_msg_close (zlink_msg_t *msg);

/* dst gets src's content, src becomes empty; dst's old content is released. */
ZLINK_EXPORT int zlink_msg_move (zlink_msg_t *dst, zlink_msg_t *src);

/* dst gets a copy of src; long contents are shared, not copied, and must not
 * be written to while ZLINK_SHARED is 1. ZLINK_SHARED is always 1 for data without
 * a free function. */
ZLINK_EXPORT int zlink_msg_copy (zlink_msg_t *dst, zlink_msg_t *src);

/* The content and its size; valid until the message is sent or closed. */
ZLINK_EXPORT void *zlink_msg_data (zlink_msg_t *msg);
ZLINK_EXPORT size_t zlink_msg_size (const zlink_msg_t *msg);

/* 1 when more frames of the same message follow, else 0. */
ZLINK_EXPORT int zlink_msg_more (const zlink_msg_t *msg);

/* Integer properties: ZLINK_MORE, ZLINK_SHARED, ZLINK_STREAM_EVENT, and of a
 * disconnect event in the mode FAST ZLINK_STREAM_REASON: why the connection ended; and
 * ZLINK_STREAM_CLOSE_CODE: the code that the peer of a WebSocket connection gave,
 * 1005 when it gave none, 1006 when it sent no Close frame. Both are 0 of anything
 * else. ZLINK_STREAM_TEXT: 1 of a message that came as text with ZLINK_STREAM_FRAMING 1,
 * else 0. EINVAL: unknown property. */
ZLINK_EXPORT int zlink_msg_get (const zlink_msg_t *msg, int property);

/* Sets ZLINK_STREAM_TEXT to 1 or 0: with ZLINK_STREAM_FRAMING 1 the message is sent as text,
 * which has to be UTF-8, or as bytes. A received message that is sent on is what it was. With other
 * framings the property changes nothing. EINVAL: another property or value, or an event. */
ZLINK_EXPORT int
zlink_msg_set (zlink_msg_t *msg, int property, int optval);

/* The header of a message with ZLINK_STREAM_FRAMING_HEADERS, and its size in bytes at size, unless
 * that is NULL: of a received one what came in front of the body, of one to be sent what
 * zlink_msg_set_header gave. NULL and 0: it has none, or no message, with EFAULT. Valid until the message is
 * sent or closed, or gets another header. The bytes must not be written to. */
ZLINK_EXPORT const void *zlink_msg_header (const zlink_msg_t *msg, size_t *size);

/* Gives a message a copy of a header of at most 65535 bytes; 0 bytes take the header away. A
 * received message that is sent on has the header that it came with. A socket with another
 * framing refuses to send a message with a header: EINVAL. EINVAL also: an event, or text.
 * EMSGSIZE: the header is longer. ENOMEM. EFAULT: no message, or header is NULL and size is not 0. */
ZLINK_EXPORT int zlink_msg_set_header (zlink_msg_t *msg, const void *header, size_t size);

/* Text properties of a received message: "Peer-Address", the peer's IP, and
 * "Peer-Port"; "Close-Reason", with ZLINK_STREAM_CLOSE_CODE, the peer's reason or "";
 * and those of the peer that ZLINK_STREAM_PROPERTIES names, such as "WS-Path", also
 * when the peer has gone. NULL with EINVAL: unknown, or the message has none. Valid
 * until msg is closed. */
ZLINK_EXPORT const char *zlink_msg_gets (const zlink_msg_t *msg,
                                         const char *property);

/* Closes count messages of an array that zlink allocated and frees the array;
 * NULL is ignored. */
ZLINK_EXPORT void zlink_msgv_close (zlink_msg_t *parts, size_t count);

/* ---------------------------------------------------------------- sockets */

/* Only ZLINK_STREAM exists in this library; zlink_socket gives ENOTSUP for the
 * other names and EINVAL for any other number. */
#define ZLINK_PAIR 0
#define ZLINK_PUB 1
#define ZLINK_SUB 2
#define ZLINK_DEALER 5
#define ZLINK_ROUTER 6
#define ZLINK_XPUB 9
#define ZLINK_XSUB 10
#define ZLINK_STREAM 11

/* Socket options; doc/options.md gives type, default and range of those that
 * apply to STREAM. The others give EINVAL. */
#define ZLINK_AFFINITY 4
#define ZLINK_ROUTING_ID 5
#define ZLINK_SUBSCRIBE 6
#define ZLINK_UNSUBSCRIBE 7
#define ZLINK_RATE 8
#define ZLINK_RECOVERY_IVL 9
#define ZLINK_SNDBUF 11
#define ZLINK_RCVBUF 12
#define ZLINK_RCVMORE 13
#define ZLINK_FD 14
#define ZLINK_EVENTS 15
#define ZLINK_TYPE 16
#define ZLINK_LINGER 17
#define ZLINK_RECONNECT_IVL 18
#define ZLINK_BACKLOG 19
#define ZLINK_RECONNECT_IVL_MAX 21
#define ZLINK_MAXMSGSIZE 22
#define ZLINK_SNDHWM 23
#define ZLINK_RCVHWM 24
#define ZLINK_MULTICAST_HOPS 25
#define ZLINK_RCVTIMEO 27
#define ZLINK_SNDTIMEO 28
#define ZLINK_LAST_ENDPOINT 32
#define ZLINK_ROUTER_MANDATORY 33
#define ZLINK_TCP_KEEPALIVE 34
#define ZLINK_TCP_KEEPALIVE_CNT 35
#define ZLINK_TCP_KEEPALIVE_IDLE 36
#define ZLINK_TCP_KEEPALIVE_INTVL 37
#define ZLINK_IMMEDIATE 39
#define ZLINK_XPUB_VERBOSE 40
#define ZLINK_IPV6 42
#define ZLINK_PROBE_ROUTER 51
#define ZLINK_CONFLATE 54
#define ZLINK_ROUTER_HANDOVER 56
#define ZLINK_TOS 57
#define ZLINK_CONNECT_ROUTING_ID 61
#define ZLINK_HANDSHAKE_IVL 66
#define ZLINK_XPUB_NODROP 69
#define ZLINK_BLOCKY 70
#define ZLINK_XPUB_MANUAL 71
#define ZLINK_XPUB_WELCOME_MSG 72
#define ZLINK_INVERT_MATCHING 74
#define ZLINK_HEARTBEAT_IVL 75
#define ZLINK_HEARTBEAT_TTL 76
#define ZLINK_HEARTBEAT_TIMEOUT 77
#define ZLINK_XPUB_VERBOSER 78
#define ZLINK_CONNECT_TIMEOUT 79
#define ZLINK_TCP_MAXRT 80
#define ZLINK_MULTICAST_MAXTPDU 84
#define ZLINK_USE_FD 89
#define ZLINK_REQUEST_TIMEOUT 90
#define ZLINK_REQUEST_CORRELATE 91
#define ZLINK_BINDTODEVICE 92
#define ZLINK_TLS_CERT 95
#define ZLINK_TLS_KEY 96
#define ZLINK_TLS_CA 97
#define ZLINK_TLS_VERIFY 98
#define ZLINK_XPUB_MANUAL_LAST_VALUE 98
#define ZLINK_TLS_REQUIRE_CLIENT_CERT 99
#define ZLINK_TLS_HOSTNAME 100
#define ZLINK_TLS_TRUST_SYSTEM 101
#define ZLINK_TLS_PASSWORD 102
#define ZLINK_ONLY_FIRST_SUBSCRIBE 108
#define ZLINK_TOPICS_COUNT 116
#define ZLINK_ZMP_METADATA 117
#define ZLINK_STREAM_MODE 300
#define ZLINK_STREAM_CLOSE_TIMEOUT 301
#define ZLINK_STREAM_HEADER_MAX 302
#define ZLINK_TLS_CIPHERS 303
#define ZLINK_STREAM_SEND_BYTES 304
#define ZLINK_STREAM_SEND_BYTES_TOTAL 305 /* int64_t */
#define ZLINK_STREAM_FULL_POLICY 306
#define ZLINK_STREAM_RECV_BYTES 307
#define ZLINK_STREAM_RECV_BYTES_TOTAL 308
#define ZLINK_STREAM_RATE_MESSAGES 309
#define ZLINK_STREAM_RATE_BYTES 310
#define ZLINK_STREAM_RATE_POLICY 311
#define ZLINK_STREAM_IDLE_TIMEOUT 312
#define ZLINK_STREAM_FIRST_MESSAGE_TIMEOUT 313
#define ZLINK_STREAM_MAX_AGE 314
#define ZLINK_STREAM_PROFILE 324

/* Values of ZLINK_STREAM_PROFILE, which sets many options at once: doc/public.md. */
#define ZLINK_STREAM_PROFILE_PRIVATE 0 /* peers are trusted: the default */
#define ZLINK_STREAM_PROFILE_PUBLIC 1  /* a server on the internet */
#define ZLINK_STREAM_MAX_CONNECTIONS 315
#define ZLINK_STREAM_ADDRESS_CONNECTIONS 316
#define ZLINK_STREAM_ADDRESS_PREFIX4 317
#define ZLINK_STREAM_ADDRESS_PREFIX6 318
#define ZLINK_STREAM_ACCEPT_RATE 319
#define ZLINK_STREAM_ADDRESS_ACCEPT_RATE 320
#define ZLINK_STREAM_ALLOW 321
#define ZLINK_STREAM_DENY 322
#define ZLINK_STREAM_HANDSHAKES 323
#define ZLINK_STREAM_PROPERTIES 325 /* text */
#define ZLINK_STREAM_PROPERTY_BYTES 326
#define ZLINK_STREAM_PROXY_FROM 327 /* text */
#define ZLINK_STREAM_WS_PROTOCOLS 328 /* text */
#define ZLINK_STREAM_WS_ORIGINS 329 /* text */
#define ZLINK_STREAM_WS_HEALTH_PATH 330 /* text */
#define ZLINK_STREAM_FRAMING 331
#define ZLINK_STREAM_WS_DEFLATE 332

/* Values of ZLINK_STREAM_FRAMING: how messages lie in the bytes of a socket's connections. */
#define ZLINK_STREAM_FRAMING_LENGTH 0   /* behind 4 bytes, big endian: the body's length */
#define ZLINK_STREAM_FRAMING_MESSAGES 1 /* a message of WebSocket is a message: ws, wss */
#define ZLINK_STREAM_FRAMING_RAW 2      /* none; a message is what a read brings: tcp, tls, ipc */
#define ZLINK_STREAM_FRAMING_HEADERS 3  /* behind the sizes of a header, in 2 bytes, and of the body, in 4 */

#define ZLINK_STREAM_ACCEPT_TIMEOUT 333
#define ZLINK_STREAM_WS_PATHS 334 /* text */
#define ZLINK_STREAM_PEER_DATA 335
#define ZLINK_STREAM_TLS_ALPN 336 /* text */
#define ZLINK_STREAM_TLS_TICKET_KEYS 337 /* text: a file */
#define ZLINK_STREAM_TLS_OCSP 338 /* text */
#define ZLINK_STREAM_TLS_MIN_VERSION 339
#define ZLINK_STREAM_TLS_CERTS 340 /* text */
#define ZLINK_STREAM_REUSEPORT 345
#define ZLINK_STREAM_LISTEN_NAME 346 /* text */

/* Values of ZLINK_STREAM_TLS_MIN_VERSION. */
#define ZLINK_STREAM_TLS_1_2 12
#define ZLINK_STREAM_TLS_1_3 13

/* Values of ZLINK_STREAM_MODE. */
#define ZLINK_STREAM_MODE_COMPAT 0 /* two frames for a message */
#define ZLINK_STREAM_MODE_FAST 1   /* one call for a message */

/* Values of ZLINK_STREAM_RATE_POLICY: what happens to a peer that sends more than its rate. */
#define ZLINK_STREAM_RATE_WAIT 0 /* it is read later */
#define ZLINK_STREAM_RATE_CUT 1  /* it loses its connection */

/* Values of ZLINK_STREAM_FULL_POLICY: what a send to a full queue does. */
#define ZLINK_STREAM_FULL_AGAIN 0       /* waits, or EAGAIN */
#define ZLINK_STREAM_FULL_DROP_NEWEST 1 /* succeeds; its message is dropped */
#define ZLINK_STREAM_FULL_DROP_OLDEST 2 /* drops the oldest messages of the queue */
#define ZLINK_STREAM_FULL_CUT 3         /* resets the connection; EHOSTUNREACH */

/* Send and receive flags. */
#define ZLINK_DONTWAIT 1
#define ZLINK_SNDMORE 2
#define ZLINK_STREAM_EXCEPT 4 /* of a publish: not to the peer on the message */

/* Security mechanisms. */
#define ZLINK_NULL 0
#define ZLINK_PLAIN 1

/* A new socket of the context. NULL: EFAULT (context), EINVAL (type), ENOTSUP
 * (a type that is not in this library), EMFILE (MAX_SOCKETS), ETERM. */
ZLINK_EXPORT void *zlink_socket (void *context, int type);

/* Closes the socket or monitor; a socket's unsent messages go out for up to
 * LINGER ms. ENOTSOCK. */
ZLINK_EXPORT int zlink_close (void *socket);

/* Sets or reads an option. EINVAL: unknown, wrong size or wrong value; nothing
 * changes. zlink_getsockopt stores the length used in *optvallen; behind an int
 * it fills the buffer with zeros. */
ZLINK_EXPORT int zlink_setsockopt (void *socket,
                                   int option,
                                   const void *optval,
                                   size_t optvallen);
ZLINK_EXPORT int zlink_getsockopt (void *socket,
                                   int option,
                                   void *optval,
                                   size_t *optvallen);

/* Listens on, or dials, an endpoint such as "tcp://127.0.0.1:5555",
 * "tls://0.0.0.0:443", "ws://[::]:80/chat", "wss://…" or "ipc:///run/x.sock".
 * EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, EADDRINUSE, EADDRNOTAVAIL, ENODEV …;
 * doc/endpoints.md has every form, doc/transports.md what each does. */
ZLINK_EXPORT int zlink_bind (void *socket, const char *endpoint);
ZLINK_EXPORT int zlink_connect (void *socket, const char *endpoint);

/* Stops listening (accepted connections stay), or ends a dialled connection.
 * The endpoint is the text given, or LAST_ENDPOINT. ENOENT: no such one. */
ZLINK_EXPORT int zlink_unbind (void *socket, const char *endpoint);
ZLINK_EXPORT int zlink_disconnect (void *socket, const char *endpoint);

/* Sends one frame: first the peer's routing id with ZLINK_SNDMORE, then the
 * body. Returns len. The bytes are copied; zlink_send_const may refer to them
 * later and needs data that never changes. The body 0x00 (one byte) closes the
 * connection after what is queued for it. EINVAL: id without SNDMORE, or an
 * empty id. EHOSTUNREACH: no such peer. EAGAIN: the peer's queue is full and
 * ZLINK_DONTWAIT or SNDTIMEO says not to wait longer. After EAGAIN or EINTR at a
 * body the next frame is that body again without SNDMORE, and an id with it.
 * ETERM. */
ZLINK_EXPORT int
zlink_send (void *socket, const void *buf, size_t len, int flags);
ZLINK_EXPORT int
zlink_send_const (void *socket, const void *buf, size_t len, int flags);

/* Receives one frame: first a routing id (RCVMORE is 1), then a body (RCVMORE
 * is 0); the one-byte bodies 0x01 and 0x00 announce a new and an ended
 * connection. Copies at most len bytes and returns the frame's full size.
 * EAGAIN: nothing to receive, and ZLINK_DONTWAIT or RCVTIMEO ends the wait.
 * EINTR, ETERM. */
ZLINK_EXPORT int zlink_recv (void *socket, void *buf, size_t len, int flags);

/* ------------------------------------------------------------ the mode FAST */

/*
 * One call for one message, and batches. Set ZLINK_STREAM_MODE to
 * ZLINK_STREAM_MODE_FAST before the first bind or connect; then zlink_msg_recv
 * gives a body with its peer on the message, zlink_msg_send sends to the peer
 * on the message, and zlink_recv and zlink_send give ENOTSUP. doc/modes.md
 * compares the modes.
 *
 * Any number of threads may call zlink_msg_send, zlink_stream_send_batch,
 * zlink_stream_close_peer, zlink_stream_close_peer_with and zlink_stream_abort_peer
 * while one thread receives. One thread's messages to one peer keep their order.
 *
 * An accepted peer that has sent something over tcp, tls or ipc and ends its side
 * can be sent to until its disconnect event is received. A batch ends before that.
 *
 * A received body lies in the library's read buffer until the message is closed
 * or sent. Messages kept for long hold at most 8 MiB of such buffers; when that
 * much is held, bodies are copied out.
 */

/* The peer of a message; 0: none. EFAULT: not a valid message. */
ZLINK_EXPORT uint32_t zlink_msg_routing_id (const zlink_msg_t *msg);

/* Names the peer that a message goes to. EINVAL: 0. EFAULT. */
ZLINK_EXPORT int zlink_msg_set_routing_id (zlink_msg_t *msg,
                                           uint32_t routing_id);

/* Receives up to n messages into initialised messages, whose old content is
 * released; waits for the first only, as zlink_msg_recv does. Returns how many
 * came. EFAULT: msgs is NULL or not initialised. EINVAL: n is 0. ENOTSUP: the
 * socket is in the mode COMPAT. EAGAIN, EINTR, ETERM, ENOTSOCK. */
ZLINK_EXPORT int zlink_stream_recv_batch (void *socket,
                                          zlink_msg_t *msgs,
                                          size_t n,
                                          int flags);

/* Sends n messages in order, each to the peer on it, and returns how many it
 * took; these are empty afterwards, the others stay the caller's. -1 when it
 * took none: the errors of zlink_msg_send, and as zlink_stream_recv_batch. */
ZLINK_EXPORT int zlink_stream_send_batch (void *socket,
                                          zlink_msg_t *msgs,
                                          size_t n,
                                          int flags);

/* One message to many
 *
 * The message lies in memory once, whatever the number of peers; its bytes count for
 * each peer's queue (SNDHWM, ZLINK_STREAM_SEND_BYTES), and once for
 * ZLINK_STREAM_SEND_BYTES_TOTAL. These calls never wait. A peer whose queue is full is
 * treated as ZLINK_STREAM_FULL_POLICY says; by default it does not take the message.
 * Each peer gets the message between those that the same thread sent to it before and
 * after. Up to 32 peers are written to at once, as by zlink_msg_send; more of them
 * by the io threads, in slices. Both modes, any thread. In COMPAT a peer with a name of
 * ZLINK_CONNECT_ROUTING_ID cannot be named here.
 *
 * They return how many peers took the message, which is then empty; -1: nobody, and
 * it is unchanged. EAGAIN: ZLINK_STREAM_SEND_BYTES_TOTAL is used up. EMSGSIZE: longer
 * than 4 GiB less 4 KiB. ENOMEM, EFAULT, ENOTSOCK, ETERM.
 */

/* To n peers; 0: nobody. One that is named twice gets it twice. errors is NULL, or has
 * n places for what zlink_msg_send would have failed with, 0: the peer took it. With
 * errors, a peer that has EAGAIN has the event ZLINK_STREAM_WRITABLE later. flags: 0,
 * ZLINK_DONTWAIT (no difference), ZLINK_STREAM_EXCEPT. EINVAL: more than INT_MAX. */
ZLINK_EXPORT int zlink_stream_multicast (void *socket,
                                         const uint32_t *ids,
                                         size_t n,
                                         zlink_msg_t *msg,
                                         int flags,
                                         int *errors);

/* Makes a peer a member of a group, or ends that. A group has a name of 1 to 255 bytes
 * and exists while it has members; a peer may be in any number, and leaves all when
 * its connection ends. Joining or leaving twice changes nothing. EINVAL: 0, or the
 * name is empty or too long. EHOSTUNREACH: no such peer. ENOMEM, EFAULT, ENOTSOCK,
 * ETERM. */
ZLINK_EXPORT int
zlink_stream_join (void *socket, uint32_t routing_id, const char *group);
ZLINK_EXPORT int
zlink_stream_leave (void *socket, uint32_t routing_id, const char *group);

/* To the members of a group; 0: it has none. EINVAL: the name is empty or too long. */
ZLINK_EXPORT int zlink_stream_publish (void *socket,
                                       const char *group,
                                       zlink_msg_t *msg,
                                       int flags);

/* The same with a key: the message takes the place of one with the same key in the
 * queue of each peer, if nothing of that is written yet, so that a slow peer gets the
 * newest state and not the backlog. All others keep their places. */
ZLINK_EXPORT int zlink_stream_publish_key (void *socket,
                                           const char *group,
                                           zlink_msg_t *msg,
                                           uint64_t key,
                                           int flags);

/* Sends to the peer on the message, with a key, and never waits. Returns the size of
 * the body. Both modes; the errors of zlink_msg_send. */
ZLINK_EXPORT int
zlink_stream_send_key (void *socket, zlink_msg_t *msg, uint64_t key, int flags);

/* zlink_msg_send to a peer of any socket of the process in the mode FAST. Routing ids
 * are unique in a process, so that one on the message is enough. Any thread; the
 * options of the peer's socket apply. Returns the size of the body. flags:
 * ZLINK_DONTWAIT. The errors of zlink_msg_send, of which EHOSTUNREACH also says that
 * the peer's socket is closed; ENOTSUP: it is in the mode COMPAT. Closing a peer and
 * all other calls for one take its socket. */
ZLINK_EXPORT int zlink_stream_send_any (zlink_msg_t *msg, int flags);

/* Closes the connection to a peer once what is queued for it has arrived. A peer
 * that takes nothing for ZLINK_STREAM_CLOSE_TIMEOUT ms is reset.
 * EINVAL: 0. EHOSTUNREACH: no such peer. ENOTSUP: the mode COMPAT. */
ZLINK_EXPORT int zlink_stream_close_peer (void *socket, uint32_t routing_id);

/* The same, and tells a peer of ws or wss a code (1000 to 1003, 1007 to 1014, 3000
 * to 4999) and a reason, UTF-8 of at most 123 bytes; NULL: none. Other transports
 * have no place for them. Both modes. EINVAL: also a code or reason that cannot be
 * sent. */
ZLINK_EXPORT int zlink_stream_close_peer_with (void *socket,
                                               uint32_t routing_id,
                                               int code,
                                               const char *reason);

/* Resets the connection to a peer at once, also one that is being closed; what is
 * queued for it is discarded. Both modes, any thread. EINVAL: 0. EHOSTUNREACH: no
 * such connection, or its descriptor is closed. */
ZLINK_EXPORT int zlink_stream_abort_peer (void *socket, uint32_t routing_id);

/* Stores a text property of a peer that is there, with a NUL, and returns its length
 * without that. If that is >= room, it stores "". "Peer-Address", "Peer-Port",
 * "Local-Address", "Local-Port" and "Transport" are known of every peer, the others if
 * ZLINK_STREAM_PROPERTIES named them (doc/options.md). Both modes, any thread. EINVAL:
 * 0, or the peer has no such property. EFAULT: text is NULL and room is not 0.
 * EHOSTUNREACH: no such peer; its disconnect event has what was kept of it. */
ZLINK_EXPORT int zlink_stream_peer_gets (void *socket,
                                         uint32_t routing_id,
                                         const char *property,
                                         char *text,
                                         size_t room);

/* Takes somebody who asks (ZLINK_STREAM_ASKING, with ZLINK_STREAM_ACCEPT_TIMEOUT) as a
 * peer: the connect event follows, with the same id, or the disconnect event if the
 * connection ends before that. Mode FAST, any thread; of several decisions the first
 * counts. EINVAL: 0. EFSM: it has been decided, or the peer never asked. EHOSTUNREACH:
 * nobody with that id asks. */
ZLINK_EXPORT int zlink_stream_accept_peer (void *socket, uint32_t routing_id);

/* The same of somebody who requests a WebSocket, with the subprotocol of the answer: one of those that
 * the request offers, "" for none, or NULL for that of ZLINK_STREAM_WS_PROTOCOLS. EINVAL also: the
 * request does not offer it, or it is none for a WebSocket; nothing is decided then. */
ZLINK_EXPORT int
zlink_stream_accept_peer_with (void *socket, uint32_t routing_id, const char *protocol);

/* Turns somebody who asks away: the disconnect event follows. A request for a WebSocket is
 * answered with the status of HTTP, 400 to 599 (0: 403), and the text, at most 256 bytes
 * without control characters; NULL: one of the library's. Other transports just close.
 * The errors of zlink_stream_accept_peer; EINVAL also: what cannot be sent. */
ZLINK_EXPORT int zlink_stream_refuse_peer (void *socket,
                                           uint32_t routing_id,
                                           int status,
                                           const char *text);

/* Gives data for a peer, instead of what was given before; NULL: none. Every message and
 * event of the peer then has it (zlink_msg_peer_data), also those received before. ffn
 * (data, hint) is called exactly once: when other data is given, within that call; or
 * when the peer's disconnect event has been received, or never will be, and the last of
 * its messages is closed. NULL: the data outlives all of them. On failure the data stays
 * the caller's. Both modes, any thread; a thread that gives other data must know that
 * nobody uses the last one any more. EINVAL: 0, or ZLINK_STREAM_PEER_DATA was not 1 when
 * the peer's endpoint was bound or connected. EHOSTUNREACH: no such peer, or its
 * connection is over, although its disconnect event may still wait. */
ZLINK_EXPORT int zlink_stream_set_peer_data (void *socket,
                                             uint32_t routing_id,
                                             void *data,
                                             zlink_free_fn *ffn,
                                             void *hint);

/* What was given last for the peer of a received message; NULL: nothing. It is not freed
 * while the message is there, unless other data is given. */
ZLINK_EXPORT void *zlink_msg_peer_data (const zlink_msg_t *msg);

/* Takes a socket out of service: it accepts what waits in its accept queues and
 * stops listening (listeners with ZLINK_STREAM_WS_HEALTH_PATH answer 503 until the
 * drain is over), dials no more, and ends its peers spread evenly over spread_ms,
 * each once what is queued for it is written; ws and wss peers are told ws_code
 * (as above; 0: 1001). When nobody is left, monitors that ask for it get
 * ZLINK_EVENT_STREAM_DRAINED, and in the mode FAST the event ZLINK_STREAM_DRAINED
 * comes, once, after the last disconnect event. A second call with a shorter time
 * hastens the first. Bind and connect give EFSM from then on; close the socket.
 * Both modes, any thread. EINVAL: spread_ms is negative, or a code that cannot be
 * sent. ENOTSOCK, ETERM. */
ZLINK_EXPORT int zlink_stream_drain (void *socket, int spread_ms, int ws_code);

/* Gives the socket's listeners to the process that takes them over: the one that calls
 * zlink_stream_takeover with the same path, or "@name", of a local socket, which exists
 * until that. With path NULL, fd is a local stream socket that is connected to it, and
 * stays the caller's; otherwise fd is -1. After 0 both processes accept connections, until
 * zlink_unbind or zlink_stream_drain ends that here: those that wait then are the other
 * process's, and none is lost. After -1 the socket serves on as before. timeout_ms is for the
 * whole call; -1: none, but a process that has come gets at most 10 s. doc/restart.md.
 * Both modes, any thread. ETIMEDOUT. EACCES: the other process is of another user, and not
 * root's. EPROTO: it speaks something else. ECONNRESET: it has ended. ECANCELED: it cannot use the
 * listeners. EINVAL: there are none; wrong arguments. EMSGSIZE: more than 253. EFSM: the socket
 * drains. EMFILE, ENOTSOCK, ETERM; EADDRINUSE and others for the path. */
ZLINK_EXPORT int
zlink_stream_handover (void *socket, const char *path, int fd, int timeout_ms);

/* Binds the endpoints of the process that hands over at the path, or at the other end of fd
 * (above), with this socket's options and that process's listening descriptors. After 0
 * both accept connections; after -1 nothing is bound. One thread at a time, as zlink_bind.
 * ENOENT, ECONNREFUSED: no process hands over at the path. ETIMEDOUT. EACCES, EPROTO: as above.
 * ECONNRESET: the other process has ended, or refuses. Others: those of zlink_bind. */
ZLINK_EXPORT int
zlink_stream_takeover (void *socket, const char *path, int fd, int timeout_ms);

/* What a socket has done. Bytes include the 4 bytes of each length. */
typedef struct zlink_stream_stats_t
{
    size_t size;          /* of this struct; set by the caller */
    uint64_t connections; /* peers now, also while they end; handshakes are none */
    uint64_t accepted;    /* ever */
    uint64_t dialled;     /* ever */
    uint64_t closed;      /* ever */
    uint64_t msgs_in;     /* arrived whole, received by the caller or not */
    uint64_t msgs_out;    /* taken from the caller */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t msgs_queued; /* taken and not yet given to the kernel */
    uint64_t bytes_queued;
    uint64_t refused;  /* sends that ended with EAGAIN */
    uint64_t oversize; /* connections cut for a message above MAXMSGSIZE */
    uint64_t memory;   /* bytes of the socket's queues, buffers and tables */
    uint64_t abandoned; /* messages taken, and not acknowledged by the peer's
                         * system when the connection ended */
    uint64_t ended_by[32]; /* connections by ZLINK_STREAM_REASON_*: those that
                            * closed counts, and turned_away */
    uint64_t turned_away;  /* connections that ended before they were peers: in a
                            * handshake, or by a limit */
    uint64_t msgs_dropped;  /* of msgs_out, because a queue was full */
    uint64_t bytes_dropped; /* of bytes_out */
    uint64_t publishes;     /* multicasts and publishes that were carried out */
    uint64_t deliveries;    /* of msgs_out, those that came with them */
    uint64_t undelivered;   /* peers that did not take one: full, gone or unknown */
    uint64_t replaced; /* of msgs_out, unsent ones whose place a newer one with the
                        * same key took */
} zlink_stream_stats_t;

/* Stores the statistics of a socket in either mode; looks at every connection.
 * A larger struct than this library's is filled up with zeros. EFAULT: out is
 * NULL. EINVAL: its size is not set. ENOTSOCK, ETERM. */
ZLINK_EXPORT int zlink_stream_stats (void *socket, zlink_stream_stats_t *out);

/* --------------------------------------------------- monitoring and peers */

#define ZLINK_EVENT_CONNECTED 0x0001
#define ZLINK_EVENT_CONNECT_DELAYED 0x0002
#define ZLINK_EVENT_CONNECT_RETRIED 0x0004
#define ZLINK_EVENT_LISTENING 0x0008
#define ZLINK_EVENT_BIND_FAILED 0x0010
#define ZLINK_EVENT_ACCEPTED 0x0020
#define ZLINK_EVENT_ACCEPT_FAILED 0x0040
#define ZLINK_EVENT_CLOSED 0x0080
#define ZLINK_EVENT_CLOSE_FAILED 0x0100
#define ZLINK_EVENT_DISCONNECTED 0x0200
#define ZLINK_EVENT_MONITOR_STOPPED 0x0400
#define ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL 0x0800
#define ZLINK_EVENT_CONNECTION_READY 0x1000
#define ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL 0x2000
#define ZLINK_EVENT_HANDSHAKE_FAILED_AUTH 0x4000
#define ZLINK_EVENT_ALL 0xFFFF
/* Not in ZLINK_EVENT_ALL, which programs may compare with: ask for it by name. */
#define ZLINK_EVENT_STREAM_WRITABLE 0x10000 /* a send got EAGAIN, and now has room */
#define ZLINK_EVENT_STREAM_DRAINED 0x20000 /* zlink_stream_drain is done */

#define ZLINK_DISCONNECT_UNKNOWN 0
#define ZLINK_DISCONNECT_LOCAL 1
#define ZLINK_DISCONNECT_REMOTE 2
#define ZLINK_DISCONNECT_HANDSHAKE_FAILED 3
#define ZLINK_DISCONNECT_TRANSPORT_ERROR 4
#define ZLINK_DISCONNECT_CTX_TERM 5

#define ZLINK_PROTOCOL_ERROR_ZMP_UNSPECIFIED 0x10000000
#define ZLINK_PROTOCOL_ERROR_ZMP_UNEXPECTED_COMMAND 0x10000001
#define ZLINK_PROTOCOL_ERROR_ZMP_INVALID_SEQUENCE 0x10000002
#define ZLINK_PROTOCOL_ERROR_ZMP_KEY_EXCHANGE 0x10000003
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_UNSPECIFIED 0x10000011
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_MESSAGE 0x10000012
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_HELLO 0x10000013
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_INITIATE 0x10000014
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_ERROR 0x10000015
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_READY 0x10000016
#define ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_WELCOME 0x10000017
#define ZLINK_PROTOCOL_ERROR_ZMP_INVALID_METADATA 0x10000018
#define ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC 0x11000001
#define ZLINK_PROTOCOL_ERROR_ZMP_MECHANISM_MISMATCH 0x11000002
#define ZLINK_PROTOCOL_ERROR_WS_UNSPECIFIED 0x30000000

/* A routing id as bytes; a STREAM peer's is 4 bytes, big endian, or the name
 * given with ZLINK_CONNECT_ROUTING_ID. */
typedef struct zlink_routing_id_t
{
    uint8_t size;
    uint8_t data[255];
} zlink_routing_id_t;

/* An event. value is a descriptor, an errno, a pause in ms or a reason, as fits
 * the event; addresses are endpoints ("tcp://…") or "". Event 0 says that value
 * events before it were lost because the reader was slow. */
typedef struct zlink_monitor_event_t
{
    uint64_t event;
    uint64_t value;
    zlink_routing_id_t routing_id;
    char local_addr[256];
    char remote_addr[256];
} zlink_monitor_event_t;

/* A connected peer; connected_time is ms since 1970, msgs_sent counts what was
 * accepted for sending, msgs_received what came, read or not. */
typedef struct zlink_peer_info_t
{
    zlink_routing_id_t routing_id;
    char remote_addr[256];
    uint64_t connected_time;
    uint64_t msgs_sent;
    uint64_t msgs_received;
} zlink_peer_info_t;

/* A monitor of the socket's events, an or of ZLINK_EVENT_ bits, for
 * zlink_monitor_recv, zlink_poll and zlink_close. It may be read on another
 * thread than the socket's. MONITOR_STOPPED comes last, whatever events says.
 * Any number of monitors may watch a socket; doc/api/monitoring.md lists the
 * events. Monitors do not count towards MAX_SOCKETS, and outlive their socket and
 * context. NULL: ENOTSOCK, ETERM, EINVAL (no known event), EMFILE. */
ZLINK_EXPORT void *zlink_socket_monitor_open (void *socket, int events);

/* Waits for the next event, unless flags has ZLINK_DONTWAIT (EAGAIN). No event
 * follows MONITOR_STOPPED. zlink_error_detail then says why a handshake failed,
 * or, with CONNECTION_READY, the subject of the peer's verified certificate.
 * EFAULT: event is NULL. ENOTSOCK: not a monitor.
 * EINTR. ETERM: the context was shut down and no event is left. */
ZLINK_EXPORT int
zlink_monitor_recv (void *monitor, zlink_monitor_event_t *event, int flags);

/* Why the connection of the last event that zlink_monitor_recv returned ended, or was
 * refused, a ZLINK_STREAM_REASON_*; 0: it did not, and was not. zlink_error_detail stays valid. ENOTSOCK: not a
 * monitor. */
ZLINK_EXPORT int zlink_monitor_reason (void *monitor);

/* With an addr it needs a PAIR socket, which this library does not have: ENOTSUP.
 * With NULL it ends the socket's monitors with MONITOR_STOPPED; close them as
 * before. */
ZLINK_EXPORT int
zlink_socket_monitor (void *socket, const char *addr, int events);

/* What is known of a peer. EHOSTUNREACH: no such peer. EINVAL: an empty id. */
ZLINK_EXPORT int zlink_socket_peer_info (void *socket,
                                         const zlink_routing_id_t *routing_id,
                                         zlink_peer_info_t *info);

/* The id of the peer with an index from 0 to zlink_socket_peer_count - 1; the
 * order is stable while no peer comes or goes. EINVAL: no such index. */
ZLINK_EXPORT int zlink_socket_peer_routing_id (void *socket,
                                               int index,
                                               zlink_routing_id_t *routing_id);

/* The number of connected peers. */
ZLINK_EXPORT int zlink_socket_peer_count (void *socket);

/* Stores up to *count peers, and in *count how many were stored; with peers
 * NULL, how many there are. Returns 0. */
ZLINK_EXPORT int zlink_socket_peers (void *socket,
                                     zlink_peer_info_t *peers,
                                     size_t *count);

/* ---------------------------------------------------------------- polling */

#define ZLINK_POLLIN 1
#define ZLINK_POLLOUT 2
#define ZLINK_POLLERR 4
#define ZLINK_POLLPRI 8

#define ZLINK_POLLITEMS_DFLT 16

typedef int zlink_fd_t;

/* A zlink socket or monitor, or, when socket is NULL, a file descriptor. */
typedef struct zlink_pollitem_t
{
    void *socket;
    zlink_fd_t fd;
    short events;
    short revents;
} zlink_pollitem_t;

/* Waits until an item is ready or timeout_ms has passed (-1: no limit, 0: do
 * not wait). Stores revents and returns the number of ready items. A STREAM
 * socket is always writable. EFAULT: items is NULL. EINVAL: nitems is
 * negative. ENOTSOCK, EINTR, ETERM. */
ZLINK_EXPORT int
zlink_poll (zlink_pollitem_t *items, int nitems, long timeout_ms);

/* ------------------------------------------------------------------ proxy */

/* Passes every message of frontend to backend and the other way round, frames
 * as they are, and copies it to capture unless that is NULL, until an error
 * (-1; ETERM, EINTR …). doc/api/proxy.md says what that means for STREAM
 * sockets. */
ZLINK_EXPORT int zlink_proxy (void *frontend, void *backend, void *capture);

/* The same, and obeys the bodies PAUSE, RESUME, TERMINATE (returns 0) and
 * STATISTICS that come on control, a STREAM socket or NULL. STATISTICS is
 * answered with eight uint64_t in this machine's byte order: messages in, bytes
 * in, messages out, bytes out, of frontend and then of backend. */
ZLINK_EXPORT int zlink_proxy_steerable (void *frontend,
                                        void *backend,
                                        void *capture,
                                        void *control);

/* -------------------------------------------------------------- utilities */

/* A counter that any thread may change; inc returns the old value, dec returns
 * 1 while the counter is not zero afterwards, else 0. EFAULT: NULL. */
ZLINK_EXPORT void *zlink_atomic_counter_new (void);
ZLINK_EXPORT void zlink_atomic_counter_set (void *counter, int value);
ZLINK_EXPORT int zlink_atomic_counter_inc (void *counter);
ZLINK_EXPORT int zlink_atomic_counter_dec (void *counter);
ZLINK_EXPORT int zlink_atomic_counter_value (void *counter);
ZLINK_EXPORT void zlink_atomic_counter_destroy (void **counter_p);

/* A set of timers that belongs to one thread. Ids are positive; intervals are
 * milliseconds. EFAULT: not a timer set, or handler is NULL. EINVAL: unknown
 * id. A handler may call any of these. */
typedef void (zlink_timer_fn) (int timer_id, void *arg);
ZLINK_EXPORT void *zlink_timers_new (void);
ZLINK_EXPORT int zlink_timers_destroy (void **timers_p);
ZLINK_EXPORT int zlink_timers_add (void *timers,
                                   size_t interval_ms,
                                   zlink_timer_fn handler,
                                   void *arg);
ZLINK_EXPORT int zlink_timers_cancel (void *timers, int timer_id);
ZLINK_EXPORT int
zlink_timers_set_interval (void *timers, int timer_id, size_t interval_ms);
ZLINK_EXPORT int zlink_timers_reset (void *timers, int timer_id);
/* Milliseconds until the next timer is due; -1: there is none, or an error. */
ZLINK_EXPORT long zlink_timers_timeout (void *timers);
/* Runs the handlers that are due. */
ZLINK_EXPORT int zlink_timers_execute (void *timers);

/* Microseconds since start; zlink_stopwatch_stop also frees the watch. */
ZLINK_EXPORT void *zlink_stopwatch_start (void);
ZLINK_EXPORT unsigned long zlink_stopwatch_intermediate (void *watch);
ZLINK_EXPORT unsigned long zlink_stopwatch_stop (void *watch);

ZLINK_EXPORT void zlink_sleep (int seconds);

/* Runs func (arg) on a new thread, with signals blocked; zlink_threadclose waits
 * for its end and frees the handle. NULL: EINVAL (no func), EAGAIN, ENOMEM. */
typedef void (zlink_thread_fn) (void *arg);
ZLINK_EXPORT void *zlink_threadstart (zlink_thread_fn *func, void *arg);
ZLINK_EXPORT void zlink_threadclose (void *thread);

#ifdef __cplusplus
}
#endif

#endif

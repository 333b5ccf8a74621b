/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What callers are compiled against, checked by the compiler in every language
 * standard: constants, layouts and signatures. EXPECT is a static assertion.
 */
#include <zlink.h>

#ifdef ZLINK_SERVICES_H_INCLUDED
#error zlink.h includes zlink_services.h
#endif

#include <zlink_services.h>
#include <zlink_utils.h>

#if defined(__cplusplus) && __cplusplus >= 201103L
#define EXPECT(cond) static_assert ((cond), #cond)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define EXPECT(cond) _Static_assert ((cond), #cond)
#else
#define EXPECT_NAMED(cond, line) typedef char expect_##line[(cond) ? 1 : -1]
#define EXPECT_AT(cond, line) EXPECT_NAMED (cond, line)
#define EXPECT(cond) EXPECT_AT (cond, __LINE__)
#endif

/* The header brings these of the standard library along. */
EXPECT (EINVAL > 0);
EXPECT (sizeof (uint8_t) == 1);
EXPECT (sizeof (size_t) == sizeof (void *));
EXPECT (BUFSIZ > 0);
EXPECT (SIGINT > 0);
EXPECT (sizeof (sig_atomic_t) > 0);

/* Version. */
EXPECT (ZLINK_MAKE_VERSION (2, 34, 5) == 23405);
EXPECT (ZLINK_VERSION
        == ZLINK_MAKE_VERSION (ZLINK_VERSION_MAJOR, ZLINK_VERSION_MINOR,
                               ZLINK_VERSION_PATCH));

/* POSIX errors are all there. */
EXPECT (ENOTSUP != 0 && EPROTONOSUPPORT != 0 && ENOBUFS != 0 && ENETDOWN != 0);
EXPECT (EADDRINUSE != 0 && EADDRNOTAVAIL != 0 && ECONNREFUSED != 0);
EXPECT (EINPROGRESS != 0 && ENOTSOCK != 0 && EMSGSIZE != 0);
EXPECT (EAFNOSUPPORT != 0 && ENETUNREACH != 0 && ECONNABORTED != 0);
EXPECT (ECONNRESET != 0 && ENOTCONN != 0 && ETIMEDOUT != 0);
EXPECT (EHOSTUNREACH != 0 && ENETRESET != 0);

/* Errors. */
EXPECT (ZLINK_HAUSNUMERO == 156384712);
EXPECT (EFSM == ZLINK_HAUSNUMERO + 51);
EXPECT (ENOCOMPATPROTO == ZLINK_HAUSNUMERO + 52);
EXPECT (ETERM == ZLINK_HAUSNUMERO + 53);
EXPECT (EMTHREAD == ZLINK_HAUSNUMERO + 54);

/* Log. */
EXPECT (ZLINK_LOG_NONE == 0);
EXPECT (ZLINK_LOG_ERROR == 1);
EXPECT (ZLINK_LOG_WARNING == 2);
EXPECT (ZLINK_LOG_INFO == 3);
EXPECT (ZLINK_LOG_DEBUG == 4);

/* Context options. */
EXPECT (ZLINK_IO_THREADS == 1);
EXPECT (ZLINK_MAX_SOCKETS == 2);
EXPECT (ZLINK_SOCKET_LIMIT == 3);
EXPECT (ZLINK_THREAD_PRIORITY == 3);
EXPECT (ZLINK_THREAD_SCHED_POLICY == 4);
EXPECT (ZLINK_MAX_MSGSZ == 5);
EXPECT (ZLINK_MSG_T_SIZE == 6);
EXPECT (ZLINK_THREAD_AFFINITY_CPU_ADD == 7);
EXPECT (ZLINK_THREAD_AFFINITY_CPU_REMOVE == 8);
EXPECT (ZLINK_THREAD_NAME_PREFIX == 9);
EXPECT (ZLINK_IO_THREADS_DFLT == 2);
EXPECT (ZLINK_MAX_SOCKETS_DFLT == 1023);
EXPECT (ZLINK_THREAD_PRIORITY_DFLT == -1);
EXPECT (ZLINK_THREAD_SCHED_POLICY_DFLT == -1);

/* Socket types. */
EXPECT (ZLINK_PAIR == 0);
EXPECT (ZLINK_PUB == 1);
EXPECT (ZLINK_SUB == 2);
EXPECT (ZLINK_DEALER == 5);
EXPECT (ZLINK_ROUTER == 6);
EXPECT (ZLINK_XPUB == 9);
EXPECT (ZLINK_XSUB == 10);
EXPECT (ZLINK_STREAM == 11);

/* Socket options. */
EXPECT (ZLINK_AFFINITY == 4);
EXPECT (ZLINK_ROUTING_ID == 5);
EXPECT (ZLINK_SUBSCRIBE == 6);
EXPECT (ZLINK_UNSUBSCRIBE == 7);
EXPECT (ZLINK_RATE == 8);
EXPECT (ZLINK_RECOVERY_IVL == 9);
EXPECT (ZLINK_SNDBUF == 11);
EXPECT (ZLINK_RCVBUF == 12);
EXPECT (ZLINK_RCVMORE == 13);
EXPECT (ZLINK_FD == 14);
EXPECT (ZLINK_EVENTS == 15);
EXPECT (ZLINK_TYPE == 16);
EXPECT (ZLINK_LINGER == 17);
EXPECT (ZLINK_STREAM_CLOSE_TIMEOUT == 301);
EXPECT (ZLINK_STREAM_HEADER_MAX == 302);
EXPECT (ZLINK_TLS_CIPHERS == 303);
EXPECT (ZLINK_STREAM_RECV_BYTES == 307);
EXPECT (ZLINK_STREAM_RECV_BYTES_TOTAL == 308);
EXPECT (ZLINK_STREAM_RATE_MESSAGES == 309);
EXPECT (ZLINK_STREAM_RATE_BYTES == 310);
EXPECT (ZLINK_STREAM_RATE_POLICY == 311);
EXPECT (ZLINK_STREAM_PROFILE == 324);
EXPECT (ZLINK_STREAM_PROFILE_PRIVATE == 0);
EXPECT (ZLINK_STREAM_PROFILE_PUBLIC == 1);
EXPECT (ZLINK_STREAM_RATE_WAIT == 0);
EXPECT (ZLINK_STREAM_RATE_CUT == 1);
EXPECT (ZLINK_STREAM_SEND_BYTES == 304);
EXPECT (ZLINK_STREAM_SEND_BYTES_TOTAL == 305);
EXPECT (ZLINK_STREAM_FULL_POLICY == 306);
EXPECT (ZLINK_STREAM_FULL_AGAIN == 0);
EXPECT (ZLINK_STREAM_FULL_DROP_NEWEST == 1);
EXPECT (ZLINK_STREAM_FULL_DROP_OLDEST == 2);
EXPECT (ZLINK_STREAM_FULL_CUT == 3);
EXPECT (ZLINK_STREAM_WRITABLE == 3);
EXPECT (ZLINK_EVENT_STREAM_WRITABLE == 0x10000);
EXPECT (ZLINK_STREAM_IDLE_TIMEOUT == 312);
EXPECT (ZLINK_STREAM_FIRST_MESSAGE_TIMEOUT == 313);
EXPECT (ZLINK_STREAM_MAX_AGE == 314);
EXPECT (ZLINK_STREAM_MAX_CONNECTIONS == 315);
EXPECT (ZLINK_STREAM_ADDRESS_CONNECTIONS == 316);
EXPECT (ZLINK_STREAM_ADDRESS_PREFIX4 == 317);
EXPECT (ZLINK_STREAM_ADDRESS_PREFIX6 == 318);
EXPECT (ZLINK_STREAM_ACCEPT_RATE == 319);
EXPECT (ZLINK_STREAM_ADDRESS_ACCEPT_RATE == 320);
EXPECT (ZLINK_STREAM_ALLOW == 321);
EXPECT (ZLINK_STREAM_DENY == 322);
EXPECT (ZLINK_STREAM_PROPERTIES == 325);
EXPECT (ZLINK_STREAM_PROPERTY_BYTES == 326);
EXPECT (ZLINK_STREAM_PROXY_FROM == 327);
EXPECT (ZLINK_STREAM_WS_PROTOCOLS == 328);
EXPECT (ZLINK_STREAM_WS_ORIGINS == 329);
EXPECT (ZLINK_STREAM_WS_HEALTH_PATH == 330);
EXPECT (ZLINK_STREAM_ACCEPT_TIMEOUT == 333);
EXPECT (ZLINK_STREAM_ASKING == 5);
EXPECT (ZLINK_STREAM_REASON_REFUSED == 19);
EXPECT (ZLINK_STREAM_REASON_UNDECIDED == 20);
EXPECT (ZLINK_STREAM_WS_PATHS == 334);
EXPECT (ZLINK_STREAM_PEER_DATA == 335);
EXPECT (ZLINK_STREAM_TLS_ALPN == 336);
EXPECT (ZLINK_STREAM_TLS_TICKET_KEYS == 337);
EXPECT (ZLINK_STREAM_TLS_OCSP == 338);
EXPECT (ZLINK_STREAM_TLS_MIN_VERSION == 339);
EXPECT (ZLINK_STREAM_TLS_CERTS == 340);
EXPECT (ZLINK_STREAM_REUSEPORT == 345);
EXPECT (ZLINK_STREAM_LISTEN_NAME == 346);
EXPECT (ZLINK_STREAM_TLS_1_2 == 12);
EXPECT (ZLINK_STREAM_TLS_1_3 == 13);
EXPECT (ZLINK_STREAM_FRAMING == 331);
EXPECT (ZLINK_STREAM_WS_DEFLATE == 332);
EXPECT (ZLINK_STREAM_FRAMING_LENGTH == 0 && ZLINK_STREAM_FRAMING_MESSAGES == 1);
EXPECT (ZLINK_STREAM_FRAMING_RAW == 2);
EXPECT (ZLINK_STREAM_FRAMING_HEADERS == 3);
EXPECT (ZLINK_STREAM_TEXT == 303);
EXPECT (ZLINK_STREAM_HANDSHAKES == 323);
EXPECT (ZLINK_STREAM_CLOSE_CODE == 301);
EXPECT (ZLINK_STREAM_REASON == 302);
EXPECT (ZLINK_STREAM_REASON_UNKNOWN == 0);
EXPECT (ZLINK_STREAM_REASON_PEER_CLOSED == 1);
EXPECT (ZLINK_STREAM_REASON_RESET == 2);
EXPECT (ZLINK_STREAM_REASON_IDLE == 3);
EXPECT (ZLINK_STREAM_REASON_NO_PONG == 4);
EXPECT (ZLINK_STREAM_REASON_HANDSHAKE == 5);
EXPECT (ZLINK_STREAM_REASON_PROTOCOL == 6);
EXPECT (ZLINK_STREAM_REASON_TOO_LONG == 7);
EXPECT (ZLINK_STREAM_REASON_QUEUE_BOUND == 8);
EXPECT (ZLINK_STREAM_REASON_RATE == 9);
EXPECT (ZLINK_STREAM_REASON_LIMIT == 10);
EXPECT (ZLINK_STREAM_REASON_CLOSED_HERE == 11);
EXPECT (ZLINK_STREAM_REASON_ABORTED_HERE == 12);
EXPECT (ZLINK_STREAM_REASON_DRAINED == 13);
EXPECT (ZLINK_STREAM_REASON_FIRST_MESSAGE == 14);
EXPECT (ZLINK_STREAM_REASON_AGE == 15);
EXPECT (ZLINK_STREAM_REASON_STALLED == 16);
EXPECT (ZLINK_STREAM_REASON_CONTEXT == 17);
EXPECT (ZLINK_STREAM_REASON_NO_MEMORY == 18);
EXPECT (ZLINK_STREAM_DRAINED == 4);
EXPECT (ZLINK_EVENT_STREAM_DRAINED == 0x20000);
EXPECT (ZLINK_RECONNECT_IVL == 18);
EXPECT (ZLINK_BACKLOG == 19);
EXPECT (ZLINK_RECONNECT_IVL_MAX == 21);
EXPECT (ZLINK_MAXMSGSIZE == 22);
EXPECT (ZLINK_SNDHWM == 23);
EXPECT (ZLINK_RCVHWM == 24);
EXPECT (ZLINK_MULTICAST_HOPS == 25);
EXPECT (ZLINK_RCVTIMEO == 27);
EXPECT (ZLINK_SNDTIMEO == 28);
EXPECT (ZLINK_LAST_ENDPOINT == 32);
EXPECT (ZLINK_ROUTER_MANDATORY == 33);
EXPECT (ZLINK_TCP_KEEPALIVE == 34);
EXPECT (ZLINK_TCP_KEEPALIVE_CNT == 35);
EXPECT (ZLINK_TCP_KEEPALIVE_IDLE == 36);
EXPECT (ZLINK_TCP_KEEPALIVE_INTVL == 37);
EXPECT (ZLINK_IMMEDIATE == 39);
EXPECT (ZLINK_XPUB_VERBOSE == 40);
EXPECT (ZLINK_IPV6 == 42);
EXPECT (ZLINK_PROBE_ROUTER == 51);
EXPECT (ZLINK_CONFLATE == 54);
EXPECT (ZLINK_ROUTER_HANDOVER == 56);
EXPECT (ZLINK_TOS == 57);
EXPECT (ZLINK_CONNECT_ROUTING_ID == 61);
EXPECT (ZLINK_HANDSHAKE_IVL == 66);
EXPECT (ZLINK_XPUB_NODROP == 69);
EXPECT (ZLINK_BLOCKY == 70);
EXPECT (ZLINK_XPUB_MANUAL == 71);
EXPECT (ZLINK_XPUB_WELCOME_MSG == 72);
EXPECT (ZLINK_INVERT_MATCHING == 74);
EXPECT (ZLINK_HEARTBEAT_IVL == 75);
EXPECT (ZLINK_HEARTBEAT_TTL == 76);
EXPECT (ZLINK_HEARTBEAT_TIMEOUT == 77);
EXPECT (ZLINK_XPUB_VERBOSER == 78);
EXPECT (ZLINK_CONNECT_TIMEOUT == 79);
EXPECT (ZLINK_TCP_MAXRT == 80);
EXPECT (ZLINK_MULTICAST_MAXTPDU == 84);
EXPECT (ZLINK_USE_FD == 89);
EXPECT (ZLINK_REQUEST_TIMEOUT == 90);
EXPECT (ZLINK_REQUEST_CORRELATE == 91);
EXPECT (ZLINK_BINDTODEVICE == 92);
EXPECT (ZLINK_XPUB_MANUAL_LAST_VALUE == 98);
EXPECT (ZLINK_ONLY_FIRST_SUBSCRIBE == 108);
EXPECT (ZLINK_TOPICS_COUNT == 116);
EXPECT (ZLINK_ZMP_METADATA == 117);
EXPECT (ZLINK_TLS_CERT == 95);
EXPECT (ZLINK_TLS_KEY == 96);
EXPECT (ZLINK_TLS_CA == 97);
EXPECT (ZLINK_TLS_VERIFY == 98);
EXPECT (ZLINK_TLS_REQUIRE_CLIENT_CERT == 99);
EXPECT (ZLINK_TLS_HOSTNAME == 100);
EXPECT (ZLINK_TLS_TRUST_SYSTEM == 101);
EXPECT (ZLINK_TLS_PASSWORD == 102);

/* Message properties and flags. */
EXPECT (ZLINK_MORE == 1);
EXPECT (ZLINK_SHARED == 3);
EXPECT (ZLINK_DONTWAIT == 1);
EXPECT (ZLINK_SNDMORE == 2);
EXPECT (ZLINK_STREAM_EXCEPT == 4);
EXPECT (ZLINK_NULL == 0);
EXPECT (ZLINK_PLAIN == 1);

/* Monitor events. */
EXPECT (ZLINK_EVENT_CONNECTED == 0x0001);
EXPECT (ZLINK_EVENT_CONNECT_DELAYED == 0x0002);
EXPECT (ZLINK_EVENT_CONNECT_RETRIED == 0x0004);
EXPECT (ZLINK_EVENT_LISTENING == 0x0008);
EXPECT (ZLINK_EVENT_BIND_FAILED == 0x0010);
EXPECT (ZLINK_EVENT_ACCEPTED == 0x0020);
EXPECT (ZLINK_EVENT_ACCEPT_FAILED == 0x0040);
EXPECT (ZLINK_EVENT_CLOSED == 0x0080);
EXPECT (ZLINK_EVENT_CLOSE_FAILED == 0x0100);
EXPECT (ZLINK_EVENT_DISCONNECTED == 0x0200);
EXPECT (ZLINK_EVENT_MONITOR_STOPPED == 0x0400);
EXPECT (ZLINK_EVENT_ALL == 0xFFFF);
EXPECT (ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL == 0x0800);
EXPECT (ZLINK_EVENT_CONNECTION_READY == 0x1000);
EXPECT (ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL == 0x2000);
EXPECT (ZLINK_EVENT_HANDSHAKE_FAILED_AUTH == 0x4000);

/* Disconnect reasons. */
EXPECT (ZLINK_DISCONNECT_UNKNOWN == 0);
EXPECT (ZLINK_DISCONNECT_LOCAL == 1);
EXPECT (ZLINK_DISCONNECT_REMOTE == 2);
EXPECT (ZLINK_DISCONNECT_HANDSHAKE_FAILED == 3);
EXPECT (ZLINK_DISCONNECT_TRANSPORT_ERROR == 4);
EXPECT (ZLINK_DISCONNECT_CTX_TERM == 5);

/* Protocol errors. */
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_UNSPECIFIED == 0x10000000);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_UNEXPECTED_COMMAND == 0x10000001);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_INVALID_SEQUENCE == 0x10000002);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_KEY_EXCHANGE == 0x10000003);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_UNSPECIFIED == 0x10000011);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_MESSAGE == 0x10000012);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_HELLO == 0x10000013);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_INITIATE == 0x10000014);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_ERROR == 0x10000015);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_READY == 0x10000016);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MALFORMED_COMMAND_WELCOME == 0x10000017);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_INVALID_METADATA == 0x10000018);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_CRYPTOGRAPHIC == 0x11000001);
EXPECT (ZLINK_PROTOCOL_ERROR_ZMP_MECHANISM_MISMATCH == 0x11000002);
EXPECT (ZLINK_PROTOCOL_ERROR_WS_UNSPECIFIED == 0x30000000);

/* Polling. */
EXPECT (ZLINK_POLLIN == 1);
EXPECT (ZLINK_POLLOUT == 2);
EXPECT (ZLINK_POLLERR == 4);
EXPECT (ZLINK_POLLPRI == 8);
EXPECT (ZLINK_POLLITEMS_DFLT == 16);

/* Layouts. */
EXPECT (sizeof (zlink_msg_t) == 64);
EXPECT (sizeof (zlink_routing_id_t) == 256);
EXPECT (offsetof (zlink_routing_id_t, size) == 0);
EXPECT (offsetof (zlink_routing_id_t, data) == 1);
EXPECT (sizeof (zlink_fd_t) == sizeof (int));
EXPECT (offsetof (zlink_pollitem_t, socket) == 0);
EXPECT (offsetof (zlink_pollitem_t, fd) == sizeof (void *));
EXPECT (offsetof (zlink_pollitem_t, events) == sizeof (void *) + 4);
EXPECT (offsetof (zlink_pollitem_t, revents) == sizeof (void *) + 6);
EXPECT (sizeof (zlink_pollitem_t) == sizeof (void *) + 8);

struct aligned_msg
{
    char before;
    zlink_msg_t msg;
};
EXPECT (offsetof (struct aligned_msg, msg) == sizeof (void *));

/* Signatures: a declaration that differs from the header's is an error. */
#ifdef __cplusplus
extern "C" {
#endif

int zlink_errno (void);
const char *zlink_strerror (int);
const char *zlink_error_detail (void);
void zlink_version (int *, int *, int *);
int zlink_has (const char *);

int zlink_set_log (void (*) (int, const char *, void *), int, void *);
void zlink_log_to_fd (int, const char *, void *);
void *zlink_ctx_new (void);
int zlink_ctx_term (void *);
int zlink_ctx_shutdown (void *);
int zlink_ctx_set (void *, int, int);
int zlink_ctx_get (void *, int);
int zlink_ctx_set_admin (void *, const char *);

int zlink_msg_init (zlink_msg_t *);
int zlink_msg_init_size (zlink_msg_t *, size_t);
int zlink_msg_init_data (zlink_msg_t *, void *, size_t,
                         void (*) (void *, void *), void *);
int zlink_msg_send (zlink_msg_t *, void *, int);
int zlink_msg_recv (zlink_msg_t *, void *, int);
int zlink_msg_close (zlink_msg_t *);
int zlink_msg_move (zlink_msg_t *, zlink_msg_t *);
int zlink_msg_copy (zlink_msg_t *, zlink_msg_t *);
void *zlink_msg_data (zlink_msg_t *);
size_t zlink_msg_size (const zlink_msg_t *);
int zlink_msg_more (const zlink_msg_t *);
int zlink_msg_get (const zlink_msg_t *, int);
int zlink_msg_set (zlink_msg_t *, int, int);
const void *zlink_msg_header (const zlink_msg_t *, size_t *);
int zlink_msg_set_header (zlink_msg_t *, const void *, size_t);
const char *zlink_msg_gets (const zlink_msg_t *, const char *);
void zlink_msgv_close (zlink_msg_t *, size_t);

void *zlink_socket (void *, int);
int zlink_close (void *);
int zlink_setsockopt (void *, int, const void *, size_t);
int zlink_getsockopt (void *, int, void *, size_t *);
int zlink_bind (void *, const char *);
int zlink_connect (void *, const char *);
int zlink_unbind (void *, const char *);
int zlink_disconnect (void *, const char *);
int zlink_send (void *, const void *, size_t, int);
int zlink_send_const (void *, const void *, size_t, int);
int zlink_recv (void *, void *, size_t, int);
int zlink_poll (zlink_pollitem_t *, int, long);

void *zlink_atomic_counter_new (void);
void zlink_atomic_counter_set (void *, int);
int zlink_atomic_counter_inc (void *);
int zlink_atomic_counter_dec (void *);
int zlink_atomic_counter_value (void *);
void zlink_atomic_counter_destroy (void **);
void *zlink_timers_new (void);
int zlink_timers_destroy (void **);
int zlink_timers_add (void *, size_t, void (*) (int, void *), void *);
int zlink_timers_cancel (void *, int);
int zlink_timers_set_interval (void *, int, size_t);
int zlink_timers_reset (void *, int);
long zlink_timers_timeout (void *);
int zlink_timers_execute (void *);
void *zlink_stopwatch_start (void);
unsigned long zlink_stopwatch_intermediate (void *);
unsigned long zlink_stopwatch_stop (void *);
void zlink_sleep (int);
void *zlink_threadstart (void (*) (void *), void *);
void zlink_threadclose (void *);

#ifdef __cplusplus
}
#endif

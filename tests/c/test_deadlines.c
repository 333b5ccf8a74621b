/* SPDX-License-Identifier: MPL-2.0 */
/* Connections that end because their time is over. */
#include "ztest.h"
#include "zfast.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define SOON_MS 50
#define USER_TIMEOUT_MS 400
#define BODY_BYTES 100000
#define MANY 200 /* messages: more than the kernel's buffers hold */

static int ended_by (void *s, uint32_t peer)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    do
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0);
    while (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA
           || zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_WRITABLE);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT),
              ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (zlink_msg_routing_id (&msg), peer);
    int reason = zlink_msg_get (&msg, ZLINK_STREAM_REASON);
    CHECK_OK (zlink_msg_close (&msg));
    return reason;
}

/* A plain client of a server with this option; it says nothing. */
static int reason_of_a_silent_client (int option)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    zlink_stream_stats_t stats = {.size = sizeof stats};
    zt_set_int (s, option, SOON_MS);
    int fd = zt_client (zt_bind (s));
    double start = zt_now_ms ();
    int reason = ended_by (s, zt_fast_event (s, ZLINK_STREAM_CONNECTED));
    CHECK (zt_now_ms () - start >= SOON_MS - 1);
    zt_expect_eof (fd);
    CHECK_OK (zlink_stream_stats (s, &stats));
    CHECK_EQ (stats.ended_by[reason], 1);
    close (fd);
    zt_close (s);
    zt_term (ctx);
    return reason;
}

static void silent_peers (void)
{
    CHECK_EQ (reason_of_a_silent_client (ZLINK_STREAM_IDLE_TIMEOUT),
              ZLINK_STREAM_REASON_IDLE);
    CHECK_EQ (reason_of_a_silent_client (ZLINK_STREAM_FIRST_MESSAGE_TIMEOUT),
              ZLINK_STREAM_REASON_FIRST_MESSAGE);
    CHECK_EQ (reason_of_a_silent_client (ZLINK_STREAM_MAX_AGE),
              ZLINK_STREAM_REASON_AGE);
}

/* In COMPAT the event is the one of every end. */
static void silent_peer_of_compat (void)
{
    zt_pair_t p = zt_pair_begin ();
    zt_set_int (p.server, ZLINK_STREAM_IDLE_TIMEOUT, SOON_MS);
    zt_pair_join (&p, zt_client);
    zt_expect_disconnect (p.server, &p.id);
    zt_expect_eof (p.fd);
    zt_pair_end (&p);
}

/* An idle peer that takes nothing either is reset after STREAM_CLOSE_TIMEOUT, and without
 * one after a time that is built in. */
static void silent_and_full (void)
{
    static const int close_timeouts_ms[] = {SOON_MS, -1};
    for (int i = 0; i < 2; i++) {
        void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
        zlink_stream_stats_t stats = {.size = sizeof stats};
        zt_set_int (s, ZLINK_STREAM_IDLE_TIMEOUT, 10 * SOON_MS);
        zt_set_int (s, ZLINK_STREAM_CLOSE_TIMEOUT, close_timeouts_ms[i]);
        int fd = zt_small_client (zt_bind (s));
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        static const uint8_t body[BODY_BYTES];
        for (int n = 0; n < MANY; n++)
            if (zt_fast_try (s, peer, body, sizeof body, ZLINK_DONTWAIT) < 0)
                break;
        CHECK_EQ (ended_by (s, peer), ZLINK_STREAM_REASON_IDLE);
        CHECK_EQ (zt_fast_try (s, peer, "x", 1, ZLINK_DONTWAIT), -1);
        CHECK_EQ (errno, EHOSTUNREACH);
        do
            CHECK_OK (zlink_stream_stats (s, &stats));
        while (stats.connections > 0 && (zt_pause_ms (1), true));
        CHECK (stats.abandoned > 0);
        close (fd);
        zt_close (s);
        zt_term (ctx);
    }
}

static int user_timeout (int fd)
{
    unsigned ms = 0;
    socklen_t size = sizeof ms;
    CHECK_OK (getsockopt (fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &size));
    return (int) ms;
}

/* This process's other end of the connection that fd is one end of. */
static int other_end (int fd)
{
    struct sockaddr_in mine, theirs;
    socklen_t size = sizeof mine;
    CHECK_OK (getsockname (fd, (struct sockaddr *) &mine, &size));
    for (int other = 3; other < 1024; other++) {
        size = sizeof theirs;
        if (getpeername (other, (struct sockaddr *) &theirs, &size) == 0
            && theirs.sin_family == AF_INET && theirs.sin_port == mine.sin_port)
            return other;
    }
    CHECK (false);
    return -1;
}

/* The kernel ends a connection whose peer keeps its window at 0, although its
 * system answers, once for TCP_MAXRT nothing was taken. */
static void never_reads (void *s, int fd)
{
    static const uint8_t body[BODY_BYTES];
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    CHECK_EQ (user_timeout (other_end (fd)), USER_TIMEOUT_MS);
    for (int n = 0; n < MANY; n++)
        if (zt_fast_try (s, peer, body, sizeof body, ZLINK_DONTWAIT) < 0)
            break;
    CHECK_EQ (ended_by (s, peer), ZLINK_STREAM_REASON_RESET);
    close (fd);
}

static void user_timeout_of_an_accepted_peer (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_TCP_MAXRT, USER_TIMEOUT_MS);
    never_reads (s, zt_small_client (zt_bind (s)));
    zt_close (s);
    zt_term (ctx);
}

static void user_timeout_of_a_dialled_peer (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port, listener = zt_listen (&port);
    zt_set_int (s, ZLINK_TCP_MAXRT, USER_TIMEOUT_MS);
    zt_set_int (s, ZLINK_RECONNECT_IVL, -1);
    zt_connect (s, port);
    never_reads (s, zt_accept (listener));
    close (listener);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (silent_peers),
  ZT_CASE (silent_peer_of_compat),
  ZT_CASE (silent_and_full),
  ZT_CASE (user_timeout_of_an_accepted_peer),
  ZT_CASE (user_timeout_of_a_dialled_peer),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* The application decides who becomes a peer. */
#include "ztest.h"
#include "zfast.h"
#include "zws.h"

#include <stdio.h>

#define CROWD (200 / ZT_SCALE)
#define DECIDERS 3

enum
{
    LONG_MS = 1000 * 1000
};

static void *asked_server (void *ctx, const char *endpoint, int *port)
{
    void *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_ACCEPT_TIMEOUT, LONG_MS);
    CHECK_OK (zlink_setsockopt (s, ZLINK_STREAM_PROPERTIES, "WS-Query", 8));
    *port = zt_bind_to (s, endpoint);
    return s;
}

static int request (int port)
{
    static const char text[] = "GET /chat?name=one HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: " ZWS_KEY "\r\n\r\n";
    int fd = zt_client (port);
    zt_write (fd, text, sizeof text - 1);
    return fd;
}

static void expect_status (int fd, const char *line)
{
    char header[ZWS_HEADER_CAP];
    zws_read_header (fd, header);
    CHECK_MEM (header, line, strlen (line));
}

/* The answer to the request waits for the application. */
static void accepted (void)
{
    zlink_msg_t msg;
    int port;
    void *ctx = zt_ctx (), *s = asked_server (ctx, "ws://127.0.0.1:*/chat", &port);
    int fd = request (port);

    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_ASKING);
    CHECK_STR (zlink_msg_gets (&msg, "WS-Query"), "name=one");
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), "127.0.0.1");
    uint32_t peer = zlink_msg_routing_id (&msg);
    CHECK (zt_fast_try (s, peer, "x", 1, 0) == -1 && errno == EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_close_peer (s, peer), EHOSTUNREACH);
    CHECK_OK (zlink_stream_accept_peer (s, peer));
    expect_status (fd, "HTTP/1.1 101 ");
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_CONNECTED), peer);
    CHECK_FAIL (zlink_stream_accept_peer (s, peer), EFSM);
    CHECK_FAIL (zlink_stream_refuse_peer (s, peer, 0, NULL), EFSM);
    zws_write_msg (fd, "hello", 5);
    zt_fast_expect (s, peer, "hello", 5);
    close (fd);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (s);
    zt_term (ctx);
}

static void refused (void)
{
    zlink_msg_t msg;
    zlink_stream_stats_t stats = {.size = sizeof stats};
    int port;
    void *ctx = zt_ctx (), *s = asked_server (ctx, "ws://127.0.0.1:*/chat", &port);
    int fd = request (port);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_ASKING);

    CHECK_FAIL (zlink_stream_refuse_peer (s, peer, 200, NULL), EINVAL);
    CHECK_FAIL (zlink_stream_refuse_peer (s, peer, 403, "a\nb"), EINVAL);
    CHECK_FAIL (zlink_stream_refuse_peer (s, 0, 403, NULL), EINVAL);
    CHECK_FAIL (zlink_stream_refuse_peer (s, peer + 1, 403, NULL), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_refuse_peer (NULL, peer, 403, NULL), ENOTSOCK);
    CHECK_FAIL (zlink_stream_accept_peer (s, 0), EINVAL);
    CHECK_FAIL (zlink_stream_accept_peer (s, peer + 1), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_accept_peer (NULL, peer), ENOTSOCK);
    CHECK_OK (zlink_stream_refuse_peer (s, peer, 401, "who are you?"));
    expect_status (fd, "HTTP/1.1 401 ");
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_REASON), ZLINK_STREAM_REASON_REFUSED);
    CHECK_EQ (zlink_msg_routing_id (&msg), peer);
    CHECK_OK (zlink_msg_close (&msg));
    close (fd);
    ZT_UNTIL (zlink_stream_stats (s, &stats) == 0 && stats.ended_by[ZLINK_STREAM_REASON_REFUSED] == 1);
    CHECK_EQ (stats.accepted, 0);
    zt_close (s);
    zt_term (ctx);
}

static void not_decided (void)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    int port;
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_ACCEPT_TIMEOUT, 10);
    port = zt_bind_to (s, "ws://127.0.0.1:*/chat");
    int fd = request (port);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_ASKING);

    expect_status (fd, "HTTP/1.1 503 ");
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    close (fd);
    ZT_UNTIL (zlink_stream_stats (s, &stats) == 0 && stats.ended_by[ZLINK_STREAM_REASON_UNDECIDED] == 1);
    zt_close (s);
    void *compat = zt_socket (ctx);
    zt_set_int (compat, ZLINK_STREAM_ACCEPT_TIMEOUT, 10);
    CHECK_FAIL (zlink_bind (compat, "tcp://127.0.0.1:*"), EINVAL);
    zt_close (compat);
    zt_term (ctx);
}

typedef struct decider_t
{
    void *s;
    _Atomic uint32_t last;
    atomic_bool over;
    atomic_int accepted, refused;
} decider_t;

static void *decide (void *arg)
{
    decider_t *d = arg;
    uint32_t done = 0;
    for (unsigned turn = 0; !atomic_load (&d->over); turn++) {
        uint32_t peer = atomic_load (&d->last);
        if (peer == done)
            continue;
        done = peer;
        bool accepts = turn % 2;
        if ((accepts ? zlink_stream_accept_peer (d->s, peer)
                     : zlink_stream_refuse_peer (d->s, peer, 0, NULL))
            == 0)
            atomic_fetch_add (accepts ? &d->accepted : &d->refused, 1);
        else
            CHECK (errno == EFSM || errno == EHOSTUNREACH);
    }
    return NULL;
}

/* Of threads that decide at once, one does. */
static void by_several_threads (void)
{
    int port, up = 0, down = 0;
    void *ctx = zt_ctx ();
    decider_t d = {.s = asked_server (ctx, "tcp://127.0.0.1:*", &port)};
    pthread_t threads[DECIDERS];
    zlink_msg_t msg;

    for (int i = 0; i < DECIDERS; i++)
        CHECK_EQ (pthread_create (&threads[i], NULL, decide, &d), 0);
    CHECK_OK (zlink_msg_init (&msg));
    for (int i = 0; i < CROWD; i++) {
        int fd = zt_client (port);
        uint32_t peer = zt_fast_event (d.s, ZLINK_STREAM_ASKING);
        atomic_store (&d.last, peer);
        CHECK_EQ (zlink_msg_recv (&msg, d.s, 0), 0);
        CHECK_EQ (zlink_msg_routing_id (&msg), peer);
        bool connected = zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_CONNECTED;
        close (fd);
        if (connected)
            CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), peer);
        up += connected;
        down += !connected;
    }
    atomic_store (&d.over, true);
    for (int i = 0; i < DECIDERS; i++)
        zt_join (threads[i]);
    CHECK_EQ (atomic_load (&d.accepted), up);
    CHECK_EQ (atomic_load (&d.refused), down);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (d.s);
    zt_term (ctx);
}

/* The socket ends while some ask, and while nobody receives that. */
static void closed_meanwhile (void)
{
    int port, fds[8];
    void *ctx = zt_ctx (), *s = asked_server (ctx, "ws://127.0.0.1:*/chat", &port);
    for (int i = 0; i < 8; i++)
        fds[i] = request (port);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_ASKING);
    zt_fast_event (s, ZLINK_STREAM_ASKING);
    CHECK_OK (zlink_stream_accept_peer (s, peer));
    zt_close (s);
    for (int i = 0; i < 8; i++)
        close (fds[i]);
    zt_term (ctx);
}

/* The application chooses a subprotocol of those that the request offers. */
static void subprotocol (void)
{
    static const char text[] = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n"
                               "Sec-WebSocket-Key: " ZWS_KEY "\r\n\r\n";
    static const char *const chosen[] = {"chat.v1", "", NULL};
    char header[ZWS_HEADER_CAP];
    for (int i = 0; i < 3; i++) {
        int port;
        void *ctx = zt_ctx (), *s = asked_server (ctx, "ws://127.0.0.1:*/chat", &port);
        int fd = zt_client (port);
        zt_write (fd, text, sizeof text - 1);
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_ASKING);
        CHECK_FAIL (zlink_stream_accept_peer_with (s, peer, "other"), EINVAL);
        CHECK (strstr (zlink_error_detail (), "does not offer") != NULL);
        CHECK_OK (zlink_stream_accept_peer_with (s, peer, chosen[i]));
        zws_read_header (fd, header);
        CHECK ((strstr (header, "\r\nSec-WebSocket-Protocol: chat.v1\r\n") != NULL) == (i == 0));
        CHECK ((strstr (header, "Sec-WebSocket-Protocol") != NULL) == (i == 0));
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_CONNECTED), peer);
        CHECK_FAIL (zlink_stream_accept_peer_with (s, peer, ""), EFSM);
        close (fd);
        zt_close (s);
        zt_term (ctx);
    }
}

static const zt_case_t cases[] = {
  ZT_CASE (subprotocol),
  ZT_CASE (accepted),
  ZT_CASE (refused),
  ZT_CASE (not_decided),
  ZT_CASE (by_several_threads),
  ZT_CASE (closed_meanwhile),
};

ZT_MAIN (cases)

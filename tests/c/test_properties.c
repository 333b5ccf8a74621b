/* SPDX-License-Identifier: MPL-2.0 */
/* Properties of peers: of messages and events, and by routing id. */
#include "ztest.h"
#include "zfast.h"
#include "zws.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#define LISTED "WS-Path WS-Query WS-Header:Cookie Transport"
#define BATCH 100
#define CROWD 200

static void set_text (void *s, int option, const char *text)
{
    CHECK_OK (zlink_setsockopt (s, option, text, strlen (text)));
}

/* A client of ws whose request has this cookie. */
static int client_with (int port, const char *cookie)
{
    char request[1024], header[ZWS_HEADER_CAP];
    int fd = zt_client (port);
    int size = snprintf (request, sizeof request,
                         "GET /chat?name=%s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                         "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: " ZWS_KEY "\r\nCookie: id=%s\r\n\r\n",
                         cookie, cookie);
    zt_write (fd, request, (size_t) size);
    zws_read_header (fd, header);
    CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
    return fd;
}

static void *listed_server (void *ctx, int *port)
{
    void *s = zt_fast_socket (ctx);
    set_text (s, ZLINK_STREAM_PROPERTIES, LISTED);
    *port = zt_bind_to (s, "ws://127.0.0.1:*/chat");
    return s;
}

/* The message has what is kept of the client with this cookie. */
static void expect_card (const zlink_msg_t *msg, const char *cookie)
{
    char text[64];
    CHECK_STR (zlink_msg_gets (msg, "WS-Path"), "/chat");
    snprintf (text, sizeof text, "name=%s", cookie);
    CHECK_STR (zlink_msg_gets (msg, "WS-Query"), text);
    snprintf (text, sizeof text, "id=%s", cookie);
    CHECK_STR (zlink_msg_gets (msg, "WS-Header:cookie"), text);
    CHECK_STR (zlink_msg_gets (msg, "Transport"), "ws");
    CHECK (zlink_msg_gets (msg, "WS-Header:Origin") == NULL && errno == EINVAL);
    CHECK (zlink_msg_gets (msg, "ws-path") == NULL && errno == EINVAL);
}

static uint64_t memory_of (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats.memory;
}

/* The property of the peer as a text of the thread. */
static const char *peer_gets (void *s, uint32_t peer, const char *property)
{
    static _Thread_local char text[256];
    int size = zlink_stream_peer_gets (s, peer, property, text, sizeof text);
    if (size < 0)
        return NULL;
    CHECK_EQ (size, strlen (text));
    return text;
}

static void of_every_peer (void)
{
    zt_fast_t f = zt_fast_open ();
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    char port[8], small[4] = "xxx";
    zlink_msg_t msg, copy;

    CHECK_OK (getsockname (f.fd, (struct sockaddr *) &own, &size));
    snprintf (port, sizeof port, "%d", ntohs (own.sin_port));
    CHECK_STR (peer_gets (f.s, f.peer, "Peer-Address"), "127.0.0.1");
    CHECK_STR (peer_gets (f.s, f.peer, "Peer-Port"), port);
    CHECK_STR (peer_gets (f.s, f.peer, "Local-Address"), "127.0.0.1");
    CHECK_STR (peer_gets (f.s, f.peer, "Transport"), "tcp");
    CHECK (atoi (peer_gets (f.s, f.peer, "Local-Port")) > 0);

    /* The address and the port belong to the message and to its copies. */
    zt_write_frame (f.fd, "hello", 5);
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 5);
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Port"), port);
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_STR (zlink_msg_gets (&copy, "Peer-Address"), "127.0.0.1");
    CHECK_STR (zlink_msg_gets (&copy, "Peer-Port"), port);
    CHECK (zlink_msg_gets (&copy, "Transport") == NULL && errno == EINVAL);
    CHECK_OK (zlink_msg_close (&copy));

    /* A text that does not fit is not stored in part. */
    CHECK_EQ (zlink_stream_peer_gets (f.s, f.peer, "Peer-Address", small, sizeof small), 9);
    CHECK_STR (small, "");
    CHECK_EQ (zlink_stream_peer_gets (f.s, f.peer, "Transport", small, sizeof small), 3);
    CHECK_STR (small, "tcp");
    CHECK_EQ (zlink_stream_peer_gets (f.s, f.peer, "Peer-Address", NULL, 0), 9);
    zt_fast_close (&f);
}

static void arguments (void)
{
    zt_fast_t f = zt_fast_open ();
    char text[64];
    CHECK_FAIL (zlink_stream_peer_gets (f.s, 0, "Transport", text, sizeof text), EINVAL);
    CHECK_FAIL (zlink_stream_peer_gets (f.s, f.peer, NULL, text, sizeof text), EINVAL);
    CHECK_FAIL (zlink_stream_peer_gets (f.s, f.peer, "WS-Path", text, sizeof text), EINVAL);
    CHECK_FAIL (zlink_stream_peer_gets (f.s, f.peer, "Transport", NULL, 1), EFAULT);
    CHECK_FAIL (zlink_stream_peer_gets (f.s, f.peer + 9, "Transport", text, sizeof text), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_peer_gets (NULL, f.peer, "Transport", text, sizeof text), ENOTSOCK);
    CHECK_FAIL (zlink_stream_peer_gets (f.ctx, f.peer, "Transport", text, sizeof text), ENOTSOCK);
    CHECK_FAIL (zlink_setsockopt (f.s, ZLINK_STREAM_PROPERTIES, "Cookie", 6), EINVAL);
    CHECK_STR (zlink_error_detail (), "socket option STREAM_PROPERTIES does not take the list: "
                                      "\"Cookie\" is not the name of a property");
    zt_fast_close (&f);
}

/* Messages of every size, copies of them, and events have it, also after the peer, the socket
 * and the context. */
static void of_a_request (void)
{
    static const size_t sizes[] = {1, 39, 40, 1000, 20000, 70000};
    enum
    {
        count = sizeof sizes / sizeof *sizes
    };
    static char body[70000];
    zlink_msg_t msgs[count], up, down, copy;
    int port;
    void *ctx = zt_ctx (), *s = listed_server (ctx, &port);
    uint64_t before = memory_of (s);
    int fd = client_with (port, "one");

    CHECK_OK (zlink_msg_init (&up));
    CHECK_EQ (zlink_msg_recv (&up, s, 0), 0);
    CHECK_EQ (zlink_msg_get (&up, ZLINK_STREAM_EVENT), ZLINK_STREAM_CONNECTED);
    expect_card (&up, "one");
    CHECK_STR (zlink_msg_gets (&up, "Peer-Address"), "127.0.0.1"); /* though it is not listed */
    uint32_t peer = zlink_msg_routing_id (&up);
    CHECK_STR (peer_gets (s, peer, "WS-Header:COOKIE"), "id=one");
    CHECK_STR (peer_gets (s, peer, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_close (&up));
    for (int i = 0; i < count; i++) {
        zws_write_msg (fd, body, sizes[i]);
        CHECK_OK (zlink_msg_init (&msgs[i]));
        CHECK_EQ (zlink_msg_recv (&msgs[i], s, 0), sizes[i]);
        expect_card (&msgs[i], "one");
    }
    close (fd);
    CHECK_OK (zlink_msg_init (&down));
    CHECK_EQ (zlink_msg_recv (&down, s, 0), 0);
    CHECK_EQ (zlink_msg_get (&down, ZLINK_STREAM_EVENT), ZLINK_STREAM_DISCONNECTED);
    expect_card (&down, "one");
    CHECK_OK (zlink_msg_init (&copy));
    for (int i = 0; i < count; i++) {
        CHECK_OK (zlink_msg_copy (&copy, &msgs[i]));
        CHECK_OK (zlink_msg_close (&msgs[i]));
        expect_card (&copy, "one");
    }
    CHECK_OK (zlink_msg_close (&copy));
    CHECK (memory_of (s) > before); /* one message is left */
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_move (&copy, &down));
    zt_close (s);
    zt_term (ctx);
    expect_card (&copy, "one");
    CHECK_OK (zlink_msg_close (&copy));
}

/* A batch has it, and sending it back gives it up. */
static void of_a_batch (void)
{
    zlink_msg_t msgs[BATCH];
    int port;
    void *ctx = zt_ctx (), *s = listed_server (ctx, &port);
    uint64_t before = memory_of (s);
    int fds[2] = {client_with (port, "one"), client_with (port, "two")};
    uint32_t peers[2] = {zt_fast_event (s, ZLINK_STREAM_CONNECTED),
                         zt_fast_event (s, ZLINK_STREAM_CONNECTED)};
    int first = strcmp (peer_gets (s, peers[0], "WS-Query"), "name=one") == 0 ? 0 : 1;
    char body[100] = "";

    for (int i = 0; i < BATCH; i++)
        zws_write_msg (fds[i % 2], body, i < BATCH / 2 ? 5 : sizeof body);
    zt_fast_init_all (msgs, BATCH);
    for (int got = 0; got < BATCH;) {
        int more = zlink_stream_recv_batch (s, msgs + got, (size_t) (BATCH - got), 0);
        CHECK (more > 0);
        for (int i = got; i < got + more; i++) {
            bool one = zlink_msg_routing_id (&msgs[i]) == peers[first];
            expect_card (&msgs[i], one ? "one" : "two");
        }
        got += more;
    }
    CHECK_EQ (zlink_stream_send_batch (s, msgs, BATCH, 0), BATCH);
    zt_fast_close_all (msgs, BATCH);
    for (int i = 0; i < 2; i++) {
        close (fds[i]);
        zt_fast_event (s, ZLINK_STREAM_DISCONNECTED);
    }
    ZT_UNTIL (memory_of (s) <= before);
    zt_close (s);
    zt_term (ctx);
}

static void in_compat (void)
{
    static char body[20000];
    zlink_msg_t id, msg;
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    set_text (s, ZLINK_STREAM_PROPERTIES, LISTED);
    int port = zt_bind_to (s, "ws://127.0.0.1:*/chat"), fd = client_with (port, "one");
    zlink_routing_id_t peer;

    zt_expect_connect (s, &peer);
    CHECK_STR (peer_gets (s, zt_id_number (&peer), "WS-Query"), "name=one");
    for (size_t size = 1; size <= sizeof body; size += sizeof body - 1) {
        zws_write_msg (fd, body, size);
        CHECK_OK (zlink_msg_init (&id));
        CHECK_OK (zlink_msg_init (&msg));
        CHECK_EQ (zlink_msg_recv (&id, s, 0), 4);
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), size);
        expect_card (&id, "one");
        expect_card (&msg, "one");
        CHECK_OK (zlink_msg_close (&id));
        CHECK_OK (zlink_msg_close (&msg));
    }
    close (fd);
    zt_expect_disconnect (s, &peer);
    zt_close (s);
    zt_term (ctx);
}

/* A place that comes back has its own peer's, whoever still has a message of the last one. */
static void next_peer (void)
{
    zlink_msg_t before, msg;
    int port;
    void *ctx = zt_ctx (), *s = listed_server (ctx, &port);

    CHECK_OK (zlink_msg_init (&before));
    for (int i = 0; i < CROWD; i++) {
        char name[16], last[16];
        snprintf (name, sizeof name, "%d", i);
        int fd = client_with (port, name);
        CHECK_OK (zlink_msg_init (&msg));
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
        expect_card (&msg, name);
        snprintf (last, sizeof last, "%d", i - 1);
        if (i > 0)
            expect_card (&before, last);
        CHECK_OK (zlink_msg_move (&before, &msg));
        close (fd);
        zt_fast_event (s, ZLINK_STREAM_DISCONNECTED);
    }
    CHECK_OK (zlink_msg_close (&before));
    zt_close (s);
    zt_term (ctx);
}

typedef struct asked_t
{
    void *s;
    _Atomic uint32_t last;
    atomic_bool over;
    uint32_t found;
} asked_t;

/* Asks for the newest peers; what it gets is theirs: the query says which one. */
static void *ask (void *arg)
{
    asked_t *a = arg;
    char text[64], want[64];
    while (!atomic_load (&a->over)) {
        uint32_t peer = atomic_load (&a->last);
        if (peer == 0
            || zlink_stream_peer_gets (a->s, peer, "WS-Query", text, sizeof text) < 0)
            continue;
        CHECK (zlink_stream_peer_gets (a->s, peer, "Transport", want, sizeof want) < 0
               || strcmp (want, "ws") == 0);
        CHECK (strncmp (text, "name=", 5) == 0);
        a->found++;
    }
    return NULL;
}

static void from_other_threads (void)
{
    int port;
    void *ctx = zt_ctx ();
    asked_t a = {.s = listed_server (ctx, &port)};
    pthread_t thread;

    CHECK_EQ (pthread_create (&thread, NULL, ask, &a), 0);
    for (int i = 0; i < CROWD; i++) {
        int fd = client_with (port, "x");
        atomic_store (&a.last, zt_fast_event (a.s, ZLINK_STREAM_CONNECTED));
        close (fd);
        zt_fast_event (a.s, ZLINK_STREAM_DISCONNECTED);
    }
    atomic_store (&a.over, true);
    zt_join (thread);
    zt_close (a.s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (of_every_peer),
  ZT_CASE (arguments),
  ZT_CASE (of_a_request),
  ZT_CASE (of_a_batch),
  ZT_CASE (in_compat),
  ZT_CASE (next_peer),
  ZT_CASE (from_other_threads),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_stream_abort_peer, and the order to close at the mark. */
#include "ztest.h"
#include "zfast.h"

#include <sys/socket.h>

#define BODY_BYTES 60000
#define HWM_MESSAGES 5
#define SENDERS 4
#define NEVER -1

/* The client's next reads end with a reset, after what had arrived. */
static void expect_reset (int fd)
{
    static uint8_t buf[65536];
    ssize_t n;
    while ((n = recv (fd, buf, sizeof buf, 0)) > 0) {
    }
    CHECK_EQ (n, -1);
    CHECK_EQ (errno, ECONNRESET);
}

static uint64_t connections (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    CHECK_EQ (stats.closed, stats.accepted + stats.dialled - stats.connections);
    return stats.connections;
}

typedef struct sender_t
{
    const zt_fast_t *f;
    int error; /* of the send that failed */
} sender_t;

/* Sends without end, waiting for room, until that fails. */
static void *send_on (void *arg)
{
    static const uint8_t body[BODY_BYTES];
    sender_t *sender = arg;
    while (zt_fast_try (sender->f->s, sender->f->peer, body, sizeof body, 0)
           >= 0) {
    }
    sender->error = errno;
    return NULL;
}

static void *abort_it (void *arg)
{
    const zt_fast_t *f = arg;
    CHECK_OK (zlink_stream_abort_peer (f->s, f->peer));
    return NULL;
}

/* By one thread, while others wait for room in the queue. */
static void under_a_full_queue (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    sender_t senders[SENDERS];
    pthread_t threads[SENDERS];

    zt_set_int (f.s, ZLINK_STREAM_CLOSE_TIMEOUT, NEVER);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (sender_t) {&f, 0};
        threads[i] = zt_thread (send_on, &senders[i]);
    }
    zt_pause_ms (100);
    zt_join (zt_thread (abort_it, &f));
    for (int i = 0; i < SENDERS; i++) {
        zt_join (threads[i]);
        CHECK_EQ (senders[i].error, EHOSTUNREACH);
    }
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_EQ (connections (f.s), 0);
    expect_reset (f.fd);
    zt_fast_close (&f);
}

/* After zlink_stream_close_peer, which waits for the peer. */
static void while_it_closes (void)
{
    static const uint8_t body[BODY_BYTES];
    zt_fast_t f = zt_fast_open_small (0);

    zt_set_int (f.s, ZLINK_STREAM_CLOSE_TIMEOUT, NEVER);
    for (int i = 0; i < 100; i++)
        zt_fast_send (f.s, f.peer, body, sizeof body);
    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    zt_fast_silence (f.s, 50);
    CHECK_EQ (connections (f.s), 1);
    CHECK_FAIL (zlink_stream_close_peer (f.s, f.peer), EHOSTUNREACH);
    CHECK_OK (zlink_stream_abort_peer (f.s, f.peer));
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_EQ (connections (f.s), 0);
    CHECK_FAIL (zlink_stream_abort_peer (f.s, f.peer), EHOSTUNREACH);
    expect_reset (f.fd);
    zt_fast_close (&f);
}

/* What a peer sent before is received before the event. */
static void delivers_what_came (void)
{
    zt_fast_t f = zt_fast_open ();

    zt_write_frame (f.fd, "last", 4);
    ZT_UNTIL (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN);
    CHECK_OK (zlink_stream_abort_peer (f.s, f.peer));
    zt_fast_expect (f.s, f.peer, "last", 4);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    zt_fast_close (&f);
}

/* A connection that this side dialled is not dialled again. */
static void dialled (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port, listener = zt_listen (&port);

    zt_set_int (s, ZLINK_RECONNECT_IVL, 1);
    zt_connect (s, port);
    int fd = zt_accept (listener);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    CHECK_OK (zlink_stream_abort_peer (s, peer));
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    expect_reset (fd);
    zt_fast_silence (s, 100);
    close (fd);
    close (listener);
    zt_close (s);
    zt_term (ctx);
}

typedef struct compat_t
{
    void *ctx, *s;
    int fd;
    zlink_routing_id_t id;
} compat_t;

/* A COMPAT socket whose only peer's queue is at the mark. */
static compat_t open_at_the_mark (void)
{
    static const uint8_t body[BODY_BYTES];
    compat_t c = {.ctx = zt_ctx ()};
    c.s = zt_socket (c.ctx);
    zt_set_int (c.s, ZLINK_SNDHWM, HWM_MESSAGES);
    zt_set_int (c.s, ZLINK_SNDBUF, 65536);
    c.fd = zt_small_client (zt_bind (c.s));
    zt_expect_connect (c.s, &c.id);
    for (int refused = 0; refused < 3;) /* the kernel may take a little more */
        if (!zt_try_send (c.s, &c.id, body, sizeof body, ZLINK_DONTWAIT)) {
            CHECK_EQ (errno, EAGAIN);
            zt_pause_ms (50);
            refused++;
        }
    return c;
}

static void close_compat (compat_t *c)
{
    close (c->fd);
    zt_close (c->s);
    zt_term (c->ctx);
}

static void in_compat (void)
{
    compat_t c = open_at_the_mark ();

    zt_set_int (c.s, ZLINK_STREAM_CLOSE_TIMEOUT, NEVER);
    CHECK_OK (zlink_stream_abort_peer (c.s, zt_id_number (&c.id)));
    zt_expect_disconnect (c.s, &c.id);
    expect_reset (c.fd);
    close_compat (&c);
}

/* The id alone and the body 0x00 never wait, and need no room. */
static void order_at_the_mark (void)
{
    compat_t c = open_at_the_mark ();

    zt_set_int (c.s, ZLINK_STREAM_CLOSE_TIMEOUT, 100);
    CHECK_FAIL (zlink_send (c.s, c.id.data, c.id.size,
                            ZLINK_SNDMORE | ZLINK_DONTWAIT),
                EAGAIN);
    CHECK_EQ (zlink_send (c.s, c.id.data, c.id.size, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_send (c.s, "", 1, ZLINK_DONTWAIT), 1);
    zt_expect_disconnect (c.s, &c.id);
    close_compat (&c);
}

static void arguments (void)
{
    zt_fast_t f = zt_fast_open ();

    CHECK_FAIL (zlink_stream_abort_peer (f.s, 0), EINVAL);
    CHECK_FAIL (zlink_stream_abort_peer (f.s, f.peer + 1), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_abort_peer (NULL, f.peer), ENOTSOCK);
    CHECK_FAIL (zlink_stream_abort_peer (f.ctx, f.peer), ENOTSOCK);
    CHECK_OK (zlink_ctx_shutdown (f.ctx));
    CHECK_FAIL (zlink_stream_abort_peer (f.s, f.peer), ETERM);
    void *closed = f.s;
    zt_fast_close (&f);
    CHECK_FAIL (zlink_stream_abort_peer (closed, f.peer), ENOTSOCK);
}

static const zt_case_t cases[] = {
  ZT_CASE (under_a_full_queue),
  ZT_CASE (while_it_closes),
  ZT_CASE (delivers_what_came),
  ZT_CASE (dialled),
  ZT_CASE (in_compat),
  ZT_CASE (order_at_the_mark),
  ZT_CASE (arguments),
};

ZT_MAIN (cases)

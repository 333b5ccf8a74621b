/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_stream_stats, in both modes. */
#include "ztest.h"
#include "zfast.h"

#include <stddef.h>

#define HWM_MESSAGES 10
#define BODY_BYTES 10000

typedef zlink_stream_stats_t stats_t;

static stats_t stats_of (void *s)
{
    stats_t stats;
    memset (&stats, 0xAA, sizeof stats);
    stats.size = sizeof stats;
    CHECK_OK (zlink_stream_stats (s, &stats));
    CHECK_EQ (stats.size, sizeof stats);
    CHECK (stats.memory > 0);
    CHECK_EQ (stats.closed, stats.accepted + stats.dialled - stats.connections);
    return stats;
}

/* A connection counts until its descriptor is closed, which may be soon after the
 * event of its end. */
static void connections_are (void *s, uint64_t now, uint64_t accepted,
                             uint64_t dialled)
{
    ZT_UNTIL (stats_of (s).connections == now);
    stats_t stats = stats_of (s);
    CHECK_EQ (stats.connections, now);
    CHECK_EQ (stats.accepted, accepted);
    CHECK_EQ (stats.dialled, dialled);
    CHECK_EQ (stats.closed, accepted + dialled - now);
}

static void traffic_is (void *s, uint64_t msgs_in, uint64_t bytes_in,
                        uint64_t msgs_out, uint64_t bytes_out)
{
    stats_t stats = stats_of (s);
    CHECK_EQ (stats.msgs_in, msgs_in);
    CHECK_EQ (stats.bytes_in, bytes_in);
    CHECK_EQ (stats.msgs_out, msgs_out);
    CHECK_EQ (stats.bytes_out, bytes_out);
}

static void new_socket_is_zero (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    stats_t stats = stats_of (s);
    for (const uint64_t *counter = &stats.connections;
         counter < &stats.memory; counter++)
        CHECK_EQ (*counter, 0);
    zt_bind (s);
    connections_are (s, 0, 0, 0);
    zt_close (s);
    zt_term (ctx);
}

/* A FAST server and a COMPAT client: both count the same exchange. */
static void exchange (void)
{
    static const size_t sizes[] = {0, 1, 39, 100, 5000, 40000, 300000};
    enum
    {
        count = sizeof sizes / sizeof *sizes
    };
    void *ctx = zt_ctx ();
    void *server = zt_fast_socket (ctx), *client = zt_socket (ctx);
    uint8_t *body = malloc (300000);
    zlink_routing_id_t id;
    zlink_msg_t msg;
    uint64_t bytes = 0;

    CHECK (body != NULL);
    zt_fill (body, 300000, 1);
    zt_connect (client, zt_bind (server));
    uint32_t peer = zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    zt_expect_connect (client, &id);
    connections_are (server, 1, 1, 0);
    connections_are (client, 1, 0, 1);
    traffic_is (server, 0, 0, 0, 0); /* an event is no message */
    for (uint32_t i = 0; i < count; i++) {
        zt_send (client, &id, body, sizes[i]);
        zt_fast_expect (server, peer, body, sizes[i]);
        bytes += 4 + sizes[i];
        traffic_is (server, i + 1, bytes, 0, 0);
        traffic_is (client, 0, 0, i + 1, bytes);
    }
    CHECK_OK (zlink_msg_init (&msg));
    for (uint32_t i = 0; i < 10; i++) {
        zt_fast_send (server, peer, body, 40000);
        zt_recv_msg (client, &id, &msg);
    }
    CHECK_OK (zlink_msg_close (&msg));
    traffic_is (server, count, bytes, 10, 10 * 40004);
    traffic_is (client, 10, 10 * 40004, count, bytes);
    ZT_UNTIL (stats_of (server).msgs_queued == 0);
    CHECK_EQ (stats_of (server).bytes_queued, 0);
    CHECK_EQ (stats_of (client).msgs_queued, 0);

    /* The counters of an ended connection stay. */
    zt_close (client);
    CHECK_EQ (zt_fast_event (server, ZLINK_STREAM_DISCONNECTED), peer);
    connections_are (server, 0, 1, 0);
    ZT_UNTIL (zlink_socket_peer_count (server) == 0);
    traffic_is (server, count, bytes, 10, 10 * 40004);
    free (body);
    zt_close (server);
    zt_term (ctx);
}

/* Messages count when they arrive, not when they are received. */
static void unread_messages_count (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[3];
    uint8_t frames[] = {0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 9, 'x'};

    zt_write (f.fd, frames, sizeof frames); /* the third is not whole */
    ZT_UNTIL (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN);
    traffic_is (f.s, 2, 9, 0, 0);
    zt_fast_init_all (msgs, 3);
    CHECK_EQ (zlink_stream_recv_batch (f.s, msgs, 3, 0), 2);
    traffic_is (f.s, 2, 9, 0, 0);
    zt_write (f.fd, "12345678", 8);
    CHECK_EQ (zlink_stream_recv_batch (f.s, msgs, 3, 0), 1);
    traffic_is (f.s, 3, 22, 0, 0);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_OK (zlink_msg_set_routing_id (&msgs[i], f.peer));
    CHECK_EQ (zlink_stream_send_batch (f.s, msgs, 3, 0), 3);
    traffic_is (f.s, 3, 22, 3, 4 + 4 + 9 + 4 + 0);
    zt_fast_close_all (msgs, 3);
    zt_fast_close (&f);
}

static void reconnects_and_closes (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_fast_socket (ctx);
    int port = zt_bind (s);

    for (uint32_t i = 0; i < 20; i++) {
        int fd = zt_client (port);
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        connections_are (s, 1, i + 1, 0);
        zt_write_frame (fd, "x", 1);
        zt_fast_expect (s, peer, "x", 1);
        if (i % 2)
            CHECK_OK (zlink_stream_close_peer (s, peer));
        else
            close (fd);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
        if (i % 2)
            close (fd);
        connections_are (s, 0, i + 1, 0);
        traffic_is (s, i + 1, 5 * (i + 1), 0, 0);
    }
    zt_close (s);
    zt_term (ctx);
}

/* A peer that does not read: what is queued, refused and held goes up, and,
 * all but what was refused, down again. */
static void full_queue (void)
{
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    uint32_t sent = 0, refused = 0;
    static uint8_t body[BODY_BYTES];
    uint64_t memory = stats_of (f.s).memory;

    while (refused < 20) {
        if (zt_fast_try (f.s, f.peer, body, BODY_BYTES, ZLINK_DONTWAIT) == -1) {
            CHECK_EQ (errno, EAGAIN);
            CHECK_EQ (stats_of (f.s).refused, ++refused);
            zt_pause_ms (5);
        } else
            sent++;
    }
    zt_set_int (f.s, ZLINK_SNDTIMEO, 1);
    if (zt_fast_try (f.s, f.peer, body, BODY_BYTES, 0) == -1)
        CHECK_EQ (stats_of (f.s).refused, refused + 1);
    else
        sent++;
    stats_t stats = stats_of (f.s);
    CHECK_EQ (stats.msgs_out, sent);
    CHECK_EQ (stats.bytes_out, sent * (4ull + BODY_BYTES));
    CHECK_RANGE (stats.msgs_queued, 1, HWM_MESSAGES);
    CHECK_RANGE (stats.bytes_queued, 1,
                 (double) stats.msgs_queued * (4 + BODY_BYTES));
    CHECK (stats.memory >= memory + stats.bytes_queued);

    for (uint32_t i = 0; i < sent; i++)
        CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), BODY_BYTES);
    ZT_UNTIL (stats_of (f.s).msgs_queued == 0);
    CHECK_EQ (stats_of (f.s).bytes_queued, 0);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_WRITABLE), f.peer);
    ZT_UNTIL (stats_of (f.s).memory == memory);

    /* What is queued for a lost peer is not queued any more. */
    for (int i = 0; i < 200; i++)
        zt_fast_try (f.s, f.peer, body, BODY_BYTES, ZLINK_DONTWAIT);
    CHECK (stats_of (f.s).msgs_queued > 0);
    uint64_t out = stats_of (f.s).msgs_out;
    zt_reset (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_EQ (stats_of (f.s).msgs_queued, 0);
    CHECK_EQ (stats_of (f.s).bytes_queued, 0);
    ZT_UNTIL (stats_of (f.s).memory < memory); /* the connection's is gone */
    CHECK_EQ (stats_of (f.s).msgs_out, out);
    zt_close (f.s);
    zt_term (f.ctx);
}

/* Received and not yet taken, and the start of a long message. */
static void memory_of_what_comes (void)
{
    enum
    {
        size = 700000
    };
    zt_fast_t f = zt_fast_open ();
    uint8_t *frame = calloc (1, 4 + size);
    zlink_msg_t msg;
    uint64_t memory = stats_of (f.s).memory;

    CHECK (frame != NULL);
    zt_put32 (frame, size);
    zt_write (f.fd, frame, size);
    ZT_UNTIL (stats_of (f.s).memory >= memory + size);
    CHECK_EQ (stats_of (f.s).msgs_in, 0);
    zt_write (f.fd, frame + size, 4);
    ZT_UNTIL (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN);
    CHECK (stats_of (f.s).memory >= memory + size);
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), size);
    ZT_UNTIL (stats_of (f.s).memory == memory); /* it is the caller's now */
    CHECK_OK (zlink_msg_close (&msg));
    free (frame);
    zt_fast_close (&f);
}

static void oversize (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_fast_socket (ctx);
    int64_t most = 1000;
    uint8_t body[1001] = {0};

    CHECK_OK (zlink_setsockopt (s, ZLINK_MAXMSGSIZE, &most, sizeof most));
    int port = zt_bind (s);
    for (uint32_t i = 0; i < 3; i++) {
        int fd = zt_client (port);
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zt_write_frame (fd, body, 1000);
        zt_fast_expect (s, peer, body, 1000);
        CHECK_EQ (stats_of (s).oversize, i);
        zt_write_frame (fd, body, 1001);
        CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
        ZT_UNTIL (stats_of (s).oversize == i + 1);
        traffic_is (s, i + 1, 1004 * (i + 1), 0, 0);
        close (fd);
    }
    connections_are (s, 0, 3, 0);
    zt_close (s);
    zt_term (ctx);
}

/* The counters of the mode COMPAT, also its refused sends and its closes. */
static void compat (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    zlink_routing_id_t id;
    static uint8_t body[BODY_BYTES];
    uint32_t sent = 0, refused = 0;

    zt_set_int (s, ZLINK_SNDHWM, HWM_MESSAGES);
    zt_set_int (s, ZLINK_SNDBUF, 65536);
    int fd = zt_small_client (zt_bind (s));
    zt_expect_connect (s, &id);
    zt_fill (body, sizeof body, 1);
    /* The kernel may take more behind a refusal, until it really is full. */
    for (int in_a_row = 0; in_a_row < 100; zt_pause_ms (1))
        if (zt_try_send (s, &id, body, sizeof body, ZLINK_DONTWAIT)) {
            sent++;
            in_a_row = 0;
        } else {
            CHECK_EQ (errno, EAGAIN);
            CHECK_EQ (stats_of (s).refused, ++refused);
            in_a_row++;
        }
    CHECK_EQ (stats_of (s).msgs_out, sent);
    CHECK_RANGE (stats_of (s).msgs_queued, 1, HWM_MESSAGES);
    for (uint32_t i = 0; i < sent; i++)
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), BODY_BYTES);
    body[0] = 0;
    zt_send (s, &id, body, 1); /* the command to close is no message */
    zt_expect_disconnect (s, &id);
    traffic_is (s, 0, 0, sent, sent * (4ull + BODY_BYTES));
    connections_are (s, 0, 1, 0);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

/* Structs of earlier and later versions. */
static void sizes_of_the_struct (void)
{
    struct
    {
        zlink_stream_stats_t known;
        uint64_t later[4];
    } large;
    zlink_stream_stats_t small;
    zt_fast_t f = zt_fast_open ();

    memset (&large, 0xAA, sizeof large);
    large.known.size = sizeof large;
    CHECK_OK (zlink_stream_stats (f.s, &large.known));
    CHECK_EQ (large.known.size, sizeof large);
    CHECK_EQ (large.known.accepted, 1);
    CHECK (large.known.memory > 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ (large.later[i], 0);

    memset (&small, 0xAA, sizeof small);
    small.size = offsetof (zlink_stream_stats_t, dialled);
    CHECK_OK (zlink_stream_stats (f.s, &small));
    CHECK_EQ (small.size, offsetof (zlink_stream_stats_t, dialled));
    CHECK_EQ (small.connections, 1);
    CHECK_EQ (small.accepted, 1);
    CHECK_EQ (small.dialled, 0xAAAAAAAAAAAAAAAAull); /* beyond it: untouched */

    static const size_t bad[] = {0, 1, sizeof (size_t), sizeof (size_t) + 7};
    for (int i = 0; i < 4; i++) {
        memset (&small, 0xAA, sizeof small);
        small.size = bad[i];
        CHECK_FAIL (zlink_stream_stats (f.s, &small), EINVAL);
        CHECK_EQ (small.connections, 0xAAAAAAAAAAAAAAAAull);
    }
    CHECK_FAIL (zlink_stream_stats (f.s, NULL), EFAULT);
    small.size = sizeof small;
    CHECK_FAIL (zlink_stream_stats (NULL, &small), ENOTSOCK);
    CHECK_FAIL (zlink_stream_stats (f.ctx, &small), ENOTSOCK);
    CHECK_OK (zlink_ctx_shutdown (f.ctx));
    CHECK_FAIL (zlink_stream_stats (f.s, &small), ETERM);
    void *closed = f.s;
    zt_fast_close (&f);
    CHECK_FAIL (zlink_stream_stats (closed, &small), ENOTSOCK);
}

static const zt_case_t cases[] = {
  ZT_CASE (new_socket_is_zero),
  ZT_CASE (exchange),
  ZT_CASE (unread_messages_count),
  ZT_CASE (reconnects_and_closes),
  ZT_CASE (full_queue),
  ZT_CASE (memory_of_what_comes),
  ZT_CASE (oversize),
  ZT_CASE (compat),
  ZT_CASE (sizes_of_the_struct),
};

ZT_MAIN (cases)

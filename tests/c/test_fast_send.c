/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: sending many messages in a call, and closing a peer. */
#include "ztest.h"
#include "zfast.h"

#define PEERS 3
#define EACH 40
#define HWM_MESSAGES 10
#define LARGE_BYTES 40000

/* A server and PEERS clients; ids in the order of the clients. */
typedef struct crowd_t
{
    void *ctx;
    void *s;
    int fds[PEERS];
    uint32_t peers[PEERS];
} crowd_t;

static crowd_t open_crowd (void)
{
    crowd_t c;
    c.ctx = zt_ctx ();
    c.s = zt_fast_socket (c.ctx);
    int port = zt_bind (c.s);
    for (int i = 0; i < PEERS; i++) {
        c.fds[i] = zt_client (port);
        c.peers[i] = zt_fast_event (c.s, ZLINK_STREAM_CONNECTED);
    }
    return c;
}

static void close_crowd (crowd_t *c)
{
    for (int i = 0; i < PEERS; i++)
        close (c->fds[i]);
    zt_close (c->s);
    zt_term (c->ctx);
}

/* Grouped by peer, and alternating between peers. */
static void sends_to_several_peers (void)
{
    enum
    {
        total = PEERS * EACH
    };
    crowd_t c = open_crowd ();
    static zlink_msg_t msgs[total];

    for (int grouped = 0; grouped < 2; grouped++) {
        for (uint32_t m = 0; m < total; m++) {
            uint32_t i = grouped ? m / EACH : m % PEERS;
            uint32_t n = grouped ? m % EACH : m / PEERS;
            size_t size = n % 16 == 15 ? LARGE_BYTES : 10 * n;
            zt_fast_fill (&msgs[m], c.peers[i], n, size);
        }
        CHECK_EQ (zlink_stream_send_batch (c.s, msgs, total, 0), total);
        for (uint32_t m = 0; m < total; m++) {
            CHECK_EQ (zlink_msg_size (&msgs[m]), 0);
            CHECK_EQ (zlink_msg_routing_id (&msgs[m]), 0);
        }
        for (uint32_t i = 0; i < PEERS; i++)
            for (uint32_t n = 0; n < EACH; n++)
                zt_fast_read (c.fds[i], n, n % 16 == 15 ? LARGE_BYTES : 10 * n);
        zt_fast_close_all (msgs, total);
    }
    close_crowd (&c);
}

/* Sends six messages of which the fourth cannot be sent: three go, and the
 * others stay as they are. */
static void stops_at (crowd_t *c, uint32_t bad_peer, size_t size, int err)
{
    enum
    {
        count = 6,
        bad = 3
    };
    zlink_msg_t msgs[count];

    for (uint32_t i = 0; i < count; i++)
        zt_fast_fill (&msgs[i], c->peers[i % PEERS], i, size);
    if (bad_peer)
        CHECK_OK (zlink_msg_set_routing_id (&msgs[bad], bad_peer));
    else { /* made anew: an id cannot be taken away */
        CHECK_OK (zlink_msg_close (&msgs[bad]));
        CHECK_OK (zlink_msg_init_size (&msgs[bad], size));
        zt_fill (zlink_msg_data (&msgs[bad]), size, bad);
    }
    CHECK_EQ (zlink_stream_send_batch (c->s, msgs, count, 0), bad);
    for (int i = 0; i < bad; i++)
        CHECK_EQ (zlink_msg_size (&msgs[i]), 0);
    for (uint32_t i = bad; i < count; i++)
        zt_fast_filled (&msgs[i], i == bad ? bad_peer : c->peers[i % PEERS], i,
                        size);
    CHECK_FAIL (zlink_stream_send_batch (c->s, msgs + bad, count - bad, 0),
                err);
    CHECK_EQ (
      zlink_stream_send_batch (c->s, msgs + bad + 1, count - bad - 1, 0),
      count - bad - 1);
    for (uint32_t i = 0; i < count; i++)
        if (i != bad)
            zt_fast_read (c->fds[i % PEERS], i, size);
    zt_fast_close_all (msgs, count);
}

static void stops_at_the_first_refused (void)
{
    crowd_t c = open_crowd ();
    static const size_t sizes[] = {30, 3000, LARGE_BYTES};

    for (int i = 0; i < 3; i++) {
        stops_at (&c, 0xffffff, sizes[i], EHOSTUNREACH);
        stops_at (&c, 0, sizes[i], EINVAL);
    }
    close_crowd (&c);
}

/* A full queue: with DONTWAIT the batch ends there. */
static void full_queue (void)
{
    enum
    {
        count = 400,
        size = 10000
    };
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    static zlink_msg_t msgs[count];
    uint32_t sent = 0, refused = 0;

    for (uint32_t i = 0; i < count; i++)
        zt_fast_fill (&msgs[i], f.peer, i, size);
    while (refused < 20) { /* the kernel may take a little more */
        int n = zlink_stream_send_batch (f.s, msgs + sent, count - sent,
                                         ZLINK_DONTWAIT);
        if (n == -1) {
            CHECK_EQ (errno, EAGAIN);
            refused++;
            zt_pause_ms (5);
            continue;
        }
        sent += (uint32_t) n;
        CHECK_RANGE (sent, HWM_MESSAGES, count - 1);
    }
    for (uint32_t i = sent; i < count; i++)
        zt_fast_filled (&msgs[i], f.peer, i, size);
    zt_set_int (f.s, ZLINK_SNDTIMEO, 50);
    int n = zlink_stream_send_batch (f.s, msgs + sent, 1, 0);
    CHECK (n == 1 || (n == -1 && errno == EAGAIN));
    sent += n == 1;
    for (uint32_t i = 0; i < sent; i++)
        zt_fast_read (f.fd, i, size);
    zt_set_int (f.s, ZLINK_SNDTIMEO, -1);
    while (sent < count) { /* there is room again */
        n = zlink_stream_send_batch (f.s, msgs + sent, 1, 0);
        CHECK_EQ (n, 1);
        zt_fast_read (f.fd, sent++, size);
    }
    zt_fast_close_all (msgs, count);
    zt_fast_close (&f);
}

static void *read_slowly (void *arg)
{
    int fd = *(int *) arg;
    for (uint32_t i = 0; i < 300; i++) {
        if (i % 50 == 0)
            zt_pause_ms (20);
        zt_fast_read (fd, i, 10000);
    }
    return NULL;
}

/* Without DONTWAIT the batch waits for room in the middle. */
static void waits_for_room (void)
{
    enum
    {
        count = 300,
        size = 10000
    };
    zt_fast_t f = zt_fast_open_small (HWM_MESSAGES);
    static zlink_msg_t msgs[count];

    for (uint32_t i = 0; i < count; i++)
        zt_fast_fill (&msgs[i], f.peer, i, size);
    pthread_t thread = zt_thread (read_slowly, &f.fd);
    CHECK_EQ (zlink_stream_send_batch (f.s, msgs, count, 0), count);
    zt_join (thread);
    zt_fast_close_all (msgs, count);
    zt_fast_close (&f);
}

static void closes_peer_after_what_is_queued (void)
{
    enum
    {
        count = 2000,
        size = 1000
    };
    zt_fast_t f = zt_fast_open ();
    int other_fd = zt_client (f.port);
    uint32_t other = zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    zlink_msg_t msg;

    for (uint32_t i = 0; i < count; i++) {
        zt_fast_fill (&msg, f.peer, i, size);
        CHECK_EQ (zlink_msg_send (&msg, f.s, 0), size);
    }
    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    for (uint32_t i = 0; i < count; i++)
        zt_fast_read (f.fd, i, size);
    zt_expect_eof (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_FAIL (zlink_stream_close_peer (f.s, f.peer), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_close_peer (f.s, other + 1), EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_close_peer (f.s, 0), EINVAL);
    CHECK_FAIL (zt_fast_try (f.s, f.peer, "x", 1, 0), EHOSTUNREACH);
    zt_fast_send (f.s, other, "unharmed", 8);
    char body[16];
    CHECK_EQ (zt_read_frame (other_fd, body, sizeof body), 8);
    close (other_fd);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (sends_to_several_peers),
  ZT_CASE (stops_at_the_first_refused),
  ZT_CASE (full_queue),
  ZT_CASE (waits_for_room),
  ZT_CASE (closes_peer_after_what_is_queued),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: many messages in a call, and what such calls refuse. */
#include "ztest.h"
#include "zfast.h"

#define PEERS 3
#define EACH 40

/* Receives until n messages came; none of them is more than once. */
static void recv_all (void *s, zlink_msg_t *msgs, size_t n)
{
    size_t got = 0;
    while (got < n) {
        int more = zlink_stream_recv_batch (s, msgs + got, n - got, 0);
        CHECK_RANGE (more, 1, (double) (n - got));
        got += (size_t) more;
    }
}

/* --------------------------------------------------------------- receiving */

static void receives_one (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    zt_write_frame (f.fd, "one", 3);
    zt_write_frame (f.fd, "two", 3);
    CHECK_EQ (zlink_stream_recv_batch (f.s, &msg, 1, 0), 1);
    zt_fast_is (&msg, f.peer, "one", 3);
    CHECK_EQ (zlink_stream_recv_batch (f.s, &msg, 1, 0), 1);
    zt_fast_is (&msg, f.peer, "two", 3);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, &msg, 1, ZLINK_DONTWAIT), EAGAIN);
    zt_set_int (f.s, ZLINK_RCVTIMEO, 30);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, &msg, 1, 0), EAGAIN);
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close (&f);
}

static void *write_two (void *fd)
{
    zt_pause_ms (50);
    uint8_t frames[] = {0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b'};
    zt_write (*(int *) fd, frames, sizeof frames);
    return NULL;
}

/* With room for more than ever comes it waits for the first only. */
static void waits_for_the_first_only (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[64];

    zt_fast_init_all (msgs, 64);
    pthread_t thread = zt_thread (write_two, &f.fd);
    CHECK_EQ (zlink_stream_recv_batch (f.s, msgs, 64, 0), 2);
    zt_join (thread);
    zt_fast_is (&msgs[0], f.peer, "a", 1);
    zt_fast_is (&msgs[1], f.peer, "b", 1);
    CHECK_EQ (zlink_msg_size (&msgs[2]), 0);
    CHECK_EQ (zlink_msg_routing_id (&msgs[2]), 0);
    zt_fast_close_all (msgs, 64);
    zt_fast_close (&f);
}

/* Events and data of several peers: in order for each. */
static void receives_events_and_data (void)
{
    enum
    {
        total = PEERS * (EACH + 2)
    };
    void *ctx = zt_ctx ();
    void *s = zt_fast_socket (ctx);
    int port = zt_bind (s), fds[PEERS];
    uint32_t peers[PEERS] = {0}, next[PEERS] = {0};
    static zlink_msg_t msgs[total];
    uint8_t body[100] = {0};
    int connected = 0;

    for (int i = 0; i < PEERS; i++)
        fds[i] = zt_client (port);
    for (uint32_t n = 0; n < EACH; n++)
        for (uint32_t i = 0; i < PEERS; i++) {
            zt_put32 (body, i * EACH + n);
            zt_write_frame (fds[i], body, n % 2 ? sizeof body : 20);
        }
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);

    zt_fast_init_all (msgs, total);
    recv_all (s, msgs, total);
    for (int m = 0; m < total; m++) {
        uint32_t peer = zlink_msg_routing_id (&msgs[m]), number, i = 0;
        int event = zlink_msg_get (&msgs[m], ZLINK_STREAM_EVENT);
        CHECK_STR (zlink_msg_gets (&msgs[m], "Peer-Address"), "127.0.0.1");
        if (event == ZLINK_STREAM_CONNECTED)
            connected++;
        if (event == ZLINK_STREAM_DATA) {
            number = zt_get32 (zlink_msg_data (&msgs[m]));
            i = number / EACH;
            CHECK_EQ (number % EACH, next[i]);
            CHECK_EQ (zlink_msg_size (&msgs[m]),
                      next[i] % 2 ? sizeof body : 20);
            if (next[i]++ == 0)
                peers[i] = peer;
            CHECK_EQ (peers[i], peer);
        }
        if (event == ZLINK_STREAM_DISCONNECTED) {
            while (peers[i] != peer)
                CHECK (++i < PEERS);
            CHECK_EQ (next[i]++, EACH);
        }
    }
    CHECK_EQ (connected, PEERS);
    for (int i = 0; i < PEERS; i++)
        CHECK_EQ (next[i], EACH + 1);
    zt_fast_close_all (msgs, total);
    zt_close (s);
    zt_term (ctx);
}

/* Batches, single receives and the messages' old content go together. */
static void replaces_old_content (void)
{
    enum
    {
        count = 8,
        size = 2000
    };
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[count];
    uint8_t body[size];

    zt_fast_init_all (msgs, count);
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < count; i++) {
            zt_fill (body, size, round * count + i);
            zt_write_frame (f.fd, body, size);
        }
        CHECK_EQ (zlink_msg_recv (&msgs[0], f.s, 0), size);
        recv_all (f.s, msgs + 1, count - 1);
        for (uint32_t i = 0; i < count; i++)
            zt_fast_filled (&msgs[i], f.peer, round * count + i, size);
    }
    zt_fast_close_all (msgs, count);
    zt_fast_close (&f);
}

/* ---------------------------------------------------------------- failures */

/* A message that is none: what comes before it goes, in both directions. */
static void uninitialised_messages (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[3];

    for (uint32_t i = 0; i < 3; i++)
        zt_fast_fill (&msgs[i], f.peer, i, 50);
    CHECK_OK (zlink_msg_close (&msgs[2]));
    CHECK_EQ (zlink_stream_send_batch (f.s, msgs, 3, 0), 2);
    CHECK_FAIL (zlink_stream_send_batch (f.s, msgs + 2, 1, 0), EFAULT);
    zt_fast_read (f.fd, 0, 50);
    zt_fast_read (f.fd, 1, 50);

    /* Those two are empty now: none may be sent again. */
    CHECK_FAIL (zlink_stream_send_batch (f.s, msgs, 2, 0), EINVAL);

    uint8_t frames[] = {0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b', 0, 0, 0, 1, 'c'};
    zt_write (f.fd, frames, sizeof frames);
    ZT_UNTIL (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, msgs + 2, 1, 0), EFAULT);
    CHECK_STR (zlink_error_detail (), "");
    recv_all (f.s, msgs, 2);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, msgs + 2, 1, 0), EFAULT);
    zt_fast_is (&msgs[0], f.peer, "a", 1);
    zt_fast_is (&msgs[1], f.peer, "b", 1);
    zt_fast_expect (f.s, f.peer, "c", 1); /* not lost */
    close (f.fd); /* nor is an event */
    CHECK_FAIL (zlink_stream_recv_batch (f.s, msgs + 2, 1, 0), EFAULT);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    zt_fast_close_all (msgs, 2);
    zt_close (f.s);
    zt_term (f.ctx);
}

static void fails_all (void *s, uint32_t peer, int err)
{
    zlink_msg_t msg;
    zt_fast_fill (&msg, peer, 7, 20);
    CHECK_FAIL (zlink_stream_recv_batch (s, &msg, 1, 0), err);
    CHECK_FAIL (zlink_stream_recv_batch (s, &msg, 1, ZLINK_DONTWAIT), err);
    CHECK_FAIL (zlink_stream_send_batch (s, &msg, 1, 0), err);
    CHECK_FAIL (zlink_stream_close_peer (s, peer), err);
    zt_fast_filled (&msg, peer, 7, 20);
    CHECK_OK (zlink_msg_close (&msg));
}

static void arguments (void)
{
    zt_fast_t f = zt_fast_open ();
    void *compat = zt_socket (f.ctx), *monitor;
    zlink_msg_t msg;

    zt_fast_init (&msg, f.peer, "x", 1);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, NULL, 1, 0), EFAULT);
    CHECK_FAIL (zlink_stream_send_batch (f.s, NULL, 1, 0), EFAULT);
    CHECK_FAIL (zlink_stream_recv_batch (f.s, &msg, 0, 0), EINVAL);
    CHECK_FAIL (zlink_stream_send_batch (f.s, &msg, 0, 0), EINVAL);
    CHECK_OK (zlink_msg_close (&msg));

    int port = zt_bind (compat);
    int fd = zt_client (port);
    zlink_routing_id_t id;
    zt_expect_connect (compat, &id);
    fails_all (compat, zt_id_number (&id), ENOTSUP);
    zt_send (compat, &id, "unharmed", 8);
    char body[16];
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 8);
    close (fd);
    zt_close (compat);

    fails_all (compat, 1, ENOTSOCK);
    fails_all (NULL, 1, ENOTSOCK);
    fails_all (&f, 1, ENOTSOCK);
    fails_all (f.ctx, 1, ENOTSOCK);
    monitor = zlink_socket_monitor_open (f.s, ZLINK_EVENT_ALL);
    CHECK (monitor != NULL);
    fails_all (monitor, 1, ENOTSOCK);
    CHECK_OK (zlink_close (monitor));

    CHECK_OK (zlink_ctx_shutdown (f.ctx));
    fails_all (f.s, f.peer, ETERM);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (receives_one),
  ZT_CASE (waits_for_the_first_only),
  ZT_CASE (receives_events_and_data),
  ZT_CASE (replaces_old_content),
  ZT_CASE (uninitialised_messages),
  ZT_CASE (arguments),
};

ZT_MAIN (cases)

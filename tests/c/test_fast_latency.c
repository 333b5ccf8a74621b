/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: what one thread sends waits for no other thread. */
#include "ztest.h"
#include "zfast.h"

#include <sys/socket.h>

typedef struct blocked_t
{
    void *s;
    uint32_t peer;
    atomic_int sent;
} blocked_t;

static void *fill_until_gone (void *arg)
{
    static uint8_t body[10000];
    blocked_t *b = arg;
    while (zt_fast_try (b->s, b->peer, body, sizeof body, 0) > 0)
        atomic_fetch_add (&b->sent, 1);
    CHECK_EQ (errno, EHOSTUNREACH);
    return NULL;
}

/* Senders blocked on a full queue hold up nobody else. */
static void blocked_senders_alone (void)
{
    zt_fast_t f = zt_fast_open_small (10);
    int fd = zt_client (f.port), sent = -1;
    uint32_t peer = zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    blocked_t b = {f.s, f.peer, 0};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = zt_thread (fill_until_gone, &b);
    while (sent != atomic_load (&b.sent)) {
        sent = atomic_load (&b.sent);
        zt_pause_ms (100);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        zlink_msg_t msg;
        zt_fast_fill (&msg, peer, i, 100);
        CHECK_EQ (zlink_msg_send (&msg, f.s, 0), 100);
        zt_fast_read (fd, i, 100);
        if (i % 4 == 0) {
            zt_write_frame (fd, "x", 1);
            zt_fast_expect (f.s, peer, "x", 1);
        }
        CHECK_OK (zlink_msg_close (&msg));
    }
    zt_reset (f.fd);
    for (int i = 0; i < 4; i++)
        zt_join (threads[i]);
    f.fd = fd;
    zt_set_int (f.s, ZLINK_LINGER, 0);
    zt_fast_close (&f);
}

typedef struct receiver_t
{
    void *s;
    int kind; /* what it does between the messages */
    atomic_bool stop;
} receiver_t;

enum
{
    IS_AWAY,
    IN_RECV,
    IN_POLL,
    RECEIVES_NOW_AND_THEN,
    KINDS
};

static void *receive_as (void *arg)
{
    receiver_t *r = arg;
    zlink_pollitem_t item = {r->s, 0, ZLINK_POLLIN, 0};
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    while (!atomic_load (&r->stop)) {
        if (r->kind == IS_AWAY)
            zt_pause_ms (1);
        else if (r->kind == IN_RECV)
            zlink_msg_recv (&msg, r->s, 0);
        else if (r->kind == IN_POLL) {
            if (zlink_poll (&item, 1, 20) > 0)
                zlink_msg_recv (&msg, r->s, ZLINK_DONTWAIT);
        } else {
            zlink_msg_recv (&msg, r->s, ZLINK_DONTWAIT);
            zt_pause_ms (1);
        }
    }
    CHECK_OK (zlink_msg_close (&msg));
    return NULL;
}

/* Wherever the receiver is, what another thread sends goes out by itself. */
static void sends_go_out_at_once (void)
{
    enum
    {
        count = 1500 / ZT_SCALE
    };
    zt_fast_t f = zt_fast_open ();

    zt_set_int (f.s, ZLINK_RCVTIMEO, 20);
    for (int kind = 0; kind < KINDS; kind++) {
        receiver_t r = {f.s, kind, false};
        pthread_t thread = zt_thread (receive_as, &r);
        double longest = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (i % 3 == 0) /* something for the receiver to turn to */
                zt_write_frame (f.fd, "x", 1);
            if (i % 100 == 0)
                zt_pause_ms (3);
            double start = zt_now_ms ();
            zt_fast_send (f.s, f.peer, &i, sizeof i);
            uint32_t echo;
            CHECK_EQ (zt_read_frame (f.fd, &echo, sizeof echo), sizeof echo);
            CHECK_EQ (echo, i);
            double took = zt_now_ms () - start;
            longest = took > longest ? took : longest;
        }
        printf ("receiver %d: the slowest of %d took %.2f ms\n", kind, count,
                longest);
        atomic_store (&r.stop, true);
        zt_join (thread);
        zlink_msg_t msg;
        CHECK_OK (zlink_msg_init (&msg));
        while (zlink_msg_recv (&msg, f.s, ZLINK_DONTWAIT) >= 0) {
        }
        CHECK_OK (zlink_msg_close (&msg));
    }
    zt_fast_close (&f);
}

/* The same with a receiver that has much to do and does not come back. */
static void sends_during_a_backlog (void)
{
    enum
    {
        backlog = 1000,
        count = 200
    };
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    uint8_t *frames = calloc (backlog, 5);
    CHECK (frames != NULL);
    for (int i = 0; i < backlog; i++)
        frames[5 * i + 3] = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0)
            zt_write (f.fd, frames, 5 * backlog);
        CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 1);
        zt_fast_send (f.s, f.peer, &i, sizeof i);
        uint32_t echo; /* while the rest of the backlog waits */
        CHECK_EQ (zt_read_frame (f.fd, &echo, sizeof echo), sizeof echo);
        CHECK_EQ (echo, i);
    }
    CHECK_OK (zlink_msg_close (&msg));
    free (frames);
    zt_fast_close (&f);
}

static void *send_until_closed (void *arg)
{
    blocked_t *b = arg;
    while (zt_fast_try (b->s, b->peer, "x", 1, 0) == 1)
        atomic_fetch_add (&b->sent, 1);
    CHECK (errno == ENOTSOCK || errno == EHOSTUNREACH || errno == ETERM);
    return NULL;
}

/* Whatever a sender was about to do: the socket closes, and what it had taken
 * is written. */
static void close_while_others_send (void)
{
    enum
    {
        times = 200 / ZT_SCALE,
        senders = 2
    };
    for (int i = 0; i < times; i++) {
        zt_fast_t f = zt_fast_open ();
        blocked_t b = {f.s, f.peer, 0};
        pthread_t threads[senders];
        int fd = f.fd;
        char buf[4096];
        for (int t = 0; t < senders; t++)
            threads[t] = zt_thread (send_until_closed, &b);
        ZT_UNTIL (atomic_load (&b.sent) > 10);
        zt_close (f.s);
        ssize_t n, total = 0;
        while ((n = recv (fd, buf, sizeof buf, 0)) > 0)
            total += n;
        for (int t = 0; t < senders; t++)
            zt_join (threads[t]);
        CHECK_EQ (total, 5 * atomic_load (&b.sent));
        zt_term (f.ctx);
        close (fd);
    }
}

static const zt_case_t cases[] = {
  ZT_CASE (blocked_senders_alone),
  ZT_CASE (sends_go_out_at_once),
  ZT_CASE (sends_during_a_backlog),
  ZT_CASE (close_while_others_send),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* What a frame is that follows a body which got EAGAIN: ZLINK_SNDMORE says. */
#include "ztest.h"

#include <errno.h>

/* Longer than what is copied: messages of this size are handed over. */
#define BODY_BYTES 40000
#define MAX_QUEUED 1000

/* A server with two peers; the queue of the first is full, and a body for it has
 * just got EAGAIN. */
typedef struct fixture_t
{
    void *ctx, *server;
    int full_fd, other_fd;
    zlink_routing_id_t full, other;
    uint32_t queued;
} fixture_t;

static uint8_t body[BODY_BYTES];

static fixture_t open_fixture (void)
{
    fixture_t f = {.ctx = zt_ctx ()};
    f.server = zt_socket (f.ctx);
    zt_set_int (f.server, ZLINK_SNDHWM, 2);
    zt_set_int (f.server, ZLINK_SNDBUF, 4096);
    zt_set_int (f.server, ZLINK_SNDTIMEO, 0);
    int port = zt_bind (f.server);
    f.full_fd = zt_small_client (port);
    zt_expect_connect (f.server, &f.full);
    f.other_fd = zt_client (port);
    zt_expect_connect (f.server, &f.other);
    zt_fill (body, sizeof body, 1);
    /* Refused several times in a row: the system takes nothing more by now. */
    for (int refused = 0; refused < 5;) {
        if (refused == 0)
            CHECK_EQ (zlink_send (f.server, f.full.data, 4, ZLINK_SNDMORE), 4);
        if (zlink_send (f.server, body, sizeof body, 0) < 0) {
            CHECK_EQ (errno, EAGAIN);
            refused++;
            zt_pause_ms (150); /* small windows go out by timers of the system */
        } else {
            refused = 0;
            CHECK (++f.queued < MAX_QUEUED);
        }
    }
    return f;
}

static void close_fixture (fixture_t *f)
{
    close (f->full_fd);
    if (f->other_fd >= 0)
        close (f->other_fd);
    zt_close (f->server);
    zt_term (f->ctx);
}

static void expect_at (int fd, const void *expected, size_t size)
{
    static uint8_t got[BODY_BYTES];
    CHECK_EQ (zt_read_frame (fd, got, sizeof got), size);
    CHECK_MEM (got, expected, size);
}

/* Reads what was queued before the body that was refused: there is room again, when
 * the io thread has counted it. */
static void make_room (fixture_t *f)
{
    zt_set_int (f->server, ZLINK_SNDTIMEO, -1);
    for (; f->queued > 0; f->queued--)
        expect_at (f->full_fd, body, sizeof body);
}

static void end_other (fixture_t *f)
{
    close (f->other_fd);
    f->other_fd = -1;
    zt_expect_disconnect (f->server, &f->other);
}

/* The id of a peer that has gone is an id, and no message to the first peer. */
static void to_a_peer_that_went (void)
{
    fixture_t f = open_fixture ();
    end_other (&f);
    make_room (&f);
    CHECK_FAIL (zlink_send (f.server, f.other.data, 4, ZLINK_SNDMORE),
                EHOSTUNREACH);
    CHECK_FAIL (zlink_send (f.server, "secret", 6, 0), EINVAL);
    CHECK_FAIL (zlink_send (f.server, "nobody", 6, ZLINK_SNDMORE),
                EHOSTUNREACH);
    zt_send (f.server, &f.full, "next", 4);
    expect_at (f.full_fd, "next", 4);
    close_fixture (&f);
}

/* Without SNDMORE it is the body again, and if it were a live id. */
static void body_comes_again (void)
{
    fixture_t f = open_fixture ();
    CHECK_FAIL (zlink_send (f.server, f.other.data, 4, 0), EAGAIN);
    make_room (&f);
    CHECK_EQ (zlink_send (f.server, f.other.data, 4, 0), 4);
    expect_at (f.full_fd, f.other.data, 4);
    CHECK_FAIL (zlink_send (f.server, "afresh", 6, 0), EINVAL);
    close_fixture (&f);
}

/* With SNDMORE it is an id, also when it was meant as the body. */
static void id_of_a_live_peer (void)
{
    fixture_t f = open_fixture ();
    make_room (&f);
    CHECK_EQ (zlink_send (f.server, f.other.data, 4, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_send (f.server, "to the other", 12, ZLINK_SNDMORE), 12);
    expect_at (f.other_fd, "to the other", 12);
    CHECK_EQ (zlink_send (f.server, f.full.data, 4, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_send (f.server, "to the first", 12, 0), 12);
    expect_at (f.full_fd, "to the first", 12);
    close_fixture (&f);
}

static void count_free (void *data, void *hint)
{
    (void) data;
    atomic_fetch_add ((atomic_int *) hint, 1);
}

/* A message that is handed over: refused it stays the caller's, with SNDMORE it
 * is an id that nobody has, without it goes out, and is freed once. */
static void owned_body_comes_again (void)
{
    fixture_t f = open_fixture ();
    atomic_int freed = 0;
    zlink_msg_t msg;
    CHECK_OK (
      zlink_msg_init_data (&msg, body, sizeof body, count_free, &freed));
    CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), EAGAIN);
    make_room (&f);
    CHECK_EQ (zlink_msg_size (&msg), sizeof body);
    CHECK_EQ (zlink_msg_send (&msg, f.server, 0), sizeof body);
    expect_at (f.full_fd, body, sizeof body);
    ZT_UNTIL (atomic_load (&freed) == 1);
    CHECK_OK (zlink_msg_close (&msg));
    close_fixture (&f);

    f = open_fixture ();
    make_room (&f);
    CHECK_OK (
      zlink_msg_init_data (&msg, body, sizeof body, count_free, &freed));
    CHECK_FAIL (zlink_msg_send (&msg, f.server, ZLINK_SNDMORE), EHOSTUNREACH);
    CHECK_EQ (atomic_load (&freed), 1);
    CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), EINVAL);
    zt_send (f.server, &f.full, "next", 4);
    expect_at (f.full_fd, "next", 4);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_EQ (atomic_load (&freed), 2);
    close_fixture (&f);
}

/* A peer that goes before its body comes again, and a body that is too long: the
 * next send is an id. */
static void other_errors_start_afresh (void)
{
    fixture_t f = open_fixture ();
    zt_reset (f.full_fd);
    zt_expect_disconnect (f.server, &f.full);
    CHECK_FAIL (zlink_send (f.server, "again", 5, 0), EHOSTUNREACH);
    CHECK_FAIL (zlink_send (f.server, "again", 5, 0), EINVAL);

    CHECK_EQ (zlink_send (f.server, f.other.data, 4, ZLINK_SNDMORE), 4);
    CHECK_FAIL (zlink_send (f.server, body, (size_t) UINT32_MAX + 1, 0),
                EMSGSIZE);
    CHECK_FAIL (zlink_send (f.server, "again", 5, 0), EINVAL);
    f.full_fd = zt_client (zt_bind (f.server));
    zt_expect_connect (f.server, &f.full);
    close_fixture (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (to_a_peer_that_went),
  ZT_CASE (body_comes_again),
  ZT_CASE (id_of_a_live_peer),
  ZT_CASE (owned_body_comes_again),
  ZT_CASE (other_errors_start_afresh),
};

ZT_MAIN (cases)

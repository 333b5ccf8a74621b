/* SPDX-License-Identifier: MPL-2.0 */
/* The free function of zlink_msg_init_data is called exactly once, whatever
 * becomes of the message. Each case runs with a body that is copied and with
 * one that is handed over. */
#include "ztest.h"

static const size_t sizes[] = {100, 1 << 20};

enum
{
    SIZES = sizeof sizes / sizeof *sizes
};

static zt_pair_t open_pair (int send_hwm)
{
    zt_pair_t f = zt_pair_begin ();
    zt_set_int (f.server, ZLINK_SNDHWM, send_hwm);
    zt_unbounded (f.server); /* messages are counted here, not bytes */
    zt_pair_join (&f, zt_small_client);
    return f;
}

static atomic_int freed;

static void count_free (void *data, void *hint)
{
    CHECK (hint == &freed);
    free (data);
    atomic_fetch_add (&freed, 1);
}

static void init_next (zlink_msg_t *msg, size_t size)
{
    void *data = malloc (size);
    CHECK (data != NULL);
    zt_fill (data, size, (uint32_t) size);
    CHECK_OK (zlink_msg_init_data (msg, data, size, count_free, &freed));
}

/* The first message whose end counts. */
static void init (zlink_msg_t *msg, size_t size)
{
    atomic_store (&freed, 0);
    init_next (msg, size);
}

/* The message is the caller's, as it was. */
static void expect_kept (zlink_msg_t *msg, size_t size)
{
    CHECK_EQ (atomic_load (&freed), 0);
    CHECK_EQ (zlink_msg_size (msg), size);
    CHECK (zt_filled (zlink_msg_data (msg), size, (uint32_t) size));
}

static void close_kept (zlink_msg_t *msg, size_t size)
{
    expect_kept (msg, size);
    CHECK_OK (zlink_msg_close (msg));
    CHECK_EQ (atomic_load (&freed), 1);
    CHECK_FAIL (zlink_msg_close (msg), EFAULT);
    CHECK_EQ (atomic_load (&freed), 1);
}

static void send_id (zt_pair_t *f)
{
    CHECK_EQ (zlink_send (f->server, f->id.data, f->id.size, ZLINK_SNDMORE),
              f->id.size);
}

/* Refused by everything that can be wrong, then closed. */
static void refused (void)
{
    for (int i = 0; i < SIZES; i++) {
        zt_pair_t f = open_pair (1000);
        zlink_msg_t msg;

        init (&msg, sizes[i]);
        CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), EINVAL);
        CHECK_FAIL (zlink_msg_send (&msg, f.server, ZLINK_SNDMORE),
                    EHOSTUNREACH);
        CHECK_FAIL (zlink_msg_send (&msg, NULL, 0), ENOTSOCK);
        CHECK_FAIL (zlink_msg_send (&msg, f.ctx, 0), ENOTSOCK);
        /* The peer goes between the two frames. */
        send_id (&f);
        zt_reset (f.fd);
        zt_expect_disconnect (f.server, &f.id);
        CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), EHOSTUNREACH);
        CHECK_OK (zlink_ctx_shutdown (f.ctx));
        CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), ETERM);
        expect_kept (&msg, sizes[i]);
        zt_close (f.server);
        CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), ENOTSOCK);
        zt_term (f.ctx);
        close_kept (&msg, sizes[i]);
    }
}

/* Sends until the queue is full; returns how many went, and leaves the refused
 * one in msg. */
static int fill (zt_pair_t *f, size_t size, zlink_msg_t *msg)
{
    atomic_store (&freed, 0);
    for (int sent = 0;; sent++) {
        int rc = zlink_send (f->server, f->id.data, f->id.size,
                             ZLINK_SNDMORE | ZLINK_DONTWAIT);
        init_next (msg, size);
        if (rc != -1)
            rc = zlink_msg_send (msg, f->server, ZLINK_DONTWAIT);
        if (rc == -1) {
            CHECK_EQ (errno, EAGAIN);
            return sent;
        }
        CHECK_EQ (zlink_msg_size (msg), 0);
        CHECK_OK (zlink_msg_close (msg));
    }
}

/* Refused as the queue is full, and what is queued is given up: by LINGER 0, by
 * the end of the context, or by the peer. */
static void given_up (void)
{
    for (int way = 0; way < 3; way++)
        for (int i = 0; i < SIZES; i++) {
            zt_pair_t f = open_pair (4);
            zlink_msg_t msg;
            zt_set_int (f.server, ZLINK_LINGER, 0);
            int sent = fill (&f, sizes[i], &msg);

            CHECK (sent >= 4);
            CHECK (zt_filled (zlink_msg_data (&msg), sizes[i],
                              (uint32_t) sizes[i]));
            int before = atomic_load (&freed);
            CHECK_OK (zlink_msg_close (&msg));
            ZT_UNTIL (atomic_load (&freed) > before);
            if (way == 1)
                CHECK_OK (zlink_ctx_shutdown (f.ctx));
            if (way == 2) {
                zt_reset (f.fd);
                zt_expect_disconnect (f.server, &f.id);
                ZT_UNTIL (atomic_load (&freed) == sent + 1);
            }
            zt_close (f.server);
            zt_term (f.ctx);
            CHECK_EQ (atomic_load (&freed), sent + 1);
            if (way != 2)
                close (f.fd);
        }
}

/* Sent with LINGER 0 by a socket that has written all: nothing is left. */
static void sent_then_closed (void)
{
    for (int i = 0; i < SIZES; i++) {
        zt_pair_t f = open_pair (1000);
        uint8_t *body = malloc (sizes[i]);
        zlink_msg_t msg;

        init (&msg, sizes[i]);
        send_id (&f);
        CHECK_EQ (zlink_msg_send (&msg, f.server, 0), sizes[i]);
        CHECK_EQ (zlink_msg_size (&msg), 0);
        CHECK (body != NULL);
        CHECK_EQ (zt_read_frame (f.fd, body, sizes[i]), sizes[i]);
        CHECK (zt_filled (body, sizes[i], (uint32_t) sizes[i]));
        free (body);
        /* What is left in the caller's hands is an empty message. */
        CHECK_OK (zlink_msg_close (&msg));
        zt_pair_end (&f);
        CHECK_EQ (atomic_load (&freed), 1);
    }
}

/* The last of two copies frees, whether it is sent or closed, and the copy is
 * whole until then. */
static void copies (void)
{
    for (int way = 0; way < 3; way++)
        for (int i = 0; i < SIZES; i++) {
            zt_pair_t f = open_pair (1000);
            uint8_t *body = malloc (sizes[i]);
            zlink_msg_t msg, copy;

            CHECK (body != NULL);
            init (&msg, sizes[i]);
            CHECK_OK (zlink_msg_init (&copy));
            CHECK_OK (zlink_msg_copy (&copy, &msg));
            if (way > 0) {
                send_id (&f);
                CHECK_EQ (zlink_msg_send (&msg, f.server, 0), sizes[i]);
                CHECK_EQ (zt_read_frame (f.fd, body, sizes[i]), sizes[i]);
            }
            CHECK_OK (zlink_msg_close (&msg));
            expect_kept (&copy, sizes[i]);
            if (way == 2) {
                send_id (&f);
                CHECK_EQ (zlink_msg_send (&copy, f.server, 0), sizes[i]);
                CHECK_EQ (zt_read_frame (f.fd, body, sizes[i]), sizes[i]);
            }
            CHECK_OK (zlink_msg_close (&copy));
            ZT_UNTIL (atomic_load (&freed) == 1);
            zt_pair_end (&f);
            CHECK_EQ (atomic_load (&freed), 1);
            free (body);
        }
}

static void moved (void)
{
    for (int i = 0; i < SIZES; i++) {
        zlink_msg_t msg, other;
        init (&msg, sizes[i]);
        CHECK_OK (zlink_msg_init (&other));
        CHECK_OK (zlink_msg_move (&other, &msg));
        CHECK_OK (zlink_msg_close (&msg));
        close_kept (&other, sizes[i]);
    }
}

/* A receive replaces the content; one that brings nothing leaves it. */
static void received_into (void)
{
    for (int i = 0; i < SIZES; i++) {
        zt_pair_t f = open_pair (1000);
        zlink_msg_t msg;

        init (&msg, sizes[i]);
        CHECK_FAIL (zlink_msg_recv (&msg, f.server, ZLINK_DONTWAIT), EAGAIN);
        CHECK_FAIL (zlink_msg_recv (&msg, NULL, 0), ENOTSOCK);
        expect_kept (&msg, sizes[i]);
        zt_write_frame (f.fd, "body", 4);
        CHECK_EQ (zlink_msg_recv (&msg, f.server, 0), 4);
        CHECK_EQ (atomic_load (&freed), 1);
        CHECK_EQ (zlink_msg_recv (&msg, f.server, 0), 4);
        CHECK_OK (zlink_msg_close (&msg));
        CHECK_EQ (atomic_load (&freed), 1);
        zt_pair_end (&f);
    }
}

/* As a routing id, and as the body that closes the peer. */
static void id_and_end (void)
{
    zt_pair_t f = open_pair (1000);
    zlink_msg_t id, end;

    init (&id, 4);
    memcpy (zlink_msg_data (&id), f.id.data, 4);
    init_next (&end, 1);
    memset (zlink_msg_data (&end), 0, 1);
    CHECK_EQ (zlink_msg_send (&id, f.server, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_msg_send (&end, f.server, 0), 1);
    CHECK_OK (zlink_msg_close (&id));
    CHECK_OK (zlink_msg_close (&end));
    zt_expect_eof (f.fd);
    zt_pair_end (&f);
    CHECK_EQ (atomic_load (&freed), 2);
}

static const zt_case_t cases[] = {
  ZT_CASE (refused),
  ZT_CASE (given_up),
  ZT_CASE (sent_then_closed),
  ZT_CASE (copies),
  ZT_CASE (moved),
  ZT_CASE (received_into),
  ZT_CASE (id_and_end),
};

ZT_MAIN (cases)

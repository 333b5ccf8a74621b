/* SPDX-License-Identifier: MPL-2.0 */
/* What a caller is told about peers and ports that are wrong. */
#include "ztest.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define QUEUED_MESSAGES 100
#define QUEUED_BODY_BYTES 10000
#define SMALL_BUFFER_BYTES 65536

static void expect_unreachable (void *s, const void *id, size_t size)
{
    int rc = zlink_send (s, id, size, ZLINK_SNDMORE);
    if (rc != -1) {
        CHECK_EQ (rc, size);
        rc = zlink_send (s, "lost body", 9, 0);
    }
    CHECK_FAIL (rc, EHOSTUNREACH);
}

/* The connection works, and nothing came before this message. */
static void expect_delivery (zt_pair_t *f)
{
    uint8_t body[16];
    zt_send (f->server, &f->id, "delivered", 9);
    CHECK_EQ (zt_read_frame (f->fd, body, sizeof body), 9);
    CHECK_MEM (body, "delivered", 9);
}

static void unknown_peers (void)
{
    zt_pair_t f = zt_pair ();
    uint8_t long_id[255];

    expect_unreachable (f.server, "\xde\xad\xbe\xef", 4);
    expect_delivery (&f);
    expect_unreachable (f.server, "\0\0\0\0", 4);
    expect_delivery (&f);
    expect_unreachable (f.server, f.id.data, 3);
    expect_delivery (&f);
    expect_unreachable (f.server, "\1\2\3\4\5", 5);
    expect_delivery (&f);
    memset (long_id, 'x', sizeof long_id);
    expect_unreachable (f.server, long_id, sizeof long_id);
    expect_delivery (&f);
    zt_pair_end (&f);
}

static void gone_peer (void)
{
    zt_pair_t f = zt_pair ();
    int fd = zt_client (f.port);
    zlink_routing_id_t gone;

    zt_expect_connect (f.server, &gone);
    close (fd);
    zt_expect_disconnect (f.server, &gone);
    expect_unreachable (f.server, gone.data, gone.size);
    expect_delivery (&f);
    zt_pair_end (&f);
}

static void wrong_first_frames (void)
{
    zt_pair_t f = zt_pair ();
    zlink_msg_t msg;

    CHECK_FAIL (zlink_send (f.server, "", 0, ZLINK_SNDMORE), EINVAL);
    expect_delivery (&f);
    CHECK_FAIL (zlink_send (f.server, f.id.data, f.id.size, 0), EINVAL);
    expect_delivery (&f);
    CHECK_OK (zlink_msg_init_size (&msg, 4));
    memcpy (zlink_msg_data (&msg), f.id.data, 4);
    CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), EINVAL);
    CHECK_EQ (zlink_msg_size (&msg), 4);
    CHECK_OK (zlink_msg_close (&msg));
    expect_delivery (&f);

    /* SNDMORE on the body is ignored. */
    CHECK_EQ (zlink_send (f.server, f.id.data, 4, ZLINK_SNDMORE), 4);
    CHECK_EQ (zlink_send (f.server, "body", 4, ZLINK_SNDMORE), 4);
    uint8_t body[8];
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 4);
    expect_delivery (&f);
    zt_pair_end (&f);
}

/* More is queued than the kernel takes. */
static void zero_body_closes_the_peer (void)
{
    static const uint8_t close_peer = 0;
    static uint8_t body[QUEUED_BODY_BYTES];
    zt_pair_t f;

    f.ctx = zt_ctx ();
    f.server = zt_socket (f.ctx);
    zt_set_int (f.server, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    f.port = zt_bind (f.server);
    f.fd = zt_small_client (f.port);
    zt_expect_connect (f.server, &f.id);
    for (uint32_t i = 0; i < QUEUED_MESSAGES; i++) {
        zt_fill (body, sizeof body, i);
        zt_send (f.server, &f.id, body, sizeof body);
    }
    zt_send (f.server, &f.id, &close_peer, 1);
    for (uint32_t i = 0; i < QUEUED_MESSAGES; i++) {
        CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), sizeof body);
        CHECK (zt_filled (body, sizeof body, i));
    }
    zt_expect_eof (f.fd);
    zt_expect_disconnect (f.server, &f.id);
    expect_unreachable (f.server, f.id.data, f.id.size);

    /* The socket still listens. */
    close (f.fd);
    f.fd = zt_client (f.port);
    zt_expect_connect (f.server, &f.id);
    expect_delivery (&f);
    zt_pair_end (&f);
}

/* From the order on nothing more is taken for the peer, and a peer that was
 * dialled is not dialled again. */
static void nothing_after_the_order_to_close (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int port, listener = zt_listen (&port);
    zlink_routing_id_t id;
    uint8_t body[16];

    zt_set_int (s, ZLINK_RECONNECT_IVL, 1);
    for (int i = 0; i < 100; i++) {
        zt_connect (s, port);
        int fd = zt_accept (listener);
        zt_expect_connect (s, &id);
        zt_send (s, &id, "last", 4);
        zt_send (s, &id, "\0", 1);
        CHECK (!zt_try_send (s, &id, "late", 4, 0));
        CHECK_EQ (errno, EHOSTUNREACH);
        CHECK (!zt_try_send (s, &id, "\0", 1, 0));
        CHECK_EQ (errno, EHOSTUNREACH);
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), 4);
        zt_expect_eof (fd);
        close (fd);
        zt_expect_disconnect (s, &id);
    }
    zt_expect_silence (s, 50);
    CHECK_OK (zlink_disconnect (s, zt_endpoint (port)));
    CHECK_FAIL (zlink_disconnect (s, zt_endpoint (port)), ENOENT);
    zt_close (s);
    close (listener);
    zt_term (ctx);
}

static void port_in_use (void)
{
    zt_pair_t f = zt_pair ();
    void *other = zt_socket (f.ctx);
    int port, listener = zt_listen (&port);

    CHECK_FAIL (zlink_bind (other, zt_endpoint (f.port)), EADDRINUSE);
    CHECK_FAIL (zlink_bind (f.server, zt_endpoint (f.port)), EADDRINUSE);
    CHECK_FAIL (zlink_bind (other, zt_endpoint (port)), EADDRINUSE);
    CHECK_STR (zlink_strerror (EADDRINUSE), strerror (EADDRINUSE));

    void *foreign_ctx = zt_ctx ();
    void *foreign = zt_socket (foreign_ctx);
    CHECK_FAIL (zlink_bind (foreign, zt_endpoint (f.port)), EADDRINUSE);
    zt_close (foreign);
    zt_term (foreign_ctx);

    close (listener);
    zt_bind (other);
    zt_close (other);
    expect_delivery (&f);
    zt_pair_end (&f);
}

/* A failure that has nothing to add does not show the sentence of another. */
static void detail_of_the_last_failure (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *timers = zlink_timers_new ();
    char buf[8];

    CHECK (timers != NULL);
    CHECK_FAIL (zlink_bind (s, "nonsense"), EINVAL);
    CHECK (strstr (zlink_error_detail (), "nonsense") != NULL);
    CHECK_FAIL (zlink_timers_cancel (timers, 1), EINVAL);
    CHECK_STR (zlink_error_detail (), "");
    CHECK_FAIL (zlink_bind (s, "nonsense"), EINVAL);
    CHECK_NULL (zlink_threadstart (NULL, NULL), EINVAL);
    CHECK_STR (zlink_error_detail (), "");
    CHECK_FAIL (zlink_bind (s, "nonsense"), EINVAL);
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, ZLINK_DONTWAIT), EAGAIN);
    CHECK_STR (zlink_error_detail (), "");
    CHECK_OK (zlink_timers_destroy (&timers));
    zt_close (s);
    zt_term (ctx);
}

static bool refused (int port)
{
    int fd = zt_try_client (port);
    if (fd >= 0)
        close (fd);
    return fd == -1 && errno == ECONNREFUSED;
}

static void unbind (void)
{
    zt_pair_t f = zt_pair ();
    zlink_routing_id_t id;
    uint8_t body[16];

    CHECK_FAIL (zlink_unbind (f.server, "tcp://127.0.0.1:1"), ENOENT);
    CHECK_FAIL (zlink_disconnect (f.server, zt_endpoint (f.port)), ENOENT);
    CHECK_OK (zlink_unbind (f.server, zt_endpoint (f.port)));
    ZT_UNTIL (refused (f.port));
    CHECK_FAIL (zlink_unbind (f.server, zt_endpoint (f.port)), ENOENT);
    expect_delivery (&f);
    zt_write_frame (f.fd, "and back", 8);
    do {
        size_t size = zt_recv (f.server, &id, body, sizeof body);
        CHECK (size == 8 || (size == 1 && !zt_same_id (&id, &f.id)));
    } while (!zt_same_id (&id, &f.id));

    /* The port is free again. */
    CHECK_OK (zlink_bind (f.server, zt_endpoint (f.port)));
    int fd = zt_client (f.port);
    close (fd);
    zt_pair_end (&f);
}

static void disconnect (void)
{
    zt_pair_t f = zt_pair ();
    void *client = zt_socket (f.ctx);
    zlink_routing_id_t at_server, at_client;

    CHECK_FAIL (zlink_disconnect (client, zt_endpoint (f.port)), ENOENT);
    zt_connect (client, f.port);
    zt_expect_connect (f.server, &at_server);
    zt_expect_connect (client, &at_client);
    CHECK_FAIL (zlink_unbind (client, zt_endpoint (f.port)), ENOENT);
    CHECK_OK (zlink_disconnect (client, zt_endpoint (f.port)));
    zt_expect_disconnect (f.server, &at_server);
    zt_expect_disconnect (client, &at_client);
    expect_unreachable (client, at_client.data, at_client.size);
    CHECK_FAIL (zlink_disconnect (client, zt_endpoint (f.port)), ENOENT);

    /* It is not dialled again, and others were not touched. */
    zt_expect_silence (f.server, 300);
    expect_delivery (&f);
    zt_close (client);
    zt_pair_end (&f);
}

/* Sizes that the length field cannot tell, up to such as no memory has. */
static void sizes_beyond_the_length_field (void)
{
    static const size_t sizes[] = {(size_t) UINT32_MAX + 1, SIZE_MAX / 2 + 2,
                                   SIZE_MAX - 3, SIZE_MAX};
    static uint8_t byte;
    zlink_msg_t msg;
    zt_pair_t f = zt_pair ();
    void *fast = zt_socket (f.ctx);
    zlink_routing_id_t id;

    zt_set_int (fast, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    zt_connect (fast, f.port);
    zt_expect_connect (f.server, &id);
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, fast, 0), 0); /* it came up */
    uint32_t server = zlink_msg_routing_id (&msg);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_EQ (zlink_send (f.server, f.id.data, 4, ZLINK_SNDMORE), 4);
        CHECK_FAIL (zlink_send (f.server, &byte, sizes[i], 0), EMSGSIZE);
        CHECK_FAIL (zlink_send (f.server, "afresh", 6, 0), EINVAL);

        CHECK_OK (zlink_msg_init_data (&msg, &byte, sizes[i], NULL, NULL));
        CHECK_EQ (zlink_send (f.server, f.id.data, 4, ZLINK_SNDMORE), 4);
        CHECK_FAIL (zlink_msg_send (&msg, f.server, 0), EMSGSIZE);
        CHECK_OK (zlink_msg_set_routing_id (&msg, server));
        CHECK_FAIL (zlink_msg_send (&msg, fast, 0), EMSGSIZE);
        CHECK_FAIL (zlink_stream_send_batch (fast, &msg, 1, 0), EMSGSIZE);
        CHECK_EQ (zlink_msg_size (&msg), sizes[i]);
        CHECK_OK (zlink_msg_close (&msg));
    }
    zt_close (fast);
    zt_pair_end (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (unknown_peers),
  ZT_CASE (gone_peer),
  ZT_CASE (wrong_first_frames),
  ZT_CASE (zero_body_closes_the_peer),
  ZT_CASE (nothing_after_the_order_to_close),
  ZT_CASE (port_in_use),
  ZT_CASE (detail_of_the_last_failure),
  ZT_CASE (unbind),
  ZT_CASE (disconnect),
  ZT_CASE (sizes_beyond_the_length_field),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: the option, messages with a peer, events. */
#include "ztest.h"
#include "zfast.h"

#define LARGEST_BYTES (10 << 20)

static void refuses_mode (void *s, int value)
{
    CHECK_FAIL (
      zlink_setsockopt (s, ZLINK_STREAM_MODE, &value, sizeof value), EINVAL);
}

static void mode_option (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int64_t wide = ZLINK_STREAM_MODE_FAST;
    uint8_t narrow = ZLINK_STREAM_MODE_FAST;

    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_MODE), ZLINK_STREAM_MODE_COMPAT);
    zt_set_int (s, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_MODE), ZLINK_STREAM_MODE_FAST);
    refuses_mode (s, 2);
    refuses_mode (s, -1);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_STREAM_MODE, &wide, sizeof wide),
                EINVAL);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_STREAM_MODE, &narrow, 1), EINVAL);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_STREAM_MODE, NULL, 0), EINVAL);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_MODE), ZLINK_STREAM_MODE_FAST);
    zt_set_int (s, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_COMPAT);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_MODE), ZLINK_STREAM_MODE_COMPAT);
    zt_close (s);
    zt_term (ctx);
}

static void mode_is_fixed_by_use (void)
{
    void *ctx = zt_ctx ();
    void *bound = zt_fast_socket (ctx);
    void *dialled = zt_socket (ctx);

    int port = zt_bind (bound);
    refuses_mode (bound, ZLINK_STREAM_MODE_COMPAT);
    refuses_mode (bound, ZLINK_STREAM_MODE_FAST);
    CHECK_EQ (zt_get_int (bound, ZLINK_STREAM_MODE), ZLINK_STREAM_MODE_FAST);
    zt_connect (dialled, port);
    refuses_mode (dialled, ZLINK_STREAM_MODE_FAST);
    CHECK_EQ (zt_get_int (dialled, ZLINK_STREAM_MODE),
              ZLINK_STREAM_MODE_COMPAT);
    CHECK_OK (zlink_unbind (bound, zt_endpoint (port)));
    refuses_mode (bound, ZLINK_STREAM_MODE_COMPAT);
    zt_close (bound);
    zt_close (dialled);
    zt_term (ctx);
}

static void mode_after_failed_bind (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    CHECK_FAIL (zlink_bind (s, "tcp://"), EINVAL);
    CHECK_FAIL (zlink_bind (s, "nope://127.0.0.1:1"), EPROTONOSUPPORT);
    CHECK_FAIL (zlink_bind (s, "tcp://192.0.2.1:0"), EADDRNOTAVAIL);
    CHECK_FAIL (zlink_connect (s, "tcp://127.0.0.1"), EINVAL);
    zt_set_int (s, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    zt_fast_t f = {ctx, s, 0, 0, 0};
    zt_fast_begin (&f);
    zt_write_frame (f.fd, "fast", 4);
    zt_fast_expect (s, f.peer, "fast", 4);
    zt_fast_close (&f);
}

static void one_message (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;
    char body[16];

    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_routing_id (&msg), 0);
    zt_write_frame (f.fd, "hello", 5);
    CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 5);
    zt_fast_is (&msg, f.peer, "hello", 5);
    CHECK_EQ (zlink_msg_more (&msg), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_MORE), 0);
    CHECK_EQ (zt_get_int (f.s, ZLINK_RCVMORE), 0);

    /* It goes back as it is, and is empty afterwards. */
    CHECK_EQ (zlink_msg_send (&msg, f.s, 0), 5);
    CHECK_EQ (zlink_msg_size (&msg), 0);
    CHECK_EQ (zlink_msg_routing_id (&msg), 0);
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 5);
    CHECK_MEM (body, "hello", 5);
    CHECK_FAIL (zlink_msg_send (&msg, f.s, 0), EINVAL);
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_close (&f);
}

static void routing_id_of_a_message (void)
{
    zlink_msg_t msg, copy, moved, zeroed;
    memset (&zeroed, 0, sizeof zeroed);
    errno = 0;
    CHECK_EQ (zlink_msg_routing_id (&zeroed), 0);
    CHECK_EQ (errno, EFAULT);
    CHECK_EQ (zlink_msg_routing_id (NULL), 0);
    CHECK_EQ (errno, EFAULT);
    CHECK_FAIL (zlink_msg_set_routing_id (&zeroed, 1), EFAULT);
    CHECK_FAIL (zlink_msg_set_routing_id (NULL, 1), EFAULT);

    CHECK_OK (zlink_msg_init (&msg));
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_init (&moved));
    CHECK_FAIL (zlink_msg_set_routing_id (&msg, 0), EINVAL);
    CHECK_OK (zlink_msg_set_routing_id (&msg, 0xfedcba98u));
    CHECK_EQ (zlink_msg_routing_id (&msg), 0xfedcba98u);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DATA);
    CHECK_FAIL (zlink_msg_set (&msg, ZLINK_STREAM_EVENT, 1), EINVAL);
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_OK (zlink_msg_move (&moved, &msg));
    CHECK_EQ (zlink_msg_routing_id (&copy), 0xfedcba98u);
    CHECK_EQ (zlink_msg_routing_id (&moved), 0xfedcba98u);
    CHECK_EQ (zlink_msg_routing_id (&msg), 0);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_OK (zlink_msg_close (&copy));
    CHECK_OK (zlink_msg_close (&moved));
}

static void send_errors (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg, zeroed;
    static const size_t sizes[] = {0, 5, 1000, 40000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_OK (zlink_msg_init_size (&msg, sizes[i]));
        zt_fill (zlink_msg_data (&msg), sizes[i], (uint32_t) i);
        CHECK_FAIL (zlink_msg_send (&msg, f.s, 0), EINVAL);
        CHECK (strlen (zlink_error_detail ()) > 0);
        CHECK_OK (zlink_msg_set_routing_id (&msg, f.peer + 1));
        CHECK_FAIL (zlink_msg_send (&msg, f.s, 0), EHOSTUNREACH);
        CHECK_OK (zlink_msg_set_routing_id (&msg, f.peer + (1u << 20)));
        CHECK_FAIL (zlink_msg_send (&msg, f.s, ZLINK_DONTWAIT), EHOSTUNREACH);
        CHECK_EQ (zlink_msg_size (&msg), sizes[i]);
        CHECK (zt_filled (zlink_msg_data (&msg), sizes[i], (uint32_t) i));
        CHECK_OK (zlink_msg_close (&msg));
        CHECK_FAIL (zlink_msg_send (&msg, f.s, 0), EFAULT);
    }
    memset (&zeroed, 0, sizeof zeroed);
    CHECK_FAIL (zlink_msg_send (&zeroed, f.s, 0), EFAULT);
    CHECK_FAIL (zlink_msg_recv (&zeroed, f.s, 0), EFAULT);
    CHECK_FAIL (zlink_msg_send (NULL, f.s, 0), EFAULT);

    /* A peer that went. */
    close (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_FAIL (zt_fast_try (f.s, f.peer, "late", 4, 0), EHOSTUNREACH);
    zt_close (f.s);
    zt_term (f.ctx);
}

static void frames_are_refused (void)
{
    zt_fast_t f = zt_fast_open ();
    uint8_t buf[8], id[4];

    zt_put32 (id, f.peer);
    zt_write_frame (f.fd, "hello", 5);
    ZT_UNTIL (zt_get_int (f.s, ZLINK_EVENTS) & ZLINK_POLLIN);
    CHECK_FAIL (zlink_recv (f.s, buf, sizeof buf, 0), ENOTSUP);
    CHECK (strlen (zlink_error_detail ()) > 0);
    CHECK_FAIL (zlink_recv (f.s, buf, sizeof buf, ZLINK_DONTWAIT), ENOTSUP);
    CHECK_FAIL (zlink_send (f.s, id, sizeof id, ZLINK_SNDMORE), ENOTSUP);
    CHECK_FAIL (zlink_send (f.s, "x", 1, 0), ENOTSUP);
    CHECK_FAIL (zlink_send_const (f.s, id, sizeof id, ZLINK_SNDMORE), ENOTSUP);
    zt_fast_expect (f.s, f.peer, "hello", 5); /* nothing was lost */
    zt_fast_close (&f);
}

/* Connect event, messages, disconnect event; the next connection has another
 * id. */
static void events_and_order (void)
{
    enum
    {
        count = 500
    };
    zt_fast_t f = zt_fast_open ();
    uint8_t body[32];

    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, sizeof body, i);
        zt_write_frame (f.fd, body, sizeof body);
    }
    close (f.fd);
    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, sizeof body, i);
        zt_fast_expect (f.s, f.peer, body, sizeof body);
    }
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    f.fd = zt_client (f.port);
    CHECK (zt_fast_event (f.s, ZLINK_STREAM_CONNECTED) != f.peer);
    zt_fast_close (&f);
}

static void every_body_is_data (void)
{
    static const uint8_t bodies[][1] = {{0}, {1}, {2}};
    zt_fast_t f = zt_fast_open ();
    uint8_t read[4];

    for (size_t i = 0; i < 3; i++) {
        zt_write_frame (f.fd, bodies[i], 1);
        zt_fast_expect (f.s, f.peer, bodies[i], 1);
        zt_fast_send (f.s, f.peer, bodies[i], 1);
        CHECK_EQ (zt_read_frame (f.fd, read, sizeof read), 1);
        CHECK_EQ (read[0], bodies[i][0]);
        zt_write_frame (f.fd, NULL, 0);
        zt_fast_expect (f.s, f.peer, "", 0);
        zt_fast_send (f.s, f.peer, NULL, 0);
        CHECK_EQ (zt_read_frame (f.fd, read, sizeof read), 0);
    }
    zt_write_frame (f.fd, "still there", 11);
    zt_fast_expect (f.s, f.peer, "still there", 11);
    zt_fast_close (&f);
}

static void peer_address (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    for (int i = 0; i < 2; i++) { /* the place of the next one owns a text */
        zt_write_frame (f.fd, "hello", 5);
        CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 5);
        CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), "127.0.0.1");
        CHECK_NULL (zlink_msg_gets (&msg, "Unknown"), EINVAL);
        CHECK_EQ (zlink_msg_routing_id (&msg), f.peer);
    }
    CHECK_EQ (zlink_msg_send (&msg, f.s, 0), 5);
    CHECK_NULL (zlink_msg_gets (&msg, "Peer-Address"), EINVAL);
    close (f.fd);
    CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT),
              ZLINK_STREAM_DISCONNECTED);
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (f.s);
    zt_term (f.ctx);
}

/* A name for a peer names it in lists; messages have the number. */
static void connect_routing_id (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_fast_socket (ctx);
    void *client = zt_fast_socket (ctx);
    zlink_routing_id_t id, named = {5, "alias"};
    zlink_peer_info_t info;
    int port = zt_bind (server);

    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, "alias", 5));
    zt_connect (client, port);
    uint32_t to_server = zt_fast_event (client, ZLINK_STREAM_CONNECTED);
    uint32_t to_client = zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    zt_fast_send (client, to_server, "by number", 9);
    zt_fast_expect (server, to_client, "by number", 9);
    zt_fast_send (server, to_client, "back", 4);
    zt_fast_expect (client, to_server, "back", 4);
    CHECK_EQ (zlink_socket_peer_count (client), 1);
    CHECK_OK (zlink_socket_peer_routing_id (client, 0, &id));
    CHECK (zt_same_id (&id, &named));
    CHECK_OK (zlink_socket_peer_info (client, &named, &info));
    CHECK_EQ (info.msgs_sent, 1);
    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, "alias", 5));
    CHECK_FAIL (zlink_connect (client, zt_endpoint (port)), EINVAL);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

/* Sockets of both modes talk to each other: the wire is the same. */
static void both_modes_in_a_context (void)
{
    void *ctx = zt_ctx ();
    void *fast = zt_fast_socket (ctx);
    void *compat = zt_socket (ctx);
    zlink_routing_id_t id;
    zlink_msg_t msg;

    zt_connect (compat, zt_bind (fast));
    uint32_t peer = zt_fast_event (fast, ZLINK_STREAM_CONNECTED);
    zt_expect_connect (compat, &id);
    for (int i = 0; i < 100; i++) {
        zt_send (compat, &id, "two frames", 10);
        zt_fast_expect (fast, peer, "two frames", 10);
        zt_fast_send (fast, peer, "one call", 8);
        zt_expect (compat, &id, "one call", 8);
    }
    /* A message may go from one socket to another one's peer, by its id. */
    CHECK_OK (zlink_msg_init (&msg));
    zt_fast_send (fast, peer, "on", 2);
    zlink_routing_id_t from;
    zt_recv_msg (compat, &from, &msg);
    CHECK_EQ (zlink_msg_routing_id (&msg), 0); /* COMPAT has it in a frame */
    CHECK_OK (zlink_msg_set_routing_id (&msg, peer));
    CHECK_EQ (zlink_msg_send (&msg, fast, 0), 2);
    zt_expect (compat, &id, "on", 2);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (compat);
    CHECK_EQ (zt_fast_event (fast, ZLINK_STREAM_DISCONNECTED), peer);
    zt_close (fast);
    zt_term (ctx);
}

/* Around every limit between the ways a body is kept, both directions. */
static void sizes (void)
{
    static const size_t large[] = {4095, 4096, 4097, 16384, 32767, 32768,
                                   65535, 65536, 65537, 1 << 18, 1 << 20,
                                   (1 << 20) + 1, LARGEST_BYTES};
    zt_fast_t f = zt_fast_open ();
    uint8_t *body = malloc (LARGEST_BYTES);
    zlink_msg_t msg, copy;

    CHECK (body != NULL);
    CHECK_OK (zlink_msg_init (&msg));
    for (size_t i = 0; i < 101 + sizeof large / sizeof *large; i++) {
        size_t size = i <= 100 ? i : large[i - 101];
        zt_fill (body, size, (uint32_t) i);
        zt_write_frame (f.fd, body, size);
        CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), size);
        zt_fast_is (&msg, f.peer, body, size);
        CHECK_OK (zlink_msg_init (&copy));
        CHECK_OK (zlink_msg_copy (&copy, &msg));
        CHECK_EQ (zlink_msg_send (&msg, f.s, 0), size);
        CHECK (zt_filled (zlink_msg_data (&copy), size, (uint32_t) i));
        CHECK_OK (zlink_msg_close (&copy));
        memset (body, 0, size);
        CHECK_EQ (zt_read_frame (f.fd, body, LARGEST_BYTES), size);
        CHECK (zt_filled (body, size, (uint32_t) i));
    }
    CHECK_OK (zlink_msg_close (&msg));
    free (body);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (mode_option),
  ZT_CASE (mode_is_fixed_by_use),
  ZT_CASE (mode_after_failed_bind),
  ZT_CASE (one_message),
  ZT_CASE (routing_id_of_a_message),
  ZT_CASE (send_errors),
  ZT_CASE (frames_are_refused),
  ZT_CASE (events_and_order),
  ZT_CASE (every_body_is_data),
  ZT_CASE (peer_address),
  ZT_CASE (connect_routing_id),
  ZT_CASE (both_modes_in_a_context),
  ZT_CASE (sizes),
};

ZT_MAIN (cases)

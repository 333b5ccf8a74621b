/* SPDX-License-Identifier: MPL-2.0 */
/* Exchange, events, order and routing ids. */
#include "ztest.h"

#define BACKLOG_MESSAGES 1000
#define BODY_BYTES 100
#define CYCLES 100

static void stream_to_stream (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    void *client = zt_socket (ctx);
    zlink_routing_id_t at_server, at_client;

    zt_connect (client, zt_bind (server));
    zt_expect_connect (server, &at_server);
    zt_expect_connect (client, &at_client);
    CHECK (zt_id_number (&at_server) != 0);
    CHECK (zt_id_number (&at_client) != 0);

    zt_send (client, &at_client, "hello", 5);
    zt_expect (server, &at_server, "hello", 5);
    zt_send (server, &at_server, "good day", 8);
    zt_expect (client, &at_client, "good day", 8);
    zt_send (server, &at_server, "first word", 10);
    zt_send (server, &at_server, "second word", 11);
    zt_expect (client, &at_client, "first word", 10);
    zt_expect (client, &at_client, "second word", 11);

    zt_close (client);
    zt_expect_disconnect (server, &at_server);
    zt_expect_silence (server, 0);
    zt_close (server);
    zt_term (ctx);
}

static void server_closes (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    void *client = zt_socket (ctx);
    zlink_routing_id_t at_server, at_client;

    zt_set_int (client, ZLINK_RECONNECT_IVL, -1);
    zt_connect (client, zt_bind (server));
    zt_expect_connect (server, &at_server);
    zt_expect_connect (client, &at_client);
    zt_send (server, &at_server, "the last", 8);
    zt_close (server);
    zt_expect (client, &at_client, "the last", 8);
    zt_expect_disconnect (client, &at_client);
    zt_close (client);
    zt_term (ctx);
}

static void plain_client (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int fd = zt_client (zt_bind (server));
    zlink_routing_id_t id;
    uint8_t answer[16];

    zt_expect_connect (server, &id);
    CHECK (zt_id_number (&id) != 0);
    zt_write (fd, "\0\0\0\5hello", 9);
    zt_expect (server, &id, "hello", 5);
    zt_send (server, &id, "good day", 8);
    zt_read (fd, answer, 12);
    CHECK_MEM (answer, "\0\0\0\10good day", 12);
    close (fd);
    zt_expect_disconnect (server, &id);
    zt_close (server);
    zt_term (ctx);
}

static void plain_server (void)
{
    void *ctx = zt_ctx ();
    void *client = zt_socket (ctx);
    int port, listener = zt_listen (&port);
    zlink_routing_id_t id;
    uint8_t body[16];

    zt_connect (client, port);
    int fd = zt_accept (listener);
    zt_expect_connect (client, &id);
    zt_send (client, &id, "hello", 5);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 5);
    CHECK_MEM (body, "hello", 5);
    zt_write_frame (fd, "good day", 8);
    zt_expect (client, &id, "good day", 8);
    close (listener);
    close (fd);
    zt_expect_disconnect (client, &id);
    zt_close (client);
    zt_term (ctx);
}

/* One socket binds twice and connects once, and serves all three peers. */
static void binds_and_connects (void)
{
    void *ctx = zt_ctx ();
    void *hub = zt_socket (ctx);
    int port, listener = zt_listen (&port);
    int fds[3];
    zlink_routing_id_t ids[3];
    uint8_t body[16];

    fds[0] = zt_client (zt_bind (hub));
    zt_expect_connect (hub, &ids[0]);
    fds[1] = zt_client (zt_bind (hub));
    zt_expect_connect (hub, &ids[1]);
    zt_connect (hub, port);
    fds[2] = zt_accept (listener);
    zt_expect_connect (hub, &ids[2]);

    for (int i = 0; i < 3; i++) {
        zt_fill (body, 8, (uint32_t) i);
        zt_write_frame (fds[i], body, 8);
        zt_expect (hub, &ids[i], body, 8);
        zt_send (hub, &ids[i], body, 8);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ (zt_read_frame (fds[i], body, sizeof body), 8);
        CHECK (zt_filled (body, 8, (uint32_t) i));
    }
    close (listener);
    zt_close (hub);
    for (int i = 0; i < 3; i++) {
        zt_expect_eof (fds[i]);
        close (fds[i]);
    }
    zt_term (ctx);
}

/* Whole messages written before the close are delivered, then the event; the
 * half message at the end never is. */
static void messages_before_disconnect (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int fd = zt_client (zt_bind (server));
    zlink_routing_id_t id;
    uint8_t body[BODY_BYTES];

    for (uint32_t i = 0; i < BACKLOG_MESSAGES; i++) {
        zt_fill (body, sizeof body, i);
        zt_write_frame (fd, body, sizeof body);
    }
    zt_write (fd, "\0\0\0\144half", 8);
    close (fd);

    zt_expect_connect (server, &id);
    for (uint32_t i = 0; i < BACKLOG_MESSAGES; i++) {
        zt_fill (body, sizeof body, i);
        zt_expect (server, &id, body, sizeof body);
    }
    zt_expect_disconnect (server, &id);
    zt_expect_silence (server, 20);
    zt_close (server);
    zt_term (ctx);
}

static void two_clients (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    int first = zt_client (port);
    zlink_routing_id_t first_id, second_id;
    uint8_t body[16];

    zt_expect_connect (server, &first_id);
    int second = zt_client (port);
    zt_expect_connect (server, &second_id);
    CHECK (!zt_same_id (&first_id, &second_id));

    zt_write_frame (second, "second", 6);
    zt_expect (server, &second_id, "second", 6);
    zt_write_frame (first, "first", 5);
    zt_expect (server, &first_id, "first", 5);
    zt_send (server, &second_id, "to second", 9);
    zt_send (server, &first_id, "to first", 8);
    CHECK_EQ (zt_read_frame (first, body, sizeof body), 8);
    CHECK_MEM (body, "to first", 8);
    CHECK_EQ (zt_read_frame (second, body, sizeof body), 9);
    CHECK_MEM (body, "to second", 9);

    close (first);
    zt_expect_disconnect (server, &first_id);
    zt_send (server, &second_id, "still here", 10);
    CHECK_EQ (zt_read_frame (second, body, sizeof body), 10);
    close (second);
    zt_expect_disconnect (server, &second_id);
    zt_close (server);
    zt_term (ctx);
}

static void ids_are_not_reused (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    uint32_t seen[CYCLES];

    for (int i = 0; i < CYCLES; i++) {
        zlink_routing_id_t id;
        int fd = zt_client (port);
        zt_expect_connect (server, &id);
        close (fd);
        zt_expect_disconnect (server, &id);
        seen[i] = zt_id_number (&id);
        CHECK (seen[i] != 0);
        for (int j = 0; j < i; j++)
            CHECK (seen[j] != seen[i]);
    }
    zt_close (server);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (stream_to_stream),
  ZT_CASE (server_closes),
  ZT_CASE (plain_client),
  ZT_CASE (plain_server),
  ZT_CASE (binds_and_connects),
  ZT_CASE (messages_before_disconnect),
  ZT_CASE (two_clients),
  ZT_CASE (ids_are_not_reused),
};

ZT_MAIN (cases)

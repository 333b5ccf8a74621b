/* SPDX-License-Identifier: MPL-2.0 */
/* Dialling, redialling, and what becomes of unsent messages. */
#include "ztest.h"

#include <poll.h>
#include <sys/socket.h>

#define SMALL_BUFFER_BYTES 65536
#define LINGER_MESSAGES 1000
#define LINGER_BODY_BYTES 10000

static bool acceptable (int listener, int ms)
{
    struct pollfd item = {listener, POLLIN, 0};
    return poll (&item, 1, ms) == 1;
}

static void server_restarts (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    void *client = zt_socket (ctx);
    zlink_routing_id_t first, second, at_server;
    int port = zt_bind (server);

    zt_set_int (client, ZLINK_RECONNECT_IVL, 50);
    zt_connect (client, port);
    zt_expect_connect (client, &first);
    zt_expect_connect (server, &at_server);
    zt_close (server);
    zt_expect_disconnect (client, &first);
    zt_expect_silence (client, 200);

    server = zt_socket (ctx);
    ZT_UNTIL (zlink_bind (server, zt_endpoint (port)) == 0);
    zt_expect_connect (client, &second);
    CHECK (!zt_same_id (&first, &second));
    zt_expect_connect (server, &at_server);
    zt_send (client, &second, "again", 5);
    zt_expect (server, &at_server, "again", 5);
    zt_send (server, &at_server, "welcome", 7);
    zt_expect (client, &second, "welcome", 7);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void connection_is_cut_again_and_again (void)
{
    void *ctx = zt_ctx ();
    void *client = zt_socket (ctx);
    int port, listener = zt_listen (&port);
    uint32_t last = 0;

    zt_set_int (client, ZLINK_RECONNECT_IVL, 10);
    zt_connect (client, port);
    for (int i = 0; i < 10; i++) {
        zlink_routing_id_t id;
        int fd = zt_accept (listener);
        zt_expect_connect (client, &id);
        CHECK (zt_id_number (&id) != last);
        last = zt_id_number (&id);
        zt_write_frame (fd, "before the end", 14);
        close (fd);
        zt_expect (client, &id, "before the end", 14);
        zt_expect_disconnect (client, &id);
    }
    close (listener);
    zt_close (client);
    zt_term (ctx);
}

static void connect_before_the_server_listens (void)
{
    void *ctx = zt_ctx ();
    void *client = zt_socket (ctx);
    void *server = zt_socket (ctx);
    zlink_routing_id_t at_client, at_server;
    int port = zt_free_port ();

    zt_set_int (client, ZLINK_RECONNECT_IVL, 50);
    zt_connect (client, port);
    zt_expect_silence (client, 200);
    CHECK_OK (zlink_bind (server, zt_endpoint (port)));
    zt_expect_connect (client, &at_client);
    zt_expect_connect (server, &at_server);
    zt_send (client, &at_client, "at last", 7);
    zt_expect (server, &at_server, "at last", 7);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void interval_of_minus_one_never_redials (void)
{
    void *ctx = zt_ctx ();
    void *client = zt_socket (ctx);
    zlink_routing_id_t id;
    int port, listener = zt_listen (&port);

    zt_set_int (client, ZLINK_RECONNECT_IVL, -1);
    zt_connect (client, port);
    int fd = zt_accept (listener);
    zt_expect_connect (client, &id);
    close (fd);
    zt_expect_disconnect (client, &id);
    CHECK (!acceptable (listener, 400));
    zt_expect_silence (client, 0);
    close (listener);
    zt_close (client);
    zt_term (ctx);
}

static void default_interval_redials (void)
{
    void *ctx = zt_ctx ();
    void *client = zt_socket (ctx);
    zlink_routing_id_t id;
    int port, listener = zt_listen (&port);

    zt_connect (client, port);
    int fd = zt_accept (listener);
    zt_expect_connect (client, &id);
    close (fd);
    zt_expect_disconnect (client, &id);
    CHECK (acceptable (listener, 5000));

    /* A closed socket does not dial. */
    fd = zt_accept (listener);
    zt_expect_connect (client, &id);
    zt_close (client);
    zt_expect_eof (fd);
    CHECK (!acceptable (listener, 300));
    close (fd);
    close (listener);
    zt_term (ctx);
}

typedef struct linger_t
{
    void *ctx;
    void *server;
    int fd;
} linger_t;

/* A server with more queued for its client than the kernel takes. */
static linger_t open_linger (int linger_ms)
{
    static uint8_t body[LINGER_BODY_BYTES];
    linger_t l;
    zlink_routing_id_t id;

    l.ctx = zt_ctx ();
    l.server = zt_socket (l.ctx);
    zt_set_int (l.server, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    zt_set_int (l.server, ZLINK_LINGER, linger_ms);
    zt_unbounded (l.server); /* all of it is queued before the end */
    l.fd = zt_small_client (zt_bind (l.server));
    zt_expect_connect (l.server, &id);
    for (uint32_t i = 0; i < LINGER_MESSAGES; i++) {
        zt_fill (body, sizeof body, i);
        zt_send (l.server, &id, body, sizeof body);
    }
    return l;
}

static size_t read_to_end (int fd)
{
    static uint8_t buf[65536];
    size_t total = 0;
    for (;;) {
        ssize_t n = recv (fd, buf, sizeof buf, 0);
        if (n <= 0) {
            CHECK (n == 0 || errno == ECONNRESET);
            return total;
        }
        total += (size_t) n;
    }
}

static void linger_of_zero_discards (void)
{
    linger_t l = open_linger (0);
    zt_close (l.server);
    zt_term (l.ctx);
    CHECK (read_to_end (l.fd)
           < (size_t) LINGER_MESSAGES * (4 + LINGER_BODY_BYTES));
    close (l.fd);
}

static void *term (void *ctx)
{
    zt_term (ctx);
    return NULL;
}

static void linger_of_minus_one_delivers (void)
{
    static uint8_t body[LINGER_BODY_BYTES];
    linger_t l = open_linger (-1);
    zt_close (l.server);
    pthread_t thread = zt_thread (term, l.ctx);
    for (uint32_t i = 0; i < LINGER_MESSAGES; i++) {
        if (i % 10 == 0)
            zt_pause_ms (3);
        CHECK_EQ (zt_read_frame (l.fd, body, sizeof body), sizeof body);
        CHECK (zt_filled (body, sizeof body, i));
    }
    zt_expect_eof (l.fd);
    zt_join (thread);
    close (l.fd);
}

static void linger_is_bounded (void)
{
    linger_t l = open_linger (300);
    double start = zt_now_ms ();
    zt_close (l.server);
    zt_term (l.ctx);
    CHECK_WAITED (start, 280);
    CHECK (read_to_end (l.fd)
           < (size_t) LINGER_MESSAGES * (4 + LINGER_BODY_BYTES));
    close (l.fd);
}

/* LINGER applies at once, also to connections that are there already; a
 * finished delivery ends the wait early. */
static void linger_ends_with_the_delivery (void)
{
    linger_t l = open_linger (0);
    zt_set_int (l.server, ZLINK_LINGER, ZT_TOO_LONG_MS);
    zt_close (l.server);
    pthread_t thread = zt_thread (term, l.ctx);
    CHECK_EQ (read_to_end (l.fd),
              (size_t) LINGER_MESSAGES * (4 + LINGER_BODY_BYTES));
    zt_join (thread);
    close (l.fd);
}

static const zt_case_t cases[] = {
  ZT_CASE (server_restarts),
  ZT_CASE (connection_is_cut_again_and_again),
  ZT_CASE (connect_before_the_server_listens),
  ZT_CASE (interval_of_minus_one_never_redials),
  ZT_CASE (default_interval_redials),
  ZT_CASE (linger_of_zero_discards),
  ZT_CASE (linger_of_minus_one_delivers),
  ZT_CASE (linger_is_bounded),
  ZT_CASE (linger_ends_with_the_delivery),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* How endpoints end, several at a time, and the source of a dialled one. */
#include "ztest.h"

#include <stdio.h>

#define SILENCE_MS 150

static const char *last_endpoint (void *s)
{
    static char text[256];
    size_t size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_EQ (size, strlen (text) + 1);
    return text;
}

static bool refused (int port)
{
    int fd = zt_try_client (port);
    if (fd >= 0)
        close (fd);
    return fd == -1 && errno == ECONNREFUSED;
}

static void last_endpoint_of_each (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);

    CHECK_STR (last_endpoint (s), "");
    int first = zt_bind (s);
    CHECK_STR (last_endpoint (s), zt_endpoint (first));
    int second = zt_bind (s);
    CHECK (first != second);
    CHECK_STR (last_endpoint (s), zt_endpoint (second));
    zt_connect (s, first);
    CHECK_STR (last_endpoint (s), zt_endpoint (first));
    /* It is the last that was made, also when that has ended. */
    CHECK_OK (zlink_disconnect (s, zt_endpoint (first)));
    CHECK_OK (zlink_unbind (s, zt_endpoint (second)));
    CHECK_FAIL (zlink_bind (s, zt_endpoint (first)), EADDRINUSE);
    CHECK_STR (last_endpoint (s), zt_endpoint (first));
    zt_close (s);
    zt_term (ctx);
}

/* Each unbind ends one of the endpoints that were given alike, the oldest. */
static void same_text_bound_twice (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int first = zt_bind (s), second = zt_bind (s), third = zt_bind (s);

    CHECK_OK (zlink_unbind (s, zt_endpoint (second)));
    CHECK (refused (second));
    CHECK_OK (zlink_unbind (s, "tcp://127.0.0.1:*"));
    CHECK (refused (first));
    close (zt_client (third));
    CHECK_OK (zlink_unbind (s, "tcp://127.0.0.1:*"));
    CHECK (refused (third));
    CHECK_FAIL (zlink_unbind (s, "tcp://127.0.0.1:*"), ENOENT);
    CHECK (strstr (zlink_error_detail (), "tcp://127.0.0.1:*") != NULL);
    zt_close (s);
    zt_term (ctx);
}

/* unbind has freed the port when it returns, and touches no connection. */
static void unbind_frees_the_port (void)
{
    void *ctx = zt_ctx (), *old = zt_socket (ctx), *next = zt_socket (ctx);
    zlink_routing_id_t id, id_next;
    int port = zt_bind (old), fd = zt_client (port);
    char body[16];

    zt_expect_connect (old, &id);
    for (int i = 0; i < 5; i++) {
        CHECK_OK (zlink_unbind (old, zt_endpoint (port)));
        CHECK (refused (port));
        CHECK_OK (zlink_bind (next, zt_endpoint (port)));
        CHECK_OK (zlink_unbind (next, zt_endpoint (port)));
        CHECK_OK (zlink_bind (old, zt_endpoint (port)));
    }
    CHECK_OK (zlink_unbind (old, zt_endpoint (port)));
    CHECK_OK (zlink_bind (next, zt_endpoint (port)));
    int fd_next = zt_client (port);
    zt_expect_connect (next, &id_next);
    zt_write_frame (fd, "to the old", 10);
    zt_expect (old, &id, "to the old", 10);
    zt_send (old, &id, "and back", 8);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 8);
    zt_expect_silence (old, 0);
    CHECK_EQ (zlink_socket_peer_count (old), 1);
    close (fd);
    close (fd_next);
    zt_close (old);
    zt_close (next);
    zt_term (ctx);
}

/* What was bound cannot be disconnected, nor the other way round, and a name
 * means what was given. */
static void unbind_is_not_disconnect (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *other = zt_socket (ctx);
    zlink_routing_id_t id;
    char by_name[64];
    int port = zt_bind (s);

    snprintf (by_name, sizeof by_name, "tcp://localhost:%d", port);
    CHECK_OK (zlink_connect (other, by_name));
    zt_expect_connect (other, &id);
    CHECK_FAIL (zlink_disconnect (s, zt_endpoint (port)), ENOENT);
    CHECK_FAIL (zlink_unbind (other, by_name), ENOENT);
    CHECK_FAIL (zlink_disconnect (other, zt_endpoint (port)), ENOENT);
    CHECK_FAIL (zlink_unbind (s, by_name), ENOENT);
    zt_send (other, &id, "still there", 11);
    zt_expect_silence (other, 20);
    CHECK_OK (zlink_disconnect (other, by_name));
    zt_expect_disconnect (other, &id);
    CHECK_OK (zlink_unbind (s, zt_endpoint (port)));
    zt_close (s);
    zt_close (other);
    zt_term (ctx);
}

static void same_endpoint_connected_twice (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *s = zt_socket (ctx);
    zlink_routing_id_t ids[2], at_server;
    uint8_t body[16];
    int port = zt_bind (server);

    zt_set_int (s, ZLINK_RECONNECT_IVL, 10);
    for (int i = 0; i < 2; i++) {
        zt_connect (s, port);
        zt_expect_connect (s, &ids[i]);
        zt_expect_connect (server, &at_server);
    }
    CHECK (!zt_same_id (&ids[0], &ids[1]));
    /* As elsewhere in the ZeroMQ world, one call ends all of that name. */
    CHECK_OK (zlink_disconnect (s, zt_endpoint (port)));
    for (int i = 0; i < 2; i++) {
        CHECK (zt_recv (s, &at_server, body, sizeof body) == 1 && body[0] == 0);
        CHECK (zt_recv (server, &at_server, body, sizeof body) == 1);
    }
    CHECK_FAIL (zlink_disconnect (s, zt_endpoint (port)), ENOENT);
    zt_expect_silence (server, SILENCE_MS);
    CHECK_EQ (zlink_socket_peer_count (server), 0);
    zt_close (s);
    zt_close (server);
    zt_term (ctx);
}

/* An endpoint that was never reached is dialled no longer. */
static void disconnect_while_dialling (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *s = zt_socket (ctx);
    void *monitor =
      zlink_socket_monitor_open (s, ZLINK_EVENT_CONNECT_RETRIED);
    zlink_monitor_event_t e;
    int port = zt_free_port ();

    zt_set_int (s, ZLINK_RECONNECT_IVL, 10);
    zt_connect (s, port);
    for (int i = 0; i < 2; i++)
        CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_OK (zlink_disconnect (s, zt_endpoint (port)));
    CHECK_FAIL (zlink_disconnect (s, zt_endpoint (port)), ENOENT);
    zt_pause_ms (50); /* a try that was under way */
    CHECK_OK (zlink_bind (server, zt_endpoint (port)));
    zt_expect_silence (server, SILENCE_MS);
    zt_close (monitor);
    zt_close (s);
    zt_close (server);
    zt_term (ctx);
}

/* ------------------------------------------------------------------ source */

/* Connects and returns the endpoint that the server sees. */
static const char *seen_from (void *server, void *client, const char *endpoint)
{
    static zlink_peer_info_t info;
    zlink_routing_id_t id, at_client;

    printf ("%s\n", endpoint);
    CHECK_OK (zlink_connect (client, endpoint));
    CHECK_STR (last_endpoint (client), endpoint);
    zt_expect_connect (server, &id);
    zt_expect_connect (client, &at_client);
    CHECK_OK (zlink_socket_peer_info (server, &id, &info));
    CHECK_OK (zlink_disconnect (client, endpoint));
    zt_expect_disconnect (server, &id);
    zt_expect_disconnect (client, &at_client);
    return info.remote_addr;
}

static void source_address (void)
{
    static const struct
    {
        int ipv6;
        const char *form, *seen; /* the server's port; the start */
    } table[] = {
      {0, "tcp://127.0.0.5:0;127.0.0.1:%d", "tcp://127.0.0.5:"},
      {0, "tcp://127.0.0.5:*;localhost:%d", "tcp://127.0.0.5:"},
      {0, "tcp://lo:*;127.0.0.9:%d", "tcp://127.0.0.1:"},
      {0, "tcp://*:*;127.0.0.1:%d", "tcp://127.0.0.1:"},
      {1, "tcp://127.0.0.6:0;localhost:%d", "tcp://127.0.0.6:"},
      {1, "tcp://[::1]:0;[::1]:%d", "tcp://[::1]:"},
      {1, "tcp://lo:0;[::1]:%d", "tcp://[::1]:"},
      {1, "tcp://*:0;[::1]:%d", "tcp://[::1]:"},
    };
    bool has_ipv6 = zt_has_ipv6 ();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        void *ctx = zt_ctx (), *server, *client;
        char endpoint[64];
        int port;

        if (table[i].ipv6 && !has_ipv6)
            continue;
        CHECK_OK (zlink_ctx_set (ctx, ZLINK_IPV6, table[i].ipv6));
        server = zt_socket (ctx);
        client = zt_socket (ctx);
        CHECK_OK (zlink_bind (server, "tcp://*:*"));
        CHECK_EQ (sscanf (strrchr (last_endpoint (server), ':'), ":%d", &port),
                  1);
        snprintf (endpoint, sizeof endpoint, table[i].form, port);
        const char *seen = seen_from (server, client, endpoint);
        CHECK_EQ (strncmp (seen, table[i].seen, strlen (table[i].seen)), 0);
        zt_close (server);
        zt_close (client);
        zt_term (ctx);
    }
}

static void expect_peer (void *server, zlink_routing_id_t *id, int from)
{
    zlink_peer_info_t info;
    char expected[64];

    zt_expect_connect (server, id);
    CHECK_OK (zlink_socket_peer_info (server, id, &info));
    snprintf (expected, sizeof expected, "tcp://127.0.0.7:%d", from);
    CHECK_STR (info.remote_addr, expected);
}

/* A source with a port is used for every try, also soon after the last, and
 * for several targets. */
static void source_port (void)
{
    static const uint8_t close_peer = 0;
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *s = zt_socket (ctx);
    int port = zt_bind (server), other = zt_bind (server);
    int own = zt_free_port ();
    char endpoint[64];
    zlink_routing_id_t id, at_client;

    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.7:%d;127.0.0.1:%d",
              own, port);
    zt_set_int (s, ZLINK_RECONNECT_IVL, 10);
    CHECK_OK (zlink_connect (s, endpoint));
    for (int i = 0; i < 3; i++) {
        zt_expect_connect (s, &at_client);
        expect_peer (server, &id, own);
        zt_send (server, &id, &close_peer, 1);
        zt_expect_disconnect (server, &id);
        zt_expect_disconnect (s, &at_client);
    }
    zt_expect_connect (s, &at_client);
    expect_peer (server, &id, own);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.7:%d;127.0.0.1:%d",
              own, other);
    CHECK_OK (zlink_connect (s, endpoint));
    zt_expect_connect (s, &at_client);
    expect_peer (server, &id, own);
    zt_close (s);
    zt_close (server);
    zt_term (ctx);
}

/* Clients whose connect has returned are served, also those that the library has not
 * accepted yet: they wait in the queue of the listener. */
static void takes_what_waits_in_the_queue (void)
{
    enum
    {
        clients = 400,
        rounds = 10 / ZT_SCALE
    };
    static int fds[clients];
    void *ctx = zt_ctx ();
    for (int i = 0; i < rounds; i++) {
        void *s = zt_socket (ctx);
        int port = zt_bind (s);
        for (int j = 0; j < clients; j++)
            fds[j] = zt_client (port);
        CHECK_OK (zlink_unbind (s, zt_endpoint (port)));
        for (int j = 0; j < clients; j++) {
            zlink_routing_id_t id;
            zt_expect_connect (s, &id);
            zt_send (s, &id, "hello", 5);
        }
        for (int j = 0; j < clients; j++) {
            char body[8];
            CHECK_EQ (zt_read_frame (fds[j], body, sizeof body), 5);
            zt_reset (fds[j]);
        }
        zt_close (s);
    }
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (takes_what_waits_in_the_queue),
  ZT_CASE (last_endpoint_of_each),
  ZT_CASE (same_text_bound_twice),
  ZT_CASE (unbind_frees_the_port),
  ZT_CASE (unbind_is_not_disconnect),
  ZT_CASE (same_endpoint_connected_twice),
  ZT_CASE (disconnect_while_dialling),
  ZT_CASE (source_address),
  ZT_CASE (source_port),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* Socket and context options. */
#include "ztest.h"

#include <limits.h>

typedef struct int_option_t
{
    int option;
    const char *name;
    int initial;
    int valid[4];
    int invalid[2];
} int_option_t;

#define NONE INT_MIN

/* INT_MIN ends the lists of values. */
static const int_option_t int_options[] = {
#define OPTION(name) ZLINK_##name, #name
  {OPTION (SNDHWM), 300000, {0, 1, 1000000, NONE}, {-1, NONE}},
  {OPTION (RCVHWM), 300000, {0, 1, 1000000, NONE}, {-1, NONE}},
  {OPTION (LINGER), -1, {0, 1, 5000, -1}, {-2, NONE}},
  {OPTION (RCVTIMEO), -1, {0, 1, 5000, -1}, {-2, NONE}},
  {OPTION (SNDTIMEO), -1, {0, 1, 5000, -1}, {-2, NONE}},
  {OPTION (SNDBUF), -1, {0, 65536, -1, NONE}, {-2, NONE}},
  {OPTION (RCVBUF), -1, {0, 65536, -1, NONE}, {-2, NONE}},
  {OPTION (BACKLOG), 65536, {0, 1, 100, NONE}, {-1, NONE}},
  {OPTION (RECONNECT_IVL), 100, {0, 1, 5000, -1}, {-2, NONE}},
  {OPTION (RECONNECT_IVL_MAX), 0, {1, 5000, 0, NONE}, {-1, NONE}},
  {OPTION (CONNECT_TIMEOUT), 0, {1, 5000, 0, NONE}, {-1, NONE}},
  {OPTION (TCP_MAXRT), 0, {1, 5000, 0, NONE}, {-1, NONE}},
  {OPTION (HANDSHAKE_IVL), 30000, {0, 1, 5000, NONE}, {-1, NONE}},
  {OPTION (TCP_KEEPALIVE), -1, {0, 1, -1, NONE}, {-2, 2}},
  {OPTION (TCP_KEEPALIVE_CNT), -1, {1, 5, -1, NONE}, {-2, NONE}},
  {OPTION (TCP_KEEPALIVE_IDLE), -1, {1, 60, -1, NONE}, {-2, NONE}},
  {OPTION (TCP_KEEPALIVE_INTVL), -1, {1, 60, -1, NONE}, {-2, NONE}},
  {OPTION (IPV6), 0, {1, 0, NONE, NONE}, {-1, 2}},
  {OPTION (IMMEDIATE), 0, {1, 0, NONE, NONE}, {-1, 2}},
  {OPTION (TOS), 0, {1, 0x10, 0, NONE}, {-1, NONE}},
  {OPTION (USE_FD), -1, {-1, NONE, NONE, NONE}, {-2, NONE}},
#undef OPTION
};

static void check_int_option (void *s, const int_option_t *o)
{
    int value = o->initial;
    uint8_t wide[8] = {0};
    size_t size = sizeof wide;

    printf ("%s\n", o->name);
    CHECK_EQ (zt_get_int (s, o->option), o->initial);
    for (int i = 0; i < 4 && o->valid[i] != NONE; i++) {
        value = o->valid[i];
        zt_set_int (s, o->option, value);
        CHECK_EQ (zt_get_int (s, o->option), value);
    }
    for (int i = 0; i < 2 && o->invalid[i] != NONE; i++) {
        int bad = o->invalid[i];
        CHECK_FAIL (zlink_setsockopt (s, o->option, &bad, sizeof bad), EINVAL);
    }
    CHECK_FAIL (zlink_setsockopt (s, o->option, wide, 8), EINVAL);
    CHECK_FAIL (zlink_setsockopt (s, o->option, wide, 3), EINVAL);
    CHECK_FAIL (zlink_setsockopt (s, o->option, wide, 0), EINVAL);
    CHECK_EQ (zt_get_int (s, o->option), value);

    CHECK_OK (zlink_getsockopt (s, o->option, wide, &size));
    CHECK_EQ (size, sizeof (int));
    size = 3;
    CHECK_FAIL (zlink_getsockopt (s, o->option, wide, &size), EINVAL);
}

static void int_options_of_a_socket (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    void *other = zt_socket (ctx);

    for (size_t i = 0; i < sizeof int_options / sizeof *int_options; i++) {
        check_int_option (s, &int_options[i]);
        CHECK_EQ (zt_get_int (other, int_options[i].option),
                  int_options[i].initial);
    }
    zt_close (s);
    zt_close (other);
    zt_term (ctx);
}

static void maxmsgsize (void)
{
    static const int64_t values[] = {0, 1, INT64_C (1) << 40, -1};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int64_t value = 0;
    int narrow = 5;
    size_t size = sizeof value;

    CHECK_OK (zlink_getsockopt (s, ZLINK_MAXMSGSIZE, &value, &size));
    CHECK_EQ (size, 8);
    CHECK_EQ (value, -1);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        CHECK_OK (zlink_setsockopt (s, ZLINK_MAXMSGSIZE, &values[i], 8));
        CHECK_OK (zlink_getsockopt (s, ZLINK_MAXMSGSIZE, &value, &size));
        CHECK_EQ (value, values[i]);
    }
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_MAXMSGSIZE, &narrow, sizeof narrow),
                EINVAL);
    size = sizeof narrow;
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_MAXMSGSIZE, &narrow, &size), EINVAL);
    size = sizeof value;
    CHECK_OK (zlink_getsockopt (s, ZLINK_MAXMSGSIZE, &value, &size));
    CHECK_EQ (value, -1);
    zt_close (s);
    zt_term (ctx);
}

static void affinity (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    uint64_t value = 1;
    int narrow = 0;
    size_t size = sizeof value;

    CHECK_OK (zlink_getsockopt (s, ZLINK_AFFINITY, &value, &size));
    CHECK_EQ (size, 8);
    CHECK_EQ (value, 0);
    value = 2;
    CHECK_OK (zlink_setsockopt (s, ZLINK_AFFINITY, &value, sizeof value));
    value = 0;
    CHECK_OK (zlink_getsockopt (s, ZLINK_AFFINITY, &value, &size));
    CHECK_EQ (value, 2);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_AFFINITY, &narrow, sizeof narrow),
                EINVAL);
    zt_close (s);
    zt_term (ctx);
}

static void routing_id (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    uint8_t value[256], found[256];
    size_t size = sizeof found;

    memset (value, 0xfe, sizeof value);
    CHECK_OK (zlink_getsockopt (s, ZLINK_ROUTING_ID, found, &size));
    CHECK_EQ (size, 0);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_ROUTING_ID, value, 0), EINVAL);
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_ROUTING_ID, value, 256), EINVAL);
    CHECK_OK (zlink_setsockopt (s, ZLINK_ROUTING_ID, value, 255));
    CHECK_OK (zlink_setsockopt (s, ZLINK_ROUTING_ID, "a\0b", 3));
    size = 2;
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_ROUTING_ID, found, &size), EINVAL);
    size = sizeof found;
    CHECK_OK (zlink_getsockopt (s, ZLINK_ROUTING_ID, found, &size));
    CHECK_EQ (size, 3);
    CHECK_MEM (found, "a\0b", 3);
    zt_close (s);
    zt_term (ctx);
}

static void get_only_options (void)
{
    static const int options[] = {ZLINK_TYPE, ZLINK_RCVMORE, ZLINK_EVENTS,
                                  ZLINK_FD, ZLINK_LAST_ENDPOINT};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int value = 1;

    CHECK_EQ (zt_get_int (s, ZLINK_TYPE), ZLINK_STREAM);
    CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 0);
    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLOUT);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        CHECK_FAIL (zlink_setsockopt (s, options[i], &value, sizeof value),
                    EINVAL);
    zt_close (s);
    zt_term (ctx);
}

static void inapplicable_options (void)
{
    static const int options[] = {
      0,
      -1,
      ZLINK_SUBSCRIBE,
      ZLINK_UNSUBSCRIBE,
      ZLINK_RATE,
      ZLINK_ROUTER_MANDATORY,
      ZLINK_XPUB_VERBOSE,
      ZLINK_CONFLATE,
      ZLINK_HEARTBEAT_IVL,
      ZLINK_REQUEST_TIMEOUT,
      ZLINK_TOPICS_COUNT,
      ZLINK_ZMP_METADATA,
      9999,
    };
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int value = 1;
        size_t size = sizeof value;
        CHECK_FAIL (zlink_setsockopt (s, options[i], &value, sizeof value),
                    EINVAL);
        CHECK_FAIL (zlink_getsockopt (s, options[i], &value, &size), EINVAL);
    }
    zt_close (s);
    zt_term (ctx);
}

static void last_endpoint (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    char text[256];
    size_t size = sizeof text;

    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_EQ (size, 1);
    CHECK_STR (text, "");
    int first = zt_bind (s);
    int second = zt_bind (s);
    CHECK (first != second);
    size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_STR (text, zt_endpoint (second));
    CHECK_EQ (size, strlen (text) + 1);
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    size--;
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size), EINVAL);

    /* The text unbinds what a wildcard bound. */
    CHECK_OK (zlink_unbind (s, text));
    CHECK_FAIL (zlink_unbind (s, text), ENOENT);
    zt_close (s);
    zt_term (ctx);
}

static void wait_readable (void *s)
{
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    CHECK_EQ (zlink_poll (&item, 1, -1), 1);
}

static void events (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    uint8_t buf[16];
    int port = zt_bind (s);

    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLOUT);
    int fd = zt_client (port);
    wait_readable (s);
    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLIN | ZLINK_POLLOUT);
    CHECK_EQ (zlink_recv (s, buf, sizeof buf, 0), 4);
    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLIN | ZLINK_POLLOUT);
    CHECK_EQ (zlink_recv (s, buf, sizeof buf, 0), 1);
    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLOUT);
    zt_write_frame (fd, "hello", 5);
    ZT_UNTIL (zt_get_int (s, ZLINK_EVENTS) & ZLINK_POLLIN);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

static void listening_descriptor (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    zlink_routing_id_t id;
    int port, listener = zt_listen (&port);

    zt_set_int (s, ZLINK_USE_FD, listener);
    CHECK_OK (zlink_bind (s, zt_endpoint (port)));
    int fd = zt_client (port);
    zt_expect_connect (s, &id);
    zt_write_frame (fd, "hello", 5);
    zt_expect (s, &id, "hello", 5);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

static void connect_routing_id (void)
{
    static const char alias[] = "server-7";
    enum { size = sizeof alias - 1 };
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    void *client = zt_socket (ctx);
    uint8_t long_alias[256];
    size_t got = sizeof long_alias;
    int port = zt_bind (server), second_port = zt_bind (server);
    zlink_routing_id_t at_server, named, numbered;

    memset (long_alias, 'n', sizeof long_alias);
    CHECK_FAIL (
      zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, long_alias, 0),
      EINVAL);
    CHECK_FAIL (
      zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, long_alias, 256),
      EINVAL);
    CHECK_FAIL (
      zlink_getsockopt (client, ZLINK_CONNECT_ROUTING_ID, long_alias, &got),
      EINVAL);

    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, alias, size));
    zt_connect (client, port);
    zt_expect_connect (client, &named);
    CHECK_EQ (named.size, size);
    CHECK_MEM (named.data, alias, size);
    zt_expect_connect (server, &at_server);
    zt_send (client, &named, "by name", 7);
    zt_expect (server, &at_server, "by name", 7);
    zt_send (server, &at_server, "answer", 6);
    zt_expect (client, &named, "answer", 6);

    /* It named one connect; the next peer has a number again. */
    zt_connect (client, second_port);
    zt_expect_connect (client, &numbered);
    CHECK (zt_id_number (&numbered) != 0);
    zt_expect_connect (server, &at_server);

    /* In use, and free again once its connection has ended. */
    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, alias, size));
    CHECK_FAIL (zlink_connect (client, zt_endpoint (port)), EINVAL);
    CHECK_OK (zlink_disconnect (client, zt_endpoint (port)));
    zt_expect_disconnect (client, &named);
    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, alias, size));
    zt_connect (client, port);
    zt_expect_connect (client, &named);
    CHECK_EQ (named.size, size);
    CHECK_MEM (named.data, alias, size);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void context_options (void)
{
    void *ctx = zt_ctx ();

    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_IO_THREADS), 2);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_MAX_SOCKETS), 1023);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_SOCKET_LIMIT), 65535);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_MAX_MSGSZ), INT_MAX);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_MSG_T_SIZE), 64);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_BLOCKY), 1);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_IPV6), 0);

    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IO_THREADS, 1));
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_IO_THREADS), 1);
    CHECK_FAIL (zlink_ctx_set (ctx, ZLINK_IO_THREADS, -1), EINVAL);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_IO_THREADS), 1);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, 10000));
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_MAX_SOCKETS), 10000);
    CHECK_FAIL (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, -1), EINVAL);
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_MAX_SOCKETS), 10000);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IPV6, 1));
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_IPV6), 1);
    CHECK_FAIL (zlink_ctx_set (ctx, ZLINK_BLOCKY, -1), EINVAL);
    CHECK_FAIL (zlink_ctx_set (ctx, ZLINK_MSG_T_SIZE, 64), EINVAL);
    CHECK_FAIL (zlink_ctx_set (ctx, 9999, 1), EINVAL);
    CHECK_FAIL (zlink_ctx_get (ctx, 9999), EINVAL);
    zt_term (ctx);
}

static void blocky (void)
{
    void *ctx = zt_ctx ();
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_BLOCKY, 0));
    CHECK_EQ (zlink_ctx_get (ctx, ZLINK_BLOCKY), 0);
    void *s = zt_socket (ctx);
    CHECK_EQ (zt_get_int (s, ZLINK_LINGER), 0);
    zt_set_int (s, ZLINK_LINGER, -1);
    CHECK_EQ (zt_get_int (s, ZLINK_LINGER), -1);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (int_options_of_a_socket), ZT_CASE (maxmsgsize),
  ZT_CASE (affinity),                ZT_CASE (routing_id),
  ZT_CASE (get_only_options),        ZT_CASE (inapplicable_options),
  ZT_CASE (last_endpoint),           ZT_CASE (events),
  ZT_CASE (listening_descriptor),    ZT_CASE (connect_routing_id),
  ZT_CASE (context_options),         ZT_CASE (blocky),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* Socket options: default, range, size, and what does not apply. */
#include "ztest.h"

#include <limits.h>
#include <stdio.h>

typedef struct int_option_t
{
    int option;
    const char *name;
    int initial, min, max;
} int_option_t;

static const int_option_t int_options[] = {
#define OPTION(name) ZLINK_##name, #name
  {OPTION (SNDHWM), 300000, 0, INT_MAX},
  {OPTION (RCVHWM), 300000, 0, INT_MAX},
  {OPTION (LINGER), -1, -1, INT_MAX},
  {OPTION (RCVTIMEO), -1, -1, INT_MAX},
  {OPTION (SNDTIMEO), -1, -1, INT_MAX},
  {OPTION (SNDBUF), -1, -1, INT_MAX},
  {OPTION (RCVBUF), -1, -1, INT_MAX},
  {OPTION (BACKLOG), 65536, 0, INT_MAX},
  {OPTION (RECONNECT_IVL), 100, -1, INT_MAX},
  {OPTION (RECONNECT_IVL_MAX), 0, 0, INT_MAX},
  {OPTION (CONNECT_TIMEOUT), 0, 0, INT_MAX},
  {OPTION (TCP_MAXRT), 0, 0, INT_MAX},
  {OPTION (HANDSHAKE_IVL), 30000, 0, INT_MAX},
  {OPTION (TCP_KEEPALIVE), -1, -1, 1},
  {OPTION (TCP_KEEPALIVE_CNT), -1, -1, INT_MAX},
  {OPTION (TCP_KEEPALIVE_IDLE), -1, -1, INT_MAX},
  {OPTION (TCP_KEEPALIVE_INTVL), -1, -1, INT_MAX},
  {OPTION (IPV6), 0, 0, 1},
  {OPTION (IMMEDIATE), 0, 0, 1},
  {OPTION (TOS), 0, 0, INT_MAX},
  {OPTION (USE_FD), -1, -1, INT_MAX},
  {OPTION (TLS_VERIFY), 1, 0, 1},
  {OPTION (TLS_TRUST_SYSTEM), 1, 0, 1},
  {OPTION (TLS_REQUIRE_CLIENT_CERT), 0, 0, 1},
  {OPTION (HEARTBEAT_IVL), 0, 0, INT_MAX},
  {OPTION (STREAM_IDLE_TIMEOUT), 0, 0, INT_MAX},
  {OPTION (STREAM_FIRST_MESSAGE_TIMEOUT), 0, 0, INT_MAX},
  {OPTION (STREAM_MAX_AGE), 0, 0, INT_MAX},
  {OPTION (HEARTBEAT_TTL), 0, 0, 65535 * 100 + 99},
  {OPTION (STREAM_RECV_BYTES), 1 << 20, 0, INT_MAX},
  {OPTION (STREAM_RATE_MESSAGES), 0, 0, INT_MAX},
  {OPTION (STREAM_RATE_BYTES), 0, 0, INT_MAX},
  {OPTION (STREAM_RATE_POLICY), ZLINK_STREAM_RATE_WAIT, ZLINK_STREAM_RATE_WAIT, ZLINK_STREAM_RATE_CUT},
  {OPTION (STREAM_SEND_BYTES), 4 << 20, 0, INT_MAX},
  {OPTION (STREAM_FULL_POLICY), 0, 0, 3},
  {OPTION (RATE), 100, 1, INT_MAX},
  {OPTION (RECOVERY_IVL), 10000, 0, INT_MAX},
  {OPTION (MULTICAST_HOPS), 1, 1, INT_MAX},
  {OPTION (MULTICAST_MAXTPDU), 1500, 1, INT_MAX},
  {OPTION (CONFLATE), 0, 0, 1},
  {OPTION (INVERT_MATCHING), 0, 0, 1},
  {OPTION (REQUEST_TIMEOUT), 5000, -1, INT_MAX},
  {OPTION (REQUEST_CORRELATE), 1, 0, 1},
  {OPTION (ZMP_METADATA), 0, 0, 1},
  {OPTION (STREAM_MAX_CONNECTIONS), 0, 0, INT_MAX},
  {OPTION (STREAM_ADDRESS_CONNECTIONS), 0, 0, INT_MAX},
  {OPTION (STREAM_ADDRESS_PREFIX4), 32, 0, 32},
  {OPTION (STREAM_ADDRESS_PREFIX6), 64, 0, 128},
  {OPTION (STREAM_ACCEPT_RATE), 0, 0, INT_MAX},
  {OPTION (STREAM_ADDRESS_ACCEPT_RATE), 0, 0, INT_MAX},
  {OPTION (STREAM_HANDSHAKES), 0, 0, INT_MAX},
  {OPTION (STREAM_REUSEPORT), 0, 0, 1},
};

typedef struct text_option_t
{
    int option;
    const char *name;
    size_t longest;
} text_option_t;

static const text_option_t text_options[] = {
  {OPTION (BINDTODEVICE), 16},
  {OPTION (TLS_CERT), 256},
  {OPTION (TLS_KEY), 256},
  {OPTION (TLS_CA), 256},
  {OPTION (TLS_HOSTNAME), 256},
  {OPTION (TLS_PASSWORD), 256},
  {OPTION (TLS_CIPHERS), 256},
  {OPTION (STREAM_LISTEN_NAME), 255},
#undef OPTION
};

#define COUNT(table) (sizeof (table) / sizeof *(table))

/* An option cannot be got into fewer bytes than it has; nothing is written. */
static void check_small_buffers (void *s, int option, size_t needed)
{
    char buf[512];
    for (size_t room = 0; room < needed; room++) {
        size_t size = room;
        memset (buf, '#', sizeof buf);
        CHECK_FAIL (zlink_getsockopt (s, option, buf, &size), EINVAL);
        CHECK_EQ (size, room);
        for (size_t i = 0; i < sizeof buf; i++)
            CHECK_EQ (buf[i], '#');
    }
    size_t size = sizeof buf;
    CHECK_FAIL (zlink_getsockopt (s, option, NULL, &size), EFAULT);
    CHECK_FAIL (zlink_getsockopt (s, option, buf, NULL), EFAULT);
}

/* Refused, with a sentence that names the option: "socket option LINGER ...". */
static void check_refused (void *s, int option, const void *value, size_t size)
{
    static const char start[] = "socket option ";
    CHECK_FAIL (zlink_setsockopt (s, option, value, size), EINVAL);
    CHECK (strncmp (zlink_error_detail (), start, sizeof start - 1) == 0);
}

static void check_int_option (void *s, const int_option_t *o)
{
    const int valid[] = {o->min, o->max, o->min > 0 ? o->min : 0, 1, o->min};
    uint8_t wide[16];
    size_t size = sizeof wide;
    int below = o->min - 1, above = o->max + (o->max < INT_MAX);
    int lowest = INT_MIN, other = 1;

    CHECK_EQ (zt_get_int (s, o->option), o->initial);
    for (size_t i = 0; i < COUNT (valid); i++) {
        zt_set_int (s, o->option, valid[i]);
        CHECK_EQ (zt_get_int (s, o->option), valid[i]);
    }
    check_refused (s, o->option, &below, sizeof below);
    check_refused (s, o->option, &lowest, sizeof lowest);
    if (above > o->max)
        check_refused (s, o->option, &above, sizeof above);
    CHECK_EQ (zt_get_int (s, o->option), o->min);

    memset (wide, 0, sizeof wide);
    memcpy (wide, &other, sizeof other);
    for (size_t wrong = 0; wrong < sizeof wide; wrong++)
        if (wrong != sizeof (int))
            check_refused (s, o->option, wide, wrong);
    check_refused (s, o->option, NULL, sizeof (int));
    CHECK_EQ (zt_get_int (s, o->option), o->min);

    memset (wide, '#', sizeof wide);
    CHECK_OK (zlink_getsockopt (s, o->option, wide, &size));
    CHECK_EQ (size, sizeof (int));
    for (size_t i = sizeof (int); i < sizeof wide; i++)
        CHECK_EQ (wide[i], 0);
    check_small_buffers (s, o->option, sizeof (int));
}

static void int_options_of_a_socket (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    void *other = zt_socket (ctx);

    for (size_t i = 0; i < COUNT (int_options); i++) {
        printf ("%s\n", int_options[i].name);
        check_int_option (s, &int_options[i]);
        CHECK_EQ (zt_get_int (other, int_options[i].option),
                  int_options[i].initial);
    }
    zt_close (s);
    zt_close (other);
    zt_term (ctx);
}

static void expect_text (void *s, int option, const char *expected)
{
    char text[512];
    size_t size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, option, text, &size));
    CHECK_EQ (size, strlen (expected) + 1);
    CHECK_STR (text, expected);
}

static void check_text_option (void *s, const text_option_t *o)
{
    char text[300];

    expect_text (s, o->option, "");
    memset (text, 'x', sizeof text);
    text[o->longest] = '\0'; /* the NUL may be given and need not */
    CHECK_OK (zlink_setsockopt (s, o->option, text, o->longest));
    expect_text (s, o->option, text);
    CHECK_OK (zlink_setsockopt (s, o->option, "short", 5));
    CHECK_OK (zlink_setsockopt (s, o->option, text, o->longest + 1));
    expect_text (s, o->option, text);
    CHECK_OK (zlink_setsockopt (s, o->option, "in an array\0\0\0", 14));
    expect_text (s, o->option, "in an array");

    text[o->longest] = 'x';
    check_refused (s, o->option, text, o->longest + 1);
    check_refused (s, o->option, text, o->longest + 2);
    CHECK_FAIL (zlink_setsockopt (s, o->option, text, (size_t) 1 << 40),
                EINVAL);
    check_refused (s, o->option, NULL, 1);
    expect_text (s, o->option, "in an array");
    check_small_buffers (s, o->option, sizeof "in an array");
    CHECK_OK (zlink_setsockopt (s, o->option, NULL, 0));
    expect_text (s, o->option, "");
}

static void text_options_of_a_socket (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    for (size_t i = 0; i < COUNT (text_options); i++) {
        printf ("%s\n", text_options[i].name);
        check_text_option (s, &text_options[i]);
    }
    zt_close (s);
    zt_term (ctx);
}

/* MAXMSGSIZE and AFFINITY take any value of eight bytes. */
static void options_of_eight_bytes (void)
{
    static const struct
    {
        int option;
        uint64_t initial;
    } table[] = {{ZLINK_MAXMSGSIZE, UINT64_MAX}, {ZLINK_AFFINITY, 0}};
    static const uint64_t values[] = {
      0, 1, UINT64_C (1) << 40, INT64_MAX, UINT64_C (1) << 63, UINT64_MAX};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    for (size_t i = 0; i < COUNT (table); i++) {
        int option = table[i].option;
        uint64_t value = 12345;
        uint8_t wide[16] = {0};
        size_t size = sizeof wide;

        CHECK_OK (zlink_getsockopt (s, option, &value, &size));
        CHECK_EQ (size, 8);
        CHECK (value == table[i].initial);
        for (size_t j = 0; j < COUNT (values); j++) {
            CHECK_OK (zlink_setsockopt (s, option, &values[j], 8));
            CHECK_OK (zlink_getsockopt (s, option, &value, &size));
            CHECK (value == values[j]);
        }
        for (size_t wrong = 0; wrong < sizeof wide; wrong++)
            if (wrong != 8)
                check_refused (s, option, wide, wrong);
        CHECK_OK (zlink_getsockopt (s, option, &value, &size));
        CHECK (value == UINT64_MAX);
        check_small_buffers (s, option, 8);
    }
    zt_close (s);
    zt_term (ctx);
}

static void routing_ids (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    uint8_t value[256], found[256];
    size_t size = sizeof found;

    memset (value, 0xfe, sizeof value);
    CHECK_OK (zlink_getsockopt (s, ZLINK_ROUTING_ID, found, &size));
    CHECK_EQ (size, 0);
    CHECK_OK (zlink_setsockopt (s, ZLINK_ROUTING_ID, value, 255));
    CHECK_OK (zlink_setsockopt (s, ZLINK_ROUTING_ID, "a\0b", 3));
    CHECK_OK (zlink_setsockopt (s, ZLINK_CONNECT_ROUTING_ID, value, 255));
    CHECK_OK (zlink_setsockopt (s, ZLINK_CONNECT_ROUTING_ID, value, 1));
    static const int options[] = {ZLINK_ROUTING_ID, ZLINK_CONNECT_ROUTING_ID};
    for (int i = 0; i < 2; i++) {
        check_refused (s, options[i], value, 0);
        check_refused (s, options[i], value, 256);
        check_refused (s, options[i], NULL, 4);
    }
    size = sizeof found;
    CHECK_OK (zlink_getsockopt (s, ZLINK_ROUTING_ID, found, &size));
    CHECK_EQ (size, 3);
    CHECK_MEM (found, "a\0b", 3);
    check_small_buffers (s, ZLINK_ROUTING_ID, 3);
    size = sizeof found;
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_CONNECT_ROUTING_ID, found, &size),
                EINVAL);
    zt_close (s);
    zt_term (ctx);
}

static void get_only_options (void)
{
    static const int options[] = {ZLINK_TYPE, ZLINK_RCVMORE, ZLINK_EVENTS,
                                  ZLINK_FD};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int value = 1, fd = zt_get_int (s, ZLINK_FD);

    CHECK_EQ (zt_get_int (s, ZLINK_TYPE), ZLINK_STREAM);
    CHECK_EQ (zt_get_int (s, ZLINK_RCVMORE), 0);
    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLOUT);
    CHECK (fd >= 0);
    for (size_t i = 0; i < COUNT (options); i++) {
        check_refused (s, options[i], &value, sizeof value);
        check_small_buffers (s, options[i], sizeof value);
    }
    check_refused (s, ZLINK_LAST_ENDPOINT, "tcp://127.0.0.1:1", 18);
    expect_text (s, ZLINK_LAST_ENDPOINT, "");
    check_small_buffers (s, ZLINK_LAST_ENDPOINT, 1);
    CHECK_EQ (zt_get_int (s, ZLINK_TYPE), ZLINK_STREAM);
    CHECK_EQ (zt_get_int (s, ZLINK_FD), fd);
    zt_close (s);
    zt_term (ctx);
}

/* The numbers that are options of STREAM. */
enum
{
    OPTIONS = 400 /* more than the highest number */
};

static void applicable (bool applies[OPTIONS])
{
    static const int others[] = {
      ZLINK_AFFINITY,
      ZLINK_ROUTING_ID,
      ZLINK_RCVMORE,
      ZLINK_FD,
      ZLINK_EVENTS,
      ZLINK_TYPE,
      ZLINK_MAXMSGSIZE,
      ZLINK_LAST_ENDPOINT,
      ZLINK_CONNECT_ROUTING_ID,
      ZLINK_HEARTBEAT_TIMEOUT,
    };
    for (size_t i = 0; i < COUNT (int_options); i++)
        applies[int_options[i].option] = true;
    for (size_t i = 0; i < COUNT (text_options); i++)
        applies[text_options[i].option] = true;
    for (size_t i = 0; i < COUNT (others); i++)
        applies[others[i]] = true;
}

static void check_unknown (void *s, int option)
{
    uint64_t value = 1;
    size_t size = sizeof value;
    check_refused (s, option, &value, sizeof (int));
    check_refused (s, option, &value, sizeof value);
    check_refused (s, option, "", 0);
    CHECK_FAIL (zlink_getsockopt (s, option, &value, &size), EINVAL);
    CHECK (zlink_error_detail ()[0] != '\0');
    CHECK_EQ (value, 1);
    CHECK_EQ (size, sizeof value);
}

/* Every other number, and so every other option of the ABI. */
static void inapplicable_options (void)
{
    static const int far[] = {-1, INT_MIN, 9999, INT_MAX};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    bool applies[OPTIONS] = {false};

    applicable (applies);
    CHECK (!applies[ZLINK_ROUTER_MANDATORY] && !applies[ZLINK_BLOCKY]);
    for (size_t i = 0; i < COUNT (far); i++)
        check_unknown (s, far[i]);
    for (int option = 0; option < 300; option++)
        if (!applies[option])
            check_unknown (s, option);
    zt_close (s);
    zt_term (ctx);
}

/* As long as HEARTBEAT_IVL until it is set. */
static void heartbeat_timeout (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int below = -1;

    CHECK_EQ (zt_get_int (s, ZLINK_HEARTBEAT_TIMEOUT), 0);
    zt_set_int (s, ZLINK_HEARTBEAT_IVL, 500);
    CHECK_EQ (zt_get_int (s, ZLINK_HEARTBEAT_TIMEOUT), 500);
    check_refused (s, ZLINK_HEARTBEAT_TIMEOUT, &below, sizeof below);
    zt_set_int (s, ZLINK_HEARTBEAT_TIMEOUT, 0);
    CHECK_EQ (zt_get_int (s, ZLINK_HEARTBEAT_TIMEOUT), 0);
    zt_set_int (s, ZLINK_HEARTBEAT_TIMEOUT, INT_MAX);
    CHECK_EQ (zt_get_int (s, ZLINK_HEARTBEAT_TIMEOUT), INT_MAX);
    check_small_buffers (s, ZLINK_HEARTBEAT_TIMEOUT, sizeof (int));
    zt_close (s);
    zt_term (ctx);
}

/* An int into an int64_t that was not cleared, before and inside a message; other
 * values leave what is behind them alone. */
static void ints_in_longer_buffers (void)
{
    static const int options[] = {ZLINK_TYPE, ZLINK_EVENTS, ZLINK_FD,
                                  ZLINK_STREAM_MODE, ZLINK_SNDHWM};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_ALL);
    int64_t more = -1;
    size_t size = sizeof more;
    char buf[64];

    for (size_t i = 0; i < COUNT (options); i++) {
        int64_t value = -1;
        size = sizeof value;
        CHECK_OK (zlink_getsockopt (s, options[i], &value, &size));
        CHECK_EQ (size, sizeof (int));
        CHECK_EQ (value, zt_get_int (s, options[i]));
    }
    more = -1;
    size = sizeof more;
    CHECK_OK (zlink_getsockopt (monitor, ZLINK_TYPE, &more, &size));
    CHECK_EQ (size, sizeof (int));
    CHECK_EQ (more, ZLINK_PAIR);

    int fd = zt_client (zt_bind (s));
    CHECK_EQ (zlink_recv (s, buf, sizeof buf, 0), 4);
    more = -1;
    size = sizeof more;
    CHECK_OK (zlink_getsockopt (s, ZLINK_RCVMORE, &more, &size));
    CHECK_EQ (size, sizeof (int));
    CHECK_EQ (more, 1);
    CHECK_EQ (zlink_recv (s, buf, sizeof buf, 0), 1);
    memset (buf, '#', sizeof buf);
    size = sizeof buf - 1;
    CHECK_OK (zlink_getsockopt (s, ZLINK_RCVMORE, buf, &size));
    CHECK_EQ (size, sizeof (int));
    for (size_t i = 0; i < sizeof buf - 1; i++)
        CHECK_EQ (buf[i], 0);
    CHECK_EQ (buf[sizeof buf - 1], '#');

    CHECK_OK (zlink_setsockopt (s, ZLINK_ROUTING_ID, "four", 4));
    memset (buf, '#', sizeof buf);
    size = sizeof buf;
    CHECK_OK (zlink_getsockopt (s, ZLINK_ROUTING_ID, buf, &size));
    CHECK_EQ (buf[4], '#');
    close (fd);
    zt_close (monitor);
    zt_close (s);
    zt_term (ctx);
}

/* Wherever there is a socket or a monitor, also when its context is over. */
static void no_place_for_a_value (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_ALL);
    int value;
    size_t size = sizeof value;

    for (int i = 0; i < 2; i++) {
        CHECK_FAIL (zlink_getsockopt (s, ZLINK_RCVMORE, NULL, &size), EFAULT);
        CHECK_FAIL (zlink_getsockopt (s, ZLINK_RCVMORE, &value, NULL), EFAULT);
        CHECK_FAIL (zlink_getsockopt (monitor, ZLINK_TYPE, NULL, &size), EFAULT);
        CHECK_FAIL (zlink_getsockopt (monitor, ZLINK_TYPE, &value, NULL), EFAULT);
        CHECK_OK (zlink_ctx_shutdown (ctx));
    }
    zt_close (monitor);
    zt_close (s);
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_TYPE, NULL, NULL), ENOTSOCK);
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

static void connect_routing_id (void)
{
    static const char alias[] = "server-7";
    enum
    {
        size = sizeof alias - 1
    };
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

static const zt_case_t cases[] = {
  ZT_CASE (int_options_of_a_socket),
  ZT_CASE (text_options_of_a_socket),
  ZT_CASE (options_of_eight_bytes),
  ZT_CASE (routing_ids),
  ZT_CASE (get_only_options),
  ZT_CASE (inapplicable_options),
  ZT_CASE (events),
  ZT_CASE (connect_routing_id),
  ZT_CASE (heartbeat_timeout),
  ZT_CASE (ints_in_longer_buffers),
  ZT_CASE (no_place_for_a_value),
};

ZT_MAIN (cases)

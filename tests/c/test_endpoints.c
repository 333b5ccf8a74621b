/* SPDX-License-Identifier: MPL-2.0 */
/* The forms of an endpoint, and what is wrong with the others. */
#include "ztest.h"

#include <stdio.h>

#define COUNT(table) (sizeof (table) / sizeof *(table))
#define TEXT_MAX 300

static void *new_socket (void *ctx, int ipv6)
{
    void *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_IPV6, ipv6);
    return s;
}

static const char *last_endpoint (void *s)
{
    static char text[TEXT_MAX];
    size_t size = sizeof text;
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_EQ (size, strlen (text) + 1);
    return text;
}

/* The sentence about the last failure speaks of this. */
static void check_detail (const char *what)
{
    if (!strstr (zlink_error_detail (), what))
        fprintf (stderr, "\"%s\" does not say \"%s\"\n", zlink_error_detail (),
                 what);
    CHECK (strstr (zlink_error_detail (), what) != NULL);
}

/* ------------------------------------------------------------------ errors */

/* Bind, connect, unbind and disconnect refuse these alike. */
static const struct
{
    const char *endpoint;
    int err;
    const char *detail;
} refused[] = {
  {"", EINVAL, "\"://\""},
  {"127.0.0.1:5555", EINVAL, "\"127.0.0.1:5555\""},
  {"tcp:127.0.0.1:5555", EINVAL, "\"://\""},
  {"tcp:/127.0.0.1:5555", EINVAL, "\"://\""},
  {"://127.0.0.1:5555", EINVAL, "empty part"},
  {"://", EINVAL, "empty part"},
  {"tcp://", EINVAL, "empty part"},
  {"tcp://127.0.0.1", EINVAL, "no port"},
  {"tcp://[::1]", EINVAL, "brackets"},
  {"tcp://127.0.0.1:", EINVAL, "bad port \"\""},
  {"tcp://:5555", EINVAL, "bad host \"\""},
  {"tcp://[]:5555", EINVAL, "bad host \"\""},
  {"tcp://[::1:5555", EINVAL, "brackets"},
  {"tcp://::1]:5555", EINVAL, "brackets"},
  {"tcp://127.0.0.1:65536", EINVAL, "bad port \"65536\""},
  {"tcp://127.0.0.1:99999999999999999999", EINVAL, "bad port \"9999"},
  {"tcp://127.0.0.1:-1", EINVAL, "bad port \"-1\""},
  {"tcp://127.0.0.1:+1", EINVAL, "bad port \"+1\""},
  {"tcp://127.0.0.1:0x50", EINVAL, "bad port \"0x50\""},
  {"tcp://127.0.0.1:http", EINVAL, "bad port \"http\""},
  {"tcp://127.0.0.1:5555x", EINVAL, "bad port \"5555x\""},
  {"tcp://127.0.0.1:5555 ", EINVAL, "bad port \"5555 \""},
  {"tcp://127.0.0.1: 5555", EINVAL, "bad port \" 5555\""},
  {"tcp://127.0.0.1:5555/path", EINVAL, "bad port \"5555/path\""},
  {"tcp:// 127.0.0.1:5555", EINVAL, "bad host \" 127.0.0.1\""},
  {"tcp://127.0.0.1 :5555", EINVAL, "bad host \"127.0.0.1 \""},
  {"tcp://a\nb:5555", EINVAL, "bad host \"a\\nb\""},
  {"tcp://**:5555", EINVAL, "bad host \"**\""},
  /* Leading zeros: once octal, so there is no telling what is meant. */
  {"tcp://127.0.0.01:5555", EINVAL, "bad host \"127.0.0.01\""},
  {"tcp://127.1:5555", EINVAL, "bad host \"127.1\""},
  {"tcp://127.0.0.256:5555", EINVAL, "bad host \"127.0.0.256\""},
  {"tcp://127.0.0.1:5555:6666", EINVAL, "bad host \"127.0.0.1:5555\""},
  {"tcp://[::g]:5555", EINVAL, "bad host \"::g\""},
  {"tcp://127.0.0.1:0;", EINVAL, "no port"},
  {"tcp://;127.0.0.1:5555", EINVAL, "no port"},
  {"tcp://lo;127.0.0.1:5555", EINVAL, "no port"},
  {"tcp://lo:0;lo:0;127.0.0.1:5555", EINVAL, "bad host \"lo:0;127.0.0.1\""},
  {" tcp://127.0.0.1:5555", EPROTONOSUPPORT, "\" tcp\""},
  {"TCP://127.0.0.1:5555", EPROTONOSUPPORT, "\"TCP\""},
  {"smoke://127.0.0.1:5555", EPROTONOSUPPORT, "\"smoke\""},
  {"udp://127.0.0.1:5555", EPROTONOSUPPORT, "\"udp\""},
  {"inproc://name", ENOCOMPATPROTO, "\"inproc\""},
};

typedef int call_t (void *s, const char *endpoint);
static call_t *const calls[] = {zlink_bind, zlink_connect, zlink_unbind,
                                zlink_disconnect};

static void check_refused (void *s, const char *endpoint, int err,
                           const char *detail)
{
    printf ("%.60s\n", endpoint);
    for (size_t i = 0; i < COUNT (calls); i++) {
        CHECK_FAIL (calls[i](s, endpoint), err);
        check_detail (detail);
    }
}

static void malformed (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    char text[TEXT_MAX] = "tcp://";
    int port = zt_bind (s);
    size_t fds = zt_fd_count ();

    for (size_t i = 0; i < COUNT (refused); i++)
        check_refused (s, refused[i].endpoint, refused[i].err,
                       refused[i].detail);
    memset (text + 6, 'x', 254);
    strcpy (text + 6 + 254, ":5555");
    check_refused (s, text, EINVAL, "bad host");
    for (size_t i = 0; i < COUNT (calls); i++) {
        CHECK_FAIL (calls[i](s, NULL), EINVAL);
        check_detail ("NULL");
    }

    /* None of them left anything behind. */
    CHECK_STR (last_endpoint (s), zt_endpoint (port));
    CHECK_EQ (zt_fd_count (), fds);
    zt_expect_silence (s, 20);
    zt_close (s);
    zt_term (ctx);
}

/* zlink_has tells which transports there are; their addresses are read alike. */
static void transports (void)
{
    static const char *const there[] = {"tcp", "tls", "ws", "wss", "any"};
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    char text[64];

    for (size_t i = 0; i < COUNT (there); i++) {
        CHECK_EQ (zlink_has (there[i]), 1);
        snprintf (text, sizeof text, "%s://127.0.0.1:65536", there[i]);
        check_refused (s, text, EINVAL, "bad port");
        snprintf (text, sizeof text, "%s:///tmp/zlink", there[i]);
        check_refused (s, text, EINVAL, "no port");
    }
    CHECK_EQ (zlink_has ("ipc"), 1);
    CHECK_EQ (zlink_has ("inproc"), 0);
    CHECK_EQ (zlink_has ("stream"), 1);
    CHECK_EQ (zlink_has (NULL), 0);
    zt_close (s);
    zt_term (ctx);
}

/* Well-formed, but they cannot be bound, or connected to, here. */
static void impossible (void)
{
    static const struct
    {
        int bind, ipv6;
        const char *endpoint;
        int err;
        const char *detail;
    } table[] = {
      {1, 0, "tcp://[::1]:*", EINVAL, "IPV6 is 0"},
      {1, 0, "tcp://[::]:*", EINVAL, "IPV6 is 0"},
      {0, 0, "tcp://[::1]:5555", EINVAL, "IPV6 is 0"},
      {1, 0, "tcp://no-such-interface0:*", ENODEV, "no-such-interface0"},
      {1, 1, "tcp://no-such-name.invalid:*", ENODEV, "no-such-name.invalid"},
      {1, 1, "tcp://[fe80::1%nosuchif0]:*", ENODEV, "nosuchif0"},
      {0, 1, "tcp://[fe80::1%nosuchif0]:5555", ENODEV, "nosuchif0"},
      {1, 0, "tcp://203.0.113.1:*", EADDRNOTAVAIL, "tcp://203.0.113.1:0"},
      {1, 1, "tcp://[2001:db8::1]:*", EADDRNOTAVAIL, "tcp://[2001:db8::1]:0"},
      {1, 0, "tcp://127.0.0.1:0;127.0.0.1:*", EINVAL, "source"},
      {0, 0, "tcp://*:5555", EINVAL, "\"*\""},
      {0, 0, "tcp://127.0.0.1:*", EINVAL, "port 0"},
      {0, 0, "tcp://127.0.0.1:0", EINVAL, "port 0"},
      {0, 0, "tcp://nosuchif0:0;127.0.0.1:5555", ENODEV, "nosuchif0"},
      {0, 1, "tcp://127.0.0.1:0;[::1]:5555", EINVAL, "127.0.0.1 to ::1"},
      {0, 0, "tcp://203.0.113.1:0;127.0.0.1:5555", EADDRNOTAVAIL,
       "tcp://203.0.113.1:0"},
    };
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int port = zt_bind (s);

    bool has_ipv6 = zt_has_ipv6 ();

    /* The first look-up opens what all later ones use. */
    CHECK_FAIL (zlink_bind (s, "tcp://no-such-name.invalid:*"), ENODEV);
    size_t fds = zt_fd_count ();
    for (size_t i = 0; i < COUNT (table); i++) {
        printf ("%s\n", table[i].endpoint);
        if (table[i].ipv6 && !has_ipv6)
            continue;
        zt_set_int (s, ZLINK_IPV6, table[i].ipv6);
        CHECK_FAIL (calls[!table[i].bind](s, table[i].endpoint), table[i].err);
        check_detail (table[i].detail);
    }
    CHECK_FAIL (zlink_bind (s, zt_endpoint (port)), EADDRINUSE);
    check_detail (zt_endpoint (port));
    CHECK_STR (last_endpoint (s), zt_endpoint (port));
    CHECK_EQ (zt_fd_count (), fds);
    zt_close (s);
    zt_term (ctx);
}

/* A name is looked up at every try: it may come to be known later. */
static void unknown_name_is_tried_again (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_ALL);
    zlink_monitor_event_t e;

    zt_set_int (s, ZLINK_RECONNECT_IVL, 10);
    CHECK_OK (zlink_connect (s, "tcp://no-such-name.invalid:5555"));
    for (int i = 0; i < 2; i++) {
        CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
        CHECK_EQ (e.event, ZLINK_EVENT_CONNECT_RETRIED);
    }
    CHECK_OK (zlink_disconnect (s, "tcp://no-such-name.invalid:5555"));
    zt_close (monitor);
    zt_close (s);
    zt_term (ctx);
}

/* ------------------------------------------------------------------- forms */

static const struct
{
    int ipv6;
    const char *bind, *last, *connect; /* %d: the port */
} forms[] = {
  {0, "tcp://127.0.0.1:*", "tcp://127.0.0.1:%d", "tcp://127.0.0.1:%d"},
  {0, "tcp://127.0.0.1:0", "tcp://127.0.0.1:%d", "tcp://127.0.0.1:000%d"},
  {0, "tcp://0.0.0.0:*", "tcp://0.0.0.0:%d", "tcp://127.0.0.9:%d"},
  {0, "tcp://*:*", "tcp://0.0.0.0:%d", "tcp://localhost:%d"},
  {0, "tcp://*:0", "tcp://0.0.0.0:%d", "tcp://LocalHost:%d"},
  {0, "tcp://lo:*", "tcp://127.0.0.1:%d", "tcp://127.0.0.1:%d"},
  {0, "tcp://localhost:*", "tcp://127.0.0.1:%d", "tcp://127.0.0.1:%d"},
  {1, "tcp://127.0.0.1:*", "tcp://127.0.0.1:%d", "tcp://127.0.0.1:%d"},
  {1, "tcp://[::1]:*", "tcp://[::1]:%d", "tcp://[::1]:%d"},
  {1, "tcp://::1:*", "tcp://[::1]:%d", "tcp://[0:0::1]:%d"},
  {1, "tcp://[::]:*", "tcp://[::]:%d", "tcp://[::1]:%d"},
  {1, "tcp://[::]:*", "tcp://[::]:%d", "tcp://127.0.0.1:%d"},
  {1, "tcp://*:*", "tcp://[::]:%d", "tcp://[::1]:%d"},
  {1, "tcp://*:*", "tcp://[::]:%d", "tcp://localhost:%d"},
  {1, "tcp://[::ffff:127.0.0.1]:*", "tcp://127.0.0.1:%d",
   "tcp://[::ffff:127.0.0.1]:%d"},
};

/* Binds and returns the port, which LAST_ENDPOINT tells in this form. */
static int bind_as (void *s, const char *endpoint, const char *last)
{
    char text[TEXT_MAX];
    int port = 0;
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_EQ (sscanf (last_endpoint (s), last, &port), 1);
    CHECK_RANGE (port, 1, 65535);
    snprintf (text, sizeof text, last, port);
    CHECK_STR (last_endpoint (s), text);
    return port;
}

static void every_form (void)
{
    bool has_ipv6 = zt_has_ipv6 ();
    for (size_t i = 0; i < COUNT (forms); i++) {
        if (forms[i].ipv6 && !has_ipv6)
            continue;
        void *ctx = zt_ctx ();
        void *server = new_socket (ctx, forms[i].ipv6);
        void *client = new_socket (ctx, forms[i].ipv6);
        zlink_routing_id_t at_server, at_client;
        char to[TEXT_MAX], resolved[TEXT_MAX];

        printf ("%s, %s\n", forms[i].bind, forms[i].connect);
        int port = bind_as (server, forms[i].bind, forms[i].last);
        snprintf (resolved, sizeof resolved, "%s", last_endpoint (server));
        snprintf (to, sizeof to, forms[i].connect, port);
        CHECK_OK (zlink_connect (client, to));
        CHECK_STR (last_endpoint (client), to);
        zt_expect_connect (server, &at_server);
        zt_expect_connect (client, &at_client);
        zt_send (client, &at_client, "hello", 5);
        zt_expect (server, &at_server, "hello", 5);

        CHECK_OK (zlink_disconnect (client, to));
        zt_expect_disconnect (server, &at_server);
        zt_expect_disconnect (client, &at_client);
        CHECK_OK (zlink_unbind (server, i % 2 ? resolved : forms[i].bind));
        CHECK_FAIL (zlink_unbind (server, resolved), ENOENT);
        check_detail (resolved);
        CHECK_FAIL (zlink_disconnect (client, to), ENOENT);
        check_detail (to);
        zt_close (server);
        zt_close (client);
        zt_term (ctx);
    }
}

static const zt_case_t cases[] = {
  ZT_CASE (malformed),
  ZT_CASE (transports),
  ZT_CASE (impossible),
  ZT_CASE (unknown_name_is_tried_again),
  ZT_CASE (every_form),
};

ZT_MAIN (cases)

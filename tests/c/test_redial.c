/* SPDX-License-Identifier: MPL-2.0 */
/* The pauses between the tries of a connect, and the limit of one try. */
#include "ztest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define LONG_MS 60000
/* A pause may look shorter by as much as one end's clock lags. */
#define SLACK_MS 5

typedef struct dialer_t
{
    void *ctx;
    void *socket;
    void *monitor;
} dialer_t;

static dialer_t open_dialer (int interval_ms, int max_ms)
{
    dialer_t d;
    d.ctx = zt_ctx ();
    d.socket = zt_socket (d.ctx);
    zt_set_int (d.socket, ZLINK_RECONNECT_IVL, interval_ms);
    zt_set_int (d.socket, ZLINK_RECONNECT_IVL_MAX, max_ms);
    d.monitor = zlink_socket_monitor_open (d.socket, ZLINK_EVENT_ALL);
    CHECK (d.monitor != NULL);
    return d;
}

static void close_dialer (dialer_t *d)
{
    zt_close (d->socket);
    zt_close (d->monitor);
    zt_term (d->ctx);
}

/* The next event is this one; returns its value. */
static uint64_t expect_event (const dialer_t *d, uint64_t event)
{
    zlink_monitor_event_t e;
    CHECK_OK (zlink_monitor_recv (d->monitor, &e, 0));
    CHECK_EQ (e.event, event);
    return e.value;
}

static void expect_no_event (const dialer_t *d, int ms)
{
    zlink_pollitem_t item = {d->monitor, 0, ZLINK_POLLIN, 0};
    CHECK_EQ (zlink_poll (&item, 1, ms), 0);
}

/* A try that fails; returns the pause until the next. */
static uint64_t expect_failed_try (const dialer_t *d)
{
    CHECK_EQ (expect_event (d, ZLINK_EVENT_CONNECT_DELAYED), EINPROGRESS);
    expect_event (d, ZLINK_EVENT_CLOSED);
    return expect_event (d, ZLINK_EVENT_CONNECT_RETRIED);
}

static void expect_connected (const dialer_t *d)
{
    expect_event (d, ZLINK_EVENT_CONNECT_DELAYED);
    expect_event (d, ZLINK_EVENT_CONNECTED);
    expect_event (d, ZLINK_EVENT_CONNECTION_READY);
}

/* --------------------------------------------------------------- the pauses */

/* The pauses that a dialer tells, and keeps, when nobody listens. */
static void expect_pauses (int interval_ms, int max_ms, const int *pauses_ms,
                           size_t count)
{
    dialer_t d = open_dialer (interval_ms, max_ms);
    double start = zt_now_ms ();
    int total_ms = 0;

    zt_connect (d.socket, zt_free_port ());
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ (expect_failed_try (&d), pauses_ms[i]);
        CHECK_WAITED (start, total_ms - SLACK_MS);
        total_ms += pauses_ms[i];
    }
    zt_expect_silence (d.socket, 0);
    close_dialer (&d);
}

static void pauses_double_up_to_the_maximum (void)
{
    static const int pauses_ms[] = {10, 20, 40, 80, 100, 100, 100};
    static const int from_zero_ms[] = {0, 1, 2, 4, 5, 5};
    expect_pauses (10, 100, pauses_ms, 7);
    expect_pauses (0, 5, from_zero_ms, 6);
}

static void pauses_stay_without_a_larger_maximum (void)
{
    static const int constant_ms[] = {30, 30, 30, 30};
    static const int none_ms[] = {0, 0, 0, 0};
    expect_pauses (30, 0, constant_ms, 4);
    expect_pauses (30, 10, constant_ms, 4);
    expect_pauses (30, 30, constant_ms, 4);
    expect_pauses (0, 0, none_ms, 4);
}

/* Seen from a plain listener that accepts and closes: every success starts the
 * pauses anew, every connection has its id and its two events. */
static void success_starts_the_pauses_anew (void)
{
    enum
    {
        pause_ms = 60
    };
    int port, listener = zt_listen (&port);
    dialer_t d = open_dialer (pause_ms, 1000);
    zlink_routing_id_t id;
    uint32_t last_id = 0;
    double closed = 0;

    zt_connect (d.socket, port);
    for (int i = 0; i < 4; i++) {
        int fd = zt_accept (listener);
        if (i > 0)
            CHECK_WAITED (closed, pause_ms - SLACK_MS);
        zt_expect_connect (d.socket, &id);
        CHECK (zt_id_number (&id) > last_id);
        last_id = zt_id_number (&id);
        closed = zt_now_ms ();
        close (fd);
        zt_expect_disconnect (d.socket, &id);
        expect_connected (&d);
        CHECK_EQ (expect_event (&d, ZLINK_EVENT_DISCONNECTED),
                  ZLINK_DISCONNECT_REMOTE);
        CHECK_EQ (expect_event (&d, ZLINK_EVENT_CONNECT_RETRIED), pause_ms);
    }
    close_dialer (&d);
    close (listener);
}

/* A server goes away for long and comes back. */
static void pauses_grow_and_start_anew (void)
{
    int port = zt_free_port ();
    dialer_t d = open_dialer (5, 40);
    void *server = zt_socket (d.ctx);
    zlink_routing_id_t at_client, at_server;
    zlink_monitor_event_t e;

    zt_connect (d.socket, port);
    while (expect_failed_try (&d) < 40) {
    }
    CHECK_OK (zlink_bind (server, zt_endpoint (port)));
    zt_expect_connect (d.socket, &at_client);
    zt_expect_connect (server, &at_server);
    do /* the failed tries of the meantime */
        CHECK_OK (zlink_monitor_recv (d.monitor, &e, 0));
    while (e.event != ZLINK_EVENT_CONNECTION_READY);
    zt_close (server);
    zt_expect_disconnect (d.socket, &at_client);
    expect_event (&d, ZLINK_EVENT_DISCONNECTED);
    CHECK_EQ (expect_event (&d, ZLINK_EVENT_CONNECT_RETRIED), 5);
    CHECK_EQ (expect_failed_try (&d), 10);
    CHECK_EQ (expect_failed_try (&d), 20);
    close_dialer (&d);
}

/* -1: neither a refused nor a lost connection. */
static void never (void)
{
    dialer_t d = open_dialer (-1, 100);
    int port = zt_free_port ();

    zt_connect (d.socket, port);
    expect_event (&d, ZLINK_EVENT_CONNECT_DELAYED);
    expect_event (&d, ZLINK_EVENT_CLOSED);
    expect_no_event (&d, 200);
    zt_expect_silence (d.socket, 0);
    CHECK_OK (zlink_disconnect (d.socket, zt_endpoint (port)));
    close_dialer (&d);
}

static void disconnect_ends_the_pause (void)
{
    dialer_t d = open_dialer (50, 0);
    void *server = zt_socket (d.ctx);
    int port = zt_free_port ();

    zt_connect (d.socket, port);
    CHECK_EQ (expect_failed_try (&d), 50);
    CHECK_OK (zlink_disconnect (d.socket, zt_endpoint (port)));
    CHECK_FAIL (zlink_disconnect (d.socket, zt_endpoint (port)), ENOENT);
    CHECK_OK (zlink_bind (server, zt_endpoint (port)));
    expect_no_event (&d, 300);
    zt_expect_silence (server, 0);
    zt_close (server);
    close_dialer (&d);
}

static void close_ends_the_pause (void)
{
    dialer_t d = open_dialer (LONG_MS, 0);
    zt_connect (d.socket, zt_free_port ());
    CHECK_EQ (expect_failed_try (&d), LONG_MS);
    close_dialer (&d); /* LINGER is -1 */
}

/* -------------------------------------------------------- the limit of a try */

/* A listener that answers no connect, as its queue is full. */
typedef struct deaf_t
{
    int listener, port;
    int waiting; /* in its queue */
} deaf_t;

/* Whether a connect to the port is answered within ms. */
static int answered (int port, int ms)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) port)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct pollfd item = {fd, POLLOUT, 0};
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    CHECK (fd >= 0);
    CHECK (connect (fd, (struct sockaddr *) &address, sizeof address) == 0
           || errno == EINPROGRESS);
    if (poll (&item, 1, ms) == 1)
        return fd;
    close (fd);
    return -1;
}

static deaf_t open_deaf (void)
{
    deaf_t deaf;
    deaf.listener = zt_listen (&deaf.port);
    deaf.waiting = 0;
    CHECK_OK (listen (deaf.listener, 0));
    for (int fd; (fd = answered (deaf.port, 300)) >= 0; deaf.waiting++)
        close (fd); /* it stays in the queue */
    CHECK (deaf.waiting > 0);
    return deaf;
}

static void connect_timeout_ends_a_try (void)
{
    enum
    {
        timeout_ms = 100
    };
    deaf_t deaf = open_deaf ();
    dialer_t d = open_dialer (20, 0);
    zlink_routing_id_t id;
    zlink_monitor_event_t e;

    zt_set_int (d.socket, ZLINK_CONNECT_TIMEOUT, timeout_ms);
    double start = zt_now_ms ();
    zt_connect (d.socket, deaf.port);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ (expect_failed_try (&d), 20);
        CHECK_WAITED (start, (i + 1) * timeout_ms - SLACK_MS);
    }

    /* It goes on until it is heard. */
    for (int i = 0; i < deaf.waiting; i++)
        close (zt_accept (deaf.listener));
    int fd = zt_accept (deaf.listener);
    zt_expect_connect (d.socket, &id);
    do
        CHECK_OK (zlink_monitor_recv (d.monitor, &e, 0));
    while (e.event != ZLINK_EVENT_CONNECTED);
    CHECK_STR (e.remote_addr, zt_endpoint (deaf.port));

    /* The limit is that of the try, not of the connection. */
    expect_event (&d, ZLINK_EVENT_CONNECTION_READY);
    expect_no_event (&d, 3 * timeout_ms);
    zt_send (d.socket, &id, "alive", 5);
    char body[8];
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 5);
    close (fd);
    close (deaf.listener);
    close_dialer (&d);
}

/* With RECONNECT_IVL -1 the first try is the last one. */
static void connect_timeout_without_retry (void)
{
    deaf_t deaf = open_deaf ();
    dialer_t d = open_dialer (-1, 0);

    zt_set_int (d.socket, ZLINK_CONNECT_TIMEOUT, 50);
    zt_connect (d.socket, deaf.port);
    expect_event (&d, ZLINK_EVENT_CONNECT_DELAYED);
    expect_event (&d, ZLINK_EVENT_CLOSED);
    expect_no_event (&d, 200);
    close (deaf.listener);
    close_dialer (&d);
}

/* Without CONNECT_TIMEOUT the kernel goes on asking, for minutes. To a peer that
 * is not connected nothing can be queued, so LINGER waits for nothing. */
static void without_connect_timeout_a_try_goes_on (void)
{
    deaf_t deaf = open_deaf ();
    dialer_t d = open_dialer (20, 0);

    zt_connect (d.socket, deaf.port);
    expect_event (&d, ZLINK_EVENT_CONNECT_DELAYED);
    expect_no_event (&d, 500);
    CHECK_EQ (zt_get_int (d.socket, ZLINK_LINGER), -1);
    close_dialer (&d);
    close (deaf.listener);
}

static void disconnect_ends_a_try (void)
{
    deaf_t deaf = open_deaf ();
    dialer_t d = open_dialer (20, 0);

    zt_connect (d.socket, deaf.port);
    expect_event (&d, ZLINK_EVENT_CONNECT_DELAYED);
    CHECK_OK (zlink_disconnect (d.socket, zt_endpoint (deaf.port)));
    expect_event (&d, ZLINK_EVENT_CLOSED);
    expect_no_event (&d, 200);
    close_dialer (&d);
    close (deaf.listener);
}

/* tcp has no handshake that HANDSHAKE_IVL could limit. */
static void handshake_ivl_leaves_tcp_alone (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    zlink_routing_id_t id;

    CHECK_EQ (zt_get_int (server, ZLINK_HANDSHAKE_IVL), 30000);
    zt_set_int (server, ZLINK_HANDSHAKE_IVL, 30);
    CHECK_EQ (zt_get_int (server, ZLINK_HANDSHAKE_IVL), 30);
    int fd = zt_client (zt_bind (server));
    zt_expect_connect (server, &id);
    zt_expect_silence (server, 150);
    zt_write_frame (fd, "late", 4);
    zt_expect (server, &id, "late", 4);
    close (fd);
    zt_close (server);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (pauses_double_up_to_the_maximum),
  ZT_CASE (pauses_stay_without_a_larger_maximum),
  ZT_CASE (success_starts_the_pauses_anew),
  ZT_CASE (pauses_grow_and_start_anew),
  ZT_CASE (never),
  ZT_CASE (disconnect_ends_the_pause),
  ZT_CASE (close_ends_the_pause),
  ZT_CASE (connect_timeout_ends_a_try),
  ZT_CASE (connect_timeout_without_retry),
  ZT_CASE (without_connect_timeout_a_try_goes_on),
  ZT_CASE (disconnect_ends_a_try),
  ZT_CASE (handshake_ivl_leaves_tcp_alone),
};

ZT_MAIN (cases)

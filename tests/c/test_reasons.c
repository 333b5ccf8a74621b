/* SPDX-License-Identifier: MPL-2.0 */
/* The reason that a monitor tells for the end of a connection. */
#include "ztest.h"
#include "zmonitor.h"

#define CONNECTION_EVENTS                                \
    (ZLINK_EVENT_ACCEPTED | ZLINK_EVENT_CONNECTION_READY \
     | ZLINK_EVENT_DISCONNECTED)

typedef struct fixture_t
{
    void *ctx, *server, *monitor;
    int fd;
    zlink_routing_id_t id;
} fixture_t;

static fixture_t open_fixture (void)
{
    fixture_t f;
    int64_t limit = 100;
    f.ctx = zt_ctx ();
    f.server = zt_socket (f.ctx);
    CHECK_OK (
      zlink_setsockopt (f.server, ZLINK_MAXMSGSIZE, &limit, sizeof limit));
    f.monitor = zt_monitor (f.server, CONNECTION_EVENTS);
    f.fd = zt_client (zt_bind (f.server));
    zt_expect_connect (f.server, &f.id);
    zt_event_up (f.monitor, ZLINK_EVENT_ACCEPTED);
    return f;
}

static void expect_end (fixture_t *f, uint64_t reason)
{
    zlink_monitor_event_t e =
      zt_event_value (f->monitor, ZLINK_EVENT_DISCONNECTED, reason);
    CHECK (zt_same_id (&e.routing_id, &f->id));
    CHECK (strncmp (e.remote_addr, "tcp://127.0.0.1:", 16) == 0);
    CHECK (strncmp (e.local_addr, "tcp://127.0.0.1:", 16) == 0);
}

static void close_fixture (fixture_t *f)
{
    zt_close (f->server);
    zt_monitor_end (f->monitor);
    zt_term (f->ctx);
}

static void remote_end (void)
{
    fixture_t f = open_fixture ();
    close (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_REMOTE);
    close_fixture (&f);
}

static void remote_reset (void)
{
    fixture_t f = open_fixture ();
    zt_reset (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    close_fixture (&f);
}

static void message_too_long (void)
{
    fixture_t f = open_fixture ();
    zt_write (f.fd, "\0\0\0\x65", 4); /* 101 bytes follow */
    expect_end (&f, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    zt_expect_eof (f.fd);
    close (f.fd);
    close_fixture (&f);
}

static void closed_by_a_zero_body (void)
{
    fixture_t f = open_fixture ();
    zt_send (f.server, &f.id, "\0", 1);
    zt_expect_eof (f.fd);
    close (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_LOCAL);
    close_fixture (&f);
}

static void closed_with_the_socket (void)
{
    fixture_t f = open_fixture ();
    zt_close (f.server);
    zt_expect_eof (f.fd);
    close (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_LOCAL);
    zt_monitor_end (f.monitor);
    zt_term (f.ctx);
}

static void *term (void *ctx)
{
    zt_term (ctx);
    return NULL;
}

/* The events of the end are there although the context was shut down. */
static void closed_after_the_context (void)
{
    fixture_t f = open_fixture ();
    zlink_monitor_event_t e;
    char frame[8];
    pthread_t thread = zt_thread (term, f.ctx);

    CHECK_FAIL (zlink_recv (f.server, frame, sizeof frame, 0), ETERM);
    CHECK_FAIL (zlink_monitor_recv (f.monitor, &e, 0), ETERM);
    zt_close (f.server);
    zt_join (thread);
    expect_end (&f, ZLINK_DISCONNECT_CTX_TERM);
    zt_event (f.monitor, ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_FAIL (zlink_monitor_recv (f.monitor, &e, 0), ETERM);
    zt_close (f.monitor);
    close (f.fd);
}

/* The dialled end, by zlink_disconnect: not retried. With a name, which is the
 * routing id of every event of the connection. */
static void disconnected_by_name (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx);
    void *monitor = zt_monitor (client, ZLINK_EVENT_ALL);
    static const zlink_routing_id_t name = {4, "home"};
    zlink_routing_id_t id;
    zlink_monitor_event_t e;
    int port, listener = zt_listen (&port);

    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, "home", 4));
    zt_connect (client, port);
    int fd = zt_accept (listener);
    zt_expect_connect (client, &id);
    CHECK (zt_same_id (&id, &name));
    zt_event (monitor, ZLINK_EVENT_CONNECT_DELAYED);
    e = zt_event_up (monitor, ZLINK_EVENT_CONNECTED);
    CHECK (zt_same_id (&e.routing_id, &name));
    CHECK_OK (zlink_disconnect (client, zt_endpoint (port)));
    zt_expect_disconnect (client, &name);
    e = zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_LOCAL);
    CHECK (zt_same_id (&e.routing_id, &name));
    close (fd);
    close (listener);
    zt_close (client);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (remote_end),
  ZT_CASE (remote_reset),
  ZT_CASE (message_too_long),
  ZT_CASE (closed_by_a_zero_body),
  ZT_CASE (closed_with_the_socket),
  ZT_CASE (closed_after_the_context),
  ZT_CASE (disconnected_by_name),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* Monitors, the peer calls and proxies. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ztest.h"

/* The next event, which must be this one. */
static zlink_monitor_event_t expect_event (void *monitor, uint64_t event)
{
    zlink_monitor_event_t e;
    memset (&e, 0xAA, sizeof e);
    CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_EQ (e.event, event);
    return e;
}

static void *open_monitor (void *s, int events)
{
    void *monitor = zlink_socket_monitor_open (s, events);
    CHECK (monitor != NULL);
    return monitor;
}

static void order_of_events (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    void *at_server = open_monitor (server, ZLINK_EVENT_ALL);
    void *at_client = open_monitor (client, ZLINK_EVENT_ALL);
    zlink_routing_id_t id, back;
    zlink_monitor_event_t e;

    int port = zt_bind (server);
    e = expect_event (at_server, ZLINK_EVENT_LISTENING);
    CHECK_STR (e.local_addr, zt_endpoint (port));
    CHECK_FAIL (zlink_bind (server, zt_endpoint (port)), EADDRINUSE);
    e = expect_event (at_server, ZLINK_EVENT_BIND_FAILED);
    CHECK_EQ (e.value, EADDRINUSE);

    zt_connect (client, port);
    zt_expect_connect (server, &id);
    zt_expect_connect (client, &back);
    e = expect_event (at_server, ZLINK_EVENT_ACCEPTED);
    CHECK (zt_same_id (&e.routing_id, &id));
    CHECK_STR (e.local_addr, zt_endpoint (port));
    CHECK (strncmp (e.remote_addr, "tcp://127.0.0.1:", 16) == 0);
    e = expect_event (at_server, ZLINK_EVENT_CONNECTION_READY);
    CHECK (zt_same_id (&e.routing_id, &id));
    e = expect_event (at_client, ZLINK_EVENT_CONNECT_DELAYED);
    CHECK_EQ (e.value, EINPROGRESS);
    e = expect_event (at_client, ZLINK_EVENT_CONNECTED);
    CHECK_STR (e.remote_addr, zt_endpoint (port));
    expect_event (at_client, ZLINK_EVENT_CONNECTION_READY);

    zt_close (client);
    e = expect_event (at_client, ZLINK_EVENT_DISCONNECTED);
    CHECK_EQ (e.value, ZLINK_DISCONNECT_LOCAL);
    expect_event (at_client, ZLINK_EVENT_MONITOR_STOPPED);
    e = expect_event (at_server, ZLINK_EVENT_DISCONNECTED);
    CHECK_EQ (e.value, ZLINK_DISCONNECT_REMOTE);
    CHECK (zt_same_id (&e.routing_id, &id));
    zt_close (server);
    expect_event (at_server, ZLINK_EVENT_CLOSED);
    expect_event (at_server, ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_FAIL (zlink_monitor_recv (at_server, &e, ZLINK_DONTWAIT), EAGAIN);

    zt_close (at_server);
    zt_close (at_client);
    zt_term (ctx);
}

static void retries (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx);
    void *monitor = open_monitor (client, ZLINK_EVENT_CONNECT_RETRIED);
    zlink_pollitem_t item = {monitor, 0, ZLINK_POLLIN, 0};

    zt_set_int (client, ZLINK_RECONNECT_IVL, 20);
    zt_set_int (client, ZLINK_RECONNECT_IVL_MAX, 50);
    zt_connect (client, zt_free_port ());
    CHECK_EQ (zlink_poll (&item, 1, 5000), 1);
    CHECK_EQ (item.revents, ZLINK_POLLIN);
    CHECK_EQ (expect_event (monitor, ZLINK_EVENT_CONNECT_RETRIED).value, 20);
    CHECK_EQ (expect_event (monitor, ZLINK_EVENT_CONNECT_RETRIED).value, 40);
    CHECK_EQ (expect_event (monitor, ZLINK_EVENT_CONNECT_RETRIED).value, 50);
    CHECK_EQ (expect_event (monitor, ZLINK_EVENT_CONNECT_RETRIED).value, 50);
    zt_close (client);
    expect_event (monitor, ZLINK_EVENT_MONITOR_STOPPED);
    zt_close (monitor);
    zt_term (ctx);
}

/* A monitor that is not read loses the oldest events and says how many. */
static void slow_monitor (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = open_monitor (server, ZLINK_EVENT_ACCEPTED);
    zlink_monitor_event_t e;
    enum { connections = 5000 };
    uint64_t seen = 0, lost = 0;
    int port = zt_bind (server);

    for (int i = 0; i < connections; i++) {
        zlink_routing_id_t id;
        int fd = zt_client (port);
        zt_expect_connect (server, &id);
        zt_reset (fd);
        zt_expect_disconnect (server, &id);
    }
    while (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT) == 0)
        if (e.event == 0)
            lost += e.value;
        else
            seen++;
    CHECK_EQ (errno, EAGAIN);
    CHECK (lost > 0);
    CHECK_EQ (seen + lost, connections);
    zt_close (server);
    zt_close (monitor);
    zt_term (ctx);
}

static void monitor_errors (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = open_monitor (s, ZLINK_EVENT_ALL);
    zlink_monitor_event_t e;
    char buf[8];

    CHECK_FAIL (zlink_monitor_recv (monitor, NULL, 0), EFAULT);
    CHECK_FAIL (zlink_monitor_recv (s, &e, ZLINK_DONTWAIT), ENOTSOCK);
    CHECK_FAIL (zlink_monitor_recv (NULL, &e, ZLINK_DONTWAIT), ENOTSOCK);
    CHECK_FAIL (zlink_recv (monitor, buf, sizeof buf, ZLINK_DONTWAIT), ENOTSOCK);
    CHECK_FAIL (zlink_bind (monitor, "tcp://127.0.0.1:*"), ENOTSOCK);
    CHECK_NULL (zlink_socket_monitor_open (s, 0), EINVAL);
    CHECK_NULL (zlink_socket_monitor_open (ctx, 1), ENOTSOCK);
    CHECK_FAIL (zlink_socket_monitor (s, "inproc://m", ZLINK_EVENT_ALL), ENOTSUP);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), ETERM);
    zt_close (monitor);
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), ENOTSOCK);
    zt_close (s);
    zt_term (ctx);
}

static void peers (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    int port = zt_bind (server), fds[3];
    zlink_routing_id_t ids[3], id;
    zlink_peer_info_t info, all[8];
    size_t count = 8;
    char body[16];

    CHECK_EQ (zlink_socket_peer_count (server), 0);
    for (int i = 0; i < 3; i++) {
        fds[i] = zt_client (port);
        zt_expect_connect (server, &ids[i]);
    }
    CHECK_EQ (zlink_socket_peer_count (server), 3);
    for (int i = 0; i < 5; i++)
        zt_write_frame (fds[1], "hello", 5);
    for (int i = 0; i < 5; i++)
        zt_expect (server, &ids[1], "hello", 5);
    for (int i = 0; i < 2; i++) {
        zt_send (server, &ids[1], "there", 5);
        CHECK_EQ (zt_read_frame (fds[1], body, sizeof body), 5);
    }

    CHECK_OK (zlink_socket_peer_info (server, &ids[1], &info));
    CHECK (zt_same_id (&info.routing_id, &ids[1]));
    CHECK_EQ (info.msgs_received, 5);
    CHECK_EQ (info.msgs_sent, 2);
    CHECK (strncmp (info.remote_addr, "tcp://127.0.0.1:", 16) == 0);
    CHECK_RANGE ((double) info.connected_time / 1000, (double) time (NULL) - 60,
                 (double) time (NULL) + 1);

    CHECK_OK (zlink_socket_peers (server, all, &count));
    CHECK_EQ (count, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_OK (zlink_socket_peer_routing_id (server, i, &id));
        CHECK (zt_same_id (&id, &all[i].routing_id));
    }
    count = 2;
    CHECK_OK (zlink_socket_peers (server, all, &count));
    CHECK_EQ (count, 2);
    CHECK_OK (zlink_socket_peers (server, NULL, &count));
    CHECK_EQ (count, 3);
    CHECK_FAIL (zlink_socket_peer_routing_id (server, 3, &id), EINVAL);
    CHECK_FAIL (zlink_socket_peer_routing_id (server, -1, &id), EINVAL);

    close (fds[1]);
    zt_expect_disconnect (server, &ids[1]);
    CHECK_EQ (zlink_socket_peer_count (server), 2);
    CHECK_FAIL (zlink_socket_peer_info (server, &ids[1], &info), EHOSTUNREACH);
    id.size = 0;
    CHECK_FAIL (zlink_socket_peer_info (server, &id, &info), EINVAL);
    CHECK_FAIL (zlink_socket_peer_info (server, NULL, &info), EFAULT);
    close (fds[0]);
    close (fds[2]);
    zt_close (server);
    CHECK_FAIL (zlink_socket_peer_count (server), ENOTSOCK);
    zt_term (ctx);
}

typedef struct tunnel_t
{
    void *frontend, *backend, *control;
    int result;
} tunnel_t;

static void *run_proxy (void *arg)
{
    tunnel_t *t = arg;
    t->result =
      zlink_proxy_steerable (t->frontend, t->backend, NULL, t->control);
    return NULL;
}

/* A STREAM socket that dials port and calls its peer "a". */
static void *dial_a (void *ctx, int port)
{
    void *s = zt_socket (ctx);
    CHECK_OK (zlink_setsockopt (s, ZLINK_CONNECT_ROUTING_ID, "a", 1));
    zt_connect (s, port);
    return s;
}

static void proxy (void)
{
    static const char connect_event[] = {1};
    void *ctx = zt_ctx (), *commander = zt_socket (ctx);
    int port_a, port_b;
    int listen_a = zt_listen (&port_a), listen_b = zt_listen (&port_b);
    zlink_routing_id_t id;
    pthread_t thread;
    tunnel_t t;
    char body[16];
    uint64_t stats[8];

    t.control = zt_socket (ctx);
    zt_connect (commander, zt_bind (t.control));
    t.frontend = dial_a (ctx, port_a);
    t.backend = dial_a (ctx, port_b);
    int a = zt_accept (listen_a), b = zt_accept (listen_b);
    /* What comes for a peer that is not there yet is dropped. */
    ZT_UNTIL (zlink_socket_peer_count (t.frontend) == 1
              && zlink_socket_peer_count (t.backend) == 1);
    CHECK_OK (pthread_create (&thread, NULL, run_proxy, &t));
    zt_expect_connect (commander, &id);

    /* Each end hears of the other's connection as the byte 0x01. */
    CHECK_EQ (zt_read_frame (a, body, sizeof body), 1);
    CHECK_MEM (body, connect_event, 1);
    CHECK_EQ (zt_read_frame (b, body, sizeof body), 1);
    zt_write_frame (a, "to b", 4);
    CHECK_EQ (zt_read_frame (b, body, sizeof body), 4);
    CHECK_MEM (body, "to b", 4);
    zt_write_frame (b, "to a!", 5);
    CHECK_EQ (zt_read_frame (a, body, sizeof body), 5);

    zt_send (commander, &id, "STATISTICS", 10);
    CHECK_EQ (zt_recv (commander, &id, stats, sizeof stats), sizeof stats);
    CHECK_EQ (stats[0], 2); /* from a: the event and a message */
    CHECK_EQ (stats[1], 1 + 1 + 1 + 4);
    CHECK_EQ (stats[6], 2); /* to b */
    zt_send (commander, &id, "TERMINATE", 9);
    CHECK_OK (pthread_join (thread, NULL));
    CHECK_EQ (t.result, 0);
    CHECK_FAIL (zlink_proxy (NULL, t.backend, NULL), ENOTSOCK);

    close (a);
    close (b);
    close (listen_a);
    close (listen_b);
    zt_close (t.frontend);
    zt_close (t.backend);
    zt_close (t.control);
    zt_close (commander);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (order_of_events),
  ZT_CASE (retries),
  ZT_CASE (slow_monitor),
  ZT_CASE (monitor_errors),
  ZT_CASE (peers),
  ZT_CASE (proxy),
};

ZT_MAIN (cases)

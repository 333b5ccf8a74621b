/* SPDX-License-Identifier: MPL-2.0 */
/* Monitors beside traffic: one that nobody reads, and one read by a thread. */
#include "ztest.h"
#include "zmonitor.h"

/* Reads what there is; returns how many, and adds to lost what was lost. */
static uint64_t drain (void *monitor, uint64_t *lost)
{
    zlink_monitor_event_t e;
    uint64_t seen = 0;
    while (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT) == 0)
        if (e.event == 0)
            *lost += e.value;
        else
            seen++;
    CHECK_EQ (errno, EAGAIN);
    return seen;
}

/* A monitor that is not read loses the oldest events, says first how many, and
 * keeps the newest. */
static void loses_the_oldest (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ACCEPTED);
    enum
    {
        connections = 5000
    };
    zlink_monitor_event_t e;
    zlink_routing_id_t id;
    int port = zt_bind (server);

    for (int i = 0; i < connections; i++) {
        int fd = zt_client (port);
        zt_expect_connect (server, &id);
        zt_reset (fd);
        zt_expect_disconnect (server, &id);
    }
    uint64_t lost = zt_event (monitor, 0).value;
    CHECK (lost > 0);
    for (uint64_t i = lost; i < connections; i++)
        e = zt_event (monitor, ZLINK_EVENT_ACCEPTED);
    CHECK (zt_same_id (&e.routing_id, &id));
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT), EAGAIN);
    zt_close (server);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

typedef struct sender_t
{
    int fd;
    uint32_t count;
} sender_t;

static void *send_numbers (void *arg)
{
    sender_t *sender = arg;
    char body[4];
    for (uint32_t i = 0; i < sender->count; i++) {
        zt_put32 (body, i);
        zt_write_frame (sender->fd, body, sizeof body);
    }
    return NULL;
}

/* 100,000 events for nobody cost no message and little memory. */
static void unread_events_cost_nothing (void)
{
    enum
    {
        messages = 10000,
        events = 100000
    };
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ALL);
    sender_t sender = {zt_client (zt_bind (server)), messages};
    char body[4], bad[200];
    uint64_t lost = 0;
    zlink_routing_id_t id;
    zlink_peer_info_t info;

    zt_expect_connect (server, &id);
    ZT_UNTIL (drain (monitor, &lost) == 0);
    memset (bad, 'x', sizeof bad);
    bad[sizeof bad - 1] = 0;
    size_t before_kb = zt_rss_kb ();
    pthread_t thread = zt_thread (send_numbers, &sender);
    for (uint32_t i = 0; i < messages; i++) {
        for (int j = 0; j < events / messages; j++)
            CHECK_FAIL (zlink_bind (server, bad), EINVAL);
        zt_put32 (body, i);
        zt_expect (server, &id, body, sizeof body);
    }
    zt_join (thread);
    CHECK_OK (zlink_socket_peer_info (server, &id, &info));
    CHECK_EQ (info.msgs_received, messages);
    CHECK_RANGE ((double) zt_rss_kb () - (double) before_kb, -1e9, 20000);
    uint64_t seen = drain (monitor, &lost);
    CHECK_EQ (seen + lost, events);
    CHECK_RANGE (seen, 1000, 10000);
    close (sender.fd);
    zt_close (server);
    zt_close (monitor);
    zt_term (ctx);
}

enum
{
    clients = 50
};

/* Reads to the end; each connection has its three events, in their order. */
static void *read_lives (void *monitor)
{
    static const uint64_t life[] = {ZLINK_EVENT_ACCEPTED,
                                    ZLINK_EVENT_CONNECTION_READY,
                                    ZLINK_EVENT_DISCONNECTED};
    int at[clients] = {0}, whole = 0;
    uint32_t first = 0; /* ids count up from where an earlier socket's ended */
    zlink_monitor_event_t e;

    for (;;) {
        CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
        if (e.event == ZLINK_EVENT_MONITOR_STOPPED)
            break;
        if (e.routing_id.size == 0)
            continue; /* of the listener */
        if (!first)
            first = zt_id_number (&e.routing_id);
        uint32_t number = zt_id_number (&e.routing_id) - first;
        CHECK_RANGE (number, 0, clients - 1);
        CHECK_RANGE (at[number], 0, 2);
        CHECK_EQ (e.event, life[at[number]++]);
        whole += at[number] == 3;
    }
    CHECK_EQ (whole, clients);
    return NULL;
}

/* The reader has a thread of its own while the socket's carries traffic. */
static void read_by_another_thread (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ALL);
    pthread_t thread = zt_thread (read_lives, monitor);
    zlink_routing_id_t ids[clients];
    int port = zt_bind (server), fds[clients];
    char body[16];

    for (int i = 0; i < clients; i++) {
        fds[i] = zt_client (port);
        zt_expect_connect (server, &ids[i]);
        for (int j = 0; j <= i; j++) {
            zt_write_frame (fds[j], "ping", 4);
            zt_expect (server, &ids[j], "ping", 4);
            zt_send (server, &ids[j], "pong", 4);
            CHECK_EQ (zt_read_frame (fds[j], body, sizeof body), 4);
        }
    }
    for (int i = 0; i < clients; i++) {
        close (fds[i]);
        zt_expect_disconnect (server, &ids[i]);
    }
    zt_close (server);
    zt_join (thread);
    zt_close (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (loses_the_oldest),
  ZT_CASE (unread_events_cost_nothing),
  ZT_CASE (read_by_another_thread),
};

ZT_MAIN (cases)

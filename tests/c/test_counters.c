/* SPDX-License-Identifier: MPL-2.0 */
/* The statistics of a busy socket: threads send on two io threads while connections
 * end and others take their places, and a thread looks all the time. No counter ever
 * goes down, none tells more than was done, and none tells less. */
#include "ztest.h"
#include "zfast.h"

enum
{
    CLIENTS = 4,
    SENDERS = 2,
    ROUNDS = 300 / ZT_SCALE, /* connections of each client */
    RECENT = 16,             /* peers that the senders send to */
    BODY = 5,
    WIRE = BODY + 4,
    MOST_QUEUED = 100,
    IO_THREADS = 2
};

static void *server;
static int server_port;
static _Atomic uint32_t recent[RECENT];
static atomic_bool over;
/* Counted before the deed, and after it: what the statistics tell is between. */
static atomic_ullong offered, dialled, tried, taken;

static void count_send (uint32_t peer)
{
    atomic_fetch_add (&tried, 1);
    if (zt_fast_try (server, peer, "hello", BODY, ZLINK_DONTWAIT) == BODY)
        atomic_fetch_add (&taken, 1);
    else
        CHECK (errno == EAGAIN || errno == EHOSTUNREACH || errno == ETERM);
}

static void *answer (void *unused)
{
    zlink_msg_t msg;
    (void) unused;
    CHECK_OK (zlink_msg_init (&msg));
    for (unsigned n = 0; zlink_msg_recv (&msg, server, 0) >= 0;) {
        uint32_t peer = zlink_msg_routing_id (&msg);
        int event = zlink_msg_get (&msg, ZLINK_STREAM_EVENT);
        if (event == ZLINK_STREAM_CONNECTED)
            atomic_store (&recent[n++ % RECENT], peer);
        else if (event == ZLINK_STREAM_DATA)
            count_send (peer);
    }
    CHECK_EQ (errno, ETERM);
    CHECK_OK (zlink_msg_close (&msg));
    return NULL;
}

static void *send_on (void *unused)
{
    (void) unused;
    for (unsigned n = 0; !atomic_load (&over); n++) {
        uint32_t peer = atomic_load (&recent[n % RECENT]);
        if (peer != 0)
            count_send (peer);
    }
    return NULL;
}

/* A connection's end destroys what is under way in both directions. */
static void *come_and_go (void *unused)
{
    (void) unused;
    for (int i = 0; i < ROUNDS; i++) {
        char body[BODY];
        atomic_fetch_add (&dialled, 1);
        int fd = zt_client (server_port);
        atomic_fetch_add (&offered, 1);
        zt_write_frame (fd, "hello", BODY);
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), BODY);
        zt_reset (fd);
    }
    return NULL;
}

static zlink_stream_stats_t look (void)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (server, &stats));
    return stats;
}

static void check_look (zlink_stream_stats_t *last)
{
    unsigned long long least = atomic_load (&taken);
    zlink_stream_stats_t now = look ();
    CHECK (now.msgs_out >= least);
    CHECK (now.msgs_out >= last->msgs_out);
    CHECK (now.msgs_out <= atomic_load (&tried));
    CHECK_EQ (now.bytes_out, now.msgs_out * WIRE);
    CHECK (now.msgs_in >= last->msgs_in);
    CHECK (now.msgs_in <= atomic_load (&offered));
    CHECK (now.bytes_in >= last->bytes_in);
    CHECK (now.bytes_in <= atomic_load (&offered) * WIRE);
    CHECK (now.accepted >= last->accepted);
    CHECK (now.accepted <= atomic_load (&dialled));
    CHECK (now.closed >= last->closed);
    CHECK_EQ (now.connections, now.accepted - now.closed);
    CHECK (now.abandoned >= last->abandoned);
    CHECK (now.abandoned <= now.msgs_out);
    CHECK (now.msgs_queued <= now.connections * MOST_QUEUED);
    CHECK (now.refused >= last->refused);
    *last = now;
}

static void start_server (void *ctx)
{
    uint64_t both = 3;
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IO_THREADS, IO_THREADS));
    server = zt_fast_socket (ctx);
    CHECK_OK (zlink_setsockopt (server, ZLINK_AFFINITY, &both, sizeof both));
    zt_set_int (server, ZLINK_SNDHWM, MOST_QUEUED);
    zt_set_int (server, ZLINK_LINGER, 0);
    server_port = zt_bind (server);
}

static void look_at_the_end (void)
{
    zlink_stream_stats_t end = look ();
    CHECK_EQ (end.connections, 0);
    CHECK_EQ (end.accepted, CLIENTS * ROUNDS);
    CHECK_EQ (end.msgs_out, atomic_load (&taken));
    CHECK_EQ (end.bytes_out, end.msgs_out * WIRE);
    CHECK_EQ (end.msgs_in, CLIENTS * ROUNDS);
    CHECK_EQ (end.bytes_in, end.msgs_in * WIRE);
    CHECK_EQ (end.msgs_queued, 0);
    CHECK_EQ (end.bytes_queued, 0);
}

static void while_connections_come_and_go (void)
{
    pthread_t clients[CLIENTS], senders[SENDERS], receiver;
    zlink_stream_stats_t last = {0};
    void *ctx = zt_ctx ();
    start_server (ctx);
    receiver = zt_thread (answer, NULL);
    for (int i = 0; i < SENDERS; i++)
        senders[i] = zt_thread (send_on, NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = zt_thread (come_and_go, NULL);
    while (last.closed < CLIENTS * ROUNDS)
        check_look (&last);
    for (int i = 0; i < CLIENTS; i++)
        zt_join (clients[i]);
    atomic_store (&over, true);
    for (int i = 0; i < SENDERS; i++)
        zt_join (senders[i]);
    look_at_the_end ();
    CHECK_OK (zlink_ctx_shutdown (ctx));
    zt_join (receiver);
    zt_close (server);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (while_connections_come_and_go),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A server of million.c: one socket with the profile PUBLIC, one thread that receives, and one
 * that waits for orders. It sends pings back, and each of its peers is a member of one group.
 */
#include <pthread.h>
#include <zlink.h>

#include "scale.h"

enum
{
    BATCH = 256
};

static void *s;
static int self;

static void check (int result, const char *what)
{
    if (result < 0) {
        fprintf (stderr, "million: server %d: %s: %s: %s\n", self, what, zlink_strerror (zlink_errno ()),
                 zlink_error_detail ());
        _exit (1);
    }
}

static void set (int option, int value)
{
    check (zlink_setsockopt (s, option, &value, sizeof value), "zlink_setsockopt");
}

/* @ stands for a name without a file. */
static const char *path_of_handover (void)
{
    static char path[64];
    snprintf (path, sizeof path, "@zlink-million-%d", (int) getppid ());
    return path;
}

static void publish (char number)
{
    zlink_msg_t msg;
    check (zlink_msg_init_size (&msg, PUBLISH_BYTES), "zlink_msg_init_size");
    memset (zlink_msg_data (&msg), CAST, PUBLISH_BYTES);
    ((char *) zlink_msg_data (&msg))[NUMBER_AT] = number;
    int took = zlink_stream_publish (s, "all", &msg, 0);
    check (took, "zlink_stream_publish");
    atomic_fetch_add (&shared->server[self].took, took);
    zlink_msg_close (&msg);
}

/* Another process takes the listener; the peers are ended over drain_ms. */
static void leave (void)
{
    char endpoint[128];
    size_t size = sizeof endpoint;
    check (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, endpoint, &size), "ZLINK_LAST_ENDPOINT");
    check (zlink_stream_handover (s, path_of_handover (), -1, 30000), "zlink_stream_handover");
    check (zlink_unbind (s, endpoint), "zlink_unbind");
    check (zlink_stream_drain (s, shared->drain_ms, 0), "zlink_stream_drain");
}

static void *take_orders (void *arg)
{
    char order;
    (void) arg;
    while (read (shared->server[self].orders[0], &order, 1) == 1) {
        if (order == 'l') {
            leave ();
            break;
        }
        publish (order);
    }
    return NULL;
}

/* Serves until all peers have been drained. */
static void serve (void)
{
    static zlink_msg_t msgs[BATCH];
    for (int i = 0; i < BATCH; i++)
        check (zlink_msg_init (&msgs[i]), "zlink_msg_init");
    for (;;) {
        int n = zlink_stream_recv_batch (s, msgs, BATCH, 0);
        check (n, "zlink_stream_recv_batch");
        for (int i = 0; i < n; i++)
            switch (zlink_msg_get (&msgs[i], ZLINK_STREAM_EVENT)) {
                case ZLINK_STREAM_CONNECTED:
                    zlink_stream_join (s, zlink_msg_routing_id (&msgs[i]), "all"); /* unless it has gone */
                    atomic_fetch_add (&shared->server[self].peers, 1); /* it is in the group */
                    break;
                case ZLINK_STREAM_DISCONNECTED:
                    atomic_fetch_sub (&shared->server[self].peers, 1);
                    atomic_fetch_add (&shared->server[self].gone, 1);
                    break;
                case ZLINK_STREAM_DRAINED:
                    return;
                case 0:
                    if (zlink_msg_size (&msgs[i]) == PING_BYTES)
                        zlink_msg_send (&msgs[i], s, ZLINK_DONTWAIT); /* its peer may have gone */
            }
    }
}

/* Binds, or takes the listener of the process before over. */
static void listen_at (bool take_over)
{
    char endpoint[128];
    int port = atomic_load (&shared->port);
    if (take_over) { /* that one may not be waiting yet */
        while (zlink_stream_takeover (s, path_of_handover (), -1, 1000) < 0)
            if (zlink_errno () != ENOENT && zlink_errno () != ECONNREFUSED && zlink_errno () != ETIMEDOUT)
                check (-1, "zlink_stream_takeover");
            else
                pause_ms (10);
        return;
    }
    const char *scheme = shared->web ? "ws" : "tcp";
    snprintf (endpoint, sizeof endpoint, "%s://127.0.0.1:%d", scheme, port);
    if (port == 0)
        snprintf (endpoint, sizeof endpoint, "%s://127.0.0.1:*", scheme);
    check (zlink_bind (s, endpoint), "zlink_bind");
    size_t size = sizeof endpoint;
    check (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, endpoint, &size), "ZLINK_LAST_ENDPOINT");
    atomic_store (&shared->port, atoi (strrchr (endpoint, ':') + 1));
}

int run_server (int index, bool take_over)
{
    pthread_t orders;
    self = index;
    void *ctx = zlink_ctx_new ();
    s = zlink_socket (ctx, ZLINK_STREAM);
    set (ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    set (ZLINK_STREAM_PROFILE, ZLINK_STREAM_PROFILE_PUBLIC); /* all limits and timers, at their values */
    set (ZLINK_STREAM_REUSEPORT, 1);
    set (ZLINK_BACKLOG, 65535);
    listen_at (take_over);
    if (pthread_create (&orders, NULL, take_orders, NULL) != 0)
        die ("pthread_create");
    atomic_store (&shared->server[self].ready, 1);
    serve ();
    atomic_store (&shared->server[self].drained, 1);
    zlink_close (s);
    zlink_ctx_term (ctx);
    return 0;
}

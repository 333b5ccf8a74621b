/* SPDX-License-Identifier: MPL-2.0 */
/* Sockets close under traffic in both directions, again and again. */
#include "ztest.h"

#define ROUNDS (16 / (ZT_SCALE > 1 ? 4 : 1))
#define SERVERS 4
#define CLIENTS 4
#define CONNECTS 25 /* of each client: 100 peers in all */
#define MAX_BODY_BYTES 3000
#define WINDOW 4 /* messages that each end starts with */
#define SPARE_DESCRIPTORS 4

/* A socket and the thread that owns it. */
typedef struct node_t
{
    void *socket;
    int life_ms; /* it closes then, or at the end of the context */
    uint32_t random;
} node_t;

static atomic_long received_bodies;

static void send_one (node_t *node, const zlink_routing_id_t *id)
{
    uint8_t body[4 + MAX_BODY_BYTES];
    uint32_t seed = zt_random (&node->random);
    size_t size = 8 + seed % (MAX_BODY_BYTES - 8);
    zt_put32 (body, seed);
    zt_fill (body + 4, size - 4, seed);
    /* A full queue is no reason to wait: the peer may be waiting as well. */
    CHECK (zt_try_send (node->socket, id, body, size, ZLINK_DONTWAIT)
           || errno == EHOSTUNREACH || errno == EAGAIN || errno == ETERM);
}

/* Answers every message by another one until its life is over. */
static void *run_node (void *arg)
{
    node_t *node = arg;
    double end = zt_now_ms () + node->life_ms;
    zlink_routing_id_t id;
    uint8_t body[4 + MAX_BODY_BYTES];

    while (zt_now_ms () < end) {
        int size = zlink_recv (node->socket, id.data, sizeof id.data, 0);
        if (size >= 0) {
            id.size = (uint8_t) size;
            size = zlink_recv (node->socket, body, sizeof body, 0);
        }
        if (size < 0) {
            CHECK (errno == EAGAIN || errno == ETERM);
            if (errno == ETERM)
                break;
        } else if (size > 1) {
            CHECK (zt_filled (body + 4, (size_t) size - 4, zt_get32 (body)));
            atomic_fetch_add (&received_bodies, 1);
            send_one (node, &id);
        } else if (body[0] == ZT_EVENT_CONNECT) {
            for (int i = 0; i < WINDOW; i++)
                send_one (node, &id);
        }
    }
    zt_close (node->socket);
    return NULL;
}

static void init_node (node_t *node, void *ctx, uint32_t *random)
{
    static const int lingers_ms[] = {0, 20, -1};
    node->socket = zt_socket (ctx);
    node->life_ms = 10 + (int) (zt_random (random) % 60);
    node->random = zt_random (random);
    zt_set_int (node->socket, ZLINK_LINGER, lingers_ms[zt_random (random) % 3]);
    zt_set_int (node->socket, ZLINK_RCVTIMEO, 5);
    zt_set_int (node->socket, ZLINK_RECONNECT_IVL, 1);
}

static void one_round (int round, uint32_t *random)
{
    static node_t nodes[SERVERS + CLIENTS];
    pthread_t threads[SERVERS + CLIENTS];
    int ports[SERVERS];
    void *ctx = zt_ctx ();

    CHECK_OK (zlink_ctx_set (ctx, ZLINK_IO_THREADS, 1 + round % 3));
    for (int i = 0; i < SERVERS; i++) {
        init_node (&nodes[i], ctx, random);
        uint64_t affinity = round % 2 ? 0 : 1u << i % (1 + round % 3);
        CHECK_OK (zlink_setsockopt (nodes[i].socket, ZLINK_AFFINITY, &affinity,
                                    sizeof affinity));
        ports[i] = zt_bind (nodes[i].socket);
    }
    for (int i = SERVERS; i < SERVERS + CLIENTS; i++) {
        init_node (&nodes[i], ctx, random);
        for (int n = 0; n < CONNECTS; n++)
            zt_connect (nodes[i].socket, ports[n % SERVERS]);
    }
    for (int i = 0; i < SERVERS + CLIENTS; i++)
        threads[i] = zt_thread (run_node, &nodes[i]);
    if (round % 4 == 3) { /* the context ends while all are busy */
        zt_pause_ms (20);
        zt_term (ctx);
    }
    for (int i = 0; i < SERVERS + CLIENTS; i++)
        zt_join (threads[i]);
    if (round % 4 != 3)
        zt_term (ctx);
}

static void sockets_close_under_traffic (void)
{
    uint32_t random = 4711;
    size_t fds = 0;
    for (int round = 0; round < ROUNDS || atomic_load (&received_bodies) <= 100; round++) { /* a busy machine needs more */
        one_round (round, &random);
        if (round == 0)
            fds = zt_fd_count ();
        CHECK_RANGE (zt_fd_count (), 0, fds + SPARE_DESCRIPTORS);
    }
    printf ("%ld messages\n", atomic_load (&received_bodies));
}

static const zt_case_t cases[] = {
  ZT_CASE (sockets_close_under_traffic),
};

ZT_MAIN (cases)

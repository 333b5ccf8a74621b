/* SPDX-License-Identifier: MPL-2.0 */
/* Several servers of one context under clients that send, vanish and return. */
#include "ztest.h"

#define SERVERS 3
#define CLIENT_THREADS 8
#define DURATION_MS 4000
#define MAX_BODY_BYTES 20000
#define MAX_WINDOW 8
/* The first byte of a body says how many echoes the client wants. */
#define SINGLE_ECHO 2
#define FLOOD 60

static int ports[SERVERS];
static atomic_bool stop;
static atomic_long checked, unreachable;

static void *serve (void *s)
{
    zlink_routing_id_t id;
    zlink_msg_t body;
    int size;

    CHECK_OK (zlink_msg_init (&body));
    while ((size = zlink_recv (s, id.data, sizeof id.data, 0)) != -1) {
        id.size = (uint8_t) size;
        size = zlink_msg_recv (&body, s, 0);
        if (size == -1)
            break;
        const uint8_t *data = zlink_msg_data (&body);
        if (size == 1)
            continue;
        for (int echoes = data[0] == FLOOD ? FLOOD : 1; echoes > 0; echoes--) {
            if (zt_try_send (s, &id, data, (size_t) size, 0))
                continue;
            CHECK (errno == EHOSTUNREACH || errno == ETERM);
            atomic_fetch_add (&unreachable, 1);
            break;
        }
    }
    CHECK_EQ (errno, ETERM);
    CHECK_OK (zlink_msg_close (&body));
    zt_close (s);
    return NULL;
}

static size_t random_size (uint32_t *state)
{
    size_t size = zt_random (state) % MAX_BODY_BYTES;
    return 2 + size / (1 + zt_random (state) % 64);
}

/* Sends a window of messages in pieces of random length, then reads and
 * checks the echoes. */
static void exchange (int fd, uint32_t *state)
{
    static _Thread_local uint8_t frame[4 + MAX_BODY_BYTES + 2];
    size_t sizes[MAX_WINDOW];
    uint32_t seed = zt_random (state);
    uint32_t window = 1 + zt_random (state) % MAX_WINDOW;

    for (uint32_t i = 0; i < window; i++) {
        sizes[i] = random_size (state);
        zt_put32 (frame, (uint32_t) sizes[i]);
        zt_fill (frame + 4, sizes[i], seed + i);
        frame[4] = SINGLE_ECHO;
        size_t cut = zt_random (state) % (4 + sizes[i]);
        zt_write (fd, frame, cut);
        zt_write (fd, frame + cut, 4 + sizes[i] - cut);
    }
    for (uint32_t i = 0; i < window; i++) {
        CHECK_EQ (zt_read_frame (fd, frame, sizeof frame), sizes[i]);
        CHECK_EQ (frame[0], SINGLE_ECHO);
        zt_fill (frame + sizes[i], 1, seed + i);
        frame[0] = frame[sizes[i]];
        CHECK (zt_filled (frame, sizes[i], seed + i));
        atomic_fetch_add (&checked, 1);
    }
}

/* Asks for a flood of answers and goes away without reading it. */
static void vanish (int fd, uint32_t *state)
{
    uint8_t body[1000];
    memset (body, FLOOD, sizeof body);
    for (int i = 0; i < 10; i++)
        zt_write_frame (fd, body, sizeof body);
    if (zt_random (state) % 2)
        zt_pause_ms (1);
    zt_reset (fd);
}

static void *run_client (void *arg)
{
    uint32_t state = *(const uint32_t *) arg;
    while (!atomic_load (&stop)) {
        int fd = zt_client (ports[zt_random (&state) % SERVERS]);
        uint32_t rounds = zt_random (&state) % 30;
        for (uint32_t i = 0; i < rounds; i++) {
            exchange (fd, &state);
            if (zt_random (&state) % 8 == 0)
                zt_pause_ms ((int) (zt_random (&state) % 4));
        }
        switch (zt_random (&state) % 3) {
            case 0:
                close (fd);
                break;
            case 1:
                zt_reset (fd);
                break;
            default:
                vanish (fd, &state);
        }
    }
    return NULL;
}

static void random_load (void)
{
    static uint32_t seeds[CLIENT_THREADS];
    pthread_t servers[SERVERS], clients[CLIENT_THREADS];
    void *ctx = zt_ctx ();

    for (int i = 0; i < SERVERS; i++) {
        void *s = zt_socket (ctx);
        ports[i] = zt_bind (s);
        servers[i] = zt_thread (serve, s);
    }
    for (uint32_t i = 0; i < CLIENT_THREADS; i++) {
        seeds[i] = 1000 + i;
        clients[i] = zt_thread (run_client, &seeds[i]);
    }
    zt_pause_ms (DURATION_MS);
    atomic_store (&stop, true);
    for (int i = 0; i < CLIENT_THREADS; i++)
        zt_join (clients[i]);
    zt_term (ctx);
    for (int i = 0; i < SERVERS; i++)
        zt_join (servers[i]);
    printf ("%ld echoes checked, %ld sends to vanished peers refused\n",
            atomic_load (&checked), atomic_load (&unreachable));
    CHECK (atomic_load (&checked) > 100);
}

static const zt_case_t cases[] = {
  ZT_CASE (random_load),
};

ZT_MAIN (cases)

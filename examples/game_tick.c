/* SPDX-License-Identifier: MPL-2.0 */
/* A game at 30 Hz: ./game_tick [ENDPOINT]. Players send how far they move, one byte for each of two
 * directions. Every tick all get the places of all. A player who reads slowly gets the newest
 * state, however many ticks it has missed. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zlink.h>

enum
{
    players = 1024, /* a power of two, so that routing ids that follow each other have places of their own */
    tick_ns = 1000000000 / 30,
    world = 1 /* the key of the state */
};

static struct state
{
    uint32_t tick, present;
    int16_t place[players][2];
} state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run_ticks (void *server)
{
    struct timespec next;
    clock_gettime (CLOCK_MONOTONIC, &next);
    for (;;) {
        zlink_msg_t msg;
        next.tv_nsec += tick_ns;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        zlink_msg_init_size (&msg, sizeof state);
        pthread_mutex_lock (&lock);
        state.tick++;
        memcpy (zlink_msg_data (&msg), &state, sizeof state);
        pthread_mutex_unlock (&lock);
        int took = zlink_stream_publish_key (server, "players", &msg, world, 0);
        zlink_msg_close (&msg);
        if (took < 0 && errno != EAGAIN)
            return NULL; /* the end */
    }
}

static void play (void *server, zlink_msg_t *msg)
{
    uint32_t peer = zlink_msg_routing_id (msg);
    pthread_mutex_lock (&lock);
    int16_t *place = state.place[peer % players];
    const int8_t *step = zlink_msg_data (msg);
    switch (zlink_msg_get (msg, ZLINK_STREAM_EVENT)) {
        case ZLINK_STREAM_CONNECTED:
            state.present++;
            place[0] = place[1] = 0;
            zlink_stream_join (server, peer, "players");
            break;
        case ZLINK_STREAM_DISCONNECTED:
            state.present--;
            break;
        case ZLINK_STREAM_DATA:
            if (zlink_msg_size (msg) == 2) {
                place[0] += step[0];
                place[1] += step[1];
            }
    }
    pthread_mutex_unlock (&lock);
}

int main (int argc, char **argv)
{
    int fast = ZLINK_STREAM_MODE_FAST, small = 32 << 10; /* what the kernel has cannot be replaced */
    char endpoint[256];
    size_t size = sizeof endpoint;
    void *context = zlink_ctx_new (), *server = zlink_socket (context, ZLINK_STREAM);
    zlink_setsockopt (server, ZLINK_STREAM_MODE, &fast, sizeof fast);
    zlink_setsockopt (server, ZLINK_SNDBUF, &small, sizeof small);
    if (zlink_bind (server, argc > 1 ? argv[1] : "tcp://127.0.0.1:5555") != 0) {
        fprintf (stderr, "%s: %s\n", zlink_strerror (errno), zlink_error_detail ());
        return 1;
    }
    zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size);
    printf ("%s\n", endpoint);
    fflush (stdout);
    pthread_t ticks;
    pthread_create (&ticks, NULL, run_ticks, server);
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, server, 0) >= 0)
        play (server, &msg);
    return 0;
}

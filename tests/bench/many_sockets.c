/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One socket for each thread on one endpoint: echoed messages a second with 1, 2 … sockets.
 *
 *   many_sockets [SOCKETS [BYTES [SECONDS]]]      (2, 64, 3)
 *
 * For each number of sockets up to SOCKETS, in turn: PEERS connections with WINDOW messages in flight on each,
 * from CLIENTS processes that are no zlink. The ways: batch, what came goes back with zlink_stream_send_batch;
 * by-id, each message with zlink_stream_send_any; named, each with zlink_msg_send. A line has the way, the sockets,
 * messages a second, and what a message cost the servers' processors, in the program and in the kernel. The last lines are
 * those of the table in doc/scaling.md.
 */
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "measure.h"

enum
{
    CLIENTS = 2,
    PEERS = 500, /* of each process */
    WINDOW = 16,
    BATCH = 256,
    MOST_SOCKETS = 64,
    READ_ROOM = 64 << 10
};

static struct
{
    _Atomic uint64_t echoed[CLIENTS];
    double rate[256][MOST_SOCKETS + 1]; /* messages a second, by way and sockets */
    double cost;                        /* us of the server's processor for a message, one socket, batch */
    _Atomic int up, turn;
} *shared;

static size_t size = 64;
static char way; /* b, i or n */

/* ----------------------------------------------------------------- clients */

static int first_turn, self;

/* Answers each echo with another message, until the turn is over. */
static void run_client (int port)
{
    static char in[READ_ROOM], out[READ_ROOM];
    static size_t rest[PEERS]; /* bytes of a frame that has begun */
    struct epoll_event events[256];
    const size_t frame = 4 + size, most = sizeof out / frame;
    int fds[PEERS], epoll = epoll_create1 (EPOLL_CLOEXEC);
    for (size_t i = 0; i < most; i++) {
        const uint32_t length = htonl ((uint32_t) size);
        memcpy (out + i * frame, &length, 4);
    }
    for (int i = 0; i < PEERS; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t) i};
        fds[i] = dial (port);
        epoll_ctl (epoll, EPOLL_CTL_ADD, fds[i], &e);
    }
    atomic_fetch_add (&shared->up, 1);
    while (atomic_load (&shared->up) < CLIENTS)
        sleep_ms (1);
    for (int i = 0; i < PEERS; i++)
        if (send (fds[i], out, WINDOW * frame, 0) < 0)
            fail ("send");
    while (atomic_load (&shared->turn) == first_turn) {
        int n = epoll_wait (epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            const uint32_t at = events[i].data.u32;
            ssize_t got = recv (fds[at], in, most * frame < sizeof in ? most * frame : sizeof in, 0);
            if (got <= 0)
                _exit (0);
            rest[at] += (size_t) got;
            size_t whole = rest[at] / frame;
            rest[at] %= frame;
            if (whole > most)
                whole = most;
            atomic_fetch_add (&shared->echoed[self], whole);
            if (whole > 0 && send (fds[at], out, whole * frame, MSG_NOSIGNAL) < 0)
                _exit (0);
        }
    }
}

/* ----------------------------------------------------------------- servers */

/* Sends a received message back; a peer that has gone, or takes nothing, does without. */
static void send_back (void *s, zlink_msg_t *msg)
{
    if (zlink_msg_get (msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
        return;
    if (way == 'i')
        zlink_stream_send_any (msg, ZLINK_DONTWAIT);
    else
        zlink_msg_send (msg, s, ZLINK_DONTWAIT);
}

static void *serve (void *s)
{
    zlink_msg_t msgs[BATCH];
    for (int i = 0; i < BATCH; i++)
        zlink_msg_init (&msgs[i]);
    for (int n; (n = zlink_stream_recv_batch (s, msgs, BATCH, 0)) >= 0;) {
        int first = 0;
        while (way == 'b' && first < n) { /* an event stays where it is */
            int end = first;
            while (end < n && zlink_msg_get (&msgs[end], ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA)
                end++;
            while (first < end) {
                int sent = zlink_stream_send_batch (s, &msgs[first], (size_t) (end - first), ZLINK_DONTWAIT);
                first += sent > 0 ? sent : 1;
            }
            first = end + 1;
        }
        for (; first < n; first++)
            send_back (s, &msgs[first]);
    }
    for (int i = 0; i < BATCH; i++)
        zlink_msg_close (&msgs[i]);
    return NULL;
}

static double seconds_of (struct timeval t)
{
    return (double) t.tv_sec + (double) t.tv_usec / 1e6;
}

static uint64_t echoed (void)
{
    uint64_t all = 0;
    for (int i = 0; i < CLIENTS; i++)
        all += atomic_load (&shared->echoed[i]);
    return all;
}

/* Measures so many sockets for so long. It runs in a process of its own. */
static void measure (int sockets, double seconds, struct child *clients)
{
    void *ctx = zlink_ctx_new (), *all[MOST_SOCKETS];
    pthread_t threads[MOST_SOCKETS];
    struct rusage before, after;
    char endpoint[64];
    int port = 0;
    zlink_ctx_set (ctx, ZLINK_IO_THREADS, sockets);
    for (int i = 0; i < sockets; i++) {
        all[i] = fast_socket (ctx);
        set_int (all[i], ZLINK_STREAM_REUSEPORT, 1);
        set_int (all[i], ZLINK_BACKLOG, 1024);
        set_int (all[i], ZLINK_LINGER, 0);
        const uint64_t own = UINT64_C (1) << i; /* an io thread for each socket, which its receiver relieves */
        if (zlink_setsockopt (all[i], ZLINK_AFFINITY, &own, sizeof own))
            fail ("ZLINK_AFFINITY");
        if (i == 0)
            port = bind_any (all[0], "tcp");
        snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
        if (i > 0 && zlink_bind (all[i], endpoint))
            fail ("zlink_bind");
        pthread_create (&threads[i], NULL, serve, all[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        start_child (&clients[i], port);
    while (echoed () < CLIENTS * PEERS * WINDOW)
        sleep_ms (1);
    sleep_ms (300);
    getrusage (RUSAGE_SELF, &before);
    double from = now_ms (), n = (double) echoed ();
    sleep_ms ((int) (seconds * 1e3));
    double took = (now_ms () - from) / 1e3;
    n = (double) echoed () - n;
    getrusage (RUSAGE_SELF, &after);
    printf ("%-6s  sockets %2d  messages/s %9.0f  server us/message: program %.3f  kernel %.3f  processors %.2f\n",
            way == 'b'   ? "batch"
            : way == 'i' ? "by-id"
                         : "named",
            sockets, n / took, 1e6 * (seconds_of (after.ru_utime) - seconds_of (before.ru_utime)) / n,
            1e6 * (seconds_of (after.ru_stime) - seconds_of (before.ru_stime)) / n,
            (seconds_of (after.ru_utime) + seconds_of (after.ru_stime) - seconds_of (before.ru_utime) - seconds_of (before.ru_stime)) / took);
    fflush (stdout);
    shared->rate[(uint8_t) way][sockets] = n / took;
    if (way == 'b' && sockets == 1)
        shared->cost = 1e6 * (seconds_of (after.ru_utime) + seconds_of (after.ru_stime) - seconds_of (before.ru_utime) - seconds_of (before.ru_stime)) / n;
    atomic_fetch_add (&shared->turn, 1);
    zlink_ctx_shutdown (ctx);
    for (int i = 0; i < sockets; i++) {
        pthread_join (threads[i], NULL);
        zlink_close (all[i]);
    }
    zlink_ctx_term (ctx);
    for (int i = 0; i < CLIENTS; i++)
        waitpid (clients[i].pid, NULL, 0);
}

/* The lines of doc/scaling.md. */
static void print_rows (int most)
{
    const double *batch = shared->rate['b'];
    for (int sockets = 1; sockets <= most; sockets *= 2)
        printf ("| echoes/s of %zu bytes, %d socket%s | many_sockets, batch | | %.2f million | |\n", size, sockets, sockets > 1 ? "s" : "",
                batch[sockets] / 1e6);
    for (int sockets = 1; sockets <= most; sockets *= 2)
        printf ("| %d socket%s, sent by the id : by the socket | many_sockets, by-id : named | 1 | %.2f | |\n", sockets,
                sockets > 1 ? "s" : "", shared->rate['i'][sockets] / shared->rate['n'][sockets]);
    printf ("| %zu bytes, %d in flight, %.2f us each", size, WINDOW, shared->cost);
    for (int cores = 8; cores <= 128; cores *= 4) /* four fifths of each in use */
        printf (" | %.0f million", 0.8 * cores / shared->cost);
    printf (" |\n");
}

int main (int argc, char **argv)
{
    int most = argc > 1 ? atoi (argv[1]) : 2;
    double seconds = argc > 3 ? atof (argv[3]) : 3;
    if (argc > 2)
        size = (size_t) atoi (argv[2]);
    if (argc > 4 || most < 1 || most > MOST_SOCKETS || size < 1 || size > 1024 || seconds <= 0) {
        fprintf (stderr, "usage: many_sockets [SOCKETS [BYTES [SECONDS]]], with 1 to 64 sockets and 1 to 1024 bytes\n");
        return 2;
    }
    many_descriptors ();
    shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (const char *ways = "bin"; *ways; ways++)
        for (int sockets = 1; sockets <= most; sockets *= 2) {
            struct child clients[CLIENTS];
            way = *ways;
            first_turn = atomic_load (&shared->turn);
            atomic_store (&shared->up, 0);
            memset ((void *) shared->echoed, 0, sizeof shared->echoed);
            fflush (NULL);
            pid_t server = fork (); /* before there are threads */
            if (server == 0) {
                for (self = 0; self < CLIENTS; self++)
                    clients[self] = new_child (run_client);
                measure (sockets, seconds, clients);
                _exit (0);
            }
            int status;
            if (waitpid (server, &status, 0) < 0 || status != 0)
                return 1;
        }
    print_rows (most);
    return 0;
}

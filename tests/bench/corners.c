/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Corners of a loaded process.
 * usage: corners ipc ROUNDS | lock SECONDS | events CONNECTIONS
 *
 * ipc: two contexts bind one ipc file that a dead server left; rounds with two
 * servers are counted. lock: two threads send to one peer with DONTWAIT, on the one
 * processor that they share with the io thread and the peer; the longest call.
 * events: connections come and go while the application does not receive; what of
 * them was accepted, and what they cost.
 */
#include "measure.h"

#include <sched.h>
#include <sys/un.h>

/* ipc */

static char path[64], endpoint[80];
static pthread_barrier_t both;

static void leave_file (void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink (path);
    strcpy (to.sun_path, path);
    if (bind (fd, (struct sockaddr *) &to, sizeof to) || listen (fd, 1))
        fail (path);
    close (fd);
}

static void *bind_it (void *s)
{
    pthread_barrier_wait (&both);
    return zlink_bind (s, endpoint) == 0 ? s : NULL;
}

static void ipc (long rounds)
{
    long twice = 0, none = 0;
    snprintf (path, sizeof path, "/tmp/zlink-corners-%d", (int) getpid ());
    snprintf (endpoint, sizeof endpoint, "ipc://%s", path);
    pthread_barrier_init (&both, NULL, 2);
    void *ctx[2] = {zlink_ctx_new (), zlink_ctx_new ()};
    for (long i = 0; i < rounds; i++) {
        void *s[2], *bound[2];
        pthread_t threads[2];
        leave_file ();
        for (int j = 0; j < 2; j++) {
            s[j] = fast_socket (ctx[j]);
            pthread_create (&threads[j], NULL, bind_it, s[j]);
        }
        for (int j = 0; j < 2; j++)
            pthread_join (threads[j], &bound[j]);
        twice += bound[0] && bound[1];
        none += !bound[0] && !bound[1];
        zlink_close (s[0]);
        zlink_close (s[1]);
    }
    zlink_ctx_term (ctx[0]);
    zlink_ctx_term (ctx[1]);
    unlink (path);
    printf ("corners ipc: %ld rounds, two servers in %ld, none in %ld\n", rounds, twice, none);
}

/* lock */

static void *shared;
static uint32_t peer;
static double until;

struct sender
{
    pthread_t thread;
    double longest;
    long calls, slow; /* above 100 ms */
};

static void *send_all (void *arg)
{
    struct sender *me = arg;
    for (double from = now_ms (), to; from < until; from = to) {
        send_to (shared, peer, 64, ZLINK_DONTWAIT);
        to = now_ms ();
        me->calls++;
        me->slow += to - from > 100;
        me->longest = to - from > me->longest ? to - from : me->longest;
    }
    return NULL;
}

static void drop (int port)
{
    static char junk[1 << 20];
    for (int fd = dial (port); recv (fd, junk, sizeof junk, 0) > 0;)
        ;
}

static void lock (double seconds)
{
    struct sender senders[2] = {{0}, {0}};
    cpu_set_t one;
    sched_getaffinity (0, sizeof one, &one);
    int cpu = 0;
    while (!CPU_ISSET (cpu, &one))
        cpu++;
    CPU_ZERO (&one);
    CPU_SET (cpu, &one);
    if (sched_setaffinity (0, sizeof one, &one))
        fail ("sched_setaffinity");
    struct child reader = new_child (drop);
    void *ctx = zlink_ctx_new ();
    shared = fast_socket (ctx);
    set_int (shared, ZLINK_LINGER, 0);
    start_child (&reader, bind_any (shared, "tcp"));
    peer = next_event (shared, ZLINK_STREAM_CONNECTED);
    until = now_ms () + seconds * 1e3;
    for (int i = 0; i < 2; i++)
        pthread_create (&senders[i].thread, NULL, send_all, &senders[i]);
    for (int i = 0; i < 2; i++)
        pthread_join (senders[i].thread, NULL);
    double longest = senders[0].longest > senders[1].longest ? senders[0].longest : senders[1].longest;
    printf ("corners lock: %ld DONTWAIT calls of two threads on one processor, the longest %.0f ms, %ld above 100 ms\n",
            senders[0].calls + senders[1].calls, longest, senders[0].slow + senders[1].slow);
    end_child (&reader);
    zlink_close (shared);
    zlink_ctx_term (ctx);
}

/* events */

static long connections;

static void come_and_go (int port)
{
    struct linger now = {1, 0};
    for (long i = 0; i < connections; i++) {
        int fd = dial (port);
        if (i % 64 == 0)
            sleep_ms (1);
        setsockopt (fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close (fd);
    }
    /* With the queue of the kernel full, connecting waits. */
}

static void events (void)
{
    struct child clients = new_child (come_and_go);
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    set_int (s, ZLINK_LINGER, 0);
    int port = bind_any (s, "tcp");
    sleep_ms (300);
    double before = resident_mb ();
    start_child (&clients, port);
    uint64_t last = 0;
    for (int quiet = 0; quiet < 20; quiet++) { /* until nothing has come for 2 s */
        sleep_ms (100);
        uint64_t accepted = stats_of (s).accepted;
        if (accepted != last)
            quiet = 0;
        last = accepted;
    }
    zlink_stream_stats_t stats = stats_of (s);
    printf ("corners events: of %ld connections that came and went unread %llu were accepted, resident +%.1f MB, "
            "memory %.1f MB\n",
            connections, (unsigned long long) stats.accepted, resident_mb () - before, (double) stats.memory / 1e6);
    end_child (&clients);
    zlink_close (s);
    zlink_ctx_term (ctx);
}

int main (int argc, char **argv)
{
    double n = argc > 2 ? atof (argv[2]) : 0;
    if (n > 0 && !strcmp (argv[1], "ipc"))
        ipc ((long) n);
    else if (n > 0 && !strcmp (argv[1], "lock"))
        lock (n);
    else if (n > 0 && !strcmp (argv[1], "events")) {
        connections = (long) n;
        events ();
    } else {
        fprintf (stderr, "usage: corners ipc ROUNDS | lock SECONDS | events CONNECTIONS\n");
        return 2;
    }
    return 0;
}

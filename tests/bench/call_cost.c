/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the calls of the data path cost, from the socket's queue to the caller
 * and back into a peer's queue, without the network.
 * usage: call_cost [ROUNDS]
 *
 * A figure is the CPU time of the calling thread for one message, the median of
 * the rounds, without what reading the clock costs. A round:
 *
 *  1. The peers, of another thread, write a burst, an equal part each. This
 *     thread sleeps until zlink_stream_stats says that all of it arrived: the
 *     io thread has read it. It is less than the 1 MiB that a socket lets wait,
 *     so no call has anything to do but to receive.
 *  2. Measured: the burst is received.
 *  3. This thread receives a message that is the first of two, so it drives the
 *     io thread's loop, leaves it, and still has a message at hand. Until that
 *     is taken, or a millisecond has passed, nobody writes what is sent.
 *  4. Measured: the burst is sent, to the peers that it came from. When the
 *     statistics then show that something of it went out, the round is repeated.
 *
 * So no message meets a system call, except where that is the call's own way:
 * zlink_send of 64 KiB takes a mapping from the system. See it for yourself:
 * strace shows the clock_gettime of a measured part in pairs, and what is
 * between them (strace -f -e trace=all build/bin/call_cost 3).
 *
 * All threads run on one processor, so that the bytes are in its cache, as they
 * are when the caller drives. In "memcpy" the calls are replaced by one copy
 * out of a block of frames and one into another.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <zlink.h>

enum
{
    PEERS = 4,
    MAX_COUNT = 256, /* messages in a burst */
    MAX_SIZE = 64 << 10,
    MAX_TRIES = 50
};

/* An address that nothing else dials: a stranger's event would be measured. */
#define ADDRESS "127.0.0.77"

static void die (const char *what)
{
    fprintf (stderr, "call_cost: %s: %s %s\n", what, zlink_strerror (errno),
             zlink_error_detail ());
    exit (1);
}

static void need (bool ok, const char *what)
{
    if (!ok)
        die (what);
}

static double now_ns (void)
{
    struct timespec t;
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
    return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static int by_value (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median (double *values, int n)
{
    qsort (values, (size_t) n, sizeof *values, by_value);
    return values[n / 2];
}

/* What two looks at the clock cost. */
static double clock_cost (void)
{
    double costs[101];
    for (int i = 0; i < 101; i++) {
        double start = now_ns ();
        costs[i] = now_ns () - start;
    }
    return median (costs, 101);
}

/* -------------------------------------------------------------- the peers */

typedef struct peers_t
{
    int fds[PEERS];
    int commands[2]; /* 'b': write the burst, 't': write the two messages */
    size_t size;     /* of a body */
    int count;       /* messages in the burst */
    pthread_t thread;
} peers_t;

static void put_all (int fd, const uint8_t *data, size_t size)
{
    for (ssize_t n; size > 0; data += n, size -= (size_t) n)
        need ((n = write (fd, data, size)) > 0, "a peer's write");
}

static size_t fill_frames (uint8_t *to, size_t size, int count)
{
    size_t at = 0;
    for (int i = 0; i < count; i++, at += 4 + size) {
        for (int b = 0; b < 4; b++)
            to[at + (size_t) b] = (uint8_t) (size >> (24 - 8 * b));
        memset (to + at + 4, 'a' + i % 26, size);
    }
    return at;
}

static void obey (peers_t *p, char command, uint8_t *frames)
{
    if (command == 't') {
        usleep (2000); /* the caller is to wait by then */
        put_all (p->fds[0], frames, fill_frames (frames, 2, 2));
        return;
    }
    size_t size = fill_frames (frames, p->size, p->count / PEERS);
    for (int i = 0; i < PEERS; i++)
        put_all (p->fds[i], frames, size);
}

/* Writes as commanded, and drops what comes. */
static void *run_peers (void *arg)
{
    peers_t *p = arg;
    struct pollfd items[PEERS + 1];
    uint8_t *buf = malloc ((4 + MAX_SIZE) * MAX_COUNT / PEERS);
    for (int i = 0; i < PEERS; i++)
        items[i] = (struct pollfd) {p->fds[i], POLLIN, 0};
    items[PEERS] = (struct pollfd) {p->commands[0], POLLIN, 0};
    for (;;) {
        need (poll (items, PEERS + 1, -1) > 0, "poll");
        for (int i = 0; i < PEERS; i++)
            if (items[i].revents)
                need (recv (p->fds[i], buf, MAX_SIZE, 0) >= 0, "a peer's read");
        char command;
        if (!items[PEERS].revents)
            continue;
        if (read (p->commands[0], &command, 1) != 1)
            break;
        obey (p, command, buf);
    }
    free (buf);
    return NULL;
}

static void command (const peers_t *p, char c)
{
    need (write (p->commands[1], &c, 1) == 1, "command");
}

static void start_peers (peers_t *p, int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons ((uint16_t) port)};
    inet_pton (AF_INET, ADDRESS, &addr.sin_addr);
    for (int i = 0; i < PEERS; i++) {
        p->fds[i] = socket (AF_INET, SOCK_STREAM, 0);
        need (connect (p->fds[i], (struct sockaddr *) &addr, sizeof addr) == 0,
              "connect");
    }
    need (pipe (p->commands) == 0, "pipe");
    need (pthread_create (&p->thread, NULL, run_peers, p) == 0, "thread");
}

static void stop_peers (peers_t *p)
{
    close (p->commands[1]);
    pthread_join (p->thread, NULL);
    close (p->commands[0]);
    for (int i = 0; i < PEERS; i++)
        close (p->fds[i]);
}

/* -------------------------------------------------------------- the forms */

static zlink_msg_t ids[MAX_COUNT], bodies[MAX_COUNT];
static unsigned char id_bytes[MAX_COUNT][4];
static uint8_t body_bytes[MAX_SIZE];

static void recv_frames (void *s, int n)
{
    for (int i = 0; i < n; i++) {
        int more;
        size_t size = sizeof more;
        need (zlink_recv (s, id_bytes[i], 4, 0) == 4
                && zlink_getsockopt (s, ZLINK_RCVMORE, &more, &size) == 0
                && more && zlink_recv (s, body_bytes, MAX_SIZE, 0) >= 0,
              "zlink_recv");
    }
}

static size_t body_size;

static void send_frames (void *s, int n)
{
    for (int i = 0; i < n; i++)
        need (zlink_send (s, id_bytes[i], 4, ZLINK_SNDMORE) == 4
                && zlink_send (s, body_bytes, body_size, 0) >= 0,
              "zlink_send");
}

static void recv_msgs (void *s, int n)
{
    for (int i = 0; i < n; i++)
        need (zlink_msg_recv (&ids[i], s, 0) == 4 && zlink_msg_more (&ids[i])
                && zlink_msg_recv (&bodies[i], s, 0) >= 0,
              "zlink_msg_recv");
}

static void send_msgs (void *s, int n)
{
    for (int i = 0; i < n; i++)
        need (zlink_msg_send (&ids[i], s, ZLINK_SNDMORE) == 4
                && zlink_msg_send (&bodies[i], s, 0) >= 0,
              "zlink_msg_send");
}

static void recv_fast (void *s, int n)
{
    for (int i = 0; i < n; i++)
        need (zlink_msg_recv (&bodies[i], s, 0) >= 0, "zlink_msg_recv");
}

static void send_fast (void *s, int n)
{
    for (int i = 0; i < n; i++)
        need (zlink_msg_send (&bodies[i], s, 0) >= 0, "zlink_msg_send");
}

static void recv_batch (void *s, int n)
{
    for (int got, done = 0; done < n; done += got)
        need ((got = zlink_stream_recv_batch (s, bodies + done,
                                              (size_t) (n - done), 0))
                > 0,
              "zlink_stream_recv_batch");
}

static void send_batch (void *s, int n)
{
    need (zlink_stream_send_batch (s, bodies, (size_t) n, 0) == n,
          "zlink_stream_send_batch");
}

typedef struct form_t
{
    const char *name;
    int mode;
    void (*recv) (void *socket, int n);
    void (*send) (void *socket, int n);
} form_t;

static const form_t forms[] = {
  {"COMPAT, zlink_recv", ZLINK_STREAM_MODE_COMPAT, recv_frames, send_frames},
  {"COMPAT, zlink_msg", ZLINK_STREAM_MODE_COMPAT, recv_msgs, send_msgs},
  {"FAST", ZLINK_STREAM_MODE_FAST, recv_fast, send_fast},
  {"FAST, batch", ZLINK_STREAM_MODE_FAST, recv_batch, send_batch},
};

/* ---------------------------------------------------------------- a round */

static double clock_ns;

/* Messages in a burst: what one round of the io thread's loop would read, and
 * enough for the clock. */
static int count_of (size_t size)
{
    if (size <= 64)
        return MAX_COUNT;
    return size <= 1024 ? 64 : 8;
}

static zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    need (zlink_stream_stats (s, &stats) == 0, "zlink_stream_stats");
    return stats;
}

static double measure (void (*call) (void *, int), void *s, int n)
{
    double start = now_ns ();
    call (s, n);
    return (now_ns () - start - clock_ns) / n;
}

/* One round; false: something was written before the end. */
static bool one_round (
  const form_t *f, void *s, const peers_t *p, double *recv_ns, double *send_ns)
{
    zlink_stream_stats_t stats = stats_of (s);
    uint64_t all = stats.msgs_in + (uint64_t) p->count;
    command (p, 'b');
    while (stats_of (s).msgs_in < all)
        usleep (200);
    *recv_ns = measure (f->recv, s, p->count);

    zlink_msg_t id, body;
    bool frames = f->mode == ZLINK_STREAM_MODE_COMPAT;
    zlink_msg_init (&id);
    zlink_msg_init (&body);
    while (stats_of (s).msgs_queued > 0)
        usleep (200);
    command (p, 't');
    for (int i = 0; i < 2; i++) {
        if (frames)
            need (zlink_msg_recv (&id, s, 0) == 4, "the id of the two");
        int size = zlink_msg_recv (&body, s, 0);
        if (size != 2) {
            fprintf (stderr, "call_cost: %d bytes instead of the two\n", size);
            exit (1);
        }
        if (i == 0) {
            *send_ns = measure (f->send, s, p->count);
            stats = stats_of (s);
        }
    }
    zlink_msg_close (&id);
    zlink_msg_close (&body);
    return stats.msgs_queued == (uint64_t) p->count;
}

static void *open_server (void *ctx, int mode, int *port)
{
    char endpoint[256];
    size_t size = sizeof endpoint;
    int buffer = 4 << 20, unlimited = 0, linger = 0;
    void *s = zlink_socket (ctx, ZLINK_STREAM);
    need (s
            && !zlink_setsockopt (s, ZLINK_STREAM_MODE, &mode, sizeof mode)
            && !zlink_setsockopt (s, ZLINK_RCVBUF, &buffer, sizeof buffer)
            && !zlink_setsockopt (s, ZLINK_SNDHWM, &unlimited, sizeof (int))
            && !zlink_setsockopt (s, ZLINK_RCVHWM, &unlimited, sizeof (int))
            && !zlink_setsockopt (s, ZLINK_LINGER, &linger, sizeof linger)
            && !zlink_bind (s, "tcp://" ADDRESS ":*")
            && !zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, endpoint, &size),
          "server");
    *port = atoi (strrchr (endpoint, ':') + 1);
    return s;
}

static void run_form (const form_t *f, size_t size, int rounds, double *recv_ns,
                      double *send_ns)
{
    peers_t p = {.size = size, .count = count_of (size)};
    int port;
    void *ctx = zlink_ctx_new ();
    void *s = open_server (ctx, f->mode, &port);
    start_peers (&p, port);
    body_size = size;
    double *recvs = malloc ((size_t) rounds * sizeof *recvs);
    double *sends = malloc ((size_t) rounds * sizeof *sends);
    for (int i = 0; i < MAX_COUNT; i++) {
        zlink_msg_init (&ids[i]);
        zlink_msg_init (&bodies[i]);
    }
    f->recv (s, PEERS); /* the connect events */
    for (int i = -3, tries = 0; i < rounds; i++) { /* three to warm up */
        double *to_recv = &recvs[i < 0 ? 0 : i], *to_send = &sends[i < 0 ? 0 : i];
        if (one_round (f, s, &p, to_recv, to_send) || i < 0)
            tries = 0;
        else if (i--, ++tries == MAX_TRIES)
            die ("messages are always sent at once");
    }
    *recv_ns = median (recvs, rounds);
    *send_ns = median (sends, rounds);
    free (recvs);
    free (sends);
    for (int i = 0; i < MAX_COUNT; i++) {
        zlink_msg_close (&ids[i]);
        zlink_msg_close (&bodies[i]);
    }
    zlink_close (s);
    stop_peers (&p);
    zlink_ctx_term (ctx);
}

/* The limit: copies, and the length field in front. */
static uint8_t *block_in, *block_out;

static void copy_out (void *unused, int n)
{
    (void) unused;
    for (int i = 0; i < n; i++) {
        memcpy (body_bytes, block_in + (4 + body_size) * (size_t) i + 4,
                body_size);
        __asm__ volatile ("" ::: "memory"); /* every copy is wanted */
    }
}

static void copy_in (void *unused, int n)
{
    (void) unused;
    for (int i = 0; i < n; i++) {
        uint8_t *to = block_out + (4 + body_size) * (size_t) i;
        uint32_t length = __builtin_bswap32 ((uint32_t) body_size);
        memcpy (to, &length, 4);
        memcpy (to + 4, body_bytes, body_size);
        __asm__ volatile ("" ::: "memory");
    }
}

static void
run_memcpy (size_t size, int rounds, double *recv_ns, double *send_ns)
{
    int count = count_of (size);
    double *recvs = malloc ((size_t) rounds * sizeof *recvs);
    double *sends = malloc ((size_t) rounds * sizeof *sends);
    body_size = size;
    block_in = malloc ((4 + size) * (size_t) count);
    block_out = malloc ((4 + size) * (size_t) count);
    for (int i = 0; i < rounds; i++) {
        fill_frames (block_in, size, count);
        recvs[i] = measure (copy_out, NULL, count);
        sends[i] = measure (copy_in, NULL, count);
    }
    *recv_ns = median (recvs, rounds);
    *send_ns = median (sends, rounds);
    free (recvs);
    free (sends);
    free (block_in);
    free (block_out);
}

/* Starts this program again on the processor that it runs on. */
static void use_one_processor (char **argv)
{
    cpu_set_t set;
    need (sched_getaffinity (0, sizeof set, &set) == 0, "sched_getaffinity");
    if (CPU_COUNT (&set) == 1)
        return;
    int cpu = sched_getcpu ();
    CPU_ZERO (&set);
    CPU_SET (cpu, &set);
    need (sched_setaffinity (0, sizeof set, &set) == 0, "sched_setaffinity");
    execv ("/proc/self/exe", argv);
    die ("execv");
}

static void print_row (size_t size, const char *name, double recv_ns,
                       double send_ns, double limit)
{
    double both = recv_ns + send_ns;
    printf ("%7zu  %-20s%10.1f%10.1f%10.1f%10.2f\n", size, name, recv_ns,
            send_ns, both, both / limit);
    fflush (stdout);
}

int main (int argc, char **argv)
{
    use_one_processor (argv);
    static const size_t sizes[] = {64, 1 << 10, MAX_SIZE};
    int rounds = argc > 1 ? atoi (argv[1]) : 101;
    if (rounds < 1) {
        fprintf (stderr, "usage: call_cost [ROUNDS]\n");
        return 2;
    }
    clock_ns = clock_cost ();
    printf ("ns of CPU a message, median of %d rounds, clock %.0f ns\n", rounds,
            clock_ns);
    printf ("%7s  %-20s%10s%10s%10s%10s\n", "bytes", "form", "receive", "send",
            "both", "/ memcpy");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double recv_ns, send_ns;
        run_memcpy (sizes[i], rounds, &recv_ns, &send_ns);
        double limit = recv_ns + send_ns;
        print_row (sizes[i], "memcpy", recv_ns, send_ns, limit);
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            run_form (&forms[f], sizes[i], rounds, &recv_ns, &send_ns);
            print_row (sizes[i], forms[f].name, recv_ns, send_ns, limit);
        }
    }
    return 0;
}

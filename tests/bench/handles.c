/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a handle does whose socket has ended, and what the counters say.
 * usage: handles senders|counters SECONDS
 *
 * senders: 8 threads send to a socket with DONTWAIT while it is closed and the next
 * one takes its place; each message carries the number of its socket, and the
 * clients count those of another. counters: connections with one echo each come and
 * go on two io threads, and a thread reads the statistics: a counter that is less
 * than before, or above what was sent, is counted.
 */
#include "measure.h"

#include <stdatomic.h>

enum
{
    SENDERS = 8,
    SOCKETS = 100000,
    READ = 50,
    CLIENTS = 4
};

struct target
{
    void *s;
    uint32_t peer;
};

static struct target targets[SOCKETS];
static atomic_int current = -1;
static atomic_bool over;
static atomic_ullong sent;

static void *send_to_current (void *arg)
{
    (void) arg;
    while (!atomic_load (&over)) {
        int at = atomic_load (&current);
        if (at < 0)
            continue;
        for (int done = 0; !done;) { /* until it is told that the socket is gone */
            zlink_msg_t msg;
            zlink_msg_init_size (&msg, sizeof at);
            memcpy (zlink_msg_data (&msg), &at, sizeof at);
            zlink_msg_set_routing_id (&msg, targets[at].peer);
            if (zlink_msg_send (&msg, targets[at].s, ZLINK_DONTWAIT) < 0) {
                done = errno != EAGAIN && (errno != EHOSTUNREACH || atomic_load (&current) != at);
                zlink_msg_close (&msg);
            }
            if (atomic_load (&over))
                return NULL;
        }
    }
    return NULL;
}

/* read_own gives how many of the messages that come are of another socket. */
static long read_own (int fd, int at, long least)
{
    static unsigned char buf[1 << 16];
    size_t used = 0;
    long messages = 0, foreign = 0;
    while (least == 0 || messages < least) {
        ssize_t n = recv (fd, buf + used, sizeof buf - used, 0);
        if (n <= 0)
            return foreign;
        used += (size_t) n;
        size_t pos = 0;
        for (; used - pos >= 8; pos += 8, messages++)
            foreign += memcmp (buf + pos + 4, &at, sizeof at) != 0;
        used -= pos;
        memmove (buf, buf + pos, used);
    }
    /* What is left of a message is read with the next: the rest is put back. */
    while (used > 0 && used < 8) {
        ssize_t n = recv (fd, buf + used, 8 - used, MSG_WAITALL);
        if (n <= 0)
            break;
        used += (size_t) n;
        foreign += used == 8 && memcmp (buf + 4, &at, sizeof at) != 0;
    }
    return foreign;
}

static void senders (double seconds)
{
    pthread_t threads[SENDERS];
    void *ctx = zlink_ctx_new ();
    long foreign = 0;
    int at = 0;
    for (int i = 0; i < SENDERS; i++)
        pthread_create (&threads[i], NULL, send_to_current, NULL);
    for (double end = now_ms () + seconds * 1e3; now_ms () < end && at < SOCKETS; at++) {
        void *s = fast_socket (ctx);
        set_int (s, ZLINK_LINGER, 0);
        set_int (s, ZLINK_SNDHWM, 1000);
        int fd = dial (bind_any (s, "tcp"));
        targets[at].peer = next_event (s, ZLINK_STREAM_CONNECTED);
        targets[at].s = s;
        atomic_store (&current, at);
        foreign += read_own (fd, at, READ);
        zlink_close (s);
        foreign += read_own (fd, at, 0);
        close (fd);
    }
    atomic_store (&over, true);
    for (int i = 0; i < SENDERS; i++)
        pthread_join (threads[i], NULL);
    zlink_ctx_term (ctx);
    printf ("handles senders: %d sockets closed beside %d senders, %ld messages at a peer of another socket\n", at,
            SENDERS, foreign);
}

static void come_and_go (int port)
{
    char got[9];
    for (;;) {
        int fd = dial (port);
        struct linger now = {1, 0};
        if (send (fd, "\0\0\0\5hello", 9, 0) == 9)
            recv (fd, got, sizeof got, MSG_WAITALL);
        setsockopt (fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* ports are few */
        close (fd);
    }
}

static void *count_echoes (void *s)
{
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, s, 0) >= 0 || errno == EINTR)
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA) {
            atomic_fetch_add (&sent, 1); /* before: it never says less than was sent */
            zlink_msg_send (&msg, s, ZLINK_DONTWAIT);
        }
    return NULL;
}

static void counters (double seconds)
{
    struct child clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = new_child (come_and_go);
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    uint64_t both = 3;
    zlink_ctx_set (ctx, ZLINK_IO_THREADS, 2);
    if (zlink_setsockopt (s, ZLINK_AFFINITY, &both, sizeof both))
        fail ("AFFINITY");
    set_int (s, ZLINK_LINGER, 0);
    int port = bind_any (s, "tcp");
    pthread_t thread;
    pthread_create (&thread, NULL, count_echoes, s);
    for (int i = 0; i < CLIENTS; i++)
        start_child (&clients[i], port);
    long jumps = 0, looks = 0;
    uint64_t last = 0, worst = 0;
    for (double end = now_ms () + seconds * 1e3; now_ms () < end; looks++) {
        uint64_t told = stats_of (s).msgs_out, most = atomic_load (&sent);
        if (told < last || told > most) {
            jumps++;
            worst = told > worst ? told : worst;
        }
        last = told;
    }
    uint64_t ended = stats_of (s).closed;
    for (int i = 0; i < CLIENTS; i++)
        end_child (&clients[i]);
    printf ("handles counters: %llu connections ended, %ld looks, %ld wrong values of msgs_out",
            (unsigned long long) ended, looks, jumps);
    if (jumps)
        printf (", the highest %llu", (unsigned long long) worst);
    putchar ('\n');
    zlink_ctx_shutdown (ctx);
    pthread_join (thread, NULL);
    zlink_close (s);
    zlink_ctx_term (ctx);
}

int main (int argc, char **argv)
{
    double seconds = argc > 2 ? atof (argv[2]) : 0;
    signal (SIGPIPE, SIG_IGN);
    if (seconds > 0 && !strcmp (argv[1], "senders"))
        senders (seconds);
    else if (seconds > 0 && !strcmp (argv[1], "counters"))
        counters (seconds);
    else {
        fprintf (stderr, "usage: handles senders|counters SECONDS\n");
        return 2;
    }
    return 0;
}

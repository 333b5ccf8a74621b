/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What zlink_poll costs over many sockets, each with one connection.
 * usage: poll_bench [SOCKETS] [ROUNDS]
 * The peers are plain TCP connections of another process, as one process may
 * not have the descriptors for both ends.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zlink.h>

#define CALLS 50

static void die (const char *what)
{
    fprintf (stderr, "poll_bench: %s: %s\n", what, zlink_strerror (errno));
    exit (1);
}

static double now_us (clockid_t clock)
{
    struct timespec t;
    clock_gettime (clock, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static void raise_nofile (void)
{
    struct rlimit limit;
    getrlimit (RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
}

/* -------------------------------------------------------------- the peers */

typedef struct peers_t
{
    pid_t pid;
    int port;
    int commands; /* 'o': one connection sends a message, 'a': all do */
} peers_t;

static void send_frame (int fd)
{
    const char frame[] = {0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'};
    if (write (fd, frame, sizeof frame) != (ssize_t) sizeof frame)
        die ("a peer's write");
}

static void run_peers (int listener, int commands, int count)
{
    int *fds = malloc ((size_t) count * sizeof *fds);
    char command;
    for (int i = 0; i < count; i++)
        if ((fds[i] = accept (listener, NULL, NULL)) < 0)
            die ("accept");
    while (read (commands, &command, 1) == 1) {
        if (command == 'o')
            usleep (3000); /* the caller is to sleep by then */
        for (int i = 0; i < (command == 'a' ? count : 1); i++)
            send_frame (fds[i]);
    }
    free (fds);
}

static peers_t start_peers (int count)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int ends[2], listener = socket (AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || pipe (ends)
        || bind (listener, (struct sockaddr *) &addr, sizeof addr)
        || listen (listener, count)
        || getsockname (listener, (struct sockaddr *) &addr, &size))
        die ("listener");
    peers_t peers = {fork (), ntohs (addr.sin_port), ends[1]};
    if (peers.pid == 0) {
        close (ends[1]);
        run_peers (listener, ends[0], count);
        _exit (0);
    }
    close (ends[0]);
    close (listener);
    return peers;
}

static void command (const peers_t *peers, char c)
{
    if (write (peers->commands, &c, 1) != 1)
        die ("command");
}

/* -------------------------------------------------------------- the calls */

static zlink_pollitem_t *items;
static int count;

static int poll_all (long timeout_ms)
{
    int ready = zlink_poll (items, count, timeout_ms);
    if (ready < 0)
        die ("zlink_poll");
    return ready;
}

static void receive (void *s)
{
    char buf[16];
    if (zlink_recv (s, buf, sizeof buf, 0) < 0
        || zlink_recv (s, buf, sizeof buf, 0) < 0)
        die ("zlink_recv");
}

static void receive_ready (void)
{
    for (int i = 0; i < count; i++)
        if (items[i].revents & ZLINK_POLLIN)
            receive (items[i].socket);
}

/* CPU time of the process, microseconds, per call. */
static double cost (long timeout_ms)
{
    double start = now_us (CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < CALLS; i++)
        poll_all (timeout_ms);
    return (now_us (CLOCK_PROCESS_CPUTIME_ID) - start) / CALLS;
}

/* The same for calls that sleep until one socket becomes ready. */
static double cost_of_waiting (const peers_t *peers)
{
    double sum = 0;
    for (int i = 0; i < CALLS; i++) {
        command (peers, 'o');
        double start = now_us (CLOCK_PROCESS_CPUTIME_ID);
        poll_all (-1);
        sum += now_us (CLOCK_PROCESS_CPUTIME_ID) - start;
        receive_ready ();
    }
    return sum / CALLS;
}

static void wait_for_all (void)
{
    while (poll_all (-1) < count)
        usleep (1000);
}

int main (int argc, char **argv)
{
    count = argc > 1 ? atoi (argv[1]) : 10000;
    int rounds = argc > 2 ? atoi (argv[2]) : 3;
    char endpoint[64];

    raise_nofile ();
    peers_t peers = start_peers (count);
    void *ctx = zlink_ctx_new ();
    zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, count + 1);
    items = calloc ((size_t) count, sizeof *items);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", peers.port);
    for (int i = 0; i < count; i++) {
        items[i].socket = zlink_socket (ctx, ZLINK_STREAM);
        items[i].events = ZLINK_POLLIN;
        if (!items[i].socket || zlink_connect (items[i].socket, endpoint))
            die ("connect");
    }
    wait_for_all ();
    receive_ready (); /* the connect events */

    printf ("%d sockets, CPU microseconds per call of zlink_poll\n", count);
    printf ("%-8s%16s%16s%16s\n", "round", "none ready", "all ready",
            "sleep, one");
    for (int round = 1; round <= rounds; round++) {
        double none = cost (0);
        double waiting = cost_of_waiting (&peers);
        command (&peers, 'a');
        wait_for_all ();
        printf ("%-8d%16.0f%16.0f%16.0f\n", round, none, cost (-1), waiting);
        fflush (stdout);
        receive_ready ();
    }

    close (peers.commands);
    waitpid (peers.pid, NULL, 0);
    for (int i = 0; i < count; i++)
        zlink_close (items[i].socket);
    free (items);
    return zlink_ctx_term (ctx);
}

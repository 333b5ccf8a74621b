/* SPDX-License-Identifier: MPL-2.0 */
/* What the programs of reliability.sh share. */
#ifndef MEASURE_H_INCLUDED
#define MEASURE_H_INCLUDED

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zlink.h>

/* zlink_strerror is not asked: this also runs in children that may not call zlink. */
static inline void fail (const char *what)
{
    fprintf (stderr, "%s: %s\n", what, strerror (errno));
    exit (1);
}

static inline double now_ms (void)
{
    struct timespec t;
    clock_gettime (CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static inline void sleep_ms (int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep (&left, &left) && errno == EINTR)
        ;
}

static inline double resident_mb (void)
{
    long pages = 0;
    FILE *f = fopen ("/proc/self/statm", "re");
    if (f == NULL || fscanf (f, "%*d %ld", &pages) != 1)
        fail ("statm");
    fclose (f);
    return (double) pages * (double) sysconf (_SC_PAGESIZE) / 1e6;
}

/* many_descriptors lets a process have as many as the system gives it. */
static inline void many_descriptors (void)
{
    struct rlimit most;
    getrlimit (RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit (RLIMIT_NOFILE, &most);
}

/* Sockets */

static inline void set_int (void *s, int option, int value)
{
    if (zlink_setsockopt (s, option, &value, sizeof value))
        fail ("zlink_setsockopt");
}

static inline void *fast_socket (void *ctx)
{
    void *s = zlink_socket (ctx, ZLINK_STREAM);
    if (s == NULL)
        fail ("zlink_socket");
    set_int (s, ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST);
    return s;
}

static inline int bind_any (void *s, const char *transport)
{
    char end[256];
    size_t size = sizeof end;
    snprintf (end, sizeof end, "%s://127.0.0.1:*", transport);
    if (zlink_bind (s, end) || zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, end, &size))
        fail ("zlink_bind");
    return atoi (strrchr (end, ':') + 1);
}

static inline void certify (void *s, const char *cert, const char *key)
{
    if (zlink_setsockopt (s, ZLINK_TLS_CERT, cert, strlen (cert))
        || zlink_setsockopt (s, ZLINK_TLS_KEY, key, strlen (key)))
        fail ("certificate");
}

static inline zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats;
    memset (&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    if (zlink_stream_stats (s, &stats))
        fail ("zlink_stream_stats");
    return stats;
}

/* next_event receives and drops until this event, and gives its peer. */
static inline uint32_t next_event (void *s, int event)
{
    zlink_msg_t msg;
    uint32_t peer = 0;
    zlink_msg_init (&msg);
    while (peer == 0) {
        if (zlink_msg_recv (&msg, s, 0) < 0) {
            if (errno == EINTR)
                continue;
            fail ("zlink_msg_recv");
        }
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == event)
            peer = zlink_msg_routing_id (&msg);
    }
    zlink_msg_close (&msg);
    return peer;
}

/* send_to sends a message of zeros; -1 with errno. */
static inline int send_to (void *s, uint32_t peer, size_t size, int flags)
{
    zlink_msg_t msg;
    if (zlink_msg_init_size (&msg, size))
        fail ("zlink_msg_init_size");
    memset (zlink_msg_data (&msg), 0, size);
    zlink_msg_set_routing_id (&msg, peer);
    int rc = zlink_msg_send (&msg, s, flags);
    if (rc < 0) {
        int err = errno;
        zlink_msg_close (&msg);
        errno = err;
    }
    return rc;
}

/* echo sends back what comes, until the context is shut down. What a peer does not
 * take waits for it. */
static inline void *echo (void *s)
{
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, s, 0) >= 0 || errno == EINTR)
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA)
            zlink_msg_send (&msg, s, ZLINK_DONTWAIT);
    zlink_msg_close (&msg);
    return NULL;
}

/* Peers that are not zlink */

static inline int dial (int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons ((uint16_t) port)};
    to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect (fd, (struct sockaddr *) &to, sizeof to))
        fail ("connect");
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* A process that waits for a port, made before there are threads. */
struct child
{
    pid_t pid;
    int order; /* its pipe */
};

static inline struct child new_child (void (*run) (int port))
{
    int fds[2], port;
    struct child c;
    fflush (NULL);
    if (pipe (fds) || (c.pid = fork ()) < 0)
        fail ("fork");
    if (c.pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        signal (SIGPIPE, SIG_IGN);
        close (fds[1]);
        if (read (fds[0], &port, sizeof port) == sizeof port)
            run (port);
        _exit (0);
    }
    close (fds[0]);
    c.order = fds[1];
    return c;
}

static inline void start_child (struct child *c, int port)
{
    if (write (c->order, &port, sizeof port) != sizeof port)
        fail ("write");
    close (c->order);
}

static inline void end_child (struct child *c)
{
    kill (c->pid, SIGKILL);
    waitpid (c->pid, NULL, 0);
}

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a quiet peer feels of one that floods the same io thread.
 * usage: fairness [SECONDS [CERTIFICATE KEY]]
 *
 * A socket echoes what a client over ipc sends, one message at a time with a pause
 * of a millisecond: over tcp it would also wait for the kernel's threads that carry
 * the flood's packets. Another socket of the context takes a flood from a process of
 * its own, and drops it. A line is a flood, of SECONDS, and the quiet client's
 * round trips beside it. "quiet" has no flood; "busy" is what the processor's
 * share alone does: the flooder sends as fast as it can to a process that is not
 * zlink. Floods over tls and wss need the files, PEM, and OpenSSL when this is
 * built.
 *
 * Where threads are more than processors, a round trip is mostly a wait for one,
 * which says nothing about the library. So its parts are told: "wait" is how long
 * threads of this process could run and had no processor, by the kernel's count
 * (/proc/PID/task/TID/schedstat): the client's, the io thread, the one that echoes, and
 * those of Go's runtime, which can keep the io thread from going on; not the thread
 * that takes the flood. "own" is the rest, at the least, as several may wait at the same
 * time. "turn" is how long the io thread ran meanwhile, at the most what it handled of
 * the flood in front of the answer, as it goes on while others wait.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_OPENSSL
#include <openssl/ssl.h>
#endif

#include <zlink.h>

#define BLOCK (1 << 20)
#define PATIENCE_S 10 /* for one round trip */
#define IO_NAME 7 /* the names of io threads begin with it */
#define SINK_NAME "sink"

static void fail (const char *what)
{
    fprintf (stderr, "%s: %s %s\n", what, zlink_strerror (errno), zlink_error_detail ());
    exit (1);
}

static double now_us (void)
{
    struct timespec t;
    clock_gettime (CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

/* Flooders */

enum shape
{
    LARGE,
    SMALL,
    EMPTY,
    PINGS,
    LONG_PINGS,
    FRAGMENTS,
    RECORDS,
    KEYS,
    TAKE,
    NOTHING
};

struct flood
{
    const char *name, *transport;
    enum shape shape;
};

static const struct flood floods[] = {
  {"quiet", NULL, NOTHING},
  {"busy", NULL, LARGE},
  {"large frames", "tcp", LARGE},
  {"small frames", "tcp", SMALL},
  {"empty frames", "tcp", EMPTY},
  {"fast reader of a long queue", "tcp", TAKE},
  {"large frames", "ws", LARGE},
  {"small frames", "ws", SMALL},
  {"empty frames", "ws", EMPTY},
  {"pings", "ws", PINGS},
  {"pings of 125 bytes", "ws", LONG_PINGS},
  {"fragments without payload", "ws", FRAGMENTS},
  {"fast reader of a long queue", "ws", TAKE},
  {"large frames", "tls", LARGE},
  {"small frames", "tls", SMALL},
  {"records of one byte", "tls", RECORDS},
  {"changes of keys", "tls", KEYS},
  {"fast reader of a long queue", "tls", TAKE},
  {"small frames", "wss", SMALL},
  {"empty frames", "wss", EMPTY},
  {"pings", "wss", PINGS},
  {"fragments without payload", "wss", FRAGMENTS},
  {"changes of keys", "wss", KEYS},
  {"quiet", NULL, NOTHING},
};

struct peer
{
    int fd;
#ifdef HAVE_OPENSSL
    SSL *ssl; /* NULL: not encrypted */
#endif
};

static void put (struct peer *p, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
#ifdef HAVE_OPENSSL
        ssize_t n = p->ssl ? SSL_write (p->ssl, at, (int) size) : send (p->fd, at, size, MSG_NOSIGNAL);
#else
        ssize_t n = send (p->fd, at, size, MSG_NOSIGNAL);
#endif
        if (n <= 0)
            _exit (0);
        at += n;
        size -= (size_t) n;
    }
}

static ssize_t take (struct peer *p, void *to, size_t size)
{
#ifdef HAVE_OPENSSL
    if (p->ssl)
        return SSL_read (p->ssl, to, (int) size);
#endif
    return recv (p->fd, to, size, 0);
}

/* The answers of the server are read and dropped, so that it is never blocked. */
static void *drop (void *arg)
{
    int fd = *(int *) arg;
    static char junk[BLOCK];
    while (recv (fd, junk, sizeof junk, 0) > 0)
        ;
    return NULL;
}

static int dial (int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons ((uint16_t) port)};
    to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    int fd = socket (AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect (fd, (struct sockaddr *) &to, sizeof to))
        fail ("connect");
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static size_t frame (unsigned char *to, enum shape shape, bool web)
{
    static const unsigned char small[] = {0, 0, 0, 1, 'x'};
    size_t size = shape == SMALL ? 5 : shape == EMPTY && !web ? 4
                                     : shape == LONG_PINGS    ? 125
                                                              : 0;
    if (!web) {
        memcpy (to, small, sizeof small);
        if (shape == EMPTY)
            to[3] = 0;
        return size;
    }
    to[0] = shape == PINGS || shape == LONG_PINGS ? 0x89 : shape == FRAGMENTS ? 0x00
                                                                              : 0x82;
    to[1] = (unsigned char) (0x80 | size);
    memset (to + 2, 0, 4); /* the key */
    memcpy (to + 6, small, shape == SMALL ? size : 0);
    return 6 + size;
}

static void change_keys (struct peer *p, bool web)
{
#ifdef HAVE_OPENSSL
    char junk[4096];
    if (web)
        put (p, "\x82\xff\0\0\0\1\0\0\0\3\0\0\0\0", 14);
    put (p, "\x10\0\0\0", 4); /* a frame of 256 MiB, which goes on for ever */
    SSL_clear_mode (p->ssl, SSL_MODE_AUTO_RETRY);
    for (;;) {
        for (int i = 0; i < 14; i++) {
            if (SSL_key_update (p->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake (p->ssl) != 1)
                _exit (0);
            while (recv (p->fd, junk, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
                SSL_read (p->ssl, junk, sizeof junk);
        }
        put (p, "", 1);
    }
#else
    (void) p, (void) web;
#endif
}

static void run_flood (const struct flood *f, struct peer *p)
{
    bool web = f->transport && f->transport[0] == 'w';
    static unsigned char block[BLOCK + 200];
    size_t size = 0;
    pthread_t reader;
    switch (f->shape) {
        case LARGE:
            if (web)
                put (p, "\x82\xff\0\0\0\1\0\0\0\3\0\0\0\0", 14);
            put (p, "\x40\0\0\0", 4);
            size = BLOCK;
            break;
        case KEYS:
            change_keys (p, web);
            return;
        case TAKE:
            memcpy (block, web ? "\x82\x88\0\0\0\0\0\0\0\4take" : "\0\0\0\4take", web ? 14 : 8);
            put (p, block, web ? 14 : 8);
            while (take (p, block, sizeof block) > 0)
                ;
            return;
        case RECORDS:
            for (unsigned char byte = 0;; put (p, &byte, 1))
                ;
        case FRAGMENTS:
            put (p, "\x02\x80\0\0\0\0", 6);
            break;
        default:
            break;
    }
    while (size < BLOCK)
        size += frame (block + size, f->shape, web);
#ifdef HAVE_OPENSSL
    bool reads = p->ssl == NULL;
#else
    bool reads = true;
#endif
    if (reads)
        pthread_create (&reader, NULL, drop, &p->fd);
    for (;;)
        put (p, block, size);
}

/* flooder is the process of one flood, in front of the port of its transport. */
static void flooder (const struct flood *f, int port)
{
    struct peer p = {.fd = -1};
    if (f->transport == NULL) { /* not to zlink: to a process that reads and drops */
        int fds[2];
        if (socketpair (AF_UNIX, SOCK_STREAM, 0, fds))
            _exit (1);
        if (fork () == 0) {
            close (fds[0]);
            drop (&fds[1]);
            _exit (0);
        }
        close (fds[1]);
        p.fd = fds[0];
        run_flood (f, &p);
        _exit (0);
    }
    p.fd = dial (port);
#ifdef HAVE_OPENSSL
    if (strchr (f->transport + 1, 's') && strcmp (f->transport, "ws")) {
        SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());
        SSL_CTX_set_ciphersuites (ctx, "TLS_AES_128_GCM_SHA256");
        p.ssl = SSL_new (ctx);
        SSL_set_fd (p.ssl, p.fd);
        if (SSL_connect (p.ssl) != 1)
            _exit (1);
    }
#endif
    if (f->transport[0] == 'w') {
        char text[600];
        snprintf (text, sizeof text,
                  "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n",
                  port);
        put (&p, text, strlen (text));
        if (take (&p, text, sizeof text) < 12 || strncmp (text + 9, "101", 3) != 0)
            _exit (1);
    }
    run_flood (f, &p);
    _exit (0);
}

/* The server */

static void *echo (void *s)
{
    zlink_msg_t msg;
    zlink_msg_init (&msg);
    while (zlink_msg_recv (&msg, s, 0) >= 0 || errno == EINTR)
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA)
            zlink_msg_send (&msg, s, 0);
    return NULL;
}

/* sink drops what comes; to who asks for it, it sends as much as there is room for. */
static void *sink (void *s)
{
    zlink_msg_t msg;
    uint32_t taker = 0;
    prctl (PR_SET_NAME, SINK_NAME);
    zlink_msg_init (&msg);
    for (;;) {
        if (zlink_msg_recv (&msg, s, taker ? ZLINK_DONTWAIT : 0) < 0) {
            if (errno != EINTR && errno != EAGAIN)
                return NULL;
        } else if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_DATA && zlink_msg_size (&msg) == 4)
            taker = zlink_msg_routing_id (&msg);
        for (int i = 0; taker && i < 16; i++) {
            zlink_msg_t full;
            zlink_msg_init_size (&full, 64 << 10);
            zlink_msg_set_routing_id (&full, taker);
            if (zlink_msg_send (&full, s, ZLINK_DONTWAIT) < 0) {
                if (errno == EHOSTUNREACH)
                    taker = 0;
                else
                    usleep (1000);
                zlink_msg_close (&full);
                break;
            }
        }
    }
}

static void *new_socket (void *ctx)
{
    void *s = zlink_socket (ctx, ZLINK_STREAM);
    int fast = ZLINK_STREAM_MODE_FAST, most = 4096;
    if (s == NULL || zlink_setsockopt (s, ZLINK_STREAM_MODE, &fast, sizeof fast)
        || zlink_setsockopt (s, ZLINK_SNDHWM, &most, sizeof most))
        fail ("socket");
    return s;
}

static int bind_any (void *s, const char *transport)
{
    char end[256];
    size_t size = sizeof end;
    snprintf (end, sizeof end, "%s://127.0.0.1:*", transport);
    if (zlink_bind (s, end) || zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, end, &size))
        fail ("bind");
    return atoi (strrchr (end, ':') + 1);
}

/* What the kernel counts of threads */

#define THREADS_MAX 64

struct watched
{
    int fd; /* of its schedstat */
    bool io;
};

static struct watched threads[THREADS_MAX];
static int threads_count;

static void watch_thread (const char *id)
{
    char path[300], name[16] = "";
    snprintf (path, sizeof path, "/proc/self/task/%s/comm", id);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    bool is = fd >= 0 && read (fd, name, sizeof name - 1) > 0 && strncmp (name, SINK_NAME, strlen (SINK_NAME));
    close (fd);
    snprintf (path, sizeof path, "/proc/self/task/%s/schedstat", id);
    fd = is && threads_count < THREADS_MAX ? open (path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0)
        threads[threads_count++] = (struct watched) {fd, name[0] == '0' + IO_NAME};
}

/* There may be new ones. */
static void watch_threads (void)
{
    int io = 0;
    while (threads_count > 0)
        close (threads[--threads_count].fd);
    DIR *dir = opendir ("/proc/self/task");
    for (struct dirent *e; dir && (e = readdir (dir));)
        if (e->d_name[0] != '.')
            watch_thread (e->d_name);
    closedir (dir);
    for (int i = 0; i < threads_count; i++)
        io += threads[i].io;
    if (io == 0)
        fail ("the io thread's schedstat");
}

struct count
{
    double ran_us;  /* of the io thread */
    double wait_us; /* of all */
};

static struct count count_threads (void)
{
    struct count sum = {0, 0};
    for (int i = 0; i < threads_count; i++) {
        char text[96] = "";
        double ran = 0, waited = 0;
        if (pread (threads[i].fd, text, sizeof text - 1, 0) > 0 && sscanf (text, "%lf %lf", &ran, &waited) == 2) {
            sum.ran_us += threads[i].io ? ran / 1e3 : 0;
            sum.wait_us += waited / 1e3;
        }
    }
    return sum;
}

/* The quiet client */

static int by_value (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double p99 (double *values, size_t n)
{
    qsort (values, n, sizeof *values, by_value);
    return values[n * 99 / 100];
}

struct trips
{
    double *took, *wait, *own, *turn; /* us, of each round trip */
    size_t most, n;
    bool lost;
};

static bool one_trip (int fd, struct trips *t)
{
    char text[9];
    struct count before = count_threads ();
    double from = now_us ();
    if (send (fd, "\0\0\0\5hello", 9, MSG_NOSIGNAL) != 9 || recv (fd, text, 9, MSG_WAITALL) != 9)
        return false;
    double took = now_us () - from;
    struct count after = count_threads ();
    double wait = after.wait_us - before.wait_us;
    t->took[t->n] = took;
    t->wait[t->n] = wait;
    t->own[t->n] = took > wait ? took - wait : 0; /* they may wait at the same time */
    t->turn[t->n++] = after.ran_us - before.ran_us;
    return true;
}

static int dial_quiet (const char *name)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf (to.sun_path + 1, sizeof to.sun_path - 1, "%s", name);
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect (fd, (struct sockaddr *) &to, (socklen_t) (offsetof (struct sockaddr_un, sun_path) + 1 + strlen (name))))
        fail ("connect");
    return fd;
}

static struct trips make_trips (const char *name, double seconds)
{
    struct trips t = {.most = (size_t) (seconds * 1000) + 1};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = dial_quiet (name);
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    t.took = calloc (4 * t.most, sizeof *t.took);
    t.wait = t.took + t.most;
    t.own = t.wait + t.most;
    t.turn = t.own + t.most;
    for (double end = now_us () + seconds * 1e6; now_us () < end && t.n < t.most && !t.lost; usleep (1000))
        t.lost = !one_trip (fd, &t);
    close (fd);
    return t;
}

static double measure (const char *name, double seconds, const struct flood *f, double quiet)
{
    watch_threads ();
    struct trips t = make_trips (name, seconds);
    double most = 0;
    printf ("%-4s %-28s %6zu round trips", f->transport ? f->transport : "", f->name, t.n);
    if (t.lost || t.n == 0) {
        printf (", then none within %d s\n", PATIENCE_S);
    } else {
        most = p99 (t.took, t.n);
        printf ("  p50 %5.0f  p99 %6.0f  max %6.0f us", t.took[t.n / 2], most, t.took[t.n - 1]);
        if (quiet > 0)
            printf ("  p99 %4.1f times the quiet one's", most / quiet);
        printf ("  p99 of wait %6.0f, own %4.0f, turn %5.0f us\n", p99 (t.wait, t.n), p99 (t.own, t.n), p99 (t.turn, t.n));
    }
    fflush (stdout);
    free (t.took);
    return most;
}

int main (int argc, char **argv)
{
    double seconds = argc > 1 ? atof (argv[1]) : 3, quiet = 0;
    bool secure = false;
#ifdef HAVE_OPENSSL
    secure = argc > 3;
#endif
    signal (SIGPIPE, SIG_IGN);
    const size_t count = sizeof floods / sizeof floods[0];
    int order[2];
    pid_t children[sizeof floods / sizeof floods[0]];
    int pipes[sizeof floods / sizeof floods[0]];
    for (size_t i = 0; i < count; i++) { /* before there are threads */
        if (pipe (order) || (children[i] = fork ()) < 0)
            fail ("fork");
        if (children[i] == 0) {
            int port;
            setpgid (0, 0);
            close (order[1]);
            for (size_t j = 0; j < i; j++)
                close (pipes[j]);
            if (read (order[0], &port, sizeof port) == sizeof port && floods[i].shape != NOTHING)
                flooder (&floods[i], port);
            _exit (0);
        }
        setpgid (children[i], children[i]);
        close (order[0]);
        pipes[i] = order[1];
    }
    void *ctx = zlink_ctx_new ();
    zlink_ctx_set (ctx, ZLINK_THREAD_NAME_PREFIX, IO_NAME);
    void *quiets = new_socket (ctx), *flooded = new_socket (ctx);
    if (secure
        && (zlink_setsockopt (flooded, ZLINK_TLS_CERT, argv[2], strlen (argv[2]))
            || zlink_setsockopt (flooded, ZLINK_TLS_KEY, argv[3], strlen (argv[3]))))
        fail ("certificate");
    int tcp = bind_any (flooded, "tcp"), ws = bind_any (flooded, "ws");
    int tls = secure ? bind_any (flooded, "tls") : 0, wss = secure ? bind_any (flooded, "wss") : 0;
    char name[64], end[80];
    snprintf (name, sizeof name, "zlink-fairness-%d", (int) getpid ());
    snprintf (end, sizeof end, "ipc://@%s", name);
    if (zlink_bind (quiets, end))
        fail ("bind");
    pthread_t receivers[2];
    pthread_create (&receivers[0], NULL, echo, quiets);
    pthread_create (&receivers[1], NULL, sink, flooded);
    for (size_t i = 0; i < count; i++) {
        const char *t = floods[i].transport;
        int to = t == NULL ? 1 : !strcmp (t, "tcp") ? tcp
                               : !strcmp (t, "ws")  ? ws
                               : !strcmp (t, "tls") ? tls
                                                    : wss;
        if (to) {
            if (write (pipes[i], &to, sizeof to) != sizeof to)
                fail ("write");
            usleep (200000);
            double most = measure (name, seconds, &floods[i], quiet);
            if (i == 0)
                quiet = most;
        }
        close (pipes[i]);
        kill (-children[i], SIGKILL);
        waitpid (children[i], NULL, 0);
        usleep (200000);
    }
    if (!secure)
        printf ("floods over tls and wss are left out: no certificate, or no OpenSSL when this was built\n");
    zlink_ctx_shutdown (ctx);
    pthread_join (receivers[0], NULL);
    pthread_join (receivers[1], NULL);
    zlink_close (quiets);
    zlink_close (flooded);
    zlink_ctx_term (ctx);
    return 0;
}

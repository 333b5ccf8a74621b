/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A crowd of clients that connect over TLS at the same moment.
 * usage: tls_crowd CLIENTS CERTIFICATE KEY
 *
 * The clients are one process, which shakes hands with all of them on 2 threads. Another
 * process has one connection over tcp to the same socket and makes round trips, one
 * every 2 ms. Told are: the resident memory of the server before, at its peak and 3 s
 * after; how many clients got in, and after which time; and the round trips of the
 * quiet peer, before the crowd and beside it.
 */
#include "measure.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>

enum
{
    THREADS = 2,
    TRIPS = 1 << 20,
    QUIET_MS = 3000
};

/* What the processes tell each other. */
static struct shared
{
    int clients;
    _Atomic int up, lost, phase; /* 0: before, 1: the crowd comes, 2: it is in */
    double begun, done;
    _Atomic int trips[2];
    double trip_ms[2][TRIPS];
} *shared;

/* The crowd */

struct client
{
    SSL *ssl;
    int fd;
    bool over;
};

struct part
{
    pthread_t thread;
    struct client *clients;
    int count, port;
};

static SSL_CTX *client_ctx;

static void begin (struct client *c, int port, int ep, uint64_t at)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons ((uint16_t) port)};
    to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    c->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || (connect (c->fd, (struct sockaddr *) &to, sizeof to) && errno != EINPROGRESS))
        fail ("connect");
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = at};
    epoll_ctl (ep, EPOLL_CTL_ADD, c->fd, &e);
    c->ssl = SSL_new (client_ctx);
    SSL_set_fd (c->ssl, c->fd);
}

/* go_on reports whether the client's handshake is over, in one way or the other. */
static bool go_on (struct client *c)
{
    int rc = SSL_connect (c->ssl);
    if (rc == 1) {
        atomic_fetch_add (&shared->up, 1);
        return c->over = true;
    }
    int why = SSL_get_error (c->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return false;
    atomic_fetch_add (&shared->lost, 1);
    return c->over = true;
}

static void *run_part (void *arg)
{
    struct part *p = arg;
    struct epoll_event events[256];
    int ep = epoll_create1 (EPOLL_CLOEXEC);
    for (int i = 0; i < p->count; i++)
        begin (&p->clients[i], p->port, ep, (uint64_t) i);
    for (int left = p->count; left > 0;) {
        int n = epoll_wait (ep, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = &p->clients[events[i].data.u64];
            if (!c->over && events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLOUT) && go_on (c))
                left--;
        }
    }
    return NULL;
}

static void crowd (int port)
{
    static struct part parts[THREADS];
    many_descriptors ();
    client_ctx = SSL_CTX_new (TLS_client_method ());
    SSL_CTX_set_ciphersuites (client_ctx, "TLS_AES_128_GCM_SHA256");
    shared->begun = now_ms ();
    for (int i = 0; i < THREADS; i++) {
        parts[i].count = shared->clients / THREADS + (i < shared->clients % THREADS);
        parts[i].clients = calloc ((size_t) parts[i].count, sizeof *parts[i].clients);
        parts[i].port = port;
        pthread_create (&parts[i].thread, NULL, run_part, &parts[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join (parts[i].thread, NULL);
    shared->done = now_ms ();
    pause ();
}

/* The quiet peer: a length in front of each message. */

static void whole (int fd, char *bytes, size_t size, bool out)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = out ? send (fd, bytes + done, size - done, 0) : recv (fd, bytes + done, size - done, 0);
        if (n <= 0)
            fail ("the quiet peer");
        done += (size_t) n;
    }
}

static void quiet (int port)
{
    char message[20] = {0, 0, 0, 16};
    int fd = dial (port);
    for (;;) {
        int phase = shared->phase;
        double from = now_ms ();
        whole (fd, message, sizeof message, true);
        whole (fd, message, sizeof message, false);
        if (phase < 2 && shared->trips[phase] < TRIPS)
            shared->trip_ms[phase][shared->trips[phase]++] = now_ms () - from;
        sleep_ms (2);
    }
}

/* The server */

static int compare (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static void tell_trips (const char *when, int phase)
{
    int n = shared->trips[phase];
    double *ms = shared->trip_ms[phase];
    if (n == 0)
        return;
    qsort (ms, (size_t) n, sizeof *ms, compare);
    printf ("; quiet peer %s (%d trips): p50 %.2f p99 %.2f most %.2f ms", when, n, ms[n / 2], ms[n * 99 / 100], ms[n - 1]);
}

static double peak_mb (void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen ("/proc/self/status", "re");
    while (f != NULL && fgets (line, sizeof line, f) != NULL && sscanf (line, "VmHWM: %ld", &kib) != 1)
        ;
    fclose (f);
    return (double) kib * 1024 / 1e6;
}

static void forget_peak (void)
{
    FILE *f = fopen ("/proc/self/clear_refs", "we");
    if (f == NULL || fputs ("5", f) < 0)
        fail ("clear_refs");
    fclose (f);
}

/* wait_for_all returns when every client is in, or none has come in for a while. */
static void wait_for_all (void *s)
{
    uint64_t in = 0;
    for (int idle = 0; idle < 1000; idle++) {
        uint64_t now = stats_of (s).connections;
        if (shared->lost > 0 || now > (uint64_t) shared->clients)
            return;
        if (now != in || shared->done == 0)
            idle = 0;
        in = now;
        sleep_ms (10);
    }
}

int main (int argc, char **argv)
{
    if (argc < 4) {
        fprintf (stderr, "usage: tls_crowd CLIENTS CERTIFICATE KEY\n");
        return 2;
    }
    many_descriptors ();
    shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared->clients = atoi (argv[1]);
    struct child clients = new_child (crowd), peer = new_child (quiet);
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    certify (s, argv[2], argv[3]);
    set_int (s, ZLINK_LINGER, 0);
    set_int (s, ZLINK_HANDSHAKE_IVL, 0);
    int port = bind_any (s, "tls");
    start_child (&peer, bind_any (s, "tcp"));
    pthread_t thread;
    pthread_create (&thread, NULL, echo, s);
    sleep_ms (QUIET_MS);
    double before = resident_mb ();
    forget_peak ();
    shared->phase = 1;
    start_child (&clients, port);
    wait_for_all (s);
    shared->phase = 2;
    double peak = peak_mb ();
    sleep_ms (3000);
    printf ("tls_crowd %d: before %.1f, peak %.1f, 3 s after %.1f MB; in %d, lost %d, on the server %llu; after %.0f ms",
            shared->clients, before, peak, resident_mb (), shared->up, shared->lost,
            (unsigned long long) stats_of (s).connections - 1, shared->done - shared->begun);
    tell_trips ("alone", 0);
    tell_trips ("beside", 1);
    putchar ('\n');
    end_child (&clients);
    end_child (&peer);
    zlink_ctx_shutdown (ctx);
    pthread_join (thread, NULL);
    zlink_close (s);
    zlink_ctx_term (ctx);
    return 0;
}

/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the end of a connection loses, and how long it takes.
 * usage: ends late close|peer [CERTIFICATE KEY]
 *        ends never peer|term
 *
 * late: 300 messages of 10 KB go to a peer that goes on sending and reads 3 s
 * later; then zlink_close (LINGER -1) or zlink_stream_close_peer. Over tls with the
 * files, else over tcp. never: 20 MB are queued for a peer that never reads; then
 * zlink_stream_close_peer and the time to its event, or zlink_close and the time
 * of zlink_ctx_term, LINGER -1; 40 s at most.
 */
#include "measure.h"

#ifdef HAVE_OPENSSL
#include <openssl/ssl.h>
#endif

enum
{
    MESSAGES = 300,
    SIZE = 10000,
    LATE_MS = 3000,
    NEVER_BYTES = 20 << 20,
    MOST_S = 40
};

static bool secure;
static int result[2]; /* a pipe: bytes that the peer got */

struct peer
{
    int fd;
#ifdef HAVE_OPENSSL
    SSL *ssl;
#endif
};

static struct peer connect_peer (int port)
{
    struct peer p = {.fd = dial (port)};
#ifdef HAVE_OPENSSL
    if (secure) {
        p.ssl = SSL_new (SSL_CTX_new (TLS_client_method ()));
        SSL_set_fd (p.ssl, p.fd);
        if (SSL_connect (p.ssl) != 1)
            fail ("SSL_connect");
    }
#endif
    return p;
}

static ssize_t put (struct peer *p, const void *data, size_t size)
{
#ifdef HAVE_OPENSSL
    if (p->ssl)
        return SSL_write (p->ssl, data, (int) size);
#endif
    return send (p->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t take (struct peer *p, void *to, size_t size)
{
#ifdef HAVE_OPENSSL
    if (p->ssl)
        return SSL_read (p->ssl, to, (int) size);
#endif
    return recv (p->fd, to, size, 0);
}

static void read_late (int port)
{
    static char block[1 << 20];
    struct peer p = connect_peer (port);
    uint64_t got = 0;
    ssize_t n;
    for (double end = now_ms () + LATE_MS; now_ms () < end; sleep_ms (10))
        put (&p, "\0\0\0\1x", 5);
    while ((n = take (&p, block, sizeof block)) > 0)
        got += (uint64_t) n;
    if (write (result[1], &got, sizeof got) != sizeof got)
        fail ("write");
}

static void never_read (int port)
{
    int fd = dial (port);
    (void) fd;
    pause ();
}

/* A thread that ends the program when it has waited long enough. */
static const char *waiting = "";
static void *patience (void *arg)
{
    (void) arg;
    sleep_ms (MOST_S * 1000);
    printf ("%s: not within %d s\n", waiting, MOST_S);
    fflush (stdout);
    _exit (0);
}

static void fill (void *s, uint32_t peer)
{
    for (int i = 0; i < NEVER_BYTES / SIZE; i++)
        if (send_to (s, peer, SIZE, 0) < 0)
            fail ("send");
}

static int late (void *ctx, void *s, struct child *c, const char *transport, bool whole)
{
    start_child (c, bind_any (s, transport));
    uint32_t peer = next_event (s, ZLINK_STREAM_CONNECTED);
    for (int i = 0; i < MESSAGES; i++)
        if (send_to (s, peer, SIZE, 0) < 0)
            fail ("send");
    uint64_t got = 0, abandoned = 0;
    if (whole)
        zlink_close (s);
    else if (zlink_stream_close_peer (s, peer))
        fail ("zlink_stream_close_peer");
    if (read (result[0], &got, sizeof got) != sizeof got)
        fail ("the peer");
    if (!whole) {
        next_event (s, ZLINK_STREAM_DISCONNECTED);
        abandoned = stats_of (s).abandoned;
        zlink_close (s);
    }
    zlink_ctx_term (ctx);
    printf ("ends late %-5s over %s: %d of %d messages lost", whole ? "close" : "peer", transport,
            MESSAGES - (int) (got / (SIZE + 4)), MESSAGES);
    if (!whole)
        printf ("; statistics: %d abandoned", (int) abandoned);
    putchar ('\n');
    return 0;
}

static int never (void *ctx, void *s, struct child *c, bool whole)
{
    pthread_t thread;
    start_child (c, bind_any (s, "tcp"));
    uint32_t peer = next_event (s, ZLINK_STREAM_CONNECTED);
    fill (s, peer);
    pthread_create (&thread, NULL, patience, NULL);
    double from = now_ms ();
    if (whole) {
        waiting = "ends never term: zlink_ctx_term";
        zlink_close (s);
        zlink_ctx_term (ctx);
        printf ("%s: after %.1f s\n", waiting, (now_ms () - from) / 1e3);
        return 0;
    }
    waiting = "ends never peer: event of the end";
    if (zlink_stream_close_peer (s, peer))
        fail ("zlink_stream_close_peer");
    sleep_ms (1000);
    zlink_stream_stats_t stats = stats_of (s);
    printf ("ends never peer: 1 s after the call statistics have %d connections, %.1f MB queued\n",
            (int) stats.connections, (double) stats.bytes_queued / 1e6);
    next_event (s, ZLINK_STREAM_DISCONNECTED);
    printf ("%s: after %.1f s; statistics: %d messages abandoned\n", waiting, (now_ms () - from) / 1e3,
            (int) stats_of (s).abandoned);
    zlink_close (s);
    zlink_ctx_term (ctx);
    return 0;
}

int main (int argc, char **argv)
{
    bool is_late = argc > 2 && !strcmp (argv[1], "late");
    if (argc < 3 || (!is_late && strcmp (argv[1], "never"))) {
        fprintf (stderr, "usage: ends late close|peer [CERTIFICATE KEY]\n       ends never peer|term\n");
        return 2;
    }
#ifdef HAVE_OPENSSL
    secure = is_late && argc > 4;
#endif
    if (pipe (result))
        fail ("pipe");
    struct child c = new_child (is_late ? read_late : never_read);
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    if (secure)
        certify (s, argv[3], argv[4]);
    int rc = is_late ? late (ctx, s, &c, secure ? "tls" : "tcp", !strcmp (argv[2], "close"))
                     : never (ctx, s, &c, !strcmp (argv[2], "term"));
    end_child (&c);
    return rc;
}

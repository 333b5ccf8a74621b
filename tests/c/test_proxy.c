/* SPDX-License-Identifier: MPL-2.0 */
/* Proxies between STREAM sockets, as doc/api/proxy.md tells. */
#include "ztest.h"

/* A proxy on a thread, its sockets, and one who gives it commands. */
typedef struct proxy_t
{
    void *ctx, *frontend, *backend, *capture, *control;
    void *commander;
    zlink_routing_id_t to_control;
    pthread_t thread;
    int result, error;
} proxy_t;

enum
{
    MSGS_IN,
    BYTES_IN,
    MSGS_OUT,
    BYTES_OUT,
    BACKEND
};

static proxy_t sockets (void)
{
    proxy_t p = {.ctx = zt_ctx ()};
    p.frontend = zt_socket (p.ctx);
    p.backend = zt_socket (p.ctx);
    return p;
}

static void *run (void *arg)
{
    proxy_t *p = arg;
    p->result =
      p->control
        ? zlink_proxy_steerable (p->frontend, p->backend, p->capture, p->control)
        : zlink_proxy (p->frontend, p->backend, p->capture);
    p->error = errno;
    return NULL;
}

static void start (proxy_t *p)
{
    p->thread = zt_thread (run, p);
}

static void start_steerable (proxy_t *p)
{
    p->control = zt_socket (p->ctx);
    p->commander = zt_socket (p->ctx);
    zt_connect (p->commander, zt_bind (p->control));
    zt_expect_connect (p->commander, &p->to_control);
    start (p);
}

static void command (proxy_t *p, const char *word)
{
    zt_send (p->commander, &p->to_control, word, strlen (word));
}

/* The counters, once all commands before are obeyed. */
static void statistics (proxy_t *p, uint64_t numbers[8])
{
    zlink_routing_id_t id;
    command (p, "STATISTICS");
    CHECK_EQ (zt_recv (p->commander, &id, numbers, 64), 64);
}

static void end (proxy_t *p)
{
    zt_join (p->thread);
    zt_close (p->frontend);
    if (p->backend != p->frontend)
        zt_close (p->backend);
    if (p->capture)
        zt_close (p->capture);
    if (p->control) {
        zt_close (p->control);
        zt_close (p->commander);
    }
    zt_term (p->ctx);
}

static void terminate (proxy_t *p)
{
    command (p, "TERMINATE");
    end (p);
    CHECK_EQ (p->result, 0);
}

static void shut_down (proxy_t *p)
{
    CHECK_OK (zlink_ctx_shutdown (p->ctx));
    end (p);
    CHECK_EQ (p->result, -1);
    CHECK_EQ (p->error, ETERM);
}

/* Connects s, calls the peer name, and returns the peer's end. With taken the
 * connect event is received here, so that it does not go through the proxy. */
static int dial (void *s, const void *name, size_t size, bool taken)
{
    zlink_routing_id_t id;
    int port, listener = zt_listen (&port), before = zlink_socket_peer_count (s);

    zt_set_int (s, ZLINK_RECONNECT_IVL, -1);
    CHECK_OK (zlink_setsockopt (s, ZLINK_CONNECT_ROUTING_ID, name, size));
    zt_connect (s, port);
    int fd = zt_accept (listener);
    close (listener);
    if (taken)
        zt_expect_connect (s, &id);
    else
        ZT_UNTIL (zlink_socket_peer_count (s) > before);
    return fd;
}

static void expect_frame (int fd, const void *body, size_t size)
{
    char found[64];
    CHECK_EQ (zt_read_frame (fd, found, sizeof found), size);
    CHECK_MEM (found, body, size);
}

static void pass (int from, int to, const char *text)
{
    zt_write_frame (from, text, strlen (text));
    expect_frame (to, text, strlen (text));
}

/* Both sides dial and give their peer the same name. The events of the
 * connections go through as well. */
static void tunnel_of_two_names (void)
{
    proxy_t p = sockets ();
    uint64_t n[8];
    int a = dial (p.frontend, "a", 1, false);
    int b = dial (p.backend, "a", 1, false);

    start_steerable (&p);
    expect_frame (a, "\1", 1);
    expect_frame (b, "\1", 1);
    pass (a, b, "to b");
    pass (b, a, "to a!");
    statistics (&p, n);
    CHECK_EQ (n[MSGS_IN], 2); /* the event and a message, each with its id */
    CHECK_EQ (n[BYTES_IN], 1 + 1 + 1 + 4);
    CHECK_EQ (n[MSGS_OUT], 2);
    CHECK_EQ (n[BYTES_OUT], 1 + 1 + 1 + 5);
    CHECK_EQ (n[BACKEND + MSGS_IN], 2);
    CHECK_EQ (n[BACKEND + BYTES_IN], 1 + 1 + 1 + 5);
    CHECK_EQ (n[BACKEND + MSGS_OUT], 2);
    CHECK_EQ (n[BACKEND + BYTES_OUT], 1 + 1 + 1 + 4);

    /* The end of one connection ends the other. */
    close (a);
    zt_expect_eof (b);
    close (b);
    terminate (&p);
}

typedef struct stream_t
{
    int fd;
    uint32_t seed;
} stream_t;

enum
{
    stream_messages = 300,
    stream_max = 40000
};

static size_t stream_size (uint32_t i)
{
    return i % 10 == 9 ? stream_max : 2 + i % 100;
}

static void *write_stream (void *arg)
{
    stream_t *s = arg;
    uint8_t *body = malloc (stream_max);
    CHECK (body != NULL);
    for (uint32_t i = 0; i < stream_messages; i++) {
        zt_fill (body, stream_size (i), s->seed + i);
        zt_write_frame (s->fd, body, stream_size (i));
    }
    free (body);
    return NULL;
}

static void read_stream (int fd, uint32_t seed)
{
    uint8_t *body = malloc (stream_max);
    CHECK (body != NULL);
    for (uint32_t i = 0; i < stream_messages; i++) {
        CHECK_EQ (zt_read_frame (fd, body, stream_max), stream_size (i));
        CHECK (zt_filled (body, stream_size (i), seed + i));
    }
    free (body);
}

/* Clients that were accepted before: the backend's peers get their ids. The
 * program takes the events, so each side sees only what the other sent. */
static void clients_and_their_servers (void)
{
    enum
    {
        pairs = 2
    };
    proxy_t p = sockets ();
    int port = zt_bind (p.frontend), client[pairs], server[pairs];
    zlink_routing_id_t id;

    for (int i = 0; i < pairs; i++) {
        client[i] = zt_client (port);
        zt_expect_connect (p.frontend, &id);
        server[i] = dial (p.backend, id.data, id.size, true);
    }
    start (&p);
    for (int i = 0; i < pairs; i++) {
        stream_t up = {client[i], 1000}, down = {server[i], 5000};
        pthread_t one = zt_thread (write_stream, &up);
        pthread_t two = zt_thread (write_stream, &down);
        read_stream (server[i], up.seed);
        read_stream (client[i], down.seed);
        zt_join (one);
        zt_join (two);
    }
    close (client[0]);
    zt_expect_eof (server[0]);
    pass (client[1], server[1], "the other pair goes on");
    close (server[1]);
    zt_expect_eof (client[1]);
    close (server[0]);
    close (client[1]);
    shut_down (&p);
}

/* A client whose id names nobody on the other side: what it sends is counted,
 * dropped, and stops nobody. */
static void nobody_of_that_name (void)
{
    proxy_t p = sockets ();
    int port = zt_bind (p.frontend);
    int a = dial (p.frontend, "a", 1, true);
    int b = dial (p.backend, "a", 1, true);
    int stranger = zt_client (port);
    uint64_t n[8];

    start_steerable (&p);
    zt_write_frame (stranger, "for nobody", 10);
    do
        statistics (&p, n);
    while (n[MSGS_IN] < 2);
    CHECK_EQ (n[MSGS_IN], 2); /* its event and its message */
    CHECK_EQ (n[BYTES_IN], 4 + 1 + 4 + 10);
    CHECK_EQ (n[BACKEND + MSGS_OUT], 0);
    CHECK_EQ (n[BACKEND + BYTES_OUT], 0);
    pass (a, b, "goes on");
    pass (b, a, "there too");
    close (stranger);
    close (a);
    close (b);
    terminate (&p);
}

/* The capture has a peer of the same name, which gets both directions, and
 * lacks one of another name, which costs nothing. */
static void captured (void)
{
    proxy_t p = sockets ();
    int a = dial (p.frontend, "a", 1, true), b = dial (p.backend, "a", 1, true);
    int c = dial (p.frontend, "c", 1, true), d = dial (p.backend, "c", 1, true);

    p.capture = zt_socket (p.ctx);
    int copy = dial (p.capture, "a", 1, true);
    start_steerable (&p);
    pass (a, b, "to b");
    expect_frame (copy, "to b", 4);
    pass (c, d, "not captured");
    pass (b, a, "to a");
    expect_frame (copy, "to a", 4);
    pass (d, c, "not captured");
    zt_write_frame (a, "", 0);
    expect_frame (b, "", 0);
    expect_frame (copy, "", 0);
    close (a);
    zt_expect_eof (b);
    zt_expect_eof (copy); /* the end is copied, too */
    pass (c, d, "still there");
    close (b);
    close (c);
    close (d);
    close (copy);
    terminate (&p);
}

/* Paused, nothing moves and nothing is lost. */
static void paused_and_resumed (void)
{
    proxy_t p = sockets ();
    int a = dial (p.frontend, "a", 1, true), b = dial (p.backend, "a", 1, true);
    uint64_t n[8], before[8];

    start_steerable (&p);
    pass (a, b, "before");
    command (&p, "PAUSE");
    statistics (&p, before);
    for (int i = 0; i < 10; i++) {
        zt_write_frame (a, &i, sizeof i);
        zt_write_frame (b, &i, sizeof i);
    }
    command (&p, "PAUSE");
    command (&p, "");
    command (&p, "pause");
    command (&p, "RESUME and more than any command has");
    zt_pause_ms (50);
    statistics (&p, n);
    CHECK_MEM (n, before, sizeof n);
    CHECK_EQ (n[MSGS_IN], 1);
    command (&p, "RESUME");
    for (int i = 0; i < 10; i++) {
        expect_frame (b, &i, sizeof i);
        expect_frame (a, &i, sizeof i);
    }
    command (&p, "PAUSE");
    close (a);
    close (b);
    terminate (&p); /* also while it is paused */
}

/* A proxy from a socket to itself is an echo. */
static void same_socket (void)
{
    proxy_t p = sockets ();
    zt_close (p.backend);
    p.backend = p.frontend;
    int port = zt_bind (p.frontend), fds[2];
    uint64_t n[8];

    start_steerable (&p);
    for (int i = 0; i < 2; i++) {
        fds[i] = zt_client (port);
        expect_frame (fds[i], "\1", 1);
    }
    for (int i = 0; i < 2; i++)
        pass (fds[i], fds[i], "echo");
    statistics (&p, n);
    CHECK_EQ (n[MSGS_IN], 4);
    CHECK_EQ (n[BACKEND + MSGS_OUT], 4);
    CHECK_EQ (n[BACKEND + MSGS_IN], 0);
    close (fds[0]);
    close (fds[1]);
    terminate (&p);
}

static void *term (void *ctx)
{
    zt_term (ctx);
    return NULL;
}

/* ETERM, whatever it waits for: messages, or room for one. */
static void ends_with_the_context (void)
{
    for (int full = 0; full < 2; full++) {
        proxy_t p = sockets ();
        zt_set_int (p.backend, ZLINK_SNDHWM, 1);
        zt_set_int (p.backend, ZLINK_LINGER, 0);
        int a = dial (p.frontend, "a", 1, true);
        int b = dial (p.backend, "a", 1, true);
        uint8_t *body = calloc (1, 8 << 20);
        CHECK (body != NULL);
        start (&p);
        for (int i = 0; full && i < 3; i++)
            zt_write_frame (a, body, 8 << 20);
        zt_pause_ms (20);
        pthread_t thread = zt_thread (term, p.ctx);
        zt_join (p.thread);
        CHECK_EQ (p.result, -1);
        CHECK_EQ (p.error, ETERM);
        zt_close (p.frontend);
        zt_close (p.backend);
        zt_join (thread);
        free (body);
        close (a);
        close (b);
    }
}

/* A peer that does not read, and a socket that does not wait for it. */
static void full_peer (void)
{
    enum
    {
        large = 8 << 20
    };
    proxy_t p = sockets ();
    zt_set_int (p.backend, ZLINK_SNDHWM, 1);
    zt_set_int (p.backend, ZLINK_SNDTIMEO, 20);
    zt_set_int (p.backend, ZLINK_LINGER, 0);
    int a = dial (p.frontend, "a", 1, true), b = dial (p.backend, "a", 1, true);
    uint8_t *body = calloc (1, large);

    CHECK (body != NULL);
    start (&p);
    for (int i = 0; i < 3; i++)
        zt_write_frame (a, body, large);
    end (&p);
    CHECK_EQ (p.result, -1);
    CHECK_EQ (p.error, EAGAIN);
    free (body);
    close (a);
    close (b);
}

static void bad_handles (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *t = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_ALL);
    int stack = 0;
    void *bad[] = {NULL, &stack, ctx, monitor};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_FAIL (zlink_proxy (bad[i], t, NULL), ENOTSOCK);
        CHECK_FAIL (zlink_proxy (s, bad[i], NULL), ENOTSOCK);
        CHECK_FAIL (zlink_proxy_steerable (bad[i], t, NULL, NULL), ENOTSOCK);
        if (!bad[i])
            continue;
        CHECK_FAIL (zlink_proxy (s, t, bad[i]), ENOTSOCK);
        CHECK_FAIL (zlink_proxy_steerable (s, t, NULL, bad[i]), ENOTSOCK);
    }
    zt_close (t);
    CHECK_FAIL (zlink_proxy (s, t, NULL), ENOTSOCK);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_FAIL (zlink_proxy (s, s, NULL), ETERM);
    zt_close (s);
    zt_close (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (tunnel_of_two_names),
  ZT_CASE (clients_and_their_servers),
  ZT_CASE (nobody_of_that_name),
  ZT_CASE (captured),
  ZT_CASE (paused_and_resumed),
  ZT_CASE (same_socket),
  ZT_CASE (ends_with_the_context),
  ZT_CASE (full_peer),
  ZT_CASE (bad_handles),
};

ZT_MAIN (cases)

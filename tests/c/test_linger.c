/* SPDX-License-Identifier: MPL-2.0 */
/* What becomes of unsent messages when a socket closes: LINGER. */
#include "ztest.h"

#include <sys/socket.h>

#define SMALL_BUFFER_BYTES 65536
#define BODY_BYTES 10000
#define MANY 500 /* messages: more than the kernel's buffers hold */
#define FEW 8 /* fit into them */
#define STUCK 14 /* fit into the buffers of both kernels, not of the peer's */
#define ENDLESS_MS 60000
#define SOON_MS 50000 /* the watchdog's matter; ENDLESS_MS is longer */
#define PEERS 20
#define PAUSE_MS 2500 /* several times what an ended connection may stand still */

static void *open_sender (void *ctx)
{
    void *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    zt_unbounded (s); /* all of it is queued before the end */
    return s;
}

static void queue (void *s, const zlink_routing_id_t *id, uint32_t count)
{
    static uint8_t body[BODY_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, sizeof body, i);
        zt_send (s, id, body, sizeof body);
    }
}

/* Reads frames [first, end) of queue (). */
static void read_frames (int fd, uint32_t first, uint32_t end)
{
    static uint8_t body[BODY_BYTES];
    for (uint32_t i = first; i < end; i++) {
        CHECK_EQ (zt_read_frame (fd, body, sizeof body), sizeof body);
        CHECK (zt_filled (body, sizeof body, i));
    }
}

/* Whether everything of queue () arrives before the end of the stream. */
static bool all_arrive (int fd, uint32_t count)
{
    static uint8_t buf[65536];
    size_t total = 0;
    for (ssize_t n; (n = recv (fd, buf, sizeof buf, 0)) != 0;) {
        if (n < 0) {
            CHECK_EQ (errno, ECONNRESET);
            break;
        }
        total += (size_t) n;
    }
    return total == (size_t) count * (4 + BODY_BYTES);
}

/* The end of a context in a thread. */
typedef struct term_t
{
    void *ctx;
    pthread_t thread;
    atomic_bool over;
    double start_ms, took_ms;
} term_t;

static void *run_term (void *arg)
{
    term_t *t = arg;
    zt_term (t->ctx);
    t->took_ms = zt_now_ms () - t->start_ms;
    atomic_store (&t->over, true);
    return NULL;
}

/* Closes s, which returns at once, and ends the context. */
static void start_term (term_t *t, void *s)
{
    t->start_ms = zt_now_ms ();
    atomic_init (&t->over, false);
    zt_close (s);
    CHECK_RANGE (zt_now_ms () - t->start_ms, 0, SOON_MS);
    t->thread = zt_thread (run_term, t);
}

static void expect_term (term_t *t, double low_ms, double high_ms)
{
    zt_join (t->thread);
    CHECK_RANGE (t->took_ms, low_ms, high_ms);
}

/* A peer that pauses for longer than the library waits for lost ones. */
static void without_limit_slow_peers_get_everything (void)
{
    term_t t = {.ctx = zt_ctx ()};
    void *s = open_sender (t.ctx);
    int fd = zt_small_client (zt_bind (s));
    zlink_routing_id_t id;

    zt_expect_connect (s, &id);
    queue (s, &id, MANY);
    start_term (&t, s); /* LINGER is -1 */
    read_frames (fd, 0, 10);
    zt_pause_ms (1200);
    CHECK (!atomic_load (&t.over));
    read_frames (fd, 10, MANY);
    zt_expect_eof (fd);
    expect_term (&t, 1200, ENDLESS_MS);
    close (fd);
}

/* What the peer sent and nobody read must not reset the connection under the
 * messages that are on their way. */
static void unread_input_destroys_nothing (void)
{
    static uint8_t body[BODY_BYTES];
    term_t t = {.ctx = zt_ctx ()};
    void *s = open_sender (t.ctx);
    zlink_routing_id_t id;

    zt_set_int (s, ZLINK_RCVHWM, 2); /* most of it stays in the kernel */
    int port = zt_bind (s);
    int fd = zt_small_client (port);
    zt_expect_connect (s, &id);
    for (int i = 0; i < 10; i++)
        zt_write_frame (fd, body, sizeof body);
    ZT_UNTIL (zt_unread_bytes (port) > 0);
    queue (s, &id, MANY);
    start_term (&t, s);
    for (int i = 0; i < 10; i++) /* nor what comes after the close */
        zt_write_frame (fd, body, sizeof body);
    read_frames (fd, 0, MANY);
    zt_expect_eof (fd);
    expect_term (&t, 0, ENDLESS_MS);
    close (fd);
}

/* What the kernel has taken arrives although the peer reads nothing for long
 * and the context does not wait for that. */
static void few_messages_outlive_the_context (void)
{
    term_t t = {.ctx = zt_ctx ()};
    void *s = open_sender (t.ctx);
    int fd = zt_small_client (zt_bind (s));
    zlink_routing_id_t id;

    zt_expect_connect (s, &id);
    queue (s, &id, FEW);
    start_term (&t, s);
    expect_term (&t, 0, SOON_MS);
    read_frames (fd, 0, FEW);
    zt_expect_eof (fd);
    close (fd);
}

/* A peer ends its side and then resets the connection, while the socket's last
 * messages are on their way: nobody waits for them any more. Each wait would
 * take one second or two; the fastest of them is not the machine's doing. */
static void a_reset_ends_the_wait (void)
{
    double fastest_ms = ENDLESS_MS;
    for (int i = 0; i < 12; i++) {
        term_t t = {.ctx = zt_ctx ()};
        void *s = open_sender (t.ctx);
        int fd = zt_small_client (zt_bind (s));
        zlink_routing_id_t id;

        zt_expect_connect (s, &id);
        queue (s, &id, STUCK);
        start_term (&t, s);
        zt_pause_ms (10);
        CHECK_OK (shutdown (fd, SHUT_WR));
        zt_pause_ms (10);
        zt_reset (fd);
        expect_term (&t, 0, ENDLESS_MS);
        fastest_ms = t.took_ms < fastest_ms ? t.took_ms : fastest_ms;
    }
    CHECK_RANGE (fastest_ms, 0, 900);
}

/* n ms, also when the option was another one while messages were queued; the
 * peers that read have everything by then. */
static void with_a_limit_fast_peers_get_everything (void)
{
    enum
    {
        linger_ms = 1500
    };
    term_t t = {.ctx = zt_ctx ()};
    void *s = open_sender (t.ctx);
    int port = zt_bind (s), fds[PEERS];
    zlink_routing_id_t id;

    for (int i = 0; i < PEERS; i++) {
        fds[i] = zt_small_client (port);
        zt_expect_connect (s, &id);
        queue (s, &id, MANY / 5);
    }
    zt_set_int (s, ZLINK_LINGER, linger_ms);
    start_term (&t, s);
    for (int i = 0; i < PEERS; i += 2) {
        read_frames (fds[i], 0, MANY / 5);
        zt_expect_eof (fds[i]);
    }
    expect_term (&t, linger_ms - 5, ENDLESS_MS);
    for (int i = 1; i < PEERS; i += 2)
        CHECK (!all_arrive (fds[i], MANY / 5));
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
}

/* Set late, 0 drops what -1 would have kept. */
static void set_late_to_zero (void)
{
    term_t t = {.ctx = zt_ctx ()};
    void *s = open_sender (t.ctx);
    int fd = zt_small_client (zt_bind (s));
    zlink_routing_id_t id;

    zt_expect_connect (s, &id);
    queue (s, &id, MANY);
    zt_set_int (s, ZLINK_LINGER, 0);
    start_term (&t, s);
    expect_term (&t, 0, SOON_MS);
    CHECK (!all_arrive (fd, MANY));
    close (fd);
}

static void not_blocky_is_zero (void)
{
    term_t t = {.ctx = zt_ctx ()};
    CHECK_OK (zlink_ctx_set (t.ctx, ZLINK_BLOCKY, 0));
    void *s = open_sender (t.ctx);
    int fd = zt_small_client (zt_bind (s));
    zlink_routing_id_t id;

    CHECK_EQ (zt_get_int (s, ZLINK_LINGER), 0);
    zt_expect_connect (s, &id);
    queue (s, &id, MANY);
    start_term (&t, s);
    expect_term (&t, 0, SOON_MS);
    CHECK (!all_arrive (fd, MANY));
    close (fd);
}

/* A peer that was dialled, of a server that is slow to read. */
static void dialled_peers_linger_too (void)
{
    static const int lingers_ms[] = {-1, 300, 0};
    for (int i = 0; i < 3; i++) {
        int port, size = SMALL_BUFFER_BYTES, listener = zt_listen (&port);
        term_t t = {.ctx = zt_ctx ()};
        void *s = open_sender (t.ctx);
        zlink_routing_id_t id;

        CHECK_OK (setsockopt (listener, SOL_SOCKET, SO_RCVBUF, &size,
                              sizeof size));
        zt_connect (s, port);
        int fd = zt_accept (listener);
        zt_expect_connect (s, &id);
        queue (s, &id, MANY);
        zt_set_int (s, ZLINK_LINGER, lingers_ms[i]);
        start_term (&t, s);
        if (lingers_ms[i] < 0) {
            zt_pause_ms (200);
            CHECK (!atomic_load (&t.over));
            read_frames (fd, 0, MANY);
            zt_expect_eof (fd);
        }
        expect_term (&t, lingers_ms[i] - 5, ENDLESS_MS);
        if (lingers_ms[i] >= 0)
            CHECK (!all_arrive (fd, MANY));
        close (fd);
        close (listener);
    }
}

/* A peer that was told to go, and one whose endpoint was, are still bound to
 * the LINGER of a later close. */
static void ended_peers_linger_too (void)
{
    static const int lingers_ms[] = {300, 0};
    for (int i = 0; i < 2; i++) {
        int port, listener = zt_listen (&port);
        term_t t = {.ctx = zt_ctx ()};
        void *s = open_sender (t.ctx);
        zlink_routing_id_t dialled, accepted;

        zt_connect (s, port);
        int to_dialled = zt_accept (listener);
        zt_expect_connect (s, &dialled);
        int to_accepted = zt_small_client (zt_bind (s));
        zt_expect_connect (s, &accepted);
        queue (s, &dialled, MANY * 2); /* the listener's buffer is larger */
        queue (s, &accepted, MANY);
        CHECK_OK (zlink_disconnect (s, zt_endpoint (port)));
        zt_send (s, &accepted, "\0", 1);
        zt_set_int (s, ZLINK_LINGER, lingers_ms[i]);
        start_term (&t, s);
        expect_term (&t, lingers_ms[i] - 5, ENDLESS_MS);
        CHECK (!all_arrive (to_accepted, MANY));
        CHECK (!all_arrive (to_dialled, MANY * 2));
        close (to_dialled);
        close (to_accepted);
        close (listener);
    }
}

/* A peer that closed its side and pauses before it reads on gets everything
 * that was queued for it. */
static void a_half_closed_peer_gets_everything (void)
{
    void *ctx = zt_ctx (), *s = open_sender (ctx);
    zlink_routing_id_t id;
    int fd = zt_small_client (zt_bind (s));

    zt_expect_connect (s, &id);
    queue (s, &id, MANY);
    CHECK_OK (shutdown (fd, SHUT_WR));
    zt_expect_disconnect (s, &id);
    zt_pause_ms (PAUSE_MS);
    CHECK (all_arrive (fd, MANY));
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (without_limit_slow_peers_get_everything),
  ZT_CASE (unread_input_destroys_nothing),
  ZT_CASE (few_messages_outlive_the_context),
  ZT_CASE (a_reset_ends_the_wait),
  ZT_CASE (with_a_limit_fast_peers_get_everything),
  ZT_CASE (set_late_to_zero),
  ZT_CASE (not_blocky_is_zero),
  ZT_CASE (dialled_peers_linger_too),
  ZT_CASE (ended_peers_linger_too),
  ZT_CASE (a_half_closed_peer_gets_everything),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* The mode FAST: many threads send on one socket while one receives. */
#include "ztest.h"
#include "zfast.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#define SENDERS 8
#define PEERS (1000 / ZT_SCALE)
#define READERS 2
#define DURATION_MS (3000 / ZT_SCALE)
#define HEADER_BYTES 16
#define MAX_BODY_BYTES 2000
#define BATCH 16
#define MAX_PEERS 65536 /* ids of one run */

/*
 * A message carries sender, peer, number and a seed, and bytes that follow from
 * it. The peers are plain clients; a client knows which peer it is from the
 * first message. delivered[peer][sender] is the number of the last message that
 * the client read, accepted[peer][sender] that of the last one that the socket
 * took. They are equal unless somebody ended the connection.
 */
typedef struct count_t
{
    _Atomic uint32_t accepted[SENDERS];
    uint32_t delivered[SENDERS];
    atomic_bool up, cut; /* cut: the client went away without reading all */
} count_t;

static count_t *counts;
static void *server;
static int server_port;
static atomic_bool stop_churn, stop_sending, stop_receiving;
static atomic_int open_clients;
static atomic_long taken_msgs, read_msgs, unreachable, closed_peers;
static _Atomic uint32_t highest;

typedef struct client_t
{
    int fd;
    uint32_t peer; /* 0: not known yet */
    size_t used;
    uint8_t buf[4 * (4 + MAX_BODY_BYTES)];
} client_t;

static size_t make_body (uint8_t *body, uint32_t sender, uint32_t peer,
                         uint32_t number, uint32_t *state)
{
    uint32_t seed = zt_random (state);
    size_t size = HEADER_BYTES
                  + zt_random (state) % (MAX_BODY_BYTES - HEADER_BYTES)
                      / (1 + zt_random (state) % 32);
    zt_put32 (body, sender);
    zt_put32 (body + 4, peer);
    zt_put32 (body + 8, number);
    zt_put32 (body + 12, seed);
    zt_fill (body + HEADER_BYTES, size - HEADER_BYTES, seed);
    return size;
}

/* ----------------------------------------------------------------- clients */

static void check_body (client_t *c, const uint8_t *body, size_t size)
{
    CHECK (size >= HEADER_BYTES);
    uint32_t sender = zt_get32 (body), peer = zt_get32 (body + 4);
    CHECK (sender < SENDERS);
    CHECK (peer > 0 && peer < MAX_PEERS);
    if (!c->peer)
        c->peer = peer;
    CHECK_EQ (peer, c->peer);
    CHECK_EQ (zt_get32 (body + 8), ++counts[peer].delivered[sender]);
    CHECK (zt_filled (body + HEADER_BYTES, size - HEADER_BYTES,
                      zt_get32 (body + 12)));
    atomic_fetch_add (&read_msgs, 1);
}

/* Reads what is there; false at the end of the connection. */
static bool read_some (client_t *c)
{
    ssize_t n = recv (c->fd, c->buf + c->used, sizeof c->buf - c->used,
                      MSG_DONTWAIT);
    if (n == -1 && errno == EAGAIN)
        return true;
    if (n <= 0) {
        CHECK_EQ (n, 0);
        CHECK_EQ (c->used, 0); /* nothing is cut in the middle */
        return false;
    }
    c->used += (size_t) n;
    size_t at = 0;
    while (c->used - at >= 4) {
        size_t size = zt_get32 (c->buf + at);
        CHECK (size <= MAX_BODY_BYTES);
        if (c->used - at < 4 + size)
            break;
        check_body (c, c->buf + at + 4, size);
        at += 4 + size;
    }
    memmove (c->buf, c->buf + at, c->used - at);
    c->used -= at;
    return true;
}

static void connect_client (client_t *c, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
    c->fd = zt_client (server_port);
    c->peer = 0;
    c->used = 0;
    CHECK_OK (epoll_ctl (epoll, EPOLL_CTL_ADD, c->fd, &event));
    atomic_fetch_add (&open_clients, 1);
}

static void end_client (client_t *c, bool cut)
{
    if (cut && c->peer)
        atomic_store (&counts[c->peer].cut, true);
    close (c->fd);
    c->fd = -1;
    atomic_fetch_sub (&open_clients, 1);
}

/* Serves its clients; while there is churn it connects who was closed anew, and
 * closes some itself. Ends when all its connections have. */
static void *run_clients (void *arg)
{
    enum { mine = PEERS / READERS };
    uint32_t state = *(const uint32_t *) arg, left = mine;
    client_t *clients = calloc (mine, sizeof *clients);
    struct epoll_event events[64];
    int epoll = epoll_create1 (0);

    CHECK (clients != NULL && epoll >= 0);
    for (int i = 0; i < mine; i++)
        connect_client (&clients[i], epoll);
    while (left > 0) {
        int n = epoll_wait (epoll, events, 64, 10);
        for (int i = 0; i < n; i++) {
            client_t *c = events[i].data.ptr;
            bool churn = !atomic_load (&stop_churn);
            bool cut = churn && c->peer && zt_random (&state) % 512 == 0;
            if (!cut && read_some (c))
                continue;
            end_client (c, cut);
            if (churn)
                connect_client (c, epoll);
            else
                left--;
        }
    }
    close (epoll);
    free (clients);
    return NULL;
}

/* ---------------------------------------------------------------- the server */

static uint32_t any_peer (uint32_t *state)
{
    uint32_t top = atomic_load (&highest);
    for (int i = 0; i < 100; i++) {
        /* Mostly the newest, which are there. */
        uint32_t back = zt_random (state) % (2 * PEERS);
        uint32_t peer = back < top ? top - back : 0;
        if (peer && atomic_load (&counts[peer].up))
            return peer;
    }
    return 0;
}

static bool gone (void)
{
    atomic_fetch_add (&unreachable, 1);
    return errno == EHOSTUNREACH;
}

static void send_single (uint32_t sender, uint32_t peer, uint32_t *state)
{
    uint8_t body[MAX_BODY_BYTES];
    _Atomic uint32_t *count = &counts[peer].accepted[sender];
    size_t size = make_body (body, sender, peer, *count + 1, state);
    if (zt_fast_try (server, peer, body, size, 0) == (int) size) {
        atomic_fetch_add (count, 1);
        atomic_fetch_add (&taken_msgs, 1);
    } else
        CHECK (gone ());
}

/* A batch to one peer, or to several in turn. */
static void send_batch (uint32_t sender, uint32_t *state)
{
    zlink_msg_t msgs[BATCH];
    uint32_t peers[3], to[BATCH], made[3] = {0};
    uint8_t body[MAX_BODY_BYTES];
    uint32_t kinds = 1 + zt_random (state) % 3;

    for (uint32_t i = 0; i < kinds; i++) {
        peers[i] = any_peer (state);
        if (!peers[i] || (i && peers[i] == peers[i - 1])
            || (i == 2 && peers[2] == peers[0]))
            return;
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t p = i % kinds;
        to[i] = peers[p];
        size_t size =
          make_body (body, sender, to[i],
                     counts[to[i]].accepted[sender] + ++made[p], state);
        zt_fast_init (&msgs[i], to[i], body, size);
    }
    int n = zlink_stream_send_batch (server, msgs, BATCH, 0);
    CHECK (n > 0 || gone ());
    for (int i = 0; i < n; i++) {
        CHECK_EQ (zlink_msg_size (&msgs[i]), 0);
        atomic_fetch_add (&counts[to[i]].accepted[sender], 1);
        atomic_fetch_add (&taken_msgs, 1);
    }
    zt_fast_close_all (msgs, BATCH);
}

static void *run_sender (void *arg)
{
    uint32_t sender = *(const uint32_t *) arg, state = 77 + sender;
    while (!atomic_load (&stop_sending)) {
        uint32_t peer = any_peer (&state);
        if (!peer) {
            zt_pause_ms (1);
            continue;
        }
        if (zt_random (&state) % 2)
            send_single (sender, peer, &state);
        else
            send_batch (sender, &state);
        if (zt_random (&state) % 256 == 0 && !atomic_load (&stop_churn)) {
            if (zlink_stream_close_peer (server, peer) == 0)
                atomic_fetch_add (&closed_peers, 1);
            else
                CHECK (gone ());
        }
    }
    return NULL;
}

static void *run_receiver (void *arg)
{
    (void) arg;
    zlink_msg_t msgs[BATCH];
    zt_fast_init_all (msgs, BATCH);
    zt_set_int (server, ZLINK_RCVTIMEO, 20);
    while (!atomic_load (&stop_receiving)) {
        int n = zlink_stream_recv_batch (server, msgs, BATCH, 0);
        CHECK (n > 0 || errno == EAGAIN);
        for (int i = 0; i < n; i++) {
            uint32_t peer = zlink_msg_routing_id (&msgs[i]);
            int event = zlink_msg_get (&msgs[i], ZLINK_STREAM_EVENT);
            CHECK (peer > 0 && peer < MAX_PEERS);
            CHECK (event != ZLINK_STREAM_DATA);
            CHECK_EQ (atomic_exchange (&counts[peer].up,
                                       event == ZLINK_STREAM_CONNECTED),
                      event == ZLINK_STREAM_DISCONNECTED);
            if (peer > atomic_load (&highest))
                atomic_store (&highest, peer);
        }
    }
    zt_fast_close_all (msgs, BATCH);
    return NULL;
}

static void many_senders (void)
{
    static uint32_t numbers[SENDERS];
    pthread_t senders[SENDERS], readers[READERS];
    void *ctx = zt_ctx ();

    zt_raise_nofile ();
    counts = calloc (MAX_PEERS, sizeof *counts);
    CHECK (counts != NULL);
    server = zt_fast_socket (ctx);
    zt_set_int (server, ZLINK_SNDHWM, 100);
    server_port = zt_bind (server);
    pthread_t receiver = zt_thread (run_receiver, NULL);
    for (uint32_t i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        senders[i] = zt_thread (run_sender, &numbers[i]);
    }
    uint32_t seeds[READERS];
    for (uint32_t i = 0; i < READERS; i++) {
        seeds[i] = 500 + i;
        readers[i] = zt_thread (run_clients, &seeds[i]);
    }
    zt_pause_ms (DURATION_MS);
    atomic_store (&stop_churn, true);
    zt_pause_ms (DURATION_MS / 4);
    atomic_store (&stop_sending, true);
    for (int i = 0; i < SENDERS; i++)
        zt_join (senders[i]);

    /* Everybody is sent home after what is queued. */
    while (atomic_load (&open_clients) > 0) {
        for (uint32_t peer = 1; peer <= atomic_load (&highest); peer++)
            if (atomic_load (&counts[peer].up))
                zlink_stream_close_peer (server, peer);
        zt_pause_ms (20);
    }
    for (int i = 0; i < READERS; i++)
        zt_join (readers[i]);
    atomic_store (&stop_receiving, true);
    zt_join (receiver);

    long whole = 0;
    for (uint32_t peer = 1; peer < MAX_PEERS; peer++)
        for (int i = 0; i < SENDERS; i++) {
            uint32_t accepted = counts[peer].accepted[i];
            if (atomic_load (&counts[peer].cut))
                CHECK (counts[peer].delivered[i] <= accepted);
            else {
                CHECK_EQ (counts[peer].delivered[i], accepted);
                whole += accepted;
            }
        }
    printf ("%ld messages taken, %ld read, %ld on connections read to their "
            "end; %ld refused, %ld peers closed by a sender, %u connections\n",
            atomic_load (&taken_msgs), atomic_load (&read_msgs), whole,
            atomic_load (&unreachable), atomic_load (&closed_peers),
            atomic_load (&highest));
    CHECK (whole > 1000);
    CHECK (atomic_load (&closed_peers) > 0);
    zt_close (server);
    zt_term (ctx);
    free (counts);
}

/* ------------------------------------------------- a full queue, and latency */

typedef struct blocked_t
{
    void *s;
    uint32_t peer;
    atomic_int sent;
} blocked_t;

static void *fill_until_gone (void *arg)
{
    static uint8_t body[10000];
    blocked_t *b = arg;
    while (zt_fast_try (b->s, b->peer, body, sizeof body, 0) > 0)
        atomic_fetch_add (&b->sent, 1);
    CHECK_EQ (errno, EHOSTUNREACH);
    return NULL;
}

/* Senders blocked on a full queue hold up nobody else. */
static void blocked_senders_alone (void)
{
    zt_fast_t f = zt_fast_open_small (10);
    int fd = zt_client (f.port), sent = -1;
    uint32_t peer = zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    blocked_t b = {f.s, f.peer, 0};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = zt_thread (fill_until_gone, &b);
    while (sent != atomic_load (&b.sent)) {
        sent = atomic_load (&b.sent);
        zt_pause_ms (100);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        zlink_msg_t msg;
        zt_fast_fill (&msg, peer, i, 100);
        CHECK_EQ (zlink_msg_send (&msg, f.s, 0), 100);
        zt_fast_read (fd, i, 100);
        if (i % 4 == 0) {
            zt_write_frame (fd, "x", 1);
            zt_fast_expect (f.s, peer, "x", 1);
        }
        CHECK_OK (zlink_msg_close (&msg));
    }
    zt_reset (f.fd);
    for (int i = 0; i < 4; i++)
        zt_join (threads[i]);
    f.fd = fd;
    zt_set_int (f.s, ZLINK_LINGER, 0);
    zt_fast_close (&f);
}

typedef struct receiver_t
{
    void *s;
    int kind; /* what it does between the messages */
    atomic_bool stop;
} receiver_t;

enum
{
    IS_AWAY,
    IN_RECV,
    IN_POLL,
    RECEIVES_NOW_AND_THEN,
    KINDS
};

static void *receive_as (void *arg)
{
    receiver_t *r = arg;
    zlink_pollitem_t item = {r->s, 0, ZLINK_POLLIN, 0};
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    while (!atomic_load (&r->stop)) {
        if (r->kind == IS_AWAY)
            zt_pause_ms (1);
        else if (r->kind == IN_RECV)
            zlink_msg_recv (&msg, r->s, 0);
        else if (r->kind == IN_POLL) {
            if (zlink_poll (&item, 1, 20) > 0)
                zlink_msg_recv (&msg, r->s, ZLINK_DONTWAIT);
        } else {
            zlink_msg_recv (&msg, r->s, ZLINK_DONTWAIT);
            zt_pause_ms (1);
        }
    }
    CHECK_OK (zlink_msg_close (&msg));
    return NULL;
}

/* Wherever the receiver is, what another thread sends goes out by itself. */
static void sends_go_out_at_once (void)
{
    enum { count = 1500 / ZT_SCALE };
    zt_fast_t f = zt_fast_open ();

    zt_set_int (f.s, ZLINK_RCVTIMEO, 20);
    for (int kind = 0; kind < KINDS; kind++) {
        receiver_t r = {f.s, kind, false};
        pthread_t thread = zt_thread (receive_as, &r);
        double longest = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (i % 3 == 0) /* something for the receiver to turn to */
                zt_write_frame (f.fd, "x", 1);
            if (i % 100 == 0)
                zt_pause_ms (3);
            double start = zt_now_ms ();
            zt_fast_send (f.s, f.peer, &i, sizeof i);
            uint32_t echo;
            CHECK_EQ (zt_read_frame (f.fd, &echo, sizeof echo), sizeof echo);
            CHECK_EQ (echo, i);
            double took = zt_now_ms () - start;
            longest = took > longest ? took : longest;
        }
        CHECK_RANGE (longest, 0, 5000);
        printf ("receiver %d: the slowest of %d took %.2f ms\n", kind, count,
                longest);
        atomic_store (&r.stop, true);
        zt_join (thread);
        zlink_msg_t msg;
        CHECK_OK (zlink_msg_init (&msg));
        while (zlink_msg_recv (&msg, f.s, ZLINK_DONTWAIT) >= 0) {
        }
        CHECK_OK (zlink_msg_close (&msg));
    }
    zt_fast_close (&f);
}

/* The same with a receiver that has much to do and does not come back. */
static void sends_during_a_backlog (void)
{
    enum { backlog = 1000, count = 200 };
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;

    CHECK_OK (zlink_msg_init (&msg));
    uint8_t *frames = calloc (backlog, 5);
    CHECK (frames != NULL);
    for (int i = 0; i < backlog; i++)
        frames[5 * i + 3] = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0)
            zt_write (f.fd, frames, 5 * backlog);
        CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 1);
        zt_fast_send (f.s, f.peer, &i, sizeof i);
        uint32_t echo; /* while the rest of the backlog waits */
        CHECK_EQ (zt_read_frame (f.fd, &echo, sizeof echo), sizeof echo);
        CHECK_EQ (echo, i);
    }
    CHECK_OK (zlink_msg_close (&msg));
    free (frames);
    zt_fast_close (&f);
}

static void *send_until_closed (void *arg)
{
    blocked_t *b = arg;
    while (zt_fast_try (b->s, b->peer, "x", 1, 0) == 1)
        atomic_fetch_add (&b->sent, 1);
    CHECK (errno == ENOTSOCK || errno == EHOSTUNREACH || errno == ETERM);
    return NULL;
}

/* Whatever a sender was about to do: the socket closes, and what it had taken
 * is written. */
static void close_while_others_send (void)
{
    enum { times = 200 / ZT_SCALE, senders = 2 };
    for (int i = 0; i < times; i++) {
        zt_fast_t f = zt_fast_open ();
        blocked_t b = {f.s, f.peer, 0};
        pthread_t threads[senders];
        int fd = f.fd;
        char buf[4096];
        for (int t = 0; t < senders; t++)
            threads[t] = zt_thread (send_until_closed, &b);
        ZT_UNTIL (atomic_load (&b.sent) > 10);
        zt_close (f.s);
        ssize_t n, total = 0;
        while ((n = recv (fd, buf, sizeof buf, 0)) > 0)
            total += n;
        for (int t = 0; t < senders; t++)
            zt_join (threads[t]);
        CHECK_EQ (total, 5 * atomic_load (&b.sent));
        zt_term (f.ctx);
        close (fd);
    }
}

static const zt_case_t cases[] = {
  ZT_CASE (many_senders),
  ZT_CASE (blocked_senders_alone),
  ZT_CASE (sends_go_out_at_once),
  ZT_CASE (sends_during_a_backlog),
  ZT_CASE (close_while_others_send),
};

ZT_MAIN (cases)

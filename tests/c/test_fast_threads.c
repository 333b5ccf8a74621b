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
    enum
    {
        mine = PEERS / READERS
    };
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
    /* However long it takes that all have come; qemu takes its time. */
    ZT_UNTIL (atomic_load (&taken_msgs) > 4000
              && atomic_load (&closed_peers) > 0);
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

static const zt_case_t cases[] = {
  ZT_CASE (many_senders),
};

ZT_MAIN (cases)

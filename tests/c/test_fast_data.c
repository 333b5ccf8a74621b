/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The mode FAST: batches of data for one thread, while others send on the same
 * socket: what they got from that thread, from where it lies, and messages of their
 * own. Every body is compared where it is received, once more before it is sent
 * back, and where it ends.
 */
#include "ztest.h"
#include "zfast.h"

#define PEERS 4
#define SENDERS 3
#define EACH (6000 / ZT_SCALE) /* messages of a peer */
#define BATCH 48
#define WAITING 256 /* messages between the receiver and a sender, at most */
#define HEAD_BYTES 12
#define LONGEST_BYTES 70000

enum
{
    ECHO, /* a peer's, which comes back to it in order */
    OWN   /* a sender's, in the order of that sender */
};

/* Few bodies are long; some lie in the message, most in slabs. */
static size_t size_of (uint32_t from, uint32_t number)
{
    uint32_t state = (from + 1) * 7919 + number * 2654435761u + 1;
    uint32_t x = zt_random (&state);
    if (x % 101 == 0)
        return HEAD_BYTES + x / 101 % (LONGEST_BYTES - HEAD_BYTES);
    return HEAD_BYTES + x / 101 % (x % 3 == 0 ? 3000 : 60);
}

static uint32_t seed_of (uint32_t from, uint32_t number)
{
    return from << 24 ^ number;
}

static void make (uint8_t *body, uint32_t kind, uint32_t from, uint32_t number)
{
    zt_put32 (body, kind);
    zt_put32 (body + 4, from);
    zt_put32 (body + 8, number);
    zt_fill (body + HEAD_BYTES, size_of (from, number) - HEAD_BYTES, seed_of (from, number));
}

/* The body is as it was made; returns its number. */
static uint32_t check (const uint8_t *body, size_t size, uint32_t *kind, uint32_t *from)
{
    CHECK (size >= HEAD_BYTES);
    *kind = zt_get32 (body);
    *from = zt_get32 (body + 4);
    uint32_t number = zt_get32 (body + 8);
    CHECK (*kind <= OWN && *from < PEERS + SENDERS);
    CHECK_EQ (size, size_of (*from, number));
    CHECK (zt_filled (body + HEAD_BYTES, size - HEAD_BYTES, seed_of (*from, number)));
    return number;
}

/* ------------------------------------------------------------------- peers */

typedef struct peer_t
{
    int fd;
    uint32_t index;
    uint32_t id;
} peer_t;

static peer_t peers[PEERS];
static void *server;

static void *write_all (void *arg)
{
    const peer_t *p = arg;
    uint8_t *body = malloc (LONGEST_BYTES);
    CHECK (body != NULL);
    for (uint32_t n = 0; n < EACH; n++) {
        make (body, ECHO, p->index, n);
        zt_write_frame (p->fd, body, size_of (p->index, n));
    }
    free (body);
    return NULL;
}

static void *read_all (void *arg)
{
    peer_t *p = arg;
    uint32_t next[PEERS + SENDERS] = {0}, kind, from;
    uint8_t *body = malloc (LONGEST_BYTES);
    CHECK (body != NULL);
    for (uint32_t left = EACH + SENDERS * EACH / PEERS; left > 0; left--) {
        size_t size = zt_read_frame (p->fd, body, LONGEST_BYTES);
        uint32_t number = check (body, size, &kind, &from);
        CHECK (kind == OWN || from == p->index);
        CHECK (next[from] == 0 || number > next[from] - 1);
        if (kind == ECHO)
            CHECK_EQ (number, next[from]);
        next[from] = number + 1;
    }
    free (body);
    return NULL;
}

/* ----------------------------------------------------------------- senders */

/* Messages that wait for a sender. */
typedef struct sender_t
{
    uint32_t index;
    pthread_mutex_t mutex;
    zlink_msg_t waiting[WAITING];
    size_t first, used;
    bool over;
} sender_t;

static sender_t senders[SENDERS];

static void send_all (zlink_msg_t *msgs, size_t n)
{
    for (size_t sent = 0; sent < n;) {
        int more = zlink_stream_send_batch (server, msgs + sent, n - sent, 0);
        CHECK (more > 0);
        sent += (size_t) more;
    }
}

/* Takes what waits into msgs; false: nothing will. */
static bool take_waiting (sender_t *s, zlink_msg_t *msgs, size_t *n)
{
    pthread_mutex_lock (&s->mutex);
    for (*n = 0; *n < BATCH && s->used > 0; ++*n, s->used--) {
        CHECK_OK (zlink_msg_move (&msgs[*n], &s->waiting[s->first]));
        s->first = (s->first + 1) % WAITING;
    }
    bool more = *n > 0 || !s->over;
    pthread_mutex_unlock (&s->mutex);
    return more;
}

/* Sends its own messages to all peers in turn, between those that it was given. */
static void *send_as (void *arg)
{
    sender_t *s = arg;
    zlink_msg_t msgs[BATCH + 1];
    uint32_t own = 0, kind, from;
    size_t n;

    zt_fast_init_all (msgs, BATCH + 1);
    while (take_waiting (s, msgs, &n) || own < EACH) {
        for (size_t i = 0; i < n; i++)
            check (zlink_msg_data (&msgs[i]), zlink_msg_size (&msgs[i]), &kind, &from);
        if (own < EACH) {
            CHECK_OK (zlink_msg_init_size (&msgs[n], size_of (PEERS + s->index, own)));
            make (zlink_msg_data (&msgs[n]), OWN, PEERS + s->index, own);
            zlink_msg_set_routing_id (&msgs[n++], peers[own % PEERS].id);
            own++;
        } else if (n == 0)
            zt_pause_ms (1);
        send_all (msgs, n);
    }
    zt_fast_close_all (msgs, BATCH + 1);
    return NULL;
}

static void give (sender_t *s, zlink_msg_t *msg)
{
    for (bool given = false; !given;) {
        pthread_mutex_lock (&s->mutex);
        if (s->used < WAITING) {
            CHECK_OK (zlink_msg_move (&s->waiting[(s->first + s->used++) % WAITING], msg));
            given = true;
        }
        pthread_mutex_unlock (&s->mutex);
        if (!given)
            zt_pause_ms (1);
    }
}

/* ---------------------------------------------------------------- receiver */

static void receive_all (void)
{
    uint32_t next[PEERS] = {0}, kind, from;
    zlink_msg_t msgs[BATCH];
    int several = 0;

    zt_fast_init_all (msgs, BATCH);
    for (int left = PEERS * EACH; left > 0;) {
        int n = zlink_stream_recv_batch (server, msgs, BATCH, 0);
        CHECK (n > 0);
        several += n > 1;
        for (int i = 0; i < n; i++) {
            CHECK_EQ (zlink_msg_get (&msgs[i], ZLINK_STREAM_EVENT), ZLINK_STREAM_DATA);
            uint32_t number = check (zlink_msg_data (&msgs[i]), zlink_msg_size (&msgs[i]),
                                     &kind, &from);
            CHECK (kind == ECHO && from < PEERS);
            CHECK_EQ (zlink_msg_routing_id (&msgs[i]), peers[from].id);
            CHECK_EQ (number, next[from]++);
            give (&senders[from % SENDERS], &msgs[i]);
        }
        left -= n;
    }
    zt_fast_close_all (msgs, BATCH);
    printf ("%d batches of several messages\n", several);
    CHECK (several > 0);
}

static void batches_beside_senders (void)
{
    pthread_t readers[PEERS], writers[PEERS], sending[SENDERS];
    void *ctx = zt_ctx ();
    server = zt_fast_socket (ctx);
    int port = zt_bind (server);

    for (uint32_t i = 0; i < PEERS; i++) {
        peers[i].fd = zt_client (port);
        peers[i].index = i;
        peers[i].id = zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i].index = i;
        pthread_mutex_init (&senders[i].mutex, NULL);
        zt_fast_init_all (senders[i].waiting, WAITING);
        sending[i] = zt_thread (send_as, &senders[i]);
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        readers[i] = zt_thread (read_all, &peers[i]);
        writers[i] = zt_thread (write_all, &peers[i]);
    }
    receive_all ();
    for (uint32_t i = 0; i < SENDERS; i++) {
        pthread_mutex_lock (&senders[i].mutex);
        senders[i].over = true;
        pthread_mutex_unlock (&senders[i].mutex);
        zt_join (sending[i]);
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        zt_join (writers[i]);
        zt_join (readers[i]);
        close (peers[i].fd);
    }
    zt_close (server);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (batches_beside_senders),
};

ZT_MAIN (cases)

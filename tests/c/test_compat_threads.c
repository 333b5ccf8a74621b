/* SPDX-License-Identifier: MPL-2.0 */
/* COMPAT: one thread receives while another one sends, under load. */
#include "ztest.h"

#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

enum
{
    CLIENTS = 12,
    ROUNDS = 16 / (ZT_SCALE > 4 ? 4 : ZT_SCALE), /* connections of a client */
    MESSAGES = 200,                              /* of a connection */
    LONG_BODY = 50000,
    QUEUE = 256,
    HWM = 20
};

/* What the receiver hands to the sender. */
typedef struct
{
    zlink_routing_id_t id;
    size_t size;
    uint8_t *body; /* to be freed */
} job_t;

static struct
{
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    job_t jobs[QUEUE];
    int first, used;
    bool over;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

static void hand_over (const zlink_routing_id_t *id, const void *body, size_t size)
{
    job_t job = {*id, size, malloc (size + 1)};
    CHECK (job.body != NULL);
    memcpy (job.body, body, size);
    pthread_mutex_lock (&queue.mutex);
    while (queue.used == QUEUE)
        pthread_cond_wait (&queue.changed, &queue.mutex);
    queue.jobs[(queue.first + queue.used++) % QUEUE] = job;
    pthread_cond_broadcast (&queue.changed);
    pthread_mutex_unlock (&queue.mutex);
}

static bool take (job_t *job)
{
    pthread_mutex_lock (&queue.mutex);
    while (queue.used == 0 && !queue.over)
        pthread_cond_wait (&queue.changed, &queue.mutex);
    bool any = queue.used > 0;
    if (any) {
        *job = queue.jobs[queue.first];
        queue.first = (queue.first + 1) % QUEUE;
        queue.used--;
        pthread_cond_broadcast (&queue.changed);
    }
    pthread_mutex_unlock (&queue.mutex);
    return any;
}

static atomic_long refused, unreachable;

/* Sends one frame in one of the two ways; a message that is refused is closed. */
static int send_frame (void *s, const void *data, size_t size, int flags,
                       bool as_message)
{
    if (!as_message)
        return zlink_send (s, data, size, flags);
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init_size (&msg, size));
    memcpy (zlink_msg_data (&msg), data, size);
    int result = zlink_msg_send (&msg, s, flags);
    int error = errno;
    CHECK_OK (zlink_msg_close (&msg));
    errno = error;
    return result;
}

/* Sends a message until it is taken, or nobody is there to take it. */
static void send_job (void *s, const job_t *job, unsigned n)
{
    int flags = n % 3 == 0 ? ZLINK_DONTWAIT : 0;
    for (;;) {
        if (send_frame (s, job->id.data, job->id.size, ZLINK_SNDMORE | flags, n % 5 == 0)
              == job->id.size
            && send_frame (s, job->body, job->size, flags, n % 2 == 0)
                 == (int) job->size)
            return;
        if (errno == EHOSTUNREACH) {
            atomic_fetch_add (&unreachable, 1);
            return;
        }
        CHECK_EQ (errno, EAGAIN);
        atomic_fetch_add (&refused, 1);
        sched_yield ();
    }
}

static void *sender (void *s)
{
    job_t job;
    for (unsigned n = 0; take (&job); n++) {
        send_job (s, &job, n);
        free (job.body);
    }
    return NULL;
}

static int64_t more_of (void *s)
{
    int64_t more = -1; /* a caller of an int64_t, while the other thread sends */
    size_t size = sizeof more;
    CHECK_OK (zlink_getsockopt (s, ZLINK_RCVMORE, &more, &size));
    return more;
}

static void *receiver (void *s)
{
    static uint8_t buf[LONG_BODY];
    zlink_msg_t msg;
    long up = 0, down = 0;

    CHECK_OK (zlink_msg_init (&msg));
    for (unsigned n = 0; down < CLIENTS * ROUNDS; n++) {
        zlink_routing_id_t id;
        const uint8_t *body = buf;
        int size = zlink_recv (s, id.data, sizeof id.data, 0);
        CHECK_EQ (size, 4);
        id.size = (uint8_t) size;
        CHECK_EQ (more_of (s), 1);
        if (n % 2 == 0) {
            size = zlink_recv (s, buf, sizeof buf, 0);
        } else {
            size = zlink_msg_recv (&msg, s, 0);
            body = zlink_msg_data (&msg);
        }
        CHECK (size >= 0 && size <= LONG_BODY);
        CHECK_EQ (more_of (s), 0);
        if (size == 1 && body[0] <= 1) {
            up += body[0];
            down += !body[0];
            continue;
        }
        hand_over (&id, body, (size_t) size);
    }
    CHECK_EQ (up, CLIENTS * ROUNDS);
    CHECK_OK (zlink_msg_close (&msg));
    pthread_mutex_lock (&queue.mutex);
    queue.over = true;
    pthread_cond_broadcast (&queue.changed);
    pthread_mutex_unlock (&queue.mutex);
    return NULL;
}

static size_t size_of_message (unsigned n)
{
    return n % 50 == 49 ? LONG_BODY : 8 + n * 37 % 900;
}

typedef struct
{
    int port;
    unsigned name;
    int fd;
    unsigned round;
} client_t;

static void *write_messages (void *arg)
{
    static _Thread_local uint8_t body[LONG_BODY];
    client_t *c = arg;
    for (unsigned n = 0; n < MESSAGES; n++) {
        size_t size = size_of_message (n);
        zt_fill (body, size, c->name << 16 | c->round << 8 | n);
        zt_write_frame (c->fd, body, size);
    }
    return NULL;
}

/* Reads as long as something comes, so that the writer gets on. */
static void *read_on (void *arg)
{
    char rest[4096];
    while (recv (((client_t *) arg)->fd, rest, sizeof rest, 0) > 0)
        ;
    return NULL;
}

/* Every answer comes, in order; but a client of some rounds goes in the middle. */
static void *client (void *arg)
{
    static _Thread_local uint8_t body[LONG_BODY];
    client_t *c = arg;
    for (c->round = 0; c->round < ROUNDS; c->round++) {
        c->fd = c->round % 2 ? zt_client (c->port) : zt_small_client (c->port);
        pthread_t writer = zt_thread (write_messages, c);
        unsigned last = c->round % 4 == 3 ? MESSAGES / 2 : MESSAGES;
        for (unsigned n = 0; n < last; n++) {
            size_t size = size_of_message (n);
            CHECK_EQ (zt_read_frame (c->fd, body, sizeof body), size);
            CHECK (zt_filled (body, size, c->name << 16 | c->round << 8 | n));
        }
        if (last == MESSAGES)
            zt_join (writer);
        else { /* the answers of the rest are for nobody */
            pthread_t reader = zt_thread (read_on, c);
            zt_join (writer);
            shutdown (c->fd, SHUT_RDWR);
            zt_join (reader);
        }
        close (c->fd);
    }
    return NULL;
}

static void echo_by_two_threads (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    client_t clients[CLIENTS];
    pthread_t threads[CLIENTS];

    zt_set_int (s, ZLINK_SNDHWM, HWM);
    int port = zt_bind (s);
    pthread_t sending = zt_thread (sender, s), receiving = zt_thread (receiver, s);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (client_t) {.port = port, .name = i};
        threads[i] = zt_thread (client, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        zt_join (threads[i]);
    zt_join (receiving);
    zt_join (sending);
    printf ("%ld sends were refused, %ld found nobody\n", atomic_load (&refused),
            atomic_load (&unreachable));
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (echo_by_two_threads),
};

ZT_MAIN (cases)

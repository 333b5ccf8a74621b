/* SPDX-License-Identifier: MPL-2.0 */
/* Shutdown, termination and closing against every call that can block. */
#include "ztest.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>

#define SMALL_BUFFER_BYTES 65536
#define BODY_BYTES 10000
#define SETTLE_MS 100
#define CLOSE_RACES (20000 / ZT_SCALE)
#define SHUTDOWN_RACES 30

/* -------------------------------------------------------- blocking calls */

/* What a blocking call of one thread works on. */
typedef struct place_t
{
    void *socket;
    void *other; /* a second socket, or NULL */
    void *monitor; /* or NULL */
    int pipe[2]; /* nothing comes in */
    int fd; /* a peer that reads nothing, or -1 */
    zlink_routing_id_t id; /* of that peer */
} place_t;

typedef int call_fn (place_t *p);

static int call_recv (place_t *p)
{
    uint8_t buf[8];
    return zlink_recv (p->socket, buf, sizeof buf, 0);
}

static int call_msg_recv (place_t *p)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    int result = zlink_msg_recv (&msg, p->socket, 0);
    int err = errno;
    CHECK_OK (zlink_msg_close (&msg));
    errno = err;
    return result;
}

static int call_send (place_t *p)
{
    static uint8_t body[BODY_BYTES];
    while (zt_try_send (p->socket, &p->id, body, sizeof body, 0)) {
    }
    return -1;
}

static int call_poll (place_t *p)
{
    zlink_pollitem_t items[] = {
      {p->socket, 0, ZLINK_POLLIN, 0},
      {p->other, 0, ZLINK_POLLIN, 0},
    };
    return zlink_poll (items, 2, -1);
}

static int call_poll_with_fds (place_t *p)
{
    zlink_pollitem_t items[] = {
      {NULL, p->pipe[0], ZLINK_POLLIN, 0},
      {p->socket, 0, ZLINK_POLLIN, 0},
      {p->other, 0, ZLINK_POLLIN, 0},
    };
    return zlink_poll (items, 3, -1);
}

static int call_monitor_recv (place_t *p)
{
    zlink_monitor_event_t event;
    return zlink_monitor_recv (p->monitor, &event, 0);
}

static int call_monitor_poll (place_t *p)
{
    zlink_pollitem_t item = {p->monitor, 0, ZLINK_POLLIN, 0};
    return zlink_poll (&item, 1, -1);
}

static int call_proxy (place_t *p)
{
    return zlink_proxy (p->socket, p->other, NULL);
}

static call_fn *const calls[] = {
  call_recv,
  call_msg_recv,
  call_send,
  call_poll,
  call_poll_with_fds,
  call_monitor_recv,
  call_monitor_poll,
  call_proxy,
};
#define CALLS (sizeof calls / sizeof *calls)

/* A place where every call blocks. */
static void open_place (place_t *p, void *ctx)
{
    p->socket = zt_socket (ctx);
    p->other = zt_socket (ctx);
    zt_set_int (p->socket, ZLINK_SNDHWM, 5);
    zt_set_int (p->socket, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    zt_set_int (p->socket, ZLINK_LINGER, 0);
    p->monitor = zlink_socket_monitor_open (p->other, ZLINK_EVENT_CLOSED);
    CHECK (p->monitor != NULL);
    zt_bind (p->other);
    p->fd = zt_small_client (zt_bind (p->socket));
    zt_expect_connect (p->socket, &p->id);
    CHECK_OK (pipe (p->pipe));
}

static void close_place (place_t *p)
{
    zt_close (p->monitor);
    zt_close (p->socket);
    zt_close (p->other);
    close (p->pipe[0]);
    close (p->pipe[1]);
    close (p->fd);
}

typedef struct blocked_t
{
    place_t place;
    call_fn *call;
    int err; /* that ends the call */
    atomic_bool done;
} blocked_t;

static void *run_blocked (void *arg)
{
    blocked_t *b = arg;
    CHECK_FAIL (b->call (&b->place), b->err);
    if (b->err == ETERM)
        CHECK_FAIL (b->call (&b->place), ETERM);
    atomic_store (&b->done, true);
    return NULL;
}

/* ------------------------------------------------------------ termination */

typedef struct term_t
{
    void *ctx;
    atomic_bool over;
} term_t;

static void *term_and_tell (void *arg)
{
    term_t *t = arg;
    zt_term (t->ctx);
    atomic_store (&t->over, true);
    return NULL;
}

/* All calls at once, each in a thread of its own, by the end that starts. */
static void every_call_ends (bool by_term)
{
    static blocked_t blocked[CALLS];
    pthread_t threads[CALLS], ending;
    term_t t = {zt_ctx (), false};

    for (size_t i = 0; i < CALLS; i++) {
        open_place (&blocked[i].place, t.ctx);
        blocked[i].call = calls[i];
        blocked[i].err = ETERM;
        threads[i] = zt_thread (run_blocked, &blocked[i]);
    }
    zt_pause_ms (SETTLE_MS);
    if (by_term)
        ending = zt_thread (term_and_tell, &t);
    else
        CHECK_OK (zlink_ctx_shutdown (t.ctx));
    for (size_t i = 0; i < CALLS; i++)
        zt_join (threads[i]);
    if (!by_term)
        ending = zt_thread (term_and_tell, &t);
    for (size_t i = 0; i < CALLS; i++) {
        zt_pause_ms (5);
        CHECK (!atomic_load (&t.over)); /* sockets are open */
        close_place (&blocked[i].place);
    }
    zt_join (ending);
    CHECK_FAIL (zlink_ctx_term (t.ctx), EFAULT);
    CHECK_FAIL (zlink_ctx_shutdown (t.ctx), EFAULT);
    CHECK_NULL (zlink_socket (t.ctx, ZLINK_STREAM), EFAULT);
}

static void shutdown_ends_every_blocked_call (void)
{
    every_call_ends (false);
}

static void term_ends_every_blocked_call (void)
{
    every_call_ends (true);
}

/* A monitor that has given its last event waits for nothing but this. */
static void shutdown_ends_the_wait_for_a_closed_socket (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    blocked_t b = {{0}, call_monitor_recv, ETERM, false};
    zlink_monitor_event_t event;

    b.place.monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_CLOSED);
    CHECK (b.place.monitor != NULL);
    zt_close (s);
    CHECK_OK (zlink_monitor_recv (b.place.monitor, &event, 0));
    CHECK_EQ (event.event, ZLINK_EVENT_MONITOR_STOPPED);
    pthread_t thread = zt_thread (run_blocked, &b);
    zt_pause_ms (SETTLE_MS);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    zt_join (thread);
    zt_close (b.place.monitor);
    zt_term (ctx);
}

/* A monitor holds nothing of its context: term does not wait for it. */
static void term_does_not_wait_for_monitors (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (s, ZLINK_EVENT_ALL);
    zlink_monitor_event_t event;
    zlink_pollitem_t item = {monitor, 0, ZLINK_POLLIN, 0};

    CHECK (monitor != NULL);
    zt_bind (s);
    zt_close (s);
    zt_term (ctx);
    do /* what happened before can still be read */
        CHECK_OK (zlink_monitor_recv (monitor, &event, 0));
    while (event.event != ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_FAIL (zlink_monitor_recv (monitor, &event, 0), ETERM);
    CHECK_FAIL (zlink_poll (&item, 1, -1), ETERM);
    zt_close (monitor);
    CHECK_FAIL (zlink_close (monitor), ENOTSOCK);
}

/* The descriptor for foreign event loops tells of the end as well. */
static void shutdown_shows_at_the_descriptor (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int events;
    size_t size = sizeof events;

    zt_bind (s);
    struct pollfd item = {zt_get_int (s, ZLINK_FD), POLLIN, 0};
    CHECK_EQ (zt_get_int (s, ZLINK_EVENTS), ZLINK_POLLOUT);
    CHECK_EQ (poll (&item, 1, 0), 0);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_EQ (poll (&item, 1, 10000), 1);
    CHECK_FAIL (zlink_getsockopt (s, ZLINK_EVENTS, &events, &size), ETERM);
    zt_close (s);
    zt_term (ctx);
}

static void *make_sockets (void *ctx)
{
    for (;;) {
        void *s = zlink_socket (ctx, ZLINK_STREAM);
        if (!s) {
            CHECK (errno == ETERM);
            return NULL;
        }
        CHECK (zlink_bind (s, "tcp://127.0.0.1:*") == 0 || errno == ETERM);
        zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
        CHECK (zlink_poll (&item, 1, 0) == 0 || errno == ETERM);
        zt_close (s);
    }
}

static void shutdown_while_sockets_are_made (void)
{
    for (int round = 0; round < SHUTDOWN_RACES; round++) {
        void *ctx = zt_ctx ();
        pthread_t first = zt_thread (make_sockets, ctx);
        pthread_t second = zt_thread (make_sockets, ctx);
        zt_pause_ms (round % 5);
        CHECK_OK (zlink_ctx_shutdown (ctx));
        zt_join (first);
        zt_join (second);
        zt_term (ctx);
    }
}

/* ---------------------------------------------------------------- signals */

static void on_signal (int number)
{
    (void) number;
}

static void handle_signals (int flags)
{
    struct sigaction action;
    memset (&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    CHECK_OK (sigaction (SIGUSR1, &action, NULL));
}

static void signal_until (pthread_t thread, atomic_bool *done)
{
    zt_pause_ms (20);
    while (!atomic_load (done)) {
        CHECK_OK (pthread_kill (thread, SIGUSR1));
        zt_pause_ms (5);
    }
    zt_join (thread);
}

/* Also by a handler of signal (), which asks for restarts: as poll, these are
 * not restarted. */
static void every_call_is_interrupted (void)
{
    static const int flags[] = {0, SA_RESTART};
    for (size_t f = 0; f < 2; f++) {
        handle_signals (flags[f]);
        for (size_t i = 0; i < CALLS; i++) {
            void *ctx = zt_ctx ();
            blocked_t b = {{0}, calls[i], EINTR, false};
            open_place (&b.place, ctx);
            signal_until (zt_thread (run_blocked, &b), &b.done);
            close_place (&b.place);
            zt_term (ctx);
        }
    }
}

static void *term_until_signal (void *arg)
{
    term_t *t = arg;
    CHECK_FAIL (zlink_ctx_term (t->ctx), EINTR);
    atomic_store (&t->over, true);
    return NULL;
}

static void interrupted_term_is_called_again (void)
{
    static const int flags[] = {0, SA_RESTART};
    for (size_t f = 0; f < 2; f++) {
        term_t t = {zt_ctx (), false};
        void *s = zt_socket (t.ctx);
        uint8_t buf[8];

        handle_signals (flags[f]);
        signal_until (zt_thread (term_until_signal, &t), &t.over);
        CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), ETERM);
        CHECK_NULL (zlink_socket (t.ctx, ZLINK_STREAM), ETERM);
        t.over = false;
        pthread_t thread = zt_thread (term_and_tell, &t);
        zt_pause_ms (20);
        CHECK (!atomic_load (&t.over));
        zt_close (s);
        zt_join (thread);
    }
}

/* ----------------------------------------------------------------- closing */

typedef struct race_t
{
    void *_Atomic handles[CLOSE_RACES]; /* of each round, once it is there */
    int won[CLOSE_RACES];
} race_t;

/* Closes the handle of every round as soon as it is there. */
static void *close_first (void *arg)
{
    race_t *race = arg;
    for (int round = 0; round < CLOSE_RACES; round++) {
        void *s;
        while ((s = atomic_load (&race->handles[round])) == NULL)
            sched_yield ();
        race->won[round] = zlink_close (s) == 0;
        CHECK (race->won[round] || errno == ENOTSOCK);
    }
    return NULL;
}

/* Of two threads that close a handle exactly one does. */
static void racing_closes (void)
{
    static race_t race;
    static int won[CLOSE_RACES];
    void *ctx = zt_ctx ();
    pthread_t thread = zt_thread (close_first, &race);

    for (int round = 0; round < CLOSE_RACES; round++) {
        void *s = zt_socket (ctx);
        atomic_store (&race.handles[round], s);
        won[round] = zlink_close (s) == 0;
        CHECK (won[round] || errno == ENOTSOCK);
    }
    zt_join (thread);
    for (int round = 0; round < CLOSE_RACES; round++)
        CHECK_EQ (won[round] + race.won[round], 1);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (shutdown_ends_every_blocked_call),
  ZT_CASE (term_ends_every_blocked_call),
  ZT_CASE (shutdown_ends_the_wait_for_a_closed_socket),
  ZT_CASE (term_does_not_wait_for_monitors),
  ZT_CASE (shutdown_shows_at_the_descriptor),
  ZT_CASE (shutdown_while_sockets_are_made),
  ZT_CASE (every_call_is_interrupted),
  ZT_CASE (interrupted_term_is_called_again),
  ZT_CASE (racing_closes),
};

ZT_MAIN (cases)

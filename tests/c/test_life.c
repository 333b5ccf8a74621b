/* SPDX-License-Identifier: MPL-2.0 */
/* Shutdown, termination and signals. */
#include "ztest.h"

#include <signal.h>

#define SMALL_BUFFER_BYTES 65536
#define BODY_BYTES 10000
#define TIMEOUT_MS 300

static void *recv_until_term (void *s)
{
    uint8_t buf[16];
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), ETERM);
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), ETERM);
    zt_close (s);
    return NULL;
}

static void term_while_recv_blocks (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    zt_bind (s);
    pthread_t thread = zt_thread (recv_until_term, s);
    zt_pause_ms (50);
    zt_term (ctx);
    zt_join (thread);
}

static void *poll_until_term (void *s)
{
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    CHECK_FAIL (zlink_poll (&item, 1, -1), ETERM);
    zt_close (s);
    return NULL;
}

static void term_while_poll_blocks (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    zt_bind (s);
    pthread_t thread = zt_thread (poll_until_term, s);
    zt_pause_ms (50);
    zt_term (ctx);
    zt_join (thread);
}

typedef struct sender_t
{
    void *socket;
    zlink_routing_id_t id;
    atomic_int sent;
} sender_t;

static void *send_until_term (void *arg)
{
    static uint8_t body[BODY_BYTES];
    sender_t *sender = arg;
    while (zt_try_send (sender->socket, &sender->id, body, sizeof body, 0))
        atomic_fetch_add (&sender->sent, 1);
    CHECK_EQ (errno, ETERM);
    zt_close (sender->socket);
    return NULL;
}

static void term_while_send_blocks (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    sender_t sender = {s, {0, {0}}, 0};

    zt_set_int (s, ZLINK_SNDHWM, 5);
    zt_set_int (s, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    zt_set_int (s, ZLINK_LINGER, 0);
    int fd = zt_small_client (zt_bind (s));
    zt_expect_connect (s, &sender.id);
    pthread_t thread = zt_thread (send_until_term, &sender);
    int sent = -1;
    while (sent != atomic_load (&sender.sent)) {
        sent = atomic_load (&sender.sent);
        zt_pause_ms (100);
    }
    CHECK_RANGE (sent, 5, 1000);
    zt_term (ctx);
    zt_join (thread);
    close (fd);
}

static void *term_in_thread (void *ctx)
{
    zt_term (ctx);
    return NULL;
}

/* ctx_term waits for the sockets, whoever closes them. */
static void term_waits_for_close (void)
{
    void *ctx = zt_ctx ();
    void *first = zt_socket (ctx);
    void *second = zt_socket (ctx);
    uint8_t buf[8];

    pthread_t thread = zt_thread (term_in_thread, ctx);
    CHECK_FAIL (zlink_recv (first, buf, sizeof buf, 0), ETERM);
    zt_close (first);
    zt_pause_ms (50);
    CHECK_FAIL (zlink_recv (second, buf, sizeof buf, 0), ETERM);
    zt_close (second);
    zt_join (thread);
}

static void shutdown_ends_all_calls (void)
{
    void *ctx = zt_ctx ();
    void *blocked = zt_socket (ctx);
    void *idle = zt_socket (ctx);
    zlink_pollitem_t item = {idle, 0, ZLINK_POLLIN, 0};
    uint8_t buf[8];
    int value;
    size_t size = sizeof value;

    pthread_t thread = zt_thread (recv_until_term, blocked);
    zt_pause_ms (50);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    zt_join (thread);
    CHECK_FAIL (zlink_recv (idle, buf, sizeof buf, 0), ETERM);
    CHECK_FAIL (zlink_recv (idle, buf, sizeof buf, ZLINK_DONTWAIT), ETERM);
    CHECK_FAIL (zlink_send (idle, "\0\0\0\1", 4, ZLINK_SNDMORE), ETERM);
    CHECK_FAIL (zlink_bind (idle, "tcp://127.0.0.1:*"), ETERM);
    CHECK_FAIL (zlink_connect (idle, "tcp://127.0.0.1:9"), ETERM);
    CHECK_FAIL (zlink_getsockopt (idle, ZLINK_EVENTS, &value, &size), ETERM);
    CHECK_FAIL (zlink_poll (&item, 1, 0), ETERM);
    CHECK_NULL (zlink_socket (ctx, ZLINK_STREAM), ETERM);
    zt_close (idle);
    zt_term (ctx);
}

static void shutdown_with_messages_waiting (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int fd = zt_client (zt_bind (s));
    zlink_routing_id_t id;
    uint8_t buf[8];

    zt_expect_connect (s, &id);
    zt_write_frame (fd, "unread", 6);
    ZT_UNTIL (zt_get_int (s, ZLINK_EVENTS) & ZLINK_POLLIN);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), ETERM);
    zt_close (s);
    zt_term (ctx);
    zt_expect_eof (fd);
    close (fd);
}

static atomic_int signals;

static void on_signal (int number)
{
    (void) number;
    atomic_fetch_add (&signals, 1);
}

typedef struct waiter_t
{
    void *(*run) (void *);
    void *socket;
    atomic_bool done;
} waiter_t;

static void *run_waiter (void *arg)
{
    waiter_t *waiter = arg;
    waiter->run (waiter->socket);
    atomic_store (&waiter->done, true);
    return NULL;
}

static void *recv_until_signal (void *s)
{
    uint8_t buf[8];
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), EINTR);
    return NULL;
}

static void *poll_until_signal (void *s)
{
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    CHECK_FAIL (zlink_poll (&item, 1, -1), EINTR);
    return NULL;
}

/* Signals a thread until its blocked call has returned. */
static void send_signals (int number, void *(*run) (void *), void *s)
{
    waiter_t waiter = {run, s, false};
    pthread_t thread = zt_thread (run_waiter, &waiter);
    zt_pause_ms (50);
    while (!atomic_load (&waiter.done)) {
        CHECK_OK (pthread_kill (thread, number));
        zt_pause_ms (5);
    }
    zt_join (thread);
}

static void interrupt_with (int flags)
{
    struct sigaction action, old;
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    zlink_routing_id_t id;

    memset (&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    CHECK_OK (sigaction (SIGUSR1, &action, &old));
    atomic_store (&signals, 0);
    send_signals (SIGUSR1, recv_until_signal, s);
    int port = zt_bind (s);
    send_signals (SIGUSR1, recv_until_signal, s);
    send_signals (SIGUSR1, poll_until_signal, s);
    CHECK (atomic_load (&signals) >= 3);

    /* The socket works on. */
    int fd = zt_client (port);
    zt_expect_connect (s, &id);
    close (fd);
    zt_expect_disconnect (s, &id);
    zt_close (s);
    zt_term (ctx);
    CHECK_OK (sigaction (SIGUSR1, &old, NULL));
}

static void signals_interrupt (void)
{
    interrupt_with (0);
}

/* signal () installs handlers with SA_RESTART; they end a wait all the same. */
static void restarting_signals_interrupt (void)
{
    interrupt_with (SA_RESTART);
}

static void *recv_until_timeout (void *s)
{
    uint8_t buf[8];
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, 0), EAGAIN);
    return NULL;
}

static void *poll_until_timeout (void *s)
{
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    CHECK_EQ (zlink_poll (&item, 1, TIMEOUT_MS), 0);
    return NULL;
}

/* A signal the process has no handler for interrupts nothing, also where the
 * library handles it for its own ends. */
static void unhandled_signals_do_not_interrupt (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);

    zt_bind (s);
    zt_set_int (s, ZLINK_RCVTIMEO, TIMEOUT_MS);
    send_signals (SIGURG, recv_until_timeout, s);
    send_signals (SIGURG, poll_until_timeout, s);
    zt_close (s);
    zt_term (ctx);
}

static void empty_contexts (void)
{
    zt_term (zt_ctx ());
    void *ctx = zt_ctx ();
    CHECK_OK (zlink_ctx_shutdown (ctx));
    zt_term (ctx);
    ctx = zt_ctx ();
    zt_close (zt_socket (ctx));
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (term_while_recv_blocks),
  ZT_CASE (term_while_poll_blocks),
  ZT_CASE (term_while_send_blocks),
  ZT_CASE (term_waits_for_close),
  ZT_CASE (shutdown_ends_all_calls),
  ZT_CASE (shutdown_with_messages_waiting),
  ZT_CASE (signals_interrupt),
  ZT_CASE (restarting_signals_interrupt),
  ZT_CASE (unhandled_signals_do_not_interrupt),
  ZT_CASE (empty_contexts),
};

ZT_MAIN (cases)

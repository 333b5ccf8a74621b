/* SPDX-License-Identifier: MPL-2.0 */
/* Sends race with the end of their socket and its context, and the next ones take
 * their places in memory. The handle that a sender has names its own socket or
 * none: never the next. */
#include "ztest.h"
#include "zfast.h"

#include <sys/socket.h>

enum
{
    SENDERS = 8,
    SOCKETS = 400 / ZT_SCALE,
    CONTEXTS = 100 / ZT_SCALE,
    ROUND_MESSAGES = 50, /* that the client reads before the socket is closed */
    MESSAGE = 12         /* bytes on the wire */
};

/* What the senders use: a socket, the peer in it, and the socket's number, which
 * is the body. Written before cur, which is read first. */
typedef struct target_t
{
    void *s;
    uint32_t peer;
} target_t;

static target_t targets[SOCKETS > CONTEXTS ? SOCKETS : CONTEXTS];
static atomic_int cur;
static atomic_bool over;
static atomic_long taken, refused;

static void *send_to_current (void *arg)
{
    (void) arg;
    while (!atomic_load (&over)) {
        int at = atomic_load (&cur);
        if (at < 0)
            continue;
        /* Goes on with this handle until it is told that the socket is gone. */
        for (;;) {
            uint32_t body[2] = {(uint32_t) at, 0};
            if (zt_fast_try (targets[at].s, targets[at].peer, body, sizeof body,
                             ZLINK_DONTWAIT)
                >= 0) {
                atomic_fetch_add (&taken, 1);
                continue;
            }
            if (errno == EAGAIN)
                continue;
            CHECK (errno == ENOTSOCK || errno == EHOSTUNREACH || errno == ETERM);
            atomic_fetch_add (&refused, 1);
            if (errno != EHOSTUNREACH)
                break;
        }
    }
    return NULL;
}

/* Reads at least this many messages, or, with 0, all until the end of the stream.
 * Each is of socket at. */
static void read_own (int fd, int at, size_t least)
{
    static uint8_t buf[1 << 16];
    size_t used = 0, messages = 0;
    while (least == 0 || messages < least || used > 0) {
        ssize_t n = recv (fd, buf + used, sizeof buf - used, 0);
        if (n <= 0) {
            CHECK (least == 0);
            return;
        }
        used += (size_t) n;
        size_t pos = 0;
        for (; used - pos >= MESSAGE; pos += MESSAGE, messages++) {
            uint32_t got;
            CHECK_EQ (zt_get32 (buf + pos), MESSAGE - 4);
            memcpy (&got, buf + pos + 4, sizeof got);
            CHECK_EQ (got, at);
        }
        used -= pos;
        memmove (buf, buf + pos, used);
    }
}

static void *open_target (void *ctx, int at, int *fd)
{
    void *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_LINGER, 0);
    zt_set_int (s, ZLINK_SNDHWM, 1000);
    *fd = zt_client (zt_bind (s));
    targets[at].s = s;
    targets[at].peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    atomic_store (&cur, at);
    return s;
}

static void start (pthread_t *threads)
{
    atomic_store (&cur, -1);
    atomic_store (&over, false);
    for (int i = 0; i < SENDERS; i++)
        threads[i] = zt_thread (send_to_current, NULL);
}

static void stop (pthread_t *threads)
{
    atomic_store (&over, true);
    for (int i = 0; i < SENDERS; i++)
        zt_join (threads[i]);
    CHECK (atomic_load (&taken) > 0);
    CHECK (atomic_load (&refused) > 0);
}

static void no_message_reaches_the_next_socket (void)
{
    pthread_t threads[SENDERS];
    void *ctx = zt_ctx ();
    start (threads);
    for (int at = 0; at < SOCKETS; at++) {
        int fd;
        void *s = open_target (ctx, at, &fd);
        read_own (fd, at, ROUND_MESSAGES);
        zt_close (s);
        read_own (fd, at, 0);
        close (fd);
    }
    stop (threads);
    zt_term (ctx);
}

static void contexts_end_beside_senders (void)
{
    pthread_t threads[SENDERS];
    start (threads);
    for (int at = 0; at < CONTEXTS; at++) {
        int fd;
        void *ctx = zt_ctx ();
        void *s = open_target (ctx, at, &fd);
        read_own (fd, at, ROUND_MESSAGES);
        zt_close (s);
        zt_term (ctx);
        read_own (fd, at, 0);
        close (fd);
    }
    stop (threads);
}

/* A peer's id says nothing in another socket, also one in the same place. */
static void ids_go_on (void)
{
    void *ctx = zt_ctx ();
    uint32_t last = 0;
    for (int i = 0; i < 3; i++) {
        void *s = zt_fast_socket (ctx);
        zt_set_int (s, ZLINK_LINGER, 0);
        int fd = zt_client (zt_bind (s));
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        if (i > 0) {
            CHECK (peer != last);
            CHECK_FAIL (zt_fast_try (s, last, "x", 1, 0), EHOSTUNREACH);
        }
        last = peer;
        zt_close (s);
        zt_expect_eof (fd);
    }
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (no_message_reaches_the_next_socket),
  ZT_CASE (contexts_end_beside_senders),
  ZT_CASE (ids_go_on),
};

ZT_MAIN (cases)

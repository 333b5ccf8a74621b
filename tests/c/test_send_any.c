/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_stream_send_any: several sockets on one endpoint, and sends by the id alone. */
#include "ztest.h"
#include "zfast.h"

#include <sys/socket.h>

enum
{
    SOCKETS = 3,
    CLIENTS = 24,
    SENDERS = 4,
    ROUNDS = 300 / ZT_SCALE,
    ROUND_MESSAGES = 20, /* that the client reads before the socket is closed */
    MESSAGE = 8          /* bytes on the wire */
};

static int try_any (uint32_t peer, const void *body, size_t size, int flags)
{
    zlink_msg_t msg;
    zt_fast_init (&msg, peer, body, size);
    int rc = zlink_stream_send_any (&msg, flags);
    int err = errno;
    CHECK_EQ (zlink_msg_size (&msg), rc < 0 ? size : 0); /* it is the caller's, or empty */
    CHECK_OK (zlink_msg_close (&msg));
    errno = err;
    return rc;
}

static void *shared_socket (void *ctx)
{
    void *s = zt_fast_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_REUSEPORT, 1);
    zt_set_int (s, ZLINK_LINGER, 0);
    return s;
}

/* ------------------------------------------------- one socket for each thread */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t peers[CLIENTS];
static atomic_int came;

/* Receives on a socket of its own, as a thread of a server does, until its context ends. */
static void *receive (void *s)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    while (zlink_msg_recv (&msg, s, 0) >= 0)
        if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) == ZLINK_STREAM_CONNECTED) {
            pthread_mutex_lock (&mutex);
            int n = atomic_load (&came);
            peers[n] = zlink_msg_routing_id (&msg);
            for (int i = 0; i < n; i++)
                CHECK (peers[i] != peers[n]);
            atomic_store (&came, n + 1);
            pthread_mutex_unlock (&mutex);
        }
    CHECK_EQ (errno, ETERM);
    CHECK_OK (zlink_msg_close (&msg));
    return NULL;
}

/* Sends a short and a long message to each peer, by its id. */
static void *send_to_all (void *arg)
{
    static uint8_t body[100 << 10];
    (void) arg;
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ (try_any (peers[i], &peers[i], 4, 0), 4);
        CHECK_EQ (try_any (peers[i], body, sizeof body, 0), sizeof body);
    }
    return NULL;
}

static void one_socket_for_each_thread (void)
{
    static uint8_t got[100 << 10];
    void *ctx = zt_ctx (), *s[SOCKETS];
    pthread_t receivers[SOCKETS], senders[2];
    int fds[CLIENTS], port = 0;
    for (int i = 0; i < SOCKETS; i++) {
        s[i] = shared_socket (ctx);
        if (i == 0)
            port = zt_bind (s[0]);
        else
            CHECK_OK (zlink_bind (s[i], zt_endpoint (port)));
        receivers[i] = zt_thread (receive, s[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = zt_client (port);
    ZT_UNTIL (atomic_load (&came) == CLIENTS);
    for (int i = 0; i < 2; i++)
        senders[i] = zt_thread (send_to_all, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        uint32_t own = 0;
        for (int n = 0, shorts = 0; n < 4; n++) {
            size_t size = zt_read_frame (fds[i], got, sizeof got);
            if (size != 4) {
                CHECK_EQ (size, sizeof got);
                continue;
            }
            CHECK (shorts++ < 2);
            CHECK (own == 0 || memcmp (&own, got, 4) == 0);
            memcpy (&own, got, 4);
        }
        close (fds[i]);
    }
    for (int i = 0; i < 2; i++)
        zt_join (senders[i]);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    for (int i = 0; i < SOCKETS; i++) {
        zt_join (receivers[i]);
        zt_close (s[i]);
    }
    zt_term (ctx);
}

/* ---------------------------------------------------------------- refusals */

static void refused (void)
{
    void *ctx = zt_ctx (), *fast = shared_socket (ctx), *compat = zt_socket (ctx);
    zlink_msg_t closed;
    int fd = zt_client (zt_bind (fast));
    uint32_t peer = zt_fast_event (fast, ZLINK_STREAM_CONNECTED);

    CHECK_FAIL (zlink_stream_send_any (NULL, 0), EFAULT);
    CHECK_OK (zlink_msg_init (&closed));
    CHECK_FAIL (zlink_stream_send_any (&closed, 0), EINVAL); /* no routing id */
    CHECK_OK (zlink_msg_close (&closed));
    CHECK_FAIL (zlink_stream_send_any (&closed, 0), EFAULT);
    for (int bit = 0; bit < 32; bit++)
        if (peer != 1u << bit)
            CHECK_FAIL (try_any (peer ^ 1u << bit, "x", 1, 0), EHOSTUNREACH);

    CHECK_EQ (try_any (peer, "x", 1, 0), 1); /* memory is at hand from here on, so the next one takes the short way */
    int other = zt_client (zt_bind (compat));
    zlink_routing_id_t id;
    zt_expect_connect (compat, &id);
    CHECK_FAIL (try_any (zt_get32 (id.data), "x", 1, 0), ENOTSUP);

    /* A full queue. */
    zt_set_int (fast, ZLINK_SNDTIMEO, 0);
    static uint8_t body[1 << 20];
    while (try_any (peer, body, sizeof body, ZLINK_DONTWAIT) >= 0)
        ;
    CHECK_EQ (errno, EAGAIN);
    while (try_any (peer, body, sizeof body, 0) >= 0) /* the kernel may find room for some more */
        ;
    CHECK_EQ (errno, EAGAIN);

    zt_close (fast);
    CHECK_FAIL (try_any (peer, "x", 1, 0), EHOSTUNREACH);
    close (fd);
    close (other);
    zt_close (compat);
    zt_term (ctx);
    CHECK_FAIL (try_any (peer, "x", 1, 0), EHOSTUNREACH);
}

/* ------------------------------------------------ senders beside the ends */

static _Atomic uint32_t cur, last;
static atomic_bool over;
static atomic_long taken, unknown;

static void *send_to_current (void *arg)
{
    (void) arg;
    for (unsigned n = 0; !atomic_load (&over); n++) {
        uint32_t to = n % 4 ? atomic_load (&cur) : atomic_load (&last);
        if (to == 0)
            continue;
        if (try_any (to, &to, sizeof to, ZLINK_DONTWAIT) >= 0)
            atomic_fetch_add (&taken, 1);
        else if (errno != EAGAIN) {
            CHECK_EQ (errno, EHOSTUNREACH);
            atomic_fetch_add (&unknown, 1);
        }
    }
    return NULL;
}

/* Reads at least this many messages, or, with 0, all until the end of the stream. */
static void read_own (int fd, uint32_t own, size_t least)
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
            CHECK_EQ (zt_get32 (buf + pos), MESSAGE - 4);
            CHECK (memcmp (buf + pos + 4, &own, sizeof own) == 0);
        }
        used -= pos;
        memmove (buf, buf + pos, used);
    }
}

static void no_message_reaches_the_next_socket (void)
{
    pthread_t threads[SENDERS];
    void *ctx = zt_ctx ();
    for (int i = 0; i < SENDERS; i++)
        threads[i] = zt_thread (send_to_current, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        void *s = shared_socket (ctx);
        zt_set_int (s, ZLINK_SNDHWM, 1000);
        int fd = zt_client (zt_bind (s));
        uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        atomic_store (&last, atomic_exchange (&cur, peer));
        read_own (fd, peer, ROUND_MESSAGES);
        zt_close (s);
        read_own (fd, peer, 0);
        close (fd);
    }
    atomic_store (&over, true);
    for (int i = 0; i < SENDERS; i++)
        zt_join (threads[i]);
    CHECK (atomic_load (&taken) > 0);
    CHECK (atomic_load (&unknown) > 0);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (one_socket_for_each_thread),
  ZT_CASE (refused),
  ZT_CASE (no_message_reaches_the_next_socket),
};

ZT_MAIN (cases)

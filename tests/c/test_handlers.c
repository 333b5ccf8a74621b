/* SPDX-License-Identifier: MPL-2.0 */
/* Handlers of the host that take 64 KiB of stack, in threads of every kind: those
 * that only send, only receive, or only close messages. A thread may be in Go when
 * its handler runs, and then the stack is Go's, which has that room. */
#include "ztest.h"
#include "zfast.h"

#include <signal.h>
#include <sys/socket.h>

enum
{
    HANDLER_BYTES = 64 << 10,
    SIGNALS = 3000 / ZT_SCALE,
    THREADS = 4
};

static atomic_long handled;
static atomic_bool stop;

static void handle (int number)
{
    char room[HANDLER_BYTES];
    (void) number;
    memset (room, 0x5A, sizeof room);
    __asm__ volatile ("" : : "r"(room) : "memory");
    atomic_fetch_add (&handled, 1);
}

/* Signals to all threads in turn until so many have been handled. */
static void disturb (const pthread_t *threads, int count)
{
    struct sigaction action = {.sa_handler = handle};
    CHECK_OK (sigaction (SIGUSR1, &action, NULL));
    atomic_store (&handled, 0);
    for (long sent = 0; atomic_load (&handled) < SIGNALS; sent++) {
        CHECK_OK (pthread_kill (threads[sent % count], SIGUSR1));
        if (sent % 8 == 0)
            zt_pause_ms (0);
    }
    atomic_store (&stop, true);
    for (int i = 0; i < count; i++)
        zt_join (threads[i]);
}

/* Reads whatever comes, until the end. */
static void *drain (void *fd)
{
    char buf[1 << 16];
    while (recv (*(int *) fd, buf, sizeof buf, 0) > 0)
        ;
    return NULL;
}

static zt_fast_t fast;

/* Something to receive, again and again. */
static void *feed (void *fd)
{
    static const uint8_t frame[] = {0, 0, 0, 4, 'd', 'a', 't', 'a'};
    while (!atomic_load (&stop)) {
        zt_write (*(int *) fd, frame, sizeof frame);
        usleep (50);
    }
    return NULL;
}

/* Drives the io thread's shard, and leaves it to nobody each time: that is when a
 * send writes by itself. */
static void *receive_now_and_then (void *s)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    zt_set_int (s, ZLINK_RCVTIMEO, 100);
    while (!atomic_load (&stop)) {
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0 || errno == EAGAIN);
        usleep (100);
    }
    CHECK_OK (zlink_msg_close (&msg));
    return NULL;
}

/* The pause lets the io thread fall asleep, so that sends have to wake it. */
static void *only_send_fast (void *arg)
{
    for (int i = 0; !atomic_load (&stop); i++) {
        zlink_msg_t msg;
        zt_fast_init (&msg, fast.peer, "01234567", 8);
        CHECK (zlink_msg_send (&msg, fast.s, 0) == 8 || errno == EINTR);
        CHECK_OK (zlink_msg_close (&msg));
        if (i % 16 == 0)
            usleep (20);
    }
    return arg;
}

static void threads_that_only_send_fast (void)
{
    pthread_t threads[THREADS], reader, feeder, receiver;
    atomic_store (&stop, false);
    fast = zt_fast_open ();
    reader = zt_thread (drain, &fast.fd);
    feeder = zt_thread (feed, &fast.fd);
    receiver = zt_thread (receive_now_and_then, fast.s);
    for (int i = 0; i < THREADS; i++)
        threads[i] = zt_thread (only_send_fast, NULL);
    disturb (threads, THREADS);
    zt_join (receiver);
    zt_join (feeder);
    shutdown (fast.fd, SHUT_RDWR);
    zt_join (reader);
    zt_fast_close (&fast);
}

static struct
{
    void *s;
    zlink_routing_id_t id;
} compat;

static void *only_send_compat (void *arg)
{
    for (int i = 0; !atomic_load (&stop); i++) {
        while (zlink_send (compat.s, compat.id.data, compat.id.size, ZLINK_SNDMORE) < 0)
            CHECK_EQ (errno, EINTR);
        while (zlink_send (compat.s, "01234567", 8, 0) < 0)
            CHECK_EQ (errno, EINTR);
        if (i % 16 == 0)
            usleep (20);
    }
    return arg;
}

static void a_thread_that_only_sends_compat (void)
{
    void *ctx = zt_ctx ();
    atomic_store (&stop, false);
    compat.s = zt_socket (ctx);
    int fd = zt_client (zt_bind (compat.s));
    zt_expect_connect (compat.s, &compat.id);
    pthread_t reader = zt_thread (drain, &fd);
    pthread_t feeder = zt_thread (feed, &fd);
    pthread_t receiver = zt_thread (receive_now_and_then, compat.s);
    pthread_t sender = zt_thread (only_send_compat, NULL);
    disturb (&sender, 1);
    zt_join (receiver);
    zt_join (feeder);
    shutdown (fd, SHUT_RDWR);
    zt_join (reader);
    close (fd);
    zt_close (compat.s);
    zt_term (ctx);
}

static void *only_receive (void *arg)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    while (!atomic_load (&stop))
        CHECK (zlink_msg_recv (&msg, fast.s, 0) >= 0 || errno == EINTR || errno == EAGAIN);
    CHECK_OK (zlink_msg_close (&msg));
    return arg;
}

static void a_thread_that_only_receives (void)
{
    atomic_store (&stop, false);
    fast = zt_fast_open ();
    zt_set_int (fast.s, ZLINK_RCVTIMEO, 100);
    pthread_t receiver = zt_thread (only_receive, NULL);
    pthread_t feeder = zt_thread (feed, &fast.fd);
    disturb (&receiver, 1);
    zt_join (feeder);
    zt_fast_close (&fast);
}

static pthread_mutex_t hand = PTHREAD_MUTEX_INITIALIZER;
static zlink_msg_t kept;
static bool has_kept;

static void *only_close (void *arg)
{
    while (!atomic_load (&stop)) {
        pthread_mutex_lock (&hand);
        if (has_kept)
            CHECK_OK (zlink_msg_close (&kept));
        has_kept = false;
        pthread_mutex_unlock (&hand);
    }
    return arg;
}

/* Messages that lie in a slab, so that closing one gives a reference back. */
static void *keep_messages (void *arg)
{
    while (!atomic_load (&stop)) {
        zlink_msg_t msg;
        uint8_t frame[4 + 100] = {0, 0, 0, 100};
        zt_write (fast.fd, frame, sizeof frame);
        CHECK_OK (zlink_msg_init (&msg));
        CHECK_EQ (zlink_msg_recv (&msg, fast.s, 0), 100);
        for (bool taken = false; !taken && !atomic_load (&stop);) {
            pthread_mutex_lock (&hand);
            taken = !has_kept;
            if (taken) {
                CHECK_OK (zlink_msg_init (&kept));
                CHECK_OK (zlink_msg_move (&kept, &msg));
                has_kept = true;
            }
            pthread_mutex_unlock (&hand);
        }
        CHECK_OK (zlink_msg_close (&msg));
    }
    return arg;
}

static void a_thread_that_only_closes (void)
{
    atomic_store (&stop, false);
    fast = zt_fast_open ();
    pthread_t closer = zt_thread (only_close, NULL);
    pthread_t keeper = zt_thread (keep_messages, NULL);
    disturb (&closer, 1);
    zt_join (keeper);
    if (has_kept)
        CHECK_OK (zlink_msg_close (&kept));
    zt_fast_close (&fast);
}

static const zt_case_t cases[] = {
  ZT_CASE (threads_that_only_send_fast),
  ZT_CASE (a_thread_that_only_sends_compat),
  ZT_CASE (a_thread_that_only_receives),
  ZT_CASE (a_thread_that_only_closes),
};

ZT_MAIN (cases)

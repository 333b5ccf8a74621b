/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The library's C half (frames.c, fast.c, msg.c, sockopt.c, lock.c) with many threads, for the
 * thread sanitizer: a shard in C sends back what it gets. Every message is compared
 * with what was sent, when it comes and once more when it is closed, on another
 * thread: a slab or chunk that is used twice shows.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"
#include "shard.h"
#include "zlink.h"

enum
{
    SENDERS = 4,
    FORWARD = SENDERS + 1, /* the peer that forwarded messages go to */
    EACH = 6000,           /* messages of a sender */
    BATCH = 32,
    KEPT = 64, /* messages in the hands of the second thread at most */
    HEAD = 8,  /* sender and number */
    SIZES = 60000
};

/* ------------------------------------------------------------------- bodies */

static uint32_t size_for (uint32_t sender, uint32_t number)
{
    uint32_t x = (number + 1) * 2654435761u ^ sender * 40503u;
    x ^= x >> 15;
    if (x % 97 == 0)
        return HEAD + x / 97 % (SIZES - HEAD); /* also those that are not copied */
    return HEAD + x / 97 % (x % 4 == 0 ? 4000 : 60);
}

static uint8_t byte_for (uint32_t sender, uint32_t number, size_t at)
{
    return (uint8_t) (sender * 31 + number * 7 + at);
}

static void fill (uint8_t *body, uint32_t sender, uint32_t number, size_t size)
{
    memcpy (body, &sender, 4);
    memcpy (body + 4, &number, 4);
    for (size_t i = HEAD; i < size; i++)
        body[i] = byte_for (sender, number, i);
}

/* Compares a body with what its first bytes say, and returns its number. */
static uint32_t check (const uint8_t *body, size_t size, uint32_t *sender)
{
    uint32_t number;
    require (size >= HEAD, "a message is too short");
    memcpy (sender, body, 4);
    memcpy (&number, body + 4, 4);
    require (*sender >= 1 && *sender <= FORWARD && size == size_for (*sender, number),
             "a message has the wrong size");
    for (size_t i = HEAD; i < size; i++)
        require (body[i] == byte_for (*sender, number, i), "a message has changed");
    return number;
}

/* ----------------------------------------------------------------- mode FAST */

static void *fast;

static void *send_fast (void *arg)
{
    uint32_t me = *(uint32_t *) arg;
    zlink_msg_t batch[BATCH];
    size_t used = 0;
    for (uint32_t n = 0; n < EACH; n++) {
        size_t size = size_for (me, n);
        require (zlink_msg_init_size (&batch[used], size) == 0, "no memory");
        fill (zlink_msg_data (&batch[used]), me, n, size);
        require (zlink_msg_set_routing_id (&batch[used], me) == 0, "no routing id");
        used++;
        if (n % 5 == 0 && used == 1) {
            require (zlink_msg_send (&batch[0], fast, 0) >= 0, "a send failed");
            used = 0;
        } else if (used == BATCH || n == EACH - 1) {
            for (size_t sent = 0; sent < used;) {
                int more = zlink_stream_send_batch (fast, batch + sent, used - sent, 0);
                require (more > 0, "a batch failed");
                sent += (size_t) more;
            }
            used = 0;
        }
    }
    return NULL;
}

/* Messages on their way to the second thread. */
static struct
{
    pthread_mutex_t mutex;
    pthread_cond_t more;
    zlink_msg_t messages[KEPT];
    int first, used;
    bool over;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static bool keep (zlink_msg_t *msg)
{
    pthread_mutex_lock (&kept.mutex);
    bool room = kept.used < KEPT;
    if (room) {
        zlink_msg_t *to = &kept.messages[(kept.first + kept.used++) % KEPT];
        require (zlink_msg_init (to) == 0 && zlink_msg_move (to, msg) == 0, "no move");
        pthread_cond_signal (&kept.more);
    }
    pthread_mutex_unlock (&kept.mutex);
    return room;
}

static atomic_long forwarded;

/* Compares messages once more, and sends some of them on, from their slabs. */
static void *compare_again (void *arg)
{
    for (unsigned n = 0;; n++) {
        zlink_msg_t msg;
        uint32_t sender;
        pthread_mutex_lock (&kept.mutex);
        while (kept.used == 0 && !kept.over)
            pthread_cond_wait (&kept.more, &kept.mutex);
        if (kept.used == 0) {
            pthread_mutex_unlock (&kept.mutex);
            return arg;
        }
        require (zlink_msg_init (&msg) == 0, "no message");
        require (zlink_msg_move (&msg, &kept.messages[kept.first]) == 0, "no move");
        kept.first = (kept.first + 1) % KEPT;
        kept.used--;
        pthread_mutex_unlock (&kept.mutex);
        check (zlink_msg_data (&msg), zlink_msg_size (&msg), &sender);
        if (n % 4 == 0 && zlink_msg_routing_id (&msg) != FORWARD) {
            zlink_msg_set_routing_id (&msg, FORWARD);
            atomic_fetch_add (&forwarded, 1);
            require (zlink_msg_send (&msg, fast, 0) >= 0, "a message was not sent on");
        }
        zlink_msg_close (&msg);
    }
}

static void receive_fast (void)
{
    uint32_t next[FORWARD + 1] = {0};
    long back = 0;
    zlink_msg_t batch[BATCH];
    for (int i = 0; i < BATCH; i++)
        zlink_msg_init (&batch[i]);
    for (long left = SENDERS * EACH; left > 0 || back < atomic_load (&forwarded);) {
        int n = zlink_stream_recv_batch (fast, batch, BATCH, 0);
        require (n > 0, "a receive failed");
        for (int i = 0; i < n; i++) {
            uint32_t sender, rid = zlink_msg_routing_id (&batch[i]);
            uint32_t number = check (zlink_msg_data (&batch[i]),
                                     zlink_msg_size (&batch[i]), &sender);
            if (rid == FORWARD)
                back++;
            else {
                require (sender == rid && number == next[rid]++,
                         "a message came in the wrong order, or to the wrong peer");
                left--;
            }
            keep (&batch[i]);
        }
        if (left == 0) { /* the other thread ends; what it still sends on is nobody's */
            pthread_mutex_lock (&kept.mutex);
            kept.over = true;
            pthread_cond_signal (&kept.more);
            pthread_mutex_unlock (&kept.mutex);
        }
    }
    for (int i = 0; i < BATCH; i++)
        zlink_msg_close (&batch[i]);
}

/* --------------------------------------------------------------- mode COMPAT */

/* One thread sends while one receives. */

static void *compat;

static void *send_compat (void *arg)
{
    static uint8_t body[SIZES];
    uint8_t id[4] = {0, 0, 0, 1};
    for (uint32_t n = 0; n < EACH; n++) {
        size_t size = size_for (1, n);
        fill (body, 1, n, size);
        require (zlink_send (compat, id, sizeof id, ZLINK_SNDMORE) == 4, "an id was refused");
        if (n % 2 == 0) {
            require (zlink_send (compat, body, size, 0) == (int) size, "a body was refused");
            continue;
        }
        zlink_msg_t msg;
        require (zlink_msg_init_size (&msg, size) == 0, "no memory");
        memcpy (zlink_msg_data (&msg), body, size);
        require (zlink_msg_send (&msg, compat, 0) == (int) size, "a body was refused");
    }
    return arg;
}

static void require_more (bool expected)
{
    int64_t more = -1;
    size_t size = sizeof more;
    require (zlink_getsockopt (compat, ZLINK_RCVMORE, &more, &size) == 0, "no RCVMORE");
    require (more == expected, "RCVMORE is not the receiver's");
}

/* Receives a body, by turns in both ways. */
static uint32_t receive_body (uint32_t n)
{
    static uint8_t body[SIZES];
    uint32_t sender, number;
    if (n % 3 == 0) {
        int size = zlink_recv (compat, body, sizeof body, 0);
        require (size >= 0, "no body");
        return check (body, (size_t) size, &sender);
    }
    zlink_msg_t msg;
    require (zlink_msg_init (&msg) == 0, "no message");
    require (zlink_msg_recv (&msg, compat, 0) >= 0, "no body");
    number = check (zlink_msg_data (&msg), zlink_msg_size (&msg), &sender);
    zlink_msg_close (&msg);
    return number;
}

static void *receive_compat (void *arg)
{
    uint8_t id[8];
    for (uint32_t n = 0; n < EACH; n++) {
        require (zlink_recv (compat, id, sizeof id, 0) == 4, "no id");
        require_more (true);
        require (receive_body (n) == n, "a message came in the wrong order");
        require_more (false);
    }
    return arg;
}

/* ------------------------------------------------------------------ the test */

/* Two sockets with the same numbers of peers: what was found by a handle whose
 * socket has gone must not reach the next one's peer. */
static void refuse_foreign_session (void)
{
    void *mine = shard_socket (true, 1), *other = shard_socket (true, 1);
    zl_session *s = shard_session (mine, 1);
    uint64_t owner = s->owner;
    zlink_msg_t msg;
    zlink_msg_init_size (&msg, 10);
    memset (zlink_msg_data (&msg), 'x', 10);
    zlink_msg_set_routing_id (&msg, 1);
    s->owner = shard_session (other, 1)->owner;
    require (zlink_msg_send (&msg, mine, 0) == -1 && errno == EHOSTUNREACH,
             "a message went to a session of another socket");
    require (s->tx_queued == 0 && !s->tx_head, "another socket's session has a message");
    s->owner = owner;
    s->tx_state = 0;
    require (zlink_msg_send (&msg, mine, 0) == -1 && errno == EHOSTUNREACH,
             "a message went to a session that has ended");
    s->tx_state = ZL_TX_OPEN;
    zlink_msg_close (&msg);
}

/* ZL_CHECK ends the process: here a child, which releases a slab that nobody has. */
static void check_aborts (void)
{
    int status = 0;
    pid_t child = fork ();
    if (child == 0) {
        zl_slab nobodys = {.refs = 0};
        fclose (stderr); /* what it says is no finding */
        zl_slab_release (&nobodys, 1);
        _exit (EXIT_SUCCESS);
    }
    require (child > 0 && waitpid (child, &status, 0) == child, "no child");
    require (WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT,
             "a slab was released more often than it was retained, and nothing said so");
}

int main (void)
{
    uint32_t names[SENDERS];
    pthread_t senders[SENDERS], again, compat_sender, compat_receiver;
    check_aborts ();
    pools_under_load ();
    shard_begin ();
    refuse_foreign_session ();
    fast = shard_socket (true, FORWARD);
    compat = shard_socket (false, 1);
    shard_start ();
    pthread_create (&again, NULL, compare_again, NULL);
    pthread_create (&compat_receiver, NULL, receive_compat, NULL);
    pthread_create (&compat_sender, NULL, send_compat, NULL);
    for (uint32_t i = 0; i < SENDERS; i++) {
        names[i] = i + 1;
        pthread_create (&senders[i], NULL, send_fast, &names[i]);
    }
    receive_fast ();
    for (int i = 0; i < SENDERS; i++)
        pthread_join (senders[i], NULL);
    pthread_join (again, NULL);
    pthread_join (compat_sender, NULL);
    pthread_join (compat_receiver, NULL);
    shard_end ();
    printf ("%ld messages, %ld sent on; %ld parked, %ld resumed, %ld sends were not ordinary\n",
            atomic_load (&shard_taken), atomic_load (&forwarded), atomic_load (&shard_parks),
            atomic_load (&shard_resumes), atomic_load (&shard_slow_sends));
    require (atomic_load (&shard_parks) > 0 && atomic_load (&shard_resumes) > 0
               && atomic_load (&shard_slow_sends) > 0,
             "nothing parked, or no queue was ever full");
    return 0;
}

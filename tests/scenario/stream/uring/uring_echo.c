/* SPDX-License-Identifier: MPL-2.0 */
/* A bare echo over io_uring, to see what it saves against epoll_echo: multishot
 * accept and receive, a ring of provided buffers, answers with send. It is no
 * stack of its own: doc/performance-tried.md has what it measured, and how.
 *
 * With HAND_OVER the ring is on a thread of its own, as a request belongs to the
 * thread that made it, and another thread sends and gives the buffers back. */
#include "listener.h"
#include "settings.h"

#include <errno.h>
#include <liburing.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
    BUFFERS = 256, /* a power of two */
    BUFFER_SIZE = 32 << 10,
    ENTRIES = 4096,
    COMPLETIONS = 32768,
    MAX_DESCRIPTORS = 65536,
    ACCEPT = 1 << 24 /* the user data of the accept; else a descriptor */
};

/* What arrived, on its way to who sends. */
struct part
{
    int fd, buffer;
    size_t len;
};

/* One thread puts in, another takes out; no more than the buffers go in. */
struct queue
{
    struct part parts[BUFFERS];
    _Atomic uint32_t put, taken;
    _Atomic uint32_t asleep; /* who takes out */
};

struct server
{
    struct listener listener;
    long hand_over;
    int accepting; /* the listening descriptor */
    struct io_uring ring;
    struct io_uring_buf_ring *provided;
    uint8_t *memory;
    int rearm[MAX_DESCRIPTORS]; /* whose receive has ended for want of buffers */
    int rearms;
    int out; /* buffers that are with the sender */
    struct queue arrived, sent;
};

static void futex (_Atomic uint32_t *word, int op, uint32_t value)
{
    syscall (SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void put (struct queue *queue, struct part part)
{
    queue->parts[queue->put % BUFFERS] = part;
    queue->put++;
    if (queue->asleep && atomic_exchange (&queue->asleep, 0))
        futex (&queue->asleep, FUTEX_WAKE, 1);
}

static bool empty (struct queue *queue)
{
    return queue->taken == queue->put;
}

static struct part take (struct queue *queue)
{
    while (empty (queue)) {
        queue->asleep = 1;
        if (empty (queue))
            futex (&queue->asleep, FUTEX_WAIT, 1);
        queue->asleep = 0;
    }
    struct part part = queue->parts[queue->taken % BUFFERS];
    queue->taken++;
    return part;
}

static struct io_uring_sqe *entry (struct server *server)
{
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe (&server->ring)))
        io_uring_submit (&server->ring);
    return sqe;
}

static void arm (struct server *server, int fd)
{
    struct io_uring_sqe *sqe = entry (server);
    io_uring_prep_recv_multishot (sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe->user_data = (uint64_t) fd;
}

static uint8_t *buffer (struct server *server, int number)
{
    return server->memory + (size_t) number * BUFFER_SIZE;
}

static void provide (struct server *server, int number)
{
    io_uring_buf_ring_add (server->provided, buffer (server, number),
                           BUFFER_SIZE, (unsigned short) number,
                           io_uring_buf_ring_mask (BUFFERS), 0);
    io_uring_buf_ring_advance (server->provided, 1);
}

/* The client reads all the time, so a full socket is waited for. */
static void echo (struct server *server, struct part part)
{
    const uint8_t *from = buffer (server, part.buffer);
    while (part.len > 0) {
        ssize_t sent = send (part.fd, from, part.len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (sent > 0) {
            from += sent;
            part.len -= (size_t) sent;
        }
    }
}

static void *send_all (void *arg)
{
    struct server *server = arg;
    for (;;) {
        struct part part = take (&server->arrived);
        echo (server, part);
        put (&server->sent, part);
    }
    return NULL;
}

static void received (struct server *server, const struct io_uring_cqe *cqe)
{
    int fd = (int) cqe->user_data;
    if (cqe->res == -ENOBUFS) {
        server->rearm[server->rearms++] = fd;
        return;
    }
    if (cqe->res <= 0) {
        close (fd);
        return;
    }
    struct part part = {.fd = fd,
                        .buffer = (int) (cqe->flags >> IORING_CQE_BUFFER_SHIFT),
                        .len = (size_t) cqe->res};
    if (server->hand_over) {
        put (&server->arrived, part);
        server->out++;
    } else {
        echo (server, part);
        provide (server, part.buffer);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        server->rearm[server->rearms++] = fd;
}

/* Provides the buffers that were sent; waits for one if receives wait for it. */
static void take_back (struct server *server)
{
    bool wait = server->rearms > 0 && server->out > 0;
    while (wait || !empty (&server->sent)) {
        provide (server, take (&server->sent).buffer);
        server->out--;
        wait = false;
    }
}

static void run (struct server *server)
{
    struct io_uring_sqe *sqe = entry (server);
    io_uring_prep_multishot_accept (sqe, server->accepting, NULL, NULL,
                                    SOCK_NONBLOCK);
    sqe->user_data = ACCEPT;
    for (;;) {
        if (server->hand_over)
            take_back (server);
        for (; server->rearms > 0; server->rearms--)
            arm (server, server->rearm[server->rearms - 1]);
        io_uring_submit_and_wait (&server->ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe (&server->ring, head, cqe)
        {
            count++;
            if (cqe->user_data != ACCEPT)
                received (server, cqe);
            else if (cqe->res >= 0)
                arm (server, cqe->res);
        }
        io_uring_cq_advance (&server->ring, count);
    }
}

static bool make_ring (struct server *server)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER
                                              | IORING_SETUP_DEFER_TASKRUN
                                              | IORING_SETUP_CQSIZE,
                                     .cq_entries = COMPLETIONS};
    size_t ring_size = BUFFERS * sizeof (struct io_uring_buf);
    void *memory = mmap (NULL, (size_t) BUFFERS * BUFFER_SIZE + ring_size,
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
    if (memory == MAP_FAILED)
        return false;
    server->memory = memory;
    server->provided =
      (void *) (server->memory + (size_t) BUFFERS * BUFFER_SIZE);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t) server->provided,
                                   .ring_entries = BUFFERS};
    errno = -io_uring_queue_init_params (ENTRIES, &server->ring, &params);
    if (errno == 0)
        errno = -io_uring_register_buf_ring (&server->ring, &reg, 0);
    if (errno != 0)
        return false;
    io_uring_buf_ring_init (server->provided);
    for (int i = 0; i < BUFFERS; i++)
        provide (server, i);
    return true;
}

static void end (int number)
{
    (void) number;
    _exit (0);
}

int main (int argc, char **argv)
{
    static struct server server = {.listener = LISTENER_DEFAULTS};
    const struct setting table[] = {
      LISTENER_SETTINGS (server.listener),
      {"HAND_OVER", SETTING_INTEGER, true, &server.hand_over, 0, 1,
       "1: another thread sends"},
    };
    enum settings_result settings =
      settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    signal (SIGTERM, end);
    signal (SIGINT, end);
    server.accepting = listener_open (&server.listener, 0);
    if (server.accepting < 0 || !make_ring (&server)) {
        perror ("uring_echo");
        return 1;
    }
    pthread_t sender;
    if (server.hand_over
        && pthread_create (&sender, NULL, send_all, &server) != 0)
        return 1;
    printf ("LISTENING %ld\n", server.listener.port);
    fflush (stdout);
    run (&server);
}

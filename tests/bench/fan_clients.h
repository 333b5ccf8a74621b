/* SPDX-License-Identifier: MPL-2.0 */
/* The clients of fan_out, which are no zlink: a process that reads what comes and counts its
 * bytes, and a process that has its messages echoed. */
#ifndef FAN_CLIENTS_H_INCLUDED
#define FAN_CLIENTS_H_INCLUDED

#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "measure.h"

enum
{
    READ_ROOM = 256 << 10,
    ECHO_BYTES = 60,
    ECHO_PAUSE_US = 500,
    MOST_ECHOES = 1 << 20
};

/* What the processes share. */
static struct
{
    _Atomic uint64_t bytes; /* that the clients have read */
    _Atomic uint64_t goal;  /* not 0: somebody waits for so many, at reached */
    _Atomic int up;         /* clients */
    _Atomic int writes;     /* 1: the bare process says its messages */
    _Atomic int phase;      /* 0: nothing is echoed; 1: beside silence; 2: beside messages */
    _Atomic int resting;    /* no echo is on its way */
    _Atomic uint32_t count[3];
    float us[3][MOST_ECHOES]; /* how long each echo took, in each phase */
} *shared;

static int reached; /* an eventfd */
static int peers;
static size_t size;
static bool ws;       /* over WebSocket */
static bool first;    /* the client of the echoes runs before all others */
static bool messages; /* a message of WebSocket is a message: no length in front */

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static inline void upgrade (int fd)
{
    char answer[1024];
    size_t have = 0;
    if (write (fd, request, sizeof request - 1) != sizeof request - 1)
        fail ("write");
    while (have < 4 || memcmp (answer + have - 4, "\r\n\r\n", 4) != 0) {
        ssize_t n = read (fd, answer + have, 1); /* nothing behind it may be lost */
        if (n <= 0 || ++have == sizeof answer)
            fail ("upgrade");
    }
}

static inline int join (int port)
{
    int fd = dial (port);
    if (ws)
        upgrade (fd);
    return fd;
}

static inline void run_clients (int port)
{
    static char buf[READ_ROOM];
    struct epoll_event events[256];
    many_descriptors ();
    int epoll = epoll_create1 (EPOLL_CLOEXEC);
    for (int i = 0; i < peers; i++) {
        int fd = join (port);
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &e);
        atomic_fetch_add (&shared->up, 1);
    }
    for (;;) {
        int n = epoll_wait (epoll, events, 256, -1);
        uint64_t got = 0;
        for (int i = 0; i < n; i++) {
            ssize_t more = read (events[i].data.fd, buf, sizeof buf);
            if (more == 0)
                _exit (0);
            got += more > 0 ? (uint64_t) more : 0;
        }
        got += atomic_fetch_add (&shared->bytes, got);
        const uint64_t goal = atomic_load (&shared->goal);
        if (goal && got >= goal && atomic_exchange (&shared->goal, 0))
            eventfd_write (reached, 1);
    }
}

/* await_bytes sleeps until the clients have read so many: who asks again and again takes a
 * processor from those that work. */
static inline void await_bytes (uint64_t bytes)
{
    eventfd_t told;
    if (atomic_load (&shared->bytes) >= bytes)
        return;
    atomic_store (&shared->goal, bytes);
    if (atomic_load (&shared->bytes) < bytes || !atomic_exchange (&shared->goal, 0))
        eventfd_read (reached, &told);
}

/* ------------------------------------------------------------------ echoes */

static inline void read_all (int fd, char *to, size_t bytes)
{
    for (size_t have = 0; have < bytes;) {
        ssize_t n = read (fd, to + have, bytes - have);
        if (n <= 0)
            _exit (0);
        have += (size_t) n;
    }
}

/* A message, with the header of a WebSocket client, whose mask is 0, and a length if need be. */
static inline size_t echo_message (char *to)
{
    size_t at = 0, frame = ECHO_BYTES + (messages ? 0 : 4);
    if (ws) {
        static const char mask[4];
        to[at++] = (char) 0x82;
        to[at++] = (char) (0x80 | frame);
        memcpy (to + at, mask, sizeof mask);
        at += sizeof mask;
    }
    if (!messages) {
        const uint32_t length = htonl (ECHO_BYTES);
        memcpy (to + at, &length, sizeof length);
        at += sizeof length;
    }
    memset (to + at, 1, ECHO_BYTES);
    return at + ECHO_BYTES;
}

/* count_echo counts how long an echo took, and those that could not be sent meanwhile: they
 * would have waited, too. */
static inline void count_echo (int phase, double us)
{
    for (; us > 0; us -= ECHO_PAUSE_US) {
        const uint32_t n = atomic_load (&shared->count[phase]);
        if (n == MOST_ECHOES)
            return;
        shared->us[phase][n] = (float) us;
        atomic_store (&shared->count[phase], n + 1);
    }
}

static inline void run_echo (int port)
{
    char out[128], in[128];
    int fd = join (port);
    const size_t sends = echo_message (out), gets = sends - (ws ? 4 : 0);
    const struct sched_param least = {.sched_priority = 1};
    if (first && sched_setscheduler (0, SCHED_FIFO, &least))
        fail ("SCHED_FIFO, which echo-first needs");
    for (;;) {
        const int phase = atomic_load (&shared->phase);
        atomic_store (&shared->resting, phase == 0);
        usleep (ECHO_PAUSE_US);
        if (phase == 0)
            continue;
        const double from = now_ms ();
        if (write (fd, out, sends) != (ssize_t) sends)
            fail ("write");
        read_all (fd, in, gets);
        count_echo (phase, (now_ms () - from) * 1e3);
    }
}

#endif

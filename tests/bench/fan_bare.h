/* SPDX-License-Identifier: MPL-2.0 */
/* Ways of fan_out without a library. */
#ifndef FAN_BARE_H_INCLUDED
#define FAN_BARE_H_INCLUDED

#include "fan_clients.h"

static int listener, *fds;
static char *frame; /* what a client gets */
static size_t frame_size;

static int open_bare (void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    many_descriptors ();
    listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    if (listener < 0 || bind (listener, (struct sockaddr *) &at, len) || listen (listener, 65536)
        || getsockname (listener, (struct sockaddr *) &at, &len))
        fail ("listen");
    return ntohs (at.sin_port);
}

static void accept_bare (void)
{
    const uint32_t length = htonl ((uint32_t) size);
    frame_size = sizeof length + size;
    frame = calloc (1, frame_size);
    memcpy (frame, &length, sizeof length);
    fds = calloc ((size_t) peers, sizeof *fds);
    for (int i = 0; i < peers; i++) {
        int one = 1;
        if ((fds[i] = accept (listener, NULL, NULL)) < 0)
            fail ("accept");
        setsockopt (fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

static void write_part (int first, int step)
{
    for (int i = first; i < peers; i += step)
        for (size_t done = 0; done < frame_size;) { /* back to back, a buffer gets full */
            ssize_t n = send (fds[i], frame + done, frame_size - done, MSG_NOSIGNAL);
            if (n < 0 && errno != EINTR)
                fail ("write");
            done += n > 0 ? (size_t) n : 0;
        }
}

static double write_all (int times)
{
    const double from = now_ms ();
    for (int n = 0; n < times; n++)
        write_part (0, 1);
    return now_ms () - from;
}

/* The same with two threads. */

static pthread_barrier_t begin, end;

static void *write_half (void *arg)
{
    for (;;) {
        pthread_barrier_wait (&begin);
        write_part (1, 2);
        pthread_barrier_wait (&end);
    }
    return arg;
}

static void accept_bare2 (void)
{
    static pthread_t other;
    accept_bare ();
    pthread_barrier_init (&begin, NULL, 2);
    pthread_barrier_init (&end, NULL, 2);
    if (pthread_create (&other, NULL, write_half, NULL))
        fail ("pthread_create");
}

static double write_both (int times)
{
    const double from = now_ms ();
    for (int n = 0; n < times; n++) {
        pthread_barrier_wait (&begin);
        write_part (0, 2);
        pthread_barrier_wait (&end);
    }
    return now_ms () - from;
}

/* The same in slices, by one thread that echoes what its other clients say between two slices: what
 * a server without a library can do for them. A peer that has not got the message before gets both at once. */

enum
{
    SLICE = 20, /* peers of a slice */
    SAID_MOST = 64
};

static _Atomic int ordered; /* messages to each */
static int told;            /* an eventfd */

/* echo_ready accepts who comes, and echoes what has come. */
static void echo_ready (int epoll, int timeout)
{
    struct epoll_event events[64];
    char text[4096];
    const int n = epoll_wait (epoll, events, 64, timeout);
    for (int i = 0; i < n; i++) {
        const int fd = events[i].data.fd;
        if (fd == told) {
            eventfd_t any;
            eventfd_read (told, &any);
        } else if (fd == listener) {
            int one = 1;
            struct epoll_event e = {.events = EPOLLIN, .data.fd = accept (listener, NULL, NULL)};
            setsockopt (e.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            epoll_ctl (epoll, EPOLL_CTL_ADD, e.data.fd, &e);
        } else {
            const ssize_t got = recv (fd, text, sizeof text, 0);
            if (got <= 0 || send (fd, text, (size_t) got, MSG_NOSIGNAL) != got)
                epoll_ctl (epoll, EPOLL_CTL_DEL, fd, NULL);
        }
    }
}

static void *run_loop (void *arg)
{
    static struct iovec parts[SAID_MOST];
    int *said = calloc ((size_t) peers, sizeof *said), *at = arg, all = 0, next = 0, behind = 0;
    for (int i = 0; i < SAID_MOST; i++)
        parts[i] = (struct iovec) {frame, frame_size};
    for (;;) {
        const int now = atomic_load (&ordered);
        if (now != all)
            all = now, behind = peers;
        for (int i = 0; i < SLICE && behind > 0; i++, behind--, next = (next + 1) % peers) {
            const struct msghdr m = {.msg_iov = parts, .msg_iovlen = (size_t) (all - said[next])};
            if (m.msg_iovlen && sendmsg (fds[next], &m, MSG_NOSIGNAL) != (ssize_t) (m.msg_iovlen * frame_size))
                fail ("sendmsg");
            said[next] = all;
        }
        echo_ready (*at, behind > 0 ? 0 : -1);
    }
    return arg;
}

static void accept_loop (void)
{
    static pthread_t thread;
    static int epoll;
    accept_bare ();
    told = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll = epoll_create1 (EPOLL_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        const int fd = i ? told : listener;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &e);
    }
    if (pthread_create (&thread, NULL, run_loop, &epoll))
        fail ("pthread_create");
}

static double say_loop (int times)
{
    const double from = now_ms ();
    atomic_fetch_add (&ordered, times);
    eventfd_write (told, 1);
    return now_ms () - from;
}

#endif

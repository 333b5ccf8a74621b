/* SPDX-License-Identifier: MPL-2.0 */
/* The bare echo, as a limit for the other servers: bytes are written back as
 * they were read, with no look at frames. Every thread has a listener of its
 * own on the same port (SO_REUSEPORT), an epoll and one read buffer. A
 * connection is its descriptor and nothing else, except while the kernel does
 * not take what is to be written: then it is not read, and its rest is kept. */
#include "listener.h"
#include "process.h"
#include "settings.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define ACCEPTS 64 /* at most in a row, so that others are served in between */
#define BUFFER_SIZE (64 * 1024)

/* What could not be written yet. */
struct rest
{
    size_t len, done;
    uint8_t bytes[];
};

struct server
{
    struct listener listener;
    long io_threads;
    int stop;            /* an eventfd in every thread's epoll */
    struct rest **rests; /* by descriptor; each is used by one thread only */
    long max_descriptors;
};

struct loop
{
    struct server *server;
    pthread_t thread;
    int epoll, listener;
    uint8_t buffer[BUFFER_SIZE];
};

static void
watch (const struct loop *loop, int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl (loop->epoll, op, fd, &event) != 0)
        perror ("epoll_ctl");
}

static void drop (const struct loop *loop, int fd)
{
    free (loop->server->rests[fd]);
    loop->server->rests[fd] = NULL;
    close (fd);
}

static void keep_rest (struct loop *loop, int fd, size_t done, size_t len)
{
    struct rest *rest = malloc (sizeof *rest + len - done);
    if (!rest) {
        drop (loop, fd);
        return;
    }
    rest->len = len - done;
    rest->done = 0;
    memcpy (rest->bytes, loop->buffer + done, rest->len);
    loop->server->rests[fd] = rest;
    watch (loop, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void echo (struct loop *loop, int fd)
{
    ssize_t got = read (fd, loop->buffer, sizeof loop->buffer);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            drop (loop, fd);
        return;
    }
    ssize_t sent = send (fd, loop->buffer, (size_t) got, MSG_NOSIGNAL);
    if (sent == got)
        return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        drop (loop, fd);
    else
        keep_rest (loop, fd, sent < 0 ? 0 : (size_t) sent, (size_t) got);
}

static void write_rest (struct loop *loop, int fd)
{
    struct rest *rest = loop->server->rests[fd];
    ssize_t sent = send (fd, rest->bytes + rest->done, rest->len - rest->done,
                         MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            drop (loop, fd);
        return;
    }
    rest->done += (size_t) sent;
    if (rest->done < rest->len)
        return;
    free (rest);
    loop->server->rests[fd] = NULL;
    watch (loop, EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void accept_all (const struct loop *loop)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4 (loop->listener, NULL, NULL,
                          SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            watch (loop, EPOLL_CTL_ADD, fd, EPOLLIN);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            /* Out of descriptors: the listener would stay readable. */
            perror ("accept");
            epoll_ctl (loop->epoll, EPOLL_CTL_DEL, loop->listener, NULL);
        }
        return;
    }
}

static void *run_loop (void *arg)
{
    struct loop *loop = arg;
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait (loop->epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == loop->server->stop)
                return NULL;
            if (fd == loop->listener)
                accept_all (loop);
            else if (loop->server->rests[fd])
                write_rest (loop, fd);
            else
                echo (loop, fd);
        }
    }
}

static int start_loop (struct loop *loop, struct server *server)
{
    loop->server = server;
    loop->listener = listener_open (&server->listener, SOCK_NONBLOCK);
    loop->epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (loop->listener < 0 || loop->epoll < 0)
        return -1;
    watch (loop, EPOLL_CTL_ADD, loop->listener, EPOLLIN);
    watch (loop, EPOLL_CTL_ADD, server->stop, EPOLLIN);
    errno = pthread_create (&loop->thread, NULL, run_loop, loop);
    return errno ? -1 : 0;
}

static int serve (struct server *server)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    pthread_sigmask (SIG_BLOCK, &signals, NULL);

    server->stop = eventfd (0, EFD_CLOEXEC);
    server->rests = calloc ((size_t) server->max_descriptors,
                            sizeof (struct rest *));
    struct loop *loops =
      calloc ((size_t) server->io_threads, sizeof (struct loop));
    if (server->stop < 0 || !server->rests || !loops) {
        perror ("epoll_echo");
        return 1;
    }
    for (long i = 0; i < server->io_threads; i++)
        if (start_loop (&loops[i], server) != 0) {
            perror ("cannot listen");
            return 1;
        }
    printf ("LISTENING %ld\n", server->listener.port);
    fflush (stdout);

    int number;
    sigwait (&signals, &number);
    eventfd_write (server->stop, 1);
    for (long i = 0; i < server->io_threads; i++) {
        pthread_join (loops[i].thread, NULL);
        close (loops[i].epoll);
        close (loops[i].listener);
    }
    /* Connections that are still open end with the process. */
    for (long fd = 0; fd < server->max_descriptors; fd++)
        free (server->rests[fd]);
    free (server->rests);
    free (loops);
    return 0;
}

int main (int argc, char **argv)
{
    struct server server = {.listener = LISTENER_DEFAULTS, .io_threads = 2};
    const struct setting table[] = {
      LISTENER_SETTINGS (server.listener),
      {"IO_THREADS", SETTING_INTEGER, false, &server.io_threads, 1, 1024,
       "threads"},
    };
    enum settings_result settings =
      settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    server.max_descriptors = process_raise_descriptor_limit ();
    if (server.max_descriptors < 0) {
        perror ("descriptor limit");
        return 1;
    }
    return serve (&server);
}

/* SPDX-License-Identifier: MPL-2.0 */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define ACCEPTS 64 /* at most in a row, so that others are served in between */
#define READS 8    /* the same, of one connection */
#define WATCHED (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define ENDING (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

struct connection
{
    struct buffer *rest; /* what could not be sent yet */
    bool open;
    _Alignas (8) uint8_t state[];
};

struct server
{
    struct loop_settings settings;
    int stop;             /* an eventfd in every thread's epoll */
    uint8_t *connections; /* by descriptor; each is used by one thread only */
    size_t connection_size, whole_buffer;
};

struct loop
{
    struct server *server;
    pthread_t thread;
    int epoll, listener;
    struct buffer *buffer, *pool;
};

static struct connection *connection_of (const struct server *server, long fd)
{
    return (void *) (server->connections
                     + (size_t) fd * server->connection_size);
}

/* ----------------------------------------------------------------- buffers */

/* NULL: no memory. */
static struct buffer *take_buffer (struct loop *loop)
{
    struct buffer *buffer = loop->pool;
    if (!buffer)
        return malloc (loop->server->whole_buffer);
    loop->pool = buffer->next;
    return buffer;
}

static void give_back (struct loop *loop, struct buffer *buffer)
{
    buffer->next = loop->pool;
    loop->pool = buffer;
}

/* ------------------------------------------------------------- connections */

static void watch (const struct loop *loop, int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl (loop->epoll, op, fd, &event) != 0)
        perror ("epoll_ctl");
}

static void drop (struct loop *loop, int fd)
{
    struct connection *connection = connection_of (loop->server, fd);
    if (connection->rest)
        give_back (loop, connection->rest);
    connection->rest = NULL;
    const struct protocol *protocol = loop->server->settings.protocol;
    if (protocol && protocol->close)
        protocol->close (connection->state);
    close (fd);
}

/* Sends what the kernel takes of buffer, and returns what is left; -1: the
 * connection is broken. */
static ssize_t send_some (int fd, struct buffer *buffer)
{
    ssize_t sent = send (fd, buffer->at, buffer->len, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            return -1;
        sent = 0;
    }
    buffer->at += sent;
    buffer->len -= (size_t) sent;
    return (ssize_t) buffer->len;
}

/* Whether the connection may be read again. */
static bool
send_rest (struct loop *loop, int fd, struct connection *connection)
{
    ssize_t left = send_some (fd, connection->rest);
    if (left < 0)
        drop (loop, fd);
    if (left != 0)
        return false;
    give_back (loop, connection->rest);
    connection->rest = NULL;
    return true;
}

/* The same: when it is not, it keeps the loop's buffer, or was dropped. */
static bool
send_answer (struct loop *loop, int fd, struct connection *connection)
{
    if (loop->buffer->len == 0)
        return true;
    ssize_t left = send_some (fd, loop->buffer);
    if (left == 0)
        return true;
    struct buffer *next = left > 0 ? take_buffer (loop) : NULL;
    if (!next) {
        drop (loop, fd);
        return false;
    }
    connection->rest = loop->buffer;
    loop->buffer = next;
    return false;
}

/* Reads until nothing is left, which a read shows that does not fill the buffer:
 * what comes later is an event of its own. The end of the stream is none when it
 * came with the last bytes, so it is looked for. */
static void echo (struct loop *loop,
                  int fd,
                  struct connection *connection,
                  uint32_t events)
{
    const struct protocol *protocol = loop->server->settings.protocol;
    size_t size = (size_t) loop->server->settings.buffer_size;
    for (int i = 0; i < READS; i++) {
        struct buffer *buffer = loop->buffer;
        buffer->at = buffer->bytes + BUFFER_ROOM;
        ssize_t got = recv (fd, buffer->at, size, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            drop (loop, fd);
            return;
        }
        buffer->len = (size_t) got;
        if (protocol && !protocol->answer (connection->state, buffer)) {
            drop (loop, fd);
            return;
        }
        if (!send_answer (loop, fd, connection))
            return;
        if ((size_t) got < size && !(events & ENDING))
            return;
    }
    watch (loop, EPOLL_CTL_MOD, fd, WATCHED); /* tells again what there is */
}

static ssize_t read_descriptor (void *of, void *bytes, size_t size, bool peek)
{
    return recv (*(int *) of, bytes, size, peek ? MSG_PEEK : 0);
}

static bool write_descriptor (void *of, const void *bytes, size_t len)
{
    return send (*(int *) of, bytes, len, MSG_NOSIGNAL) == (ssize_t) len;
}

/* Whether the handshake is done. */
static bool open_connection (struct loop *loop,
                             int fd,
                             struct connection *connection,
                             uint32_t events)
{
    struct channel channel = {read_descriptor, write_descriptor, &fd};
    enum opened opened =
      loop->server->settings.protocol->open (connection->state, &channel);
    connection->open = opened == OPENED;
    if (opened == OPENS_NEVER || (opened == OPENS_LATER && events & ENDING))
        drop (loop, fd);
    return connection->open;
}

static void serve_connection (struct loop *loop, int fd, uint32_t events)
{
    struct connection *connection = connection_of (loop->server, fd);
    if (connection->rest) {
        if (!send_rest (loop, fd, connection))
            return;
    } else if (!(events & ~(uint32_t) EPOLLOUT)) {
        return; /* there is room, which nobody waits for */
    }
    if (connection->open
        || open_connection (loop, fd, connection, events))
        echo (loop, fd, connection, events);
}

static void accept_connection (struct loop *loop, int fd)
{
    struct connection *connection = connection_of (loop->server, fd);
    memset (connection, 0, loop->server->connection_size);
    connection->open = !loop->server->settings.protocol;
    watch (loop, EPOLL_CTL_ADD, fd, WATCHED);
}

/* The listener is the one descriptor that is told of as long as it is ready. */
static void accept_some (struct loop *loop)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4 (loop->listener, NULL, NULL,
                          SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_connection (loop, fd);
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

/* ------------------------------------------------------------------- loops */

static void *leave_loop (const struct loop *loop)
{
    const struct protocol *protocol = loop->server->settings.protocol;
    if (protocol && protocol->leave)
        protocol->leave ();
    return NULL;
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
                return leave_loop (loop);
            if (fd == loop->listener)
                accept_some (loop);
            else
                serve_connection (loop, fd, events[i].events);
        }
    }
}

static int start_loop (struct loop *loop, struct server *server)
{
    loop->server = server;
    loop->listener = listener_open (&server->settings.listener, SOCK_NONBLOCK);
    loop->epoll = epoll_create1 (EPOLL_CLOEXEC);
    loop->buffer = take_buffer (loop);
    if (loop->listener < 0 || loop->epoll < 0 || !loop->buffer)
        return -1;
    watch (loop, EPOLL_CTL_ADD, loop->listener, EPOLLIN);
    watch (loop, EPOLL_CTL_ADD, server->stop, EPOLLIN);
    errno = pthread_create (&loop->thread, NULL, run_loop, loop);
    return errno ? -1 : 0;
}

static void end_loop (struct loop *loop)
{
    pthread_join (loop->thread, NULL);
    close (loop->epoll);
    close (loop->listener);
    give_back (loop, loop->buffer);
    while (loop->pool)
        free (take_buffer (loop));
}

static void end_server (struct server *server)
{
    const struct protocol *protocol = server->settings.protocol;
    for (long fd = 0; fd < server->settings.max_descriptors; fd++) {
        struct connection *connection = connection_of (server, fd);
        free (connection->rest);
        if (protocol && protocol->close)
            protocol->close (connection->state);
    }
    free (server->connections);
}

static int serve (struct server *server, struct loop *loops)
{
    for (long i = 0; i < server->settings.io_threads; i++)
        if (start_loop (&loops[i], server) != 0) {
            perror ("cannot listen");
            return 1;
        }
    printf ("LISTENING %ld\n", server->settings.listener.port);
    fflush (stdout);

    int number;
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    sigwait (&signals, &number);
    eventfd_write (server->stop, 1);
    for (long i = 0; i < server->settings.io_threads; i++)
        end_loop (&loops[i]);
    end_server (server);
    free (loops);
    return 0;
}

int loop_serve (const struct loop_settings *settings)
{
    const struct protocol *protocol = settings->protocol;
    size_t size = (size_t) settings->buffer_size;
    struct server server = {
      .settings = *settings,
      .stop = eventfd (0, EFD_CLOEXEC),
      .connection_size =
        sizeof (struct connection) + (protocol ? protocol->state_size : 0),
      .whole_buffer =
        sizeof (struct buffer) + BUFFER_ROOM + size + BUFFER_SLACK (size)};
    server.connections =
      calloc ((size_t) settings->max_descriptors, server.connection_size);
    struct loop *loops =
      calloc ((size_t) settings->io_threads, sizeof (struct loop));
    if (server.stop < 0 || !server.connections || !loops) {
        perror ("cannot start");
        return 1;
    }
    /* Before there are threads, which inherit it. */
    sigset_t signals;
    sigfillset (&signals);
    pthread_sigmask (SIG_BLOCK, &signals, NULL);
    return serve (&server, loops);
}

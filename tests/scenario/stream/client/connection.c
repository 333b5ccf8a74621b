/* SPDX-License-Identifier: MPL-2.0 */
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS 128
#define BUFFER_SIZE (256 * 1024)

/* Both buffers are NULL while they hold nothing, which is nearly always: a
 * connection that waits costs this struct and no more. */
struct connection
{
    int fd;            /* -1: closed */
    uint32_t part_len; /* bytes in part */
    uint8_t *part;     /* the beginning of a frame whose rest is to come */
    uint8_t *unsent;   /* what the kernel did not take of the last write */
    size_t unsent_len, unsent_done;
};

struct connections
{
    struct run *run;
    struct connection *table;
    struct sockaddr_in address;
    int epoll;
    size_t frame_size;
    size_t buffer_size; /* of each of the two below, at least one frame */
    uint8_t *in, *out;  /* shared by all connections */
};

static int
watch (struct connections *all, uint32_t index, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = index};
    return epoll_ctl (all->epoll, op, all->table[index].fd, &event);
}

static void release (struct connection *connection)
{
    if (connection->fd >= 0)
        close (connection->fd);
    free (connection->part);
    free (connection->unsent);
    *connection = (struct connection){.fd = -1};
}

static void lose (struct connections *all, uint32_t index, int error)
{
    release (&all->table[index]);
    run_lost (all->run, index, error);
}

/* --------------------------------------------------------------- connecting */

static void set_buffer (int fd, int option, long bytes)
{
    int value = (int) bytes;
    if (bytes > 0)
        setsockopt (fd, SOL_SOCKET, option, &value, sizeof value);
}

static int start_connect (void *state, uint32_t index)
{
    struct connections *all = state;
    struct connection *connection = &all->table[index];
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    connection->fd = fd;
    int on = 1;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    set_buffer (fd, SO_SNDBUF, all->run->options->sndbuf);
    set_buffer (fd, SO_RCVBUF, all->run->options->rcvbuf);
    if ((connect (fd, (struct sockaddr *) &all->address, sizeof all->address)
           != 0
         && errno != EINPROGRESS)
        || watch (all, index, EPOLL_CTL_ADD, EPOLLOUT) != 0) {
        int error = errno;
        release (connection);
        return error;
    }
    return 0;
}

static void end_connect (struct connections *all, uint32_t index)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt (all->table[index].fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0 && watch (all, index, EPOLL_CTL_MOD, EPOLLIN) != 0)
        error = errno;
    if (error) {
        release (&all->table[index]);
        run_connect_failed (all->run, index, error);
        return;
    }
    run_connected (all->run, index);
}

/* ------------------------------------------------------------------ sending */

/* Writes len bytes; keeps what the kernel does not take. False: lost. */
static bool write_out (struct connections *all,
                       uint32_t index,
                       const uint8_t *bytes,
                       size_t len)
{
    struct connection *connection = &all->table[index];
    ssize_t sent = send (connection->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        lose (all, index, errno);
        return false;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    if (done == len)
        return true;
    connection->unsent = malloc (len - done);
    if (!connection->unsent
        || watch (all, index, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT) != 0) {
        lose (all, index, ENOMEM);
        return false;
    }
    memcpy (connection->unsent, bytes + done, len - done);
    connection->unsent_len = len - done;
    connection->unsent_done = 0;
    return true;
}

static void fill_window (struct connections *all, uint32_t index, uint64_t now)
{
    struct connection *connection = &all->table[index];
    struct traffic *traffic = &all->run->traffic;
    struct window *window = &all->run->links[index].window;
    /* While something is unsent, EPOLLOUT brings us back here. */
    while (!connection->unsent) {
        size_t room = window_room (window, traffic);
        if (room > all->buffer_size / all->frame_size)
            room = all->buffer_size / all->frame_size;
        if (room == 0)
            return;
        uint8_t *frame = all->out;
        for (size_t i = 0; i < room; i++, frame += all->frame_size) {
            memcpy (frame, traffic->format.length, MESSAGE_LENGTH_SIZE);
            window_send (window, traffic, frame + MESSAGE_LENGTH_SIZE, now);
        }
        if (!write_out (all, index, all->out, room * all->frame_size))
            return;
    }
}

static void start_sending (void *state, uint32_t index)
{
    fill_window (state, index, clock_ns ());
}

static void on_writable (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    ssize_t sent = send (connection->fd,
                         connection->unsent + connection->unsent_done,
                         connection->unsent_len - connection->unsent_done,
                         MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lose (all, index, errno);
        return;
    }
    connection->unsent_done += (size_t) sent;
    if (connection->unsent_done < connection->unsent_len)
        return;
    free (connection->unsent);
    connection->unsent = NULL;
    if (watch (all, index, EPOLL_CTL_MOD, EPOLLIN) != 0) {
        lose (all, index, errno);
        return;
    }
    fill_window (all, index, clock_ns ());
}

/* ---------------------------------------------------------------- receiving */

/* Takes in one whole frame. False when its length is wrong: nothing behind it
 * can be told apart any more. */
static bool take_frame (struct connections *all,
                        uint32_t index,
                        const uint8_t *frame,
                        uint64_t now)
{
    struct traffic *traffic = &all->run->traffic;
    if (memcmp (frame, traffic->format.length, MESSAGE_LENGTH_SIZE) != 0) {
        traffic->tally.wrong_length++;
        lose (all, index, EBADMSG);
        return false;
    }
    window_recv (&all->run->links[index].window, traffic,
                 frame + MESSAGE_LENGTH_SIZE, now);
    return true;
}

/* Takes in the frames of all->in, and puts a begun one aside. */
static bool
take_frames (struct connections *all, uint32_t index, size_t len, uint64_t now)
{
    struct connection *connection = &all->table[index];
    const uint8_t *frame = all->in;
    for (; len >= all->frame_size; len -= all->frame_size) {
        if (!take_frame (all, index, frame, now))
            return false;
        frame += all->frame_size;
    }
    if (len == 0) {
        free (connection->part);
        connection->part = NULL;
    } else {
        if (!connection->part)
            connection->part = malloc (all->frame_size);
        if (!connection->part) {
            lose (all, index, ENOMEM);
            return false;
        }
        memcpy (connection->part, frame, len);
    }
    connection->part_len = (uint32_t) len;
    return true;
}

static void on_readable (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    size_t missing =
      connection->part_len ? all->frame_size - connection->part_len : 0;
    struct iovec pieces[2] = {
      {connection->part_len ? connection->part + connection->part_len : NULL,
       missing},
      {all->in, all->buffer_size},
    };
    int skip = missing == 0;
    ssize_t got = readv (connection->fd, pieces + skip, 2 - skip);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            lose (all, index, got == 0 ? 0 : errno);
        return;
    }
    uint64_t now = clock_ns ();
    size_t len = (size_t) got;
    if (len < missing) {
        connection->part_len += (uint32_t) len;
        return;
    }
    if (missing > 0 && !take_frame (all, index, connection->part, now))
        return;
    if (take_frames (all, index, len - missing, now))
        fill_window (all, index, now);
}

/* ---------------------------------------------------------------- transport */

static void serve (void *state, uint64_t timeout_ns)
{
    struct connections *all = state;
    struct epoll_event events[EVENTS];
    const struct timespec timeout = {
      .tv_sec = (time_t) (timeout_ns / NS_PER_S),
      .tv_nsec = (long) (timeout_ns % NS_PER_S),
    };
    int count = epoll_pwait2 (all->epoll, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        uint32_t index = events[i].data.u32;
        struct connection *connection = &all->table[index];
        if (all->run->links[index].state == LINK_CONNECTING) {
            end_connect (all, index);
            continue;
        }
        if (connection->unsent && events[i].events & EPOLLOUT)
            on_writable (all, index);
        if (connection->fd >= 0
            && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            on_readable (all, index);
    }
}

static void close_one (void *state, uint32_t index)
{
    struct connections *all = state;
    release (&all->table[index]);
}

struct connections *connections_new (struct run *run)
{
    const struct options *options = run->options;
    struct connections *all = calloc (1, sizeof *all);
    if (!all)
        return NULL;
    all->run = run;
    all->address.sin_family = AF_INET;
    all->address.sin_port = htons ((uint16_t) options->port);
    all->frame_size = MESSAGE_LENGTH_SIZE + (size_t) options->size;
    all->buffer_size =
      all->frame_size > BUFFER_SIZE ? all->frame_size : BUFFER_SIZE;
    all->in = malloc (all->buffer_size);
    all->out = malloc (all->buffer_size);
    all->table = calloc ((size_t) options->ccu, sizeof *all->table);
    all->epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (!all->in || !all->out || !all->table || all->epoll < 0) {
        perror ("cannot prepare the connections");
        connections_free (all);
        return NULL;
    }
    for (long i = 0; i < options->ccu; i++)
        all->table[i].fd = -1;
    if (inet_pton (AF_INET, options->host, &all->address.sin_addr) != 1) {
        fprintf (stderr, "--host %s: not an IPv4 address\n", options->host);
        connections_free (all);
        return NULL;
    }
    run->transport = (struct transport){
      .state = all,
      .connect = start_connect,
      .serve = serve,
      .send = start_sending,
      .close = close_one,
    };
    return all;
}

void connections_free (struct connections *all)
{
    if (all->epoll >= 0)
        close (all->epoll);
    free (all->in);
    free (all->out);
    free (all->table);
    free (all);
}

/* SPDX-License-Identifier: MPL-2.0 */
#include "connection.h"

#include "dial.h"
#include "layer.h"
#include "silent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS 128
#define BUFFER_SIZE (256 * 1024)
#define RETRY_MS 1 /* until a full backlog is tried again */
#define SILENT UINT32_MAX /* the silent connections, in epoll's data */
#define SILENT_MS 5000    /* that they may take to open */

/* Both buffers are NULL while they hold nothing, which is nearly always: a
 * connection that waits costs this struct and no more. */
struct connection
{
    int fd;            /* -1: closed, or waiting for room in a backlog */
    uint32_t part_len; /* bytes in part */
    uint8_t *part;     /* the beginning of a frame whose rest is to come */
    uint8_t *unsent;   /* what the kernel did not take of the last write */
    size_t unsent_len, unsent_done;
    struct channel *channel; /* NULL: frames are what goes over the wire */
};

struct connections
{
    struct run *run;
    struct connection *table;
    struct dial dial;
    struct layers layers;
    int epoll;
    size_t frame_size;
    size_t buffer_size; /* of each of the two below, at least one frame */
    uint8_t *in, *out;  /* shared by all connections */
    uint8_t *out_start; /* of out's memory, LAYER_HEADROOM before it */
    uint32_t *retries;  /* connections that found a backlog full */
    uint32_t retry_count;
    struct silent *silent; /* NULL: there are none */
};

/* One of them, for what a channel sends. */
struct place
{
    struct connections *all;
    uint32_t index;
};

static int
watch (struct connections *all, uint32_t index, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = index};
    return epoll_ctl (all->epoll, op, all->table[index].fd, &event);
}

static void release (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    if (connection->fd >= 0)
        close (connection->fd);
    free (connection->part);
    free (connection->unsent);
    if (connection->channel)
        channel_free (&all->layers, connection->channel);
    *connection = (struct connection){.fd = -1};
}

static void lose (struct connections *all, uint32_t index, int error)
{
    release (all, index);
    if (all->run->links[index].state == LINK_CONNECTING)
        run_connect_failed (all->run, index, error);
    else
        run_lost (all->run, index, error);
}

/* ------------------------------------------------------------------ sending */

/* Writes len bytes; keeps what the kernel does not take. Returns an errno. */
static int write_out (struct connections *all,
                      uint32_t index,
                      const uint8_t *bytes,
                      size_t len)
{
    struct connection *connection = &all->table[index];
    ssize_t sent = send (connection->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return errno;
    size_t done = sent < 0 ? 0 : (size_t) sent;
    if (done == len)
        return 0;
    connection->unsent = malloc (len - done);
    if (!connection->unsent
        || watch (all, index, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT) != 0)
        return ENOMEM;
    memcpy (connection->unsent, bytes + done, len - done);
    connection->unsent_len = len - done;
    connection->unsent_done = 0;
    return 0;
}

/* What a layer has to say goes behind what is unsent. */
static int send_behind (void *owner, const uint8_t *bytes, size_t len)
{
    const struct place *place = owner;
    struct connection *connection = &place->all->table[place->index];
    if (!connection->unsent)
        return write_out (place->all, place->index, bytes, len);
    uint8_t *longer =
      realloc (connection->unsent, connection->unsent_len + len);
    if (!longer)
        return ENOMEM;
    memcpy (longer + connection->unsent_len, bytes, len);
    connection->unsent = longer;
    connection->unsent_len += len;
    return 0;
}

/* Sends the first len bytes of all->out. False: lost. */
static bool send_frames (struct connections *all, uint32_t index, size_t len)
{
    struct channel *channel = all->table[index].channel;
    struct span data = {all->out, len};
    int error = channel ? channel_encode (&all->layers, channel, &data) : 0;
    if (error == 0)
        error = write_out (all, index, data.bytes, data.len);
    if (error)
        lose (all, index, error);
    return error == 0;
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
        if (!send_frames (all, index, room * all->frame_size))
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

/* Takes in frames, and puts a begun one aside. */
static bool take_frames (struct connections *all,
                         uint32_t index,
                         const uint8_t *frame,
                         size_t len,
                         uint64_t now)
{
    struct connection *connection = &all->table[index];
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

/* Bytes that the frame still needs whose beginning was put aside. */
static size_t missing_bytes (const struct connections *all,
                             const struct connection *connection)
{
    return connection->part_len ? all->frame_size - connection->part_len : 0;
}

/* A descriptor without layers: a begun frame is read to its place at once. */
static void on_readable (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    size_t missing = missing_bytes (all, connection);
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
    if (take_frames (all, index, all->in, len - missing, now))
        fill_window (all, index, now);
}

/* Takes in bytes of frames that came through layers. False: lost. */
static bool take_bytes (struct connections *all,
                        uint32_t index,
                        struct span data,
                        uint64_t now)
{
    struct connection *connection = &all->table[index];
    size_t missing = missing_bytes (all, connection);
    if (missing > 0) {
        size_t len = data.len < missing ? data.len : missing;
        memcpy (connection->part + connection->part_len, data.bytes, len);
        connection->part_len += (uint32_t) len;
        data.bytes += len;
        data.len -= len;
        if (len < missing)
            return true;
        if (!take_frame (all, index, connection->part, now))
            return false;
    }
    return take_frames (all, index, data.bytes, data.len, now);
}

/* Gives the layers what has come, which is nothing at first. */
static void take_in (struct connections *all, uint32_t index, size_t len)
{
    struct channel *channel = all->table[index].channel;
    struct place place = {all, index};
    struct span data = {all->in, len};
    uint64_t now = clock_ns ();
    int error = channel_take (&all->layers, channel, &data, send_behind, &place);
    if (all->run->links[index].state == LINK_CONNECTING
        && channel->opened == all->layers.count)
        run_connected (all->run, index);
    if (data.len > 0 && !take_bytes (all, index, data, now))
        return;
    if (error)
        lose (all, index, error);
    else if (data.len > 0)
        fill_window (all, index, now);
}

static void on_readable_layers (struct connections *all, uint32_t index)
{
    ssize_t got = read (all->table[index].fd, all->in, all->buffer_size);
    if (got > 0)
        take_in (all, index, (size_t) got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        lose (all, index, got == 0 ? 0 : errno);
}

/* --------------------------------------------------------------- connecting */

static int start_connect (void *state, uint32_t index)
{
    struct connections *all = state;
    struct connection *connection = &all->table[index];
    connection->fd = dial_start (&all->dial);
    if (connection->fd < 0) {
        if (errno != EAGAIN)
            return errno;
        all->retries[all->retry_count++] = index;
        return 0;
    }
    if (watch (all, index, EPOLL_CTL_ADD, EPOLLOUT) != 0) {
        int error = errno;
        release (all, index);
        return error;
    }
    return 0;
}

/* Those that find the backlog full again come back into the list. */
static void retry_connects (struct connections *all)
{
    uint32_t count = all->retry_count;
    all->retry_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = all->retries[i];
        if (all->run->links[index].state != LINK_CONNECTING)
            continue;
        int error = start_connect (all, index);
        if (error)
            run_connect_failed (all->run, index, error);
    }
}

static void end_connect (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    int error = dial_result (connection->fd);
    if (error == 0 && watch (all, index, EPOLL_CTL_MOD, EPOLLIN) != 0)
        error = errno;
    if (error == 0 && all->layers.count > 0) {
        connection->channel = channel_new (&all->layers);
        error = connection->channel ? 0 : ENOMEM;
    }
    if (error)
        lose (all, index, error);
    else if (connection->channel)
        take_in (all, index, 0);
    else
        run_connected (all->run, index);
}

/* ---------------------------------------------------------------- transport */

static void serve_silent (struct connections *all)
{
    silent_serve (all->silent);
    all->run->measures.silent = silent_count (all->silent);
    all->run->measures.silent_ended = (long) silent_ended (all->silent);
}

static void open_silent (void *state)
{
    struct connections *all = state;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = SILENT};
    all->silent = silent_new (&all->dial, (uint32_t) all->run->options->silent);
    if (!all->silent)
        return;
    silent_open (all->silent, SILENT_MS);
    epoll_ctl (all->epoll, EPOLL_CTL_ADD, silent_descriptor (all->silent),
               &event);
    serve_silent (all);
}

static void serve (void *state, int timeout_ms)
{
    struct connections *all = state;
    struct epoll_event events[EVENTS];
    if (all->retry_count > 0) {
        retry_connects (all);
        timeout_ms = timeout_ms < RETRY_MS ? timeout_ms : RETRY_MS;
    }
    int count = epoll_wait (all->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        uint32_t index = events[i].data.u32;
        if (index == SILENT) {
            serve_silent (all);
            continue;
        }
        struct connection *connection = &all->table[index];
        if (all->run->links[index].state == LINK_CONNECTING
            && !connection->channel) {
            end_connect (all, index);
            continue;
        }
        if (connection->unsent && events[i].events & EPOLLOUT)
            on_writable (all, index);
        if (connection->fd < 0
            || !(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            continue;
        if (connection->channel)
            on_readable_layers (all, index);
        else
            on_readable (all, index);
    }
}

static void close_one (void *state, uint32_t index)
{
    struct connections *all = state;
    struct connection *connection = &all->table[index];
    struct place place = {all, index};
    if (connection->channel && !connection->unsent)
        channel_leave (&all->layers, connection->channel, send_behind, &place);
    release (all, index);
}

struct connections *connections_new (struct run *run)
{
    const struct options *options = run->options;
    struct connections *all = calloc (1, sizeof *all);
    if (!all)
        return NULL;
    all->run = run;
    all->frame_size = MESSAGE_LENGTH_SIZE + (size_t) options->size;
    all->buffer_size =
      all->frame_size > BUFFER_SIZE ? all->frame_size : BUFFER_SIZE;
    all->in = malloc (all->buffer_size);
    all->out_start = malloc (LAYER_HEADROOM + all->buffer_size);
    all->out = all->out_start + LAYER_HEADROOM;
    all->table = calloc ((size_t) options->ccu, sizeof *all->table);
    all->retries = calloc ((size_t) options->ccu, sizeof *all->retries);
    all->epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (!all->in || !all->out_start || !all->table || !all->retries
        || all->epoll < 0) {
        perror ("cannot prepare the connections");
        connections_free (all);
        return NULL;
    }
    for (long i = 0; i < options->ccu; i++)
        all->table[i].fd = -1;
    if (dial_init (&all->dial, options) != 0
        || layers_init (&all->layers, options, all->buffer_size) != 0) {
        connections_free (all);
        return NULL;
    }
    run->transport = (struct transport){
      .state = all,
      .connect = start_connect,
      .serve = serve,
      .send = start_sending,
      .close = close_one,
      .open_silent = open_silent,
    };
    return all;
}

void connections_free (struct connections *all)
{
    if (all->silent)
        silent_free (all->silent);
    if (all->epoll >= 0)
        close (all->epoll);
    layers_free (&all->layers);
    free (all->in);
    free (all->out_start);
    free (all->table);
    free (all->retries);
    free (all);
}

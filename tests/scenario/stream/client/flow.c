/* SPDX-License-Identifier: MPL-2.0 */
#include "flow.h"

#include "flow_counted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int flow_watch (struct connections *all, uint32_t index, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = index};
    return epoll_ctl (all->epoll, op, all->table[index].fd, &event);
}

void flow_release (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    if (connection->fd >= 0)
        close (connection->fd);
    free (connection->part);
    free (connection->kept);
    if (connection->channel)
        channel_free (&all->layers, connection->channel);
    *connection = (struct connection) {.fd = -1};
}

void flow_lose (struct connections *all, uint32_t index, int error)
{
    flow_release (all, index);
    if (all->run->links[index].state == LINK_CONNECTING)
        run_connect_failed (all->run, index, error);
    else
        run_lost (all->run, index, error);
}

/* ------------------------------------------------------------------ sending */

int flow_write (struct connections *all,
                uint32_t index,
                struct span bytes,
                const uint8_t *lasting)
{
    struct connection *connection = &all->table[index];
    ssize_t sent = send (connection->fd, bytes.bytes, bytes.len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return errno;
    size_t done = sent < 0 ? 0 : (size_t) sent;
    if (done == bytes.len)
        return 0;
    connection->unsent = bytes.bytes + done;
    connection->unsent_len = bytes.len - done;
    if (!lasting || connection->unsent < lasting) {
        connection->kept = malloc (connection->unsent_len);
        if (!connection->kept)
            return ENOMEM;
        memcpy (connection->kept, connection->unsent, connection->unsent_len);
        connection->unsent = connection->kept;
    }
    return flow_watch (all, index, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT) == 0
             ? 0
             : errno;
}

int flow_send_behind (void *owner, const uint8_t *bytes, size_t len)
{
    const struct place *place = owner;
    struct connection *connection = &place->all->table[place->index];
    if (!connection->unsent)
        return flow_write (place->all, place->index,
                           (struct span) {(uint8_t *) bytes, len}, NULL);
    uint8_t *longer = malloc (connection->unsent_len + len);
    if (!longer)
        return ENOMEM;
    memcpy (longer, connection->unsent, connection->unsent_len);
    memcpy (longer + connection->unsent_len, bytes, len);
    free (connection->kept);
    connection->kept = longer;
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
        error = flow_write (all, index, data, NULL);
    if (error)
        flow_lose (all, index, error);
    return error == 0;
}

static void
fill_with_bytes (struct connections *all, uint32_t index, uint64_t now)
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

void flow_fill (struct connections *all, uint32_t index)
{
    if (all->counts)
        flow_counted_fill (all, index);
    else
        fill_with_bytes (all, index, clock_ns ());
}

void flow_writable (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    ssize_t sent = send (connection->fd, connection->unsent,
                         connection->unsent_len, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            flow_lose (all, index, errno);
        return;
    }
    connection->unsent += sent;
    connection->unsent_len -= (size_t) sent;
    if (connection->unsent_len > 0)
        return;
    free (connection->kept);
    connection->kept = NULL;
    connection->unsent = NULL;
    if (flow_watch (all, index, EPOLL_CTL_MOD, EPOLLIN) != 0) {
        flow_lose (all, index, errno);
        return;
    }
    flow_fill (all, index);
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
        flow_lose (all, index, EBADMSG);
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
            flow_lose (all, index, ENOMEM);
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
static void readable_plain (struct connections *all, uint32_t index)
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
            flow_lose (all, index, got == 0 ? 0 : errno);
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
        fill_with_bytes (all, index, now);
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

void flow_opened (struct connections *all, uint32_t index)
{
    if (all->run->links[index].state == LINK_CONNECTING
        && all->table[index].channel->opened == all->layers.count)
        run_connected (all->run, index);
}

/* Gives the layers len bytes that have come. */
static void take_in (struct connections *all, uint32_t index, size_t len)
{
    struct channel *channel = all->table[index].channel;
    struct place place = {all, index};
    struct span data = {all->in, len};
    uint64_t now = clock_ns ();
    int error =
      channel_take (&all->layers, channel, &data, flow_send_behind, &place);
    flow_opened (all, index);
    if (data.len > 0 && !take_bytes (all, index, data, now))
        return;
    if (error)
        flow_lose (all, index, error);
    else if (data.len > 0)
        fill_with_bytes (all, index, now);
}

static void readable_layers (struct connections *all, uint32_t index)
{
    ssize_t got = read (all->table[index].fd, all->in, all->buffer_size);
    if (got > 0)
        take_in (all, index, (size_t) got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        flow_lose (all, index, got == 0 ? 0 : errno);
}

void flow_readable (struct connections *all, uint32_t index)
{
    if (all->counts)
        flow_counted_readable (all, index);
    else if (all->table[index].channel)
        readable_layers (all, index);
    else
        readable_plain (all, index);
}

void flow_greet (struct connections *all, uint32_t index)
{
    if (all->counts)
        flow_counted_greet (all, index);
    else
        take_in (all, index, 0);
}

void flow_leave (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    struct place place = {all, index};
    if (connection->channel && !connection->unsent)
        channel_leave (&all->layers, connection->channel, flow_send_behind,
                       &place);
}

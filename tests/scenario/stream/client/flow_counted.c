/* SPDX-License-Identifier: MPL-2.0 */
#include "flow_counted.h"

#include "counted.h"

#include <errno.h>
#include <sys/socket.h>

#define READS 16 /* in a row, so that others are served in between */
/* From here on it is cheaper to read a frame's head alone and to have the system throw
 * the body away; at 16 KiB it costs the same. */
#define LONG_FRAME (32 * 1024)
#define HEAD_READ 512

/* Sends prebuilt bytes. False: lost. */
static bool send_prebuilt (struct connections *all,
                           uint32_t index,
                           struct span bytes,
                           const uint8_t *lasting)
{
    struct channel *channel = all->table[index].channel;
    const uint8_t *plain = bytes.bytes;
    int error =
      channel ? channel_encode_prebuilt (&all->layers, channel, &bytes) : 0;
    if (error == 0)
        error = flow_write (all, index, bytes,
                            bytes.bytes == plain ? lasting : NULL);
    if (error)
        flow_lose (all, index, error);
    return error == 0;
}

void flow_counted_fill (struct connections *all, uint32_t index)
{
    const struct prebuilt *prebuilt = &all->prebuilt;
    struct traffic *traffic = &all->run->traffic;
    struct window *window = &all->run->links[index].window;
    /* While something is unsent, EPOLLOUT brings us back here. */
    while (!all->table[index].unsent) {
        uint32_t count = window_room (window, traffic);
        if (count == 0)
            break;
        if (count > prebuilt->most)
            count = prebuilt->most;
        counted_send (window, traffic, count,
                      counted_times_send (window, count) ? clock_ns () : 0);
        if (!send_prebuilt (all, index, prebuilt_frames (prebuilt, count),
                            prebuilt->frames))
            return;
    }
    if (!all->table[index].unsent && counted_send_mark (window, traffic))
        send_prebuilt (all, index, prebuilt_mark (prebuilt), prebuilt->mark);
}

/* Whether the frame that has begun is the mark. */
static bool in_mark (const struct frames *frames, const struct traffic *traffic)
{
    return frames->left > 0
           && frames->length == COUNTED_MARK_SIZE (traffic->format.size);
}

/* Takes in bytes of frames. An error: a length is wrong, and nothing behind it can
 * be told apart any more. */
static int take (void *owner, struct span bytes)
{
    const struct place *place = owner;
    struct frames *frames = &place->all->table[place->index].frames;
    struct traffic *traffic = &place->all->run->traffic;
    struct window *window = &place->all->run->links[place->index].window;
    for (;;) {
        if (in_mark (frames, traffic)) {
            if (!frames_skip (frames, &bytes))
                return 0;
            counted_recv_mark (window, traffic);
        }
        uint32_t count;
        bool usual =
          frames_take (frames, traffic->format.size, &bytes, &count);
        if (count > 0)
            counted_recv (window, traffic, count,
                          counted_times_recv (window, count) ? clock_ns () : 0);
        if (usual)
            return 0;
        if (!in_mark (frames, traffic) || window->mark != MARK_SENT) {
            traffic->tally.wrong_length++;
            return EBADMSG;
        }
    }
}

/* Takes in the first len bytes of all->in. Returns an errno or a protocol error. */
static int take_in (struct connections *all, uint32_t index, size_t len)
{
    struct channel *channel = all->table[index].channel;
    struct place place = {all, index};
    struct span data = {all->in, len};
    if (!channel)
        return take (&place, data);
    int error = channel_scan (&all->layers, channel, data, take,
                              flow_send_behind, &place);
    flow_opened (all, index);
    return error;
}

void flow_counted_greet (struct connections *all, uint32_t index)
{
    int error = take_in (all, index, 0);
    if (error)
        flow_lose (all, index, error);
}

/* Bytes of a body that are sure to come next, and are looked at by nobody. */
static uint64_t body_ahead (const struct connections *all,
                            const struct connection *connection)
{
    uint64_t data = connection->channel
                      ? channel_ahead (&all->layers, connection->channel)
                      : UINT64_MAX;
    return data < connection->frames.left ? data : connection->frames.left;
}

/* How much to read, and how. Bodies that are long the system throws away instead of
 * copying them (MSG_TRUNC), and what is in front of them is read by itself. */
static size_t next_read (const struct connections *all,
                         const struct connection *connection,
                         int *flags)
{
    *flags = 0;
    if (all->frame_size < LONG_FRAME
        || (connection->channel && !layers_show_ahead (&all->layers)))
        return all->buffer_size;
    uint64_t ahead = body_ahead (all, connection);
    if (ahead < HEAD_READ)
        return HEAD_READ;
    *flags = MSG_TRUNC;
    return ahead < all->buffer_size ? (size_t) ahead : all->buffer_size;
}

/* Reads what is there. False: the connection is lost. */
static bool read_all (struct connections *all, uint32_t index)
{
    const struct connection *connection = &all->table[index];
    for (int reads = 0; reads < READS; reads++) {
        int flags;
        size_t wanted = next_read (all, connection, &flags);
        ssize_t got = recv (connection->fd, all->in, wanted, flags);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        int error = got < 0 ? errno : got > 0 ? take_in (all, index, (size_t) got)
                                              : 0;
        if (got <= 0 || error) {
            flow_lose (all, index, error);
            return false;
        }
        if ((size_t) got < wanted)
            return true;
    }
    return true;
}

void flow_counted_readable (struct connections *all, uint32_t index)
{
    if (read_all (all, index))
        flow_counted_fill (all, index);
}

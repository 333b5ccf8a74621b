/* SPDX-License-Identifier: MPL-2.0 */
#include "flow_counted.h"

#include "counted.h"

#include <errno.h>
#include <unistd.h>

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

void flow_counted_take_in (struct connections *all, uint32_t index, size_t len)
{
    struct channel *channel = all->table[index].channel;
    struct place place = {all, index};
    struct span data = {all->in, len};
    int error = channel ? channel_scan (&all->layers, channel, data, take,
                                        flow_send_behind, &place)
                        : take (&place, data);
    if (channel)
        flow_opened (all, index);
    if (error)
        flow_lose (all, index, error);
    else
        flow_counted_fill (all, index);
}

void flow_counted_readable (struct connections *all, uint32_t index)
{
    ssize_t got = read (all->table[index].fd, all->in, all->buffer_size);
    if (got > 0)
        flow_counted_take_in (all, index, (size_t) got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        flow_lose (all, index, got == 0 ? 0 : errno);
}

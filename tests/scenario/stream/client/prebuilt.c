/* SPDX-License-Identifier: MPL-2.0 */
#include "prebuilt.h"

#include "counted.h"
#include "websocket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SEND_SIZE (1024 * 1024) /* at a time, but at least one frame */

static void write_length (uint8_t *frame, size_t size)
{
    for (int i = 0; i < MESSAGE_LENGTH_SIZE; i++)
        frame[i] = (uint8_t) (size >> (8 * (MESSAGE_LENGTH_SIZE - 1 - i)));
}

/* The mark is a frame that ends earlier. */
static void write_all (const struct prebuilt *prebuilt,
                       const struct message_format *format)
{
    uint8_t *frame = prebuilt->frames;
    for (uint32_t i = 0; i < prebuilt->most; i++) {
        struct message message = {.phase = PHASE_MEASURE, .sequence = i};
        memcpy (frame, format->length, MESSAGE_LENGTH_SIZE);
        message_write (format, frame + MESSAGE_LENGTH_SIZE, &message);
        frame += prebuilt->frame_size;
    }
    memcpy (prebuilt->mark, prebuilt->frames, prebuilt->frame_size);
    write_length (prebuilt->mark, COUNTED_MARK_SIZE (format->size));
}

int prebuilt_init (struct prebuilt *prebuilt,
                   const struct message_format *format,
                   uint32_t inflight,
                   bool web)
{
    *prebuilt = (struct prebuilt) {
      .frame_size = MESSAGE_LENGTH_SIZE + format->size, .web = web};
    size_t most = SEND_SIZE / prebuilt->frame_size;
    most = most > inflight ? inflight : most;
    prebuilt->most = most > 0 ? (uint32_t) most : 1;
    size_t size = prebuilt->most * prebuilt->frame_size;
    prebuilt->memory =
      malloc (2 * LAYER_HEADROOM + size + prebuilt->frame_size);
    if (!prebuilt->memory)
        return -1;
    prebuilt->frames = prebuilt->memory + LAYER_HEADROOM;
    prebuilt->mark = prebuilt->frames + size + LAYER_HEADROOM;
    write_all (prebuilt, format);
    if (web) {
        if (getrandom (prebuilt->mask, sizeof prebuilt->mask, 0) < 0)
            return -1;
        websocket_mask (prebuilt->frames, size, prebuilt->mask);
        websocket_mask (prebuilt->mark, prebuilt->frame_size, prebuilt->mask);
    }
    return 0;
}

void prebuilt_free (struct prebuilt *prebuilt)
{
    free (prebuilt->memory);
    prebuilt->memory = NULL;
}

static struct span
with_header (const struct prebuilt *prebuilt, uint8_t *payload, size_t len)
{
    if (!prebuilt->web)
        return (struct span) {payload, len};
    struct websocket_header header = {.final = true,
                                      .masked = true,
                                      .opcode = WEBSOCKET_BINARY,
                                      .len = len};
    memcpy (header.mask, prebuilt->mask, sizeof header.mask);
    uint8_t bytes[WEBSOCKET_MAX_HEADER];
    size_t size = websocket_header_write (&header, bytes);
    memcpy (payload - size, bytes, size);
    return (struct span) {payload - size, len + size};
}

struct span prebuilt_frames (const struct prebuilt *prebuilt, uint32_t count)
{
    return with_header (prebuilt, prebuilt->frames,
                        count * prebuilt->frame_size);
}

struct span prebuilt_mark (const struct prebuilt *prebuilt)
{
    return with_header (prebuilt, prebuilt->mark, prebuilt->frame_size - 1);
}

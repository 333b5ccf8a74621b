/* SPDX-License-Identifier: MPL-2.0 */
#include "frames.h"

#include <endian.h>
#include <string.h>

static void advance (struct span *bytes, size_t len)
{
    bytes->bytes += len;
    bytes->len -= len;
}

bool frames_skip (struct frames *frames, struct span *bytes)
{
    size_t len = bytes->len < frames->left ? bytes->len : frames->left;
    frames->left -= (uint32_t) len;
    advance (bytes, len);
    return frames->left == 0;
}

/* Reads a length that may come in pieces. False: more have to come. */
static bool take_length (struct frames *frames, struct span *bytes)
{
    while (frames->length_len < MESSAGE_LENGTH_SIZE) {
        if (bytes->len == 0)
            return false;
        frames->length_part[frames->length_len++] = *bytes->bytes;
        advance (bytes, 1);
    }
    const uint8_t *l = frames->length_part;
    frames->length = (uint32_t) l[0] << 24 | (uint32_t) l[1] << 16
                     | (uint32_t) l[2] << 8 | l[3];
    frames->left = frames->length;
    frames->length_len = 0;
    return true;
}

/* Most frames have come whole. */
static uint32_t take_whole (size_t size, struct span *bytes)
{
    const uint32_t usual = htobe32 ((uint32_t) size);
    const size_t frame_size = MESSAGE_LENGTH_SIZE + size;
    uint32_t count = 0, length;
    for (; bytes->len >= frame_size; count++) {
        memcpy (&length, bytes->bytes, sizeof length);
        if (length != usual)
            break;
        advance (bytes, frame_size);
    }
    return count;
}

bool frames_take (struct frames *frames,
                  size_t size,
                  struct span *bytes,
                  uint32_t *count)
{
    *count = frames->left > 0 && frames_skip (frames, bytes);
    while (frames->left == 0) {
        if (frames->length_len == 0)
            *count += take_whole (size, bytes);
        if (!take_length (frames, bytes))
            break;
        if (frames->length != size)
            return false;
        *count += frames_skip (frames, bytes);
    }
    return true;
}

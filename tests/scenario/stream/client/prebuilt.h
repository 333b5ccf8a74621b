/* SPDX-License-Identifier: MPL-2.0 */
/* Bytes to send that are made once for all connections, where echoes are only
 * counted: a window's frames, and the mark. Over a WebSocket they are masked, with
 * one mask for the run. */
#ifndef SCENARIO_PREBUILT_H
#define SCENARIO_PREBUILT_H

#include "layer.h"
#include "message.h"

struct prebuilt
{
    uint8_t *memory;
    uint8_t *frames, *mark;
    size_t frame_size;
    uint32_t most; /* frames at a time */
    bool web;      /* they are payload, and get a header */
    uint8_t mask[4];
};

/* web: what is sent at a time is one WebSocket message. 0, or -1 when there is no
 * memory. */
int prebuilt_init (struct prebuilt *prebuilt,
                   const struct message_format *format,
                   uint32_t inflight,
                   bool web);
void prebuilt_free (struct prebuilt *prebuilt);

/* The next count frames, at most prebuilt->most, or the mark. The payload stays as
 * it is, but a header in front of it only until the next call. */
struct span prebuilt_frames (const struct prebuilt *prebuilt, uint32_t count);
struct span prebuilt_mark (const struct prebuilt *prebuilt);

#endif

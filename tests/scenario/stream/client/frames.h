/* SPDX-License-Identifier: MPL-2.0 */
/* Finds the frames in a connection's bytes by their lengths. Bodies are passed
 * over. */
#ifndef SCENARIO_FRAMES_H
#define SCENARIO_FRAMES_H

#include "layer.h"
#include "message.h"

#include <stdbool.h>
#include <stdint.h>

/* How far the frame has come that is not whole yet. */
struct frames
{
    uint32_t length; /* of its body */
    uint32_t left;   /* of these bytes; 0: the length is still to come … */
    uint8_t length_part[MESSAGE_LENGTH_SIZE];
    uint8_t length_len; /* … but for so many bytes */
};

/* Takes frames whose bodies have the given size away from bytes, and counts those
 * that are whole by now. False: then comes one of another length, which is taken,
 * too. */
bool frames_take (struct frames *frames,
                  size_t size,
                  struct span *bytes,
                  uint32_t *count);

/* Passes over what is there of a body. True: it has ended. */
bool frames_skip (struct frames *frames, struct span *bytes);

#endif

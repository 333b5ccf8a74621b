/* SPDX-License-Identifier: MPL-2.0 */
/* One line on the terminal, rewritten every second. Nothing when stderr is not
 * a terminal. */
#ifndef SCENARIO_PROGRESS_H
#define SCENARIO_PROGRESS_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

struct progress
{
    const char *before, *stack, *label;
    bool on;
    uint32_t ccu;
    uint64_t shown_ns, shown_echoes; /* when the line was last written */
};

/* before: text in front of the line, or NULL. */
void progress_begin (struct progress *progress,
                     const char *before,
                     const char *stack,
                     const char *label,
                     uint32_t ccu);

/* Rewrites the line when a second has passed. */
void progress_update (struct progress *progress,
                      enum phase phase,
                      uint64_t now_ns,
                      uint64_t phase_end_ns,
                      uint32_t open,
                      uint64_t echoes);

/* Clears the line. */
void progress_end (struct progress *progress);

#endif

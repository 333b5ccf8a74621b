/* SPDX-License-Identifier: MPL-2.0 */
/* The check "frames" of a window: messages are numbers that are added up, and an
 * echo is known by its length only. Nothing is asked of an echo but that it is
 * awaited, so one that is missing and one too many look alike while others
 * follow. The mark tells them apart: the last message of a connection, sent when
 * the run drains, which is a byte shorter than the others. An echo behind
 * which it does not come is one too many, and those it comes before are missing. */
#ifndef SCENARIO_COUNTED_H
#define SCENARIO_COUNTED_H

#include "window.h"

/* Bytes of the mark's body. */
#define COUNTED_MARK_SIZE(size) ((size) - 1)

/* To be called before the run; 0, or -1 when there is no memory. */
int counted_init (struct traffic *traffic, uint32_t connections);
void counted_free (struct traffic *traffic);
void counted_window_init (struct window *window, const struct traffic *traffic);

/* Whether one of the next messages that are sent or awaited is timed. */
bool counted_times_send (const struct window *window, uint32_t count);
bool counted_times_recv (const struct window *window, uint32_t count);

/* Takes note of messages that are sent now; now_ns only matters when one of them is
 * timed. */
void counted_send (struct window *window,
                   struct traffic *traffic,
                   uint32_t count,
                   uint64_t now_ns);

/* The same of echoes that have come. */
void counted_recv (struct window *window,
                   struct traffic *traffic,
                   uint32_t count,
                   uint64_t now_ns);

/* Whether the mark is to be sent now: then it counts as sent. */
bool counted_send_mark (struct window *window, const struct traffic *traffic);

/* Takes in an echo as long as the mark. */
void counted_recv_mark (struct window *window, struct traffic *traffic);

#endif

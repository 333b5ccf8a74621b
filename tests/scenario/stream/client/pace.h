/* SPDX-License-Identifier: MPL-2.0 */
/* When messages are due that do not go out as fast as the windows allow, but at
 * a fixed rate. Time is cut into slots; slot k belongs to connection k modulo
 * the number of connections, whose next messages, a burst of them, are due at
 * its start. A message's number therefore says when it was due, also when a
 * full window held it back: its latency counts from there, and a server that
 * stalls cannot hide the messages that nobody could send meanwhile. */
#ifndef SCENARIO_PACE_H
#define SCENARIO_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace
{
    double slot_ns; /* 0: no pacing */
    uint32_t connections, burst;
    uint64_t start_ns; /* of slot 0 */
    uint64_t slots;    /* how many have begun, as far as they were looked at */
};

/* rate: messages per second of all connections together, 0: no pacing. */
void pace_init (struct pace *pace,
                uint64_t rate,
                uint32_t connections,
                uint32_t burst);

/* To be called when the first slot begins. */
void pace_start (struct pace *pace, uint64_t now_ns);

/* Moves on by one slot if that has begun, and tells whose it is. */
bool pace_next (struct pace *pace, uint64_t now_ns, uint32_t *connection);

/* Nanoseconds until the next slot begins. */
uint64_t pace_wait_ns (const struct pace *pace, uint64_t now_ns);

/* Messages of a connection that were due until now, since the start. */
uint64_t pace_due (const struct pace *pace, uint32_t connection);

/* When a message of a connection was due. */
uint64_t pace_time_ns (const struct pace *pace,
                       uint32_t connection,
                       uint64_t sequence);

#endif

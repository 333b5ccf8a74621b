/* SPDX-License-Identifier: MPL-2.0 */
#include "pace.h"

#define NS_PER_S 1e9

void pace_init (struct pace *pace,
                uint64_t rate,
                uint32_t connections,
                uint32_t burst)
{
    *pace = (struct pace) {.connections = connections, .burst = burst};
    if (rate > 0)
        pace->slot_ns = NS_PER_S * burst / (double) rate;
}

void pace_start (struct pace *pace, uint64_t now_ns)
{
    pace->start_ns = now_ns;
    pace->slots = 0;
}

static uint64_t begin_ns (const struct pace *pace, uint64_t slot)
{
    return pace->start_ns + (uint64_t) (pace->slot_ns * (double) slot);
}

bool pace_next (struct pace *pace, uint64_t now_ns, uint32_t *connection)
{
    if (now_ns < begin_ns (pace, pace->slots))
        return false;
    *connection = (uint32_t) (pace->slots++ % pace->connections);
    return true;
}

uint64_t pace_wait_ns (const struct pace *pace, uint64_t now_ns)
{
    uint64_t next = begin_ns (pace, pace->slots);
    return next > now_ns ? next - now_ns : 0;
}

uint64_t pace_due (const struct pace *pace, uint32_t connection)
{
    uint64_t rounds = pace->slots / pace->connections;
    return (rounds + (connection < pace->slots % pace->connections))
           * pace->burst;
}

uint64_t pace_time_ns (const struct pace *pace,
                       uint32_t connection,
                       uint64_t sequence)
{
    return begin_ns (pace, sequence / pace->burst * pace->connections
                             + connection);
}

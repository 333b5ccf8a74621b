/* SPDX-License-Identifier: MPL-2.0 */
#include "counted.h"

#include <stdlib.h>

int counted_init (struct traffic *traffic, uint32_t connections)
{
    traffic->sample_slots = traffic->inflight / traffic->sample_rate + 1;
    traffic->sample_times = calloc ((size_t) connections * traffic->sample_slots,
                                    sizeof *traffic->sample_times);
    return traffic->sample_times ? 0 : -1;
}

void counted_free (struct traffic *traffic)
{
    free (traffic->sample_times);
    traffic->sample_times = NULL;
}

/* The same messages are timed as where messages say when they were sent. */
void counted_window_init (struct window *window, const struct traffic *traffic)
{
    uint32_t place = window->connection % traffic->sample_rate;
    window->sample_send = (traffic->sample_rate - place) % traffic->sample_rate;
    window->sample_recv = window->sample_send;
}

bool counted_times_send (const struct window *window, uint32_t count)
{
    return window->sample_send < window->next_send + count;
}

bool counted_times_recv (const struct window *window, uint32_t count)
{
    return window->sample_recv < window->next_recv + count;
}

static uint64_t *
time_at (const struct window *window, struct traffic *traffic, uint32_t slot)
{
    return traffic->sample_times
           + (size_t) window->connection * traffic->sample_slots + slot;
}

static uint32_t next_slot (const struct traffic *traffic, uint32_t slot)
{
    return slot + 1 < traffic->sample_slots ? slot + 1 : 0;
}

void counted_send (struct window *window,
                   struct traffic *traffic,
                   uint32_t count,
                   uint64_t now_ns)
{
    if (window_room (window, traffic) < count)
        traffic->tally.gating_violation++;
    for (; counted_times_send (window, count);
         window->sample_send += traffic->sample_rate) {
        uint64_t *time = time_at (window, traffic, window->slot_send);
        *time = traffic->pace.slot_ns > 0
                  ? pace_time_ns (&traffic->pace, window->connection,
                                  window->sample_send)
                  : now_ns;
        window->slot_send = next_slot (traffic, window->slot_send);
    }
    window->next_send += count;
    if (traffic->phase == PHASE_MEASURE)
        traffic->tally.sent += count;
}

void counted_recv (struct window *window,
                   struct traffic *traffic,
                   uint32_t count,
                   uint64_t now_ns)
{
    struct tally *tally = &traffic->tally;
    uint64_t awaited = window->next_send - window->next_recv
                       - (window->mark == MARK_SENT);
    if (count > awaited) {
        tally->gating_violation += count - awaited;
        count = (uint32_t) awaited;
    }
    for (; counted_times_recv (window, count);
         window->sample_recv += traffic->sample_rate) {
        if (window->sample_recv >= window->first_measured)
            histogram_record (
              &tally->latency_ns,
              now_ns - *time_at (window, traffic, window->slot_recv));
        window->slot_recv = next_slot (traffic, window->slot_recv);
    }
    uint64_t before = window->next_recv, after = before + count;
    window->next_recv = after;
    tally->echoes += count;
    if (after > window->first_measured)
        tally->recv += after
                       - (before > window->first_measured
                            ? before
                            : window->first_measured);
}

bool counted_send_mark (struct window *window, const struct traffic *traffic)
{
    if (traffic->phase != PHASE_DRAIN || window->mark != MARK_NONE)
        return false;
    window->mark = MARK_SENT;
    window->next_send++;
    return true;
}

void counted_recv_mark (struct window *window, struct traffic *traffic)
{
    traffic->tally.wrong_number += window->next_send - 1 - window->next_recv;
    window->next_recv = window->next_send;
    window->mark = MARK_BACK;
}

/* SPDX-License-Identifier: MPL-2.0 */
#include "window.h"

void window_init (struct window *window, uint32_t connection)
{
    *window = (struct window) {.first_measured = UINT64_MAX,
                               .connection = connection};
}

void window_begin_measure (struct window *window)
{
    window->first_measured = window->next_send;
}

uint32_t window_room (const struct window *window,
                      const struct traffic *traffic)
{
    if (traffic->phase != PHASE_WARMUP && traffic->phase != PHASE_MEASURE)
        return 0;
    uint64_t end = window->next_recv + traffic->inflight;
    if (traffic->pace.slot_ns > 0) {
        uint64_t due = pace_due (&traffic->pace, window->connection);
        end = due < end ? due : end;
    }
    return window->next_send < end ? (uint32_t) (end - window->next_send) : 0;
}

void window_send (struct window *window,
                  struct traffic *traffic,
                  uint8_t *body,
                  uint64_t now_ns)
{
    if (window_room (window, traffic) == 0)
        traffic->tally.gating_violation++;
    if (traffic->pace.slot_ns > 0)
        now_ns = pace_time_ns (&traffic->pace, window->connection,
                               window->next_send);
    struct message message = {window->connection, traffic->phase,
                              window->next_send, now_ns};
    message_write (&traffic->format, body, &message);
    window->next_send++;
    if (traffic->phase == PHASE_MEASURE)
        traffic->tally.sent++;
}

static void record_latency (const struct message *message,
                            struct traffic *traffic,
                            uint64_t now_ns)
{
    /* The connection's index spreads the samples over the connections. */
    uint32_t place = (uint32_t) message->sequence + message->connection;
    if (place % traffic->sample_rate == 0)
        histogram_record (&traffic->tally.latency_ns,
                          message_age_ns (message, now_ns));
}

void window_recv (struct window *window,
                  struct traffic *traffic,
                  const uint8_t *body,
                  uint64_t now_ns)
{
    struct tally *tally = &traffic->tally;
    struct message message;
    if (!message_read (&traffic->format, body, &message)) {
        /* Its number cannot be trusted: let it stand for the awaited one, so
         * that one bad echo is not reported as many lost ones. */
        tally->wrong_bytes++;
        if (window->next_recv < window->next_send)
            window->next_recv++;
        return;
    }
    if (message.connection != window->connection) {
        tally->wrong_connection++;
        return;
    }
    if (message.sequence < window->next_recv
        || message.sequence >= window->next_send) {
        tally->gating_violation++;
        return;
    }
    tally->wrong_number += message.sequence - window->next_recv;
    window->next_recv = message.sequence + 1;

    enum phase sent_in = message.sequence >= window->first_measured
                           ? PHASE_MEASURE
                           : PHASE_WARMUP;
    if (message.phase != sent_in) {
        tally->gating_violation++;
        return;
    }
    tally->echoes++;
    if (message.phase == PHASE_MEASURE) {
        tally->recv++;
        record_latency (&message, traffic, now_ns);
    }
}

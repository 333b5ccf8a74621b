/* SPDX-License-Identifier: MPL-2.0 */
/* The messages of one connection: which number is sent next, which is awaited
 * next, and whether an echo is the one that is awaited. */
#ifndef SCENARIO_WINDOW_H
#define SCENARIO_WINDOW_H

#include "message.h"
#include "pace.h"
#include "tally.h"

#include <stdint.h>

/* What all windows of a run share. */
struct traffic
{
    struct message_format format;
    struct tally tally;
    struct pace pace;
    enum phase phase;
    uint32_t inflight; /* messages a window may hold */
    uint32_t sample_rate;
    /* Where echoes are counted: when the messages were sent that are timed,
     * sample_slots of them for each connection. NULL: messages say so. */
    uint64_t *sample_times;
    uint32_t sample_slots;
};

/* The last message of a connection where echoes are counted. */
enum mark
{
    MARK_NONE,
    MARK_SENT,
    MARK_BACK
};

struct window
{
    uint64_t next_send;
    uint64_t next_recv;
    uint64_t first_measured; /* lowest number sent in the measured phase */
    uint32_t connection;
    enum mark mark;
    /* Numbers of the next messages that are timed, and their places among the
     * connection's times. */
    uint64_t sample_send, sample_recv;
    uint32_t slot_send, slot_recv;
};

void window_init (struct window *window, uint32_t connection);

/* To be called when the measured phase begins. */
void window_begin_measure (struct window *window);

/* Number of messages that may be sent now. */
uint32_t window_room (const struct window *window,
                      const struct traffic *traffic);

/* Writes the body of the next message. */
void window_send (struct window *window,
                  struct traffic *traffic,
                  uint8_t *body,
                  uint64_t now_ns);

/* Takes in an echo of the right length. */
void window_recv (struct window *window,
                  struct traffic *traffic,
                  const uint8_t *body,
                  uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* What a run counts, and the verdict that follows from it. */
#ifndef SCENARIO_TALLY_H
#define SCENARIO_TALLY_H

#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_ERRORS 256 /* errno values are below this */

struct tally
{
    uint64_t connect_success, connect_fail, connect_timeout;
    uint64_t lost; /* open connections that ended before the run did */
    uint64_t sent; /* messages of the measured phase */
    uint64_t recv; /* echoes of these, whenever they came */
    uint64_t echoes; /* good echoes of any phase */
    uint64_t gating_violation;
    uint64_t wrong_bytes, wrong_length, wrong_connection;
    uint64_t wrong_number; /* numbers that were passed over */
    uint64_t drain_timeout; /* connections whose answers did not all come */
    bool deadline;          /* the run took too long and was ended */
    bool server_ended;      /* the server ended before the run did */
    struct histogram latency_ns;
    uint64_t errors[TALLY_ERRORS]; /* by errno; [0]: the peer closed */
};

void tally_error (struct tally *tally, int error);

double tally_incomplete_ratio (const struct tally *tally);

/* Writes "ECONNRESET:3;EOF:1", or "-" when there was no error. */
void tally_errors_text (const struct tally *tally, char *text, size_t size);

/* Writes why the run failed, as "wrong_bytes;drain_timeout", or "-" when it
 * passed, and returns whether it passed. */
bool tally_verdict (const struct tally *tally,
                    uint64_t ccu,
                    bool has_traffic,
                    char *reasons,
                    size_t size);

#endif

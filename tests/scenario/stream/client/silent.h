/* SPDX-License-Identifier: MPL-2.0 */
/* Connections that are opened and then say nothing, not even a handshake's
 * first byte. Each gives way to a new one when its time is over, and also when
 * the server ends it. */
#ifndef SCENARIO_SILENT_H
#define SCENARIO_SILENT_H

#include "dial.h"

#include <stdint.h>

struct silent;

/* stay_s: how long one stays, 0: until the server ends it. NULL: the reason was
 * printed. */
struct silent *
silent_new (struct dial *dial, uint32_t count, double stay_s);
void silent_free (struct silent *silent);

/* Opens them all; returns when all are open or the time is over. */
void silent_open (struct silent *silent, int timeout_ms);

/* A descriptor that is readable when silent_serve has something to do. */
int silent_descriptor (const struct silent *silent);
void silent_serve (struct silent *silent);

/* How many are open now, how many gave way, and how many the server ended. */
uint32_t silent_count (const struct silent *silent);
uint64_t silent_replaced (const struct silent *silent);
uint64_t silent_ended (const struct silent *silent);

#endif

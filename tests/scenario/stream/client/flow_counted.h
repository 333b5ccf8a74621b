/* SPDX-License-Identifier: MPL-2.0 */
/* The flow of connections whose echoes are only counted: what it sends is
 * prebuilt, and what comes is passed over from length to length. */
#ifndef SCENARIO_FLOW_COUNTED_H
#define SCENARIO_FLOW_COUNTED_H

#include "flow.h"

/* Sends what the window has room for, or the mark. */
void flow_counted_fill (struct connections *all, uint32_t index);

/* Serves a descriptor that is readable. */
void flow_counted_readable (struct connections *all, uint32_t index);

/* Begins the handshakes of a connection that has layers. */
void flow_counted_greet (struct connections *all, uint32_t index);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* The neutral transport: plain non-blocking TCP sockets on one epoll. */
#ifndef SCENARIO_CONNECTION_H
#define SCENARIO_CONNECTION_H

#include "run.h"

struct connections;

/* Makes the connections' table and puts the transport into run. NULL: the
 * reason was printed. */
struct connections *connections_new (struct run *run);
void connections_free (struct connections *connections);

#endif

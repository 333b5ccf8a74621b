/* SPDX-License-Identifier: MPL-2.0 */
/* The neutral transport: non-blocking sockets on one epoll, with layers above
 * them where the transport has any. */
#ifndef SCENARIO_CONNECTION_H
#define SCENARIO_CONNECTION_H

#include "run.h"

struct connections;

/* Makes the connections' table and puts the transport into run. NULL: the
 * reason was printed. */
struct connections *connections_new (struct run *run);
void connections_free (struct connections *connections);

#endif

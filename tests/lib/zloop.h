/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server in somebody else's event loop, and the clients that load it;
 * what the loop's descriptor callback has to do is zt_loop_ready. */
#ifndef ZLOOP_H_INCLUDED
#define ZLOOP_H_INCLUDED

#include "ztest.h"

typedef struct zt_loop_t
{
    void *server;
    int port;
    int fd;       /* ZLINK_FD */
    int expected; /* messages that the clients send */
    int echoed;
    pthread_t clients[4];
} zt_loop_t;

/* Binds a server and starts clients that send one message at a time and wait
 * for its echo, so that a wake-up that gets lost stops them for good. */
void zt_loop_start (zt_loop_t *loop, void *ctx, int messages);

/* The descriptor is readable: takes up to limit messages (0: all) and echoes
 * them. True when the last has been echoed. */
bool zt_loop_ready (zt_loop_t *loop, int limit);

void zt_loop_stop (zt_loop_t *loop);

#endif

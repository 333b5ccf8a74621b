/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A shard in C, for tests of the library's C half without Go: it takes the dirty
 * list, the queues of its sessions, and sends back to the receiver what it found
 * there, in slabs and runs, by the protocols of core/shm and core/engine. The zgo_
 * functions that the C half calls are here as well.
 */
#ifndef SHARD_H_INCLUDED
#define SHARD_H_INCLUDED

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

enum
{
    PEER_MAX = 8
};

/* Both are low, so that queues fill and sessions park all the time. */
enum
{
    SNDHWM = 200,
    RCVHWM = 100,
    THROTTLE = 256 << 10
};

/* Prepares pools and slots; once. */
void shard_begin (void);

/* Starts the shard's thread; shard_end waits until it has ended. */
void shard_start (void);
void shard_end (void);

/* Makes a socket on the shard with this many peers, named 1 and on, and returns its
 * handle. Before shard_start. */
void *shard_socket (bool fast, int peers);

zl_session *shard_session (void *handle, uint32_t peer);

/* Messages that the shard took out of queues, and calls of Resume. */
extern atomic_long shard_taken, shard_resumes, shard_parks, shard_slow_sends;

/* What path.h does between the two halves of a pop (ZL_GAP): now and then another
 * thread gets the processor. */
void shard_gap (void);

/* pools.c */
void pools_under_load (void);

/* Ends the program with a sentence unless what is true. */
void require (bool what, const char *sentence);

#endif

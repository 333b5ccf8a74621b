/* SPDX-License-Identifier: MPL-2.0 */
/* What the processes of an attack count, in memory that they share. */
#ifndef ATTACK_TALLY_H
#define ATTACK_TALLY_H

#include "histogram.h"
#include "message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Parts of a run: names of the phases of message.h. */
#define PART_ALONE PHASE_WARMUP
#define PART_ATTACK PHASE_MEASURE
#define PART_AFTER PHASE_DRAIN
#define PART_ELSEWHERE PHASE_IDLE
#define PARTS (PHASE_CLOSE + 1)

/* Bytes of a good client's message. */
#define GOOD_SIZE 128
/* What makes the server send by itself: the body of a message. */
#define PUSH_ORDER "push"

struct tally
{
    /* Orders */
    _Atomic uint32_t part; /* of the run, for what is sent now */
    atomic_bool stop;      /* good clients send nothing more */

    /* Good clients */
    _Atomic uint64_t connected;
    _Atomic uint64_t sent, checked; /* messages, and echoes that were right */
    _Atomic uint64_t wrong;         /* echoes that were not */
    _Atomic uint64_t lost;          /* clients whose connection ended */
    _Atomic uint64_t new_tried, new_served, new_failed;
    struct histogram echo[PARTS]; /* ns of a round trip */
    struct histogram fresh[PARTS]; /* ns from connect to the first echo */

    /* Attackers */
    _Atomic uint64_t opened; /* connections that came up */
    _Atomic uint64_t refused; /* that did not */
    _Atomic uint64_t cut;  /* that the server ended */
    _Atomic uint64_t open; /* now */
    _Atomic uint64_t bytes; /* sent */
};

/* Maps the shared memory of a descriptor; ends the process when it cannot. */
struct tally *tally_of (int fd);

static inline uint64_t now_ns (void)
{
    struct timespec t;
    clock_gettime (CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

#endif

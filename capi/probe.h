/* SPDX-License-Identifier: MPL-2.0 */
/* Where tracers of the system look on: USDT probes (probe.c, core/probe, doc/operate.md). */
#ifndef ZLINK_PROBE_H
#define ZLINK_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

/* Numbers of tracers, by probe, which the system changes: their low 16 bits are what it calls
 * semaphores. */
extern uint32_t zl_probes[ZL_PROBE_COUNT] __attribute__ ((visibility ("hidden")));

/* Whether somebody looks at a probe. */
static inline bool zl_probed (int probe)
{
    return __builtin_expect (__atomic_load_n (&zl_probes[probe], __ATOMIC_RELAXED) != 0, 0);
}

/* Passes a probe; core/probe says what a, b and text are. */
void zl_probe (int probe, uint64_t socket, uint32_t peer, uint64_t a, uint64_t b, const char *text);

#endif

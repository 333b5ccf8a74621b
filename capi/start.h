/* SPDX-License-Identifier: MPL-2.0 */
/* Go's start, and what it needs (start.c). */
#ifndef ZLINK_START_H
#define ZLINK_START_H

#include <stdbool.h>
#include <stddef.h>

enum
{
    /* The most threads that are tried at once. */
    ZL_MAX_TRIAL = 128
};

/* Starts Go unless it is up, or waits for another thread that is starting it. false with
 * errno and a detail; it may be called again then. */
bool zl_start (void);

/* Whether a start of Go has ever begun. */
bool zl_started (void);

/* Makes the key that reports the end of threads (loading.c). */
bool zl_make_key (void);

/* Whether the process can now have that many more threads. */
bool zl_can_start_threads (int count);

/* Whether a range of the address space of that size is free. */
bool zl_can_reserve (size_t size);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* Go's start, and what it takes (start.c). */
#ifndef ZLINK_START_H
#define ZLINK_START_H

#include <stdbool.h>
#include <stddef.h>

enum
{
    /* More are not tried for at once. */
    ZL_MAX_TRIAL = 128
};

/* Starts Go unless it is up, or waits for another thread that does; false with
 * errno and a detail. May be called again then. */
bool zl_start (void);

/* Whether Go was ever begun. */
bool zl_started (void);

/* Makes the key that tells of the end of threads (loading.c). */
bool zl_make_key (void);

/* Whether the process can have that many threads more at this moment. */
bool zl_can_start_threads (int count);

/* Whether so much of the address space can be had in one piece. */
bool zl_can_reserve (size_t size);

#endif

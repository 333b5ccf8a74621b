/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Assertions for the C half, like core/check for Go. The builds that test (ZLINK_CHECK) check
 * them; other builds do not even compute them. The sentence says what must hold.
 */
#ifndef ZLINK_CHECK_H
#define ZLINK_CHECK_H

#ifdef ZLINK_CHECK
#include <stdio.h>
#include <stdlib.h>

#define ZL_CHECK(what, sentence)                                           \
    do {                                                                   \
        if (!(what)) {                                                     \
            fprintf (stderr, "zlink: this does not hold: %s\n", sentence); \
            abort ();                                                      \
        }                                                                  \
    } while (0)
#else
#define ZL_CHECK(what, sentence) ((void) sizeof ((what) ? 1 : 0))
#endif

/* The caller holds the session's lock: nobody else may go on. */
#define ZL_CHECK_LOCKED(session)                                                    \
    ZL_CHECK (atomic_load (&(session)->tx_lock) == 1, "the session's lock is held")

#endif

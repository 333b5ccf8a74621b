/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What must hold in the C half, as core/check has it for Go: asserted in the builds that
 * test (ZLINK_CHECK), and not even computed in others. The sentence says what holds.
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

/* The caller holds the session's lock: nobody else would go on. */
#define ZL_CHECK_LOCKED(session)                                                    \
    ZL_CHECK (atomic_load (&(session)->tx_lock) == 1, "the session's lock is held")

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* The statistic memory beside resident memory. Include it after zfast.h. */
#ifndef ZRESIDENT_H_INCLUDED
#define ZRESIDENT_H_INCLUDED

#include <stdio.h>
#include <stdlib.h>

enum
{
    SLACK_KIB = 2 << 10
};

/* Without the pages of files, which come and go by themselves. */
static inline long resident_kib (void) { return (long) zt_rss_kb (); }

static inline zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats;
    stats.size = sizeof stats;
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats;
}

typedef struct both_t
{
    long resident, told;
} both_t;

static inline both_t look (void *s)
{
    both_t b = {resident_kib (), (long) (stats_of (s).memory >> 10)};
    return b;
}

/* A look once the free memory of earlier cases has gone back: it would be used again, and
 * resident memory would not grow. */
static inline both_t look_settled (void *s)
{
#if ZT_SCALE == 1
    long last = resident_kib ();
    for (int quiet = 0; quiet < 14; quiet++) {
        zt_pause_ms (250); /* free memory goes back after 2.25 s */
        long now = resident_kib ();
        if (labs (now - last) > 128) {
            quiet = 0;
            last = now;
        }
    }
#endif
    return look (s);
}

/* Not with sanitizers, which have memory of their own. */
static inline bool grows_alike (void *s, both_t before)
{
#if ZT_SCALE == 1
    both_t now = look (s);
    long resident = now.resident - before.resident;
    long told = now.told - before.told;
    printf ("resident grew by %ld KiB, memory by %ld\n", resident, told);
    return labs (told - resident) <= resident / 10 + SLACK_KIB;
#else
    (void) s, (void) before;
    return true;
#endif
}

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* The statistic memory grows as the resident memory of the process does, within a
 * tenth and 2 MiB. */
#include "ztest.h"
#include "zfast.h"

#include <stdio.h>

enum
{
    SLACK_KIB = 2 << 10,
    CLAIMS = 400,
    CLAIM_BYTES = 20000, /* that come of each */
    PEERS = 20,
    FLOOD_BYTES = 2 << 20 /* queued for each */
};

static long resident_kib (void)
{
    long pages = 0;
    FILE *f = fopen ("/proc/self/statm", "re");
    CHECK (f != NULL);
    CHECK_EQ (fscanf (f, "%*d %ld", &pages), 1);
    fclose (f);
    return pages * (sysconf (_SC_PAGESIZE) / 1024);
}

static zlink_stream_stats_t stats_of (void *s)
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

static both_t look (void *s)
{
    both_t b = {resident_kib (), (long) (stats_of (s).memory >> 10)};
    return b;
}

static void grew_alike (void *s, both_t before)
{
#if ZT_SCALE == 1
    both_t now = look (s);
    long resident = now.resident - before.resident;
    long told = now.told - before.told;
    printf ("resident grew by %ld KiB, memory by %ld\n", resident, told);
    CHECK_RANGE (told, resident - resident / 10 - SLACK_KIB,
                 resident + resident / 10 + SLACK_KIB);
#else
    (void) s, (void) before;
#endif
}

/* A length of 4 GiB is announced, and little of it comes. */
static void announced_lengths (void)
{
    static uint8_t bytes[4 + CLAIM_BYTES];
    static int fds[CLAIMS];
    zt_fast_t f = zt_fast_open ();
    memset (bytes, 0xFF, 4);
    both_t before = look (f.s);
    for (int i = 0; i < CLAIMS; i++) {
        fds[i] = zt_client (f.port);
        zt_write (fds[i], bytes, sizeof bytes);
        zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    }
    ZT_UNTIL (stats_of (f.s).memory >> 10
              >= (uint64_t) before.told + CLAIMS * (CLAIM_BYTES / 1024));
    grew_alike (f.s, before);
    for (int i = 0; i < CLAIMS; i++)
        close (fds[i]);
    zt_fast_close (&f);
}

/* Peers that never read are sent messages of all sizes. */
static void peers_that_do_not_read (void)
{
    static uint8_t body[40000];
    static int fds[PEERS];
    uint32_t peers[PEERS], seed = 1;
    zt_fast_t f = zt_fast_open ();
    both_t before = look (f.s);
    for (int i = 0; i < PEERS; i++) {
        fds[i] = zt_client (f.port);
        peers[i] = zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    }
    while (stats_of (f.s).bytes_queued < (uint64_t) PEERS * FLOOD_BYTES / ZT_SCALE)
        for (int i = 0; i < PEERS; i++) {
            seed = seed * 1664525 + 1013904223;
            zt_fast_send (f.s, peers[i], body,
                          (seed >> 8) % (1u << (1 + (seed >> 4) % 15)));
        }
    grew_alike (f.s, before);
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (announced_lengths),
  ZT_CASE (peers_that_do_not_read),
};

ZT_MAIN (cases)

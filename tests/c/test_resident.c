/* SPDX-License-Identifier: MPL-2.0 */
/* The statistic memory grows as the resident memory of the process does, within a
 * tenth and 2 MiB. */
#include "ztest.h"
#include "zfast.h"
#include "zresident.h"

enum
{
    CLAIMS = 400,
    CLAIM_BYTES = 20000, /* that come of each */
    PEERS = 20,
    FLOOD_BYTES = 2 << 20 /* queued for each */
};

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
    CHECK (grows_alike (f.s, before));
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
    CHECK (grows_alike (f.s, before));
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (announced_lengths),
  ZT_CASE (peers_that_do_not_read),
};

ZT_MAIN (cases)

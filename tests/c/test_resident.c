/* SPDX-License-Identifier: MPL-2.0 */
/* The statistic memory grows as the resident memory of the process does, within a
 * tenth and 2 MiB. */
#include "ztest.h"
#include "zfast.h"
#include "zresident.h"
#include "zws.h"

#include <sys/socket.h>

enum
{
    CLAIMS = 400,
    CLAIM_BYTES = 20000, /* that come of each */
    PEERS = 20,
    FLOOD_BYTES = 2 << 20, /* queued for each */
    BLOCK = 60000,
    QUIET_ROUNDS = 50, /* in which nobody could send: all that is taken has come */
    PING_BYTES = 100,
    PINGS = 20000 / ZT_SCALE /* of each */
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
    both_t before = look_settled (f.s);
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
    ZT_UNTIL (grows_alike (f.s, before));
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
    zt_fast_close (&f);
}

/* The application receives nothing, so clients can send until nothing is read. */
static void messages_wait (size_t size)
{
    static uint8_t block[BLOCK];
    int fds[PEERS];
    size_t done[PEERS] = {0}, frame = size + 4, used = BLOCK / frame * frame;
    zt_fast_t f = zt_fast_open ();
    for (size_t at = 0; at < used; at += frame)
        zt_put32 (block + at, (uint32_t) size);
    both_t before = look_settled (f.s);
    for (int i = 0; i < PEERS; i++)
        fds[i] = zt_client (f.port);
    for (int quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
        for (int i = 0; i < PEERS; i++) {
            ssize_t n = send (fds[i], block + done[i], used - done[i], MSG_DONTWAIT);
            if (n > 0) {
                done[i] = (done[i] + (size_t) n) % used;
                quiet = 0;
            }
        }
        zt_pause_ms (1);
    }
    ZT_UNTIL (grows_alike (f.s, before));
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
    zt_fast_close (&f);
}

static void received_messages_wait (void) { messages_wait (1000); }
static void tiny_frames_wait (void) { messages_wait (1); }

/* Nobody reads the answers to pings. */
static void pings (void)
{
    static uint8_t payload[PING_BYTES];
    int fds[PEERS];
    zt_fast_t f = {.ctx = zt_ctx (), .fd = -1};
    f.s = zt_fast_socket (f.ctx);
    f.port = zt_bind_to (f.s, "ws://127.0.0.1:*");
    for (int i = 0; i < PEERS; i++) {
        fds[i] = zws_client (f.port, "/");
        zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    }
    both_t before = look_settled (f.s);
    for (int n = 0; n < PINGS; n++)
        for (int i = 0; i < PEERS; i++)
            zws_write (fds[i], ZWS_FIN | ZWS_PING, payload, sizeof payload);
    ZT_UNTIL (grows_alike (f.s, before));
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
    zt_close (f.s);
    zt_term (f.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (announced_lengths),
  ZT_CASE (peers_that_do_not_read),
  ZT_CASE (received_messages_wait),
  ZT_CASE (tiny_frames_wait),
  ZT_CASE (pings),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* Clients send and do not read what a server echoes. When they have gone and the server
 * is idle, its resident memory is what it was before, but for 4 MB. */
#include "ztest.h"
#include "zfast.h"
#include "zresident.h"

#include <sys/socket.h>

enum
{
    CLIENTS = 40,
    BLOCK = 1 << 20, /* of whole frames; one, if it is longer */
    FLOOD_KB = 64000 / ZT_SCALE,
    MOST_KB = 4000
};

static uint8_t block[BLOCK + 4];

static size_t fill_block (size_t size)
{
    size_t frame = size + 4, frames = BLOCK / frame > 0 ? BLOCK / frame : 1;
    for (size_t i = 0; i < frames; i++)
        zt_put32 (block + i * frame, (uint32_t) size);
    return frames * frame;
}

/* The server echoes what has come, and counts ends. */
static int echo (void *s)
{
    int ends = 0;
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    for (int i = 0; i < 5000 && zlink_msg_recv (&msg, s, ZLINK_DONTWAIT) >= 0; i++) {
        int event = zlink_msg_get (&msg, ZLINK_STREAM_EVENT);
        ends += event == ZLINK_STREAM_DISCONNECTED;
        if (event == ZLINK_STREAM_DATA)
            zlink_msg_send (&msg, s, ZLINK_DONTWAIT);
    }
    CHECK_OK (zlink_msg_close (&msg));
    return ends;
}

static void flood (zt_fast_t *f, const int *fds, size_t used)
{
    static size_t done[CLIENTS];
    memset (done, 0, sizeof done);
    while (stats_of (f->s).bytes_queued < FLOOD_KB * 1000ull) {
        for (int i = 0; i < CLIENTS; i++) {
            ssize_t n = send (fds[i], block + done[i], used - done[i], MSG_DONTWAIT);
            if (n > 0)
                done[i] = (done[i] + (size_t) n) % used;
        }
        echo (f->s);
    }
}

static void comes_back (size_t size)
{
    int fds[CLIENTS];
    size_t used = fill_block (size);
    zt_fast_t f = zt_fast_open ();
    zt_set_int (f.s, ZLINK_SNDHWM, 0);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = zt_client (f.port);
    size_t before = zt_rss_kb ();
    flood (&f, fds, used);
#if ZT_SCALE == 1 /* sanitizers have memory of their own */
    CHECK (zt_rss_kb () > before + FLOOD_KB * 3 / 4);
#endif
    for (int i = 0; i < CLIENTS; i++)
        zt_reset (fds[i]);
    for (int ends = 0; ends < CLIENTS;)
        ends += echo (f.s);
#if ZT_SCALE == 1
    ZT_UNTIL (zt_rss_kb () <= before + MOST_KB);
#else
    (void) before;
#endif
    zt_fast_close (&f);
}

static void bytes_16 (void) { comes_back (16); }
static void bytes_60 (void) { comes_back (60); }
static void kib_1 (void) { comes_back (1 << 10); }
static void kib_4 (void) { comes_back (4 << 10); }
static void kib_64 (void) { comes_back (64 << 10); }
static void mib_1 (void) { comes_back (1 << 20); }

static const zt_case_t cases[] = {
  ZT_CASE (bytes_16),
  ZT_CASE (bytes_60),
  ZT_CASE (kib_1),
  ZT_CASE (kib_4),
  ZT_CASE (kib_64),
  ZT_CASE (mib_1),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* What waits for a peer that does not read costs little more than its bytes. */
#include "ztest.h"
#include "zfast.h"

#include <stdio.h>

enum
{
    BATCH = 7,
    STEP_BYTES = 300 << 10, /* queued of each size, about */
    MOST_MESSAGES = 2000 / ZT_SCALE
};

typedef struct queue_t
{
    zt_fast_t f;
    uint64_t idle;   /* memory when nothing is queued */
    uint32_t sent;   /* messages; their numbers are their seeds */
    uint32_t read;
    size_t sizes[20000];
} queue_t;

static queue_t q;

static zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats;
    stats.size = sizeof stats;
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats;
}

static bool costs_its_bytes (void)
{
    zlink_stream_stats_t stats = stats_of (q.f.s);
    return stats.memory <= q.idle + 2 * stats.bytes_queued + 1024;
}

static void note (size_t size)
{
    CHECK (q.sent < sizeof q.sizes / sizeof *q.sizes);
    q.sizes[q.sent++] = size;
}

static void send_one (size_t size)
{
    zlink_msg_t msg;
    zt_fast_fill (&msg, q.f.peer, q.sent, size);
    CHECK_EQ (zlink_msg_send (&msg, q.f.s, ZLINK_DONTWAIT), size);
    note (size);
}

static void send_batch (size_t size)
{
    zlink_msg_t msgs[BATCH];
    for (uint32_t i = 0; i < BATCH; i++)
        zt_fast_fill (&msgs[i], q.f.peer, q.sent + i, size);
    CHECK_EQ (zlink_stream_send_batch (q.f.s, msgs, BATCH, ZLINK_DONTWAIT),
              BATCH);
    for (int i = 0; i < BATCH; i++)
        note (size);
}

/* The client reads messages until at most left are not read. */
static void read_down (uint32_t left)
{
    while (q.sent - q.read > left) {
        zt_fast_read (q.f.fd, q.read, q.sizes[q.read]);
        q.read++;
    }
}

static void open_queue (void)
{
    memset (&q, 0, sizeof q);
    q.f = zt_fast_open_small (0);
    q.idle = stats_of (q.f.s).memory;
}

/* Sends until the kernel takes no more. */
static void block (void)
{
    for (int quiet = 0; quiet < 3;) {
        zlink_stream_stats_t before = stats_of (q.f.s);
        zt_pause_ms (2);
        zlink_stream_stats_t after = stats_of (q.f.s);
        if (after.bytes_queued > 0 && after.bytes_queued == before.bytes_queued)
            quiet++;
        else {
            quiet = 0;
            send_one (3000);
        }
    }
    ZT_UNTIL (costs_its_bytes ());
}

static void close_queue (void)
{
    read_down (0);
    ZT_UNTIL (stats_of (q.f.s).memory == q.idle);
    zt_fast_close (&q.f);
}

/* Every size alone: one in each flush, then in batches. */
static void each_size (void)
{
    static const size_t sizes[] = {0, 1, 16, 64, 477, 956, 957,
                                   1024, 2000, 4028, 4029, 4096, 16316, 16317,
                                   17000, 32700, 33000, 65468, 65469, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        open_queue ();
        block ();
        for (int n = 0; n < MOST_MESSAGES && n < STEP_BYTES / (int) (size + 4) + 1;
             n++) {
            send_one (size);
            if (n < 20)
                zt_pause_ms (1); /* each in a flush of its own */
            if (n < 100)
                ZT_UNTIL (costs_its_bytes ());
        }
        ZT_UNTIL (costs_its_bytes ());
        send_batch (size);
        ZT_UNTIL (costs_its_bytes ());
        close_queue ();
    }
}

/* All of them in turn, while the peer now and then reads something. */
static void slow_reader (void)
{
    uint32_t seed = 1;
    open_queue ();
    block ();
    for (int i = 0; i < 400 / ZT_SCALE; i++) {
        seed = seed * 1664525 + 1013904223;
        send_one ((seed >> 8) % (1u << (1 + (seed >> 4) % 16)));
        ZT_UNTIL (costs_its_bytes ());
        if (i % 50 == 49) {
            read_down ((q.sent - q.read) * 9 / 10);
            block ();
        }
    }
    close_queue ();
}

/* A peer that never reads and goes takes all of it along. */
static void lost_peer (void)
{
    open_queue ();
    block ();
    for (int i = 0; i < 2000 / ZT_SCALE; i++)
        send_one (100);
    ZT_UNTIL (costs_its_bytes ());
    zt_reset (q.f.fd);
    CHECK_EQ (zt_fast_event (q.f.s, ZLINK_STREAM_DISCONNECTED), q.f.peer);
    ZT_UNTIL (stats_of (q.f.s).memory < q.idle); /* the connection's is gone */
    zt_close (q.f.s);
    zt_term (q.f.ctx);
}

static long resident_kib (void)
{
    long pages = 0;
    FILE *f = fopen ("/proc/self/statm", "re");
    CHECK (f != NULL);
    CHECK_EQ (fscanf (f, "%*d %ld", &pages), 1);
    fclose (f);
    return pages * (sysconf (_SC_PAGESIZE) / 1024);
}

/* What a flood took goes back while another peer is busy all the time. */
static void memory_comes_back (void)
{
    enum
    {
        flood_kib = 64 << 10,
        most_kib = 16 << 10,
        size = 100
    };
    static uint8_t body[60000];
    open_queue ();
    int busy = zt_client (q.f.port);
    uint32_t peer = zt_fast_event (q.f.s, ZLINK_STREAM_CONNECTED);
    long before = resident_kib ();
    block ();
    while (stats_of (q.f.s).bytes_queued < flood_kib * 1024ull / 2)
        CHECK (zt_fast_try (q.f.s, q.f.peer, body, size + q.sent % 20000, 0) > 0);
    for (int i = 0; i < 20000; i++)
        CHECK (zt_fast_try (q.f.s, q.f.peer, body, size, 0) > 0);
#if ZT_SCALE == 1
    CHECK (resident_kib () > before + flood_kib / 2);
#endif
    zt_reset (q.f.fd);
    CHECK_EQ (zt_fast_event (q.f.s, ZLINK_STREAM_DISCONNECTED), q.f.peer);
    do { /* the watchdog ends it */
        for (int i = 0; i < 100; i++) {
            zt_fast_send (q.f.s, peer, body, size);
            CHECK_EQ (zt_read_frame (busy, body, sizeof body), size);
        }
        zt_pause_ms (1);
    } while (ZT_SCALE == 1 && resident_kib () > before + most_kib);
    close (busy);
    zt_close (q.f.s);
    zt_term (q.f.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (each_size),
  ZT_CASE (slow_reader),
  ZT_CASE (lost_peer),
  ZT_CASE (memory_comes_back),
};

ZT_MAIN (cases)

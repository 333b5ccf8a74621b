/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a message costs that waits for a peer that does not read.
 * usage: slow_peer SIZE one|batch
 *
 * Twenty peers are blocked; then messages of SIZE bytes go to them in turn, one at
 * a time with a pause after each, so that each is passed on alone, or in batches
 * of 64 for one peer. The line has resident memory against the bytes queued, with
 * their lengths.
 */
#include "measure.h"

enum
{
    PEERS = 20,
    BATCH = 64,
    BLOCK = 64 << 10
};

static size_t size;

/* count_for is how many messages are measured: tens of MB, or what takes seconds. */
static size_t count_for (bool batch)
{
    size_t most = (48 << 20) / (size + 4), slow = batch ? 400000 : 40000;
    return most < slow ? most : slow;
}

static void block (void *s, const uint32_t *peers)
{
    for (int i = 0; i < PEERS; i++) {
        uint64_t before = stats_of (s).bytes_queued;
        do {
            if (send_to (s, peers[i], BLOCK, 0) < 0)
                fail ("send");
            sleep_ms (2);
        } while (stats_of (s).bytes_queued < before + BLOCK);
    }
}

static void send_one_by_one (void *s, const uint32_t *peers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (send_to (s, peers[i % PEERS], size, 0) < 0)
            fail ("send");
        usleep (20);
    }
}

static void send_batches (void *s, const uint32_t *peers, size_t count)
{
    zlink_msg_t msgs[BATCH];
    for (size_t at = 0; at < count / BATCH; at++) {
        for (int i = 0; i < BATCH; i++) {
            if (zlink_msg_init_size (&msgs[i], size))
                fail ("zlink_msg_init_size");
            memset (zlink_msg_data (&msgs[i]), 0, size);
            zlink_msg_set_routing_id (&msgs[i], peers[at % PEERS]);
        }
        for (int n = 0, took; n < BATCH; n += took)
            if ((took = zlink_stream_send_batch (s, msgs + n, (size_t) (BATCH - n), 0)) < 0)
                fail ("zlink_stream_send_batch");
    }
}

int main (int argc, char **argv)
{
    if (argc < 3 || (size = strtoul (argv[1], NULL, 10)) == 0) {
        fprintf (stderr, "usage: slow_peer SIZE one|batch\n");
        return 2;
    }
    bool batch = !strcmp (argv[2], "batch");
    uint32_t peers[PEERS];
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    set_int (s, ZLINK_SNDHWM, 0);
    set_int (s, ZLINK_SNDBUF, 4096);
    set_int (s, ZLINK_LINGER, 0);
    int port = bind_any (s, "tcp"), fds[PEERS];
    for (int i = 0; i < PEERS; i++) {
        fds[i] = dial (port);
        peers[i] = next_event (s, ZLINK_STREAM_CONNECTED);
    }
    block (s, peers);
    sleep_ms (200);
    zlink_stream_stats_t from = stats_of (s);
    double before = resident_mb ();
    size_t count = count_for (batch);
    (batch ? send_batches : send_one_by_one) (s, peers, count);
    sleep_ms (200);
    zlink_stream_stats_t to = stats_of (s);
    double grew = resident_mb () - before;
    double queued = (double) (to.bytes_queued - from.bytes_queued) / 1e6;
    double messages = (double) (to.msgs_queued - from.msgs_queued);
    printf ("slow_peer %6zu bytes, %-5s %7.0f messages: %6.1f MB queued, resident +%6.1f MB, "
            "%5.2f times, %6.0f bytes a message; memory +%.1f MB\n",
            size, argv[2], messages, queued, grew, grew / queued, grew * 1e6 / messages,
            ((double) to.memory - (double) from.memory) / 1e6);
    for (int i = 0; i < PEERS; i++)
        close (fds[i]);
    zlink_close (s);
    zlink_ctx_term (ctx);
    return 0;
}

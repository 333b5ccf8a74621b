/* SPDX-License-Identifier: MPL-2.0 */
/* An id that was sent with DONTWAIT in the mode COMPAT, and its body. */
#include "ztest.h"

#include "zmonitor.h"

#define SMALL_BUFFER_BYTES 65536
#define LONGEST_BYTES 3000000u
#define ABOVE_THE_TOTAL_BYTES 8000000u
/* Far above what bounds and kernel buffers hold together. */
#define MAX_ACCEPTED 100000

static uint8_t big[ABOVE_THE_TOTAL_BYTES];

static zt_pair_t open_pair (int bytes, int64_t total)
{
    zt_pair_t f = zt_pair_begin ();
    zt_set_int (f.server, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    zt_set_int (f.server, ZLINK_STREAM_SEND_BYTES, bytes);
    CHECK_OK (zlink_setsockopt (f.server, ZLINK_STREAM_SEND_BYTES_TOTAL, &total, sizeof total));
    zt_pair_join (&f, zt_small_client);
    return f;
}

static bool send_id (zt_pair_t *f, const zlink_routing_id_t *id)
{
    return zlink_send (f->server, id->data, id->size, ZLINK_SNDMORE | ZLINK_DONTWAIT) >= 0;
}

static void send_body (zt_pair_t *f, uint32_t size, uint32_t number)
{
    zt_fill (big, size, number);
    CHECK_EQ (zlink_send (f->server, big, size, ZLINK_DONTWAIT), (int) size);
}

static void read_body (int fd, uint32_t size, uint32_t number)
{
    CHECK_EQ (zt_read_frame (fd, big, sizeof big), size);
    CHECK (zt_filled (big, size, number));
}

static uint64_t queued_bytes (void *server)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (server, &stats));
    return stats.bytes_queued;
}

static void room_at_bounds (int bytes, int64_t total, uint32_t even, uint32_t odd)
{
    zt_pair_t f = open_pair (bytes, total);
    const uint64_t bound = bytes > 0 ? (uint64_t) bytes : (uint64_t) total;
    const uint32_t longest = even > odd ? even : odd;

    for (; send_id (&f, &f.id); f.sent++) {
        CHECK (f.sent < MAX_ACCEPTED);
        send_body (&f, f.sent % 2 ? odd : even, f.sent);
        CHECK (queued_bytes (f.server) <= bound + 4 + longest);
    }
    CHECK_EQ (errno, EAGAIN);
    CHECK (f.sent > 0);
    for (uint32_t i = 0; i < f.sent; i++)
        read_body (f.fd, i % 2 ? odd : even, i);
    zt_pair_end (&f);
}

/* The body of an id that was taken has room, whatever its length, and a queue that is at a
 * bound, of its own or because of the total, takes no id. */
static void body_has_room (void)
{
    room_at_bounds (200000, 0, 60000, 60000);
    room_at_bounds (200000, 0, 100, LONGEST_BYTES);
    room_at_bounds (0, 600000, 1000, 1000);
    room_at_bounds (0, 600000, 70000, 70000);
    room_at_bounds (0, 600000, 1000, LONGEST_BYTES);
    room_at_bounds (200000, 600000, 1000, 60000);
}

/* While other queues have the whole total, an empty one takes no id, and is told of room. */
static void id_waits_for_the_total (void)
{
    zt_pair_t f = open_pair (0, 1 << 20);
    void *monitor = zt_monitor (f.server, ZLINK_EVENT_STREAM_WRITABLE);
    zlink_routing_id_t other;
    int fd = zt_client (f.port);

    zt_expect_connect (f.server, &other);
    CHECK (send_id (&f, &f.id));
    send_body (&f, ABOVE_THE_TOTAL_BYTES, 1);
    CHECK (!send_id (&f, &other));
    CHECK_EQ (errno, EAGAIN);

    read_body (f.fd, ABOVE_THE_TOTAL_BYTES, 1);
    zlink_monitor_event_t event = zt_event (monitor, ZLINK_EVENT_STREAM_WRITABLE);
    CHECK (zt_same_id (&event.routing_id, &other));
    CHECK (send_id (&f, &other));
    send_body (&f, LONGEST_BYTES, 2);
    read_body (fd, LONGEST_BYTES, 2);
    close (fd);
    zt_expect_disconnect (f.server, &other);
    CHECK_OK (zlink_close (monitor));
    zt_pair_end (&f);
}

/* What was promised to a body is not promised to the next one, whose id came without
 * DONTWAIT. On a busy machine the kernel may take the whole queue after that was at its bound: then a
 * body passes through, once, as the kernel has no room for all of it. */
static void one_body_only (void)
{
    zt_pair_t f = open_pair (100000, 0);
    uint32_t passed_at = UINT32_MAX;

    for (;;) {
        while (send_id (&f, &f.id))
            send_body (&f, 60000, f.sent++);
        CHECK_EQ (zlink_send (f.server, f.id.data, f.id.size, ZLINK_SNDMORE), f.id.size);
        zt_fill (big, LONGEST_BYTES, f.sent);
        if (zlink_send (f.server, big, LONGEST_BYTES, ZLINK_DONTWAIT) < 0)
            break;
        CHECK_EQ (passed_at, UINT32_MAX);
        passed_at = f.sent++;
    }
    CHECK_EQ (errno, EAGAIN);
    for (uint32_t i = 0; i < f.sent; i++)
        read_body (f.fd, i == passed_at ? LONGEST_BYTES : 60000, i);
    zt_pair_end (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (body_has_room),
  ZT_CASE (id_waits_for_the_total),
  ZT_CASE (one_body_only),
};

ZT_MAIN (cases)

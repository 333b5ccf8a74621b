/* SPDX-License-Identifier: MPL-2.0 */
/* A connection that ends while its peer reads late or never. */
#include "ztest.h"
#include "zfast.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#define BODY_BYTES 10000
#define FRAME_BYTES (4 + BODY_BYTES)
#define MANY 500 /* messages: more than the kernel's buffers hold */
#define SHORT_MS 300
#define LATE_MS 2500 /* longer than any time that is built in */
#define NEVER -1

static zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats;
}

static void send_many (zt_fast_t *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        zlink_msg_t msg;
        zt_fast_fill (&msg, f->peer, i, BODY_BYTES);
        CHECK_EQ (zlink_msg_send (&msg, f->s, 0), BODY_BYTES);
    }
}

static void read_many (int fd, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        zt_fast_read (fd, i, BODY_BYTES);
}

/* Whole messages that have arrived at the peer's system. */
static uint32_t arrived (int fd)
{
    int bytes;
    CHECK_OK (ioctl (fd, FIONREAD, &bytes));
    return (uint32_t) bytes / FRAME_BYTES;
}

/* A client that is closed by its server's order while it reads nothing. */
static zt_fast_t open_full (int close_timeout_ms, uint32_t count)
{
    zt_fast_t f = zt_fast_open_small (0);
    zt_set_int (f.s, ZLINK_STREAM_CLOSE_TIMEOUT, close_timeout_ms);
    send_many (&f, count);
    return f;
}

static void counts_while_closing (zt_fast_t *f, uint32_t sent)
{
    zlink_stream_stats_t stats = stats_of (f->s);
    zlink_peer_info_t info;
    zlink_routing_id_t id = {4, {0}};

    CHECK_EQ (stats.connections, 1);
    CHECK_EQ (stats.closed, 0);
    CHECK_EQ (stats.abandoned, 0);
    CHECK_RANGE (stats.msgs_queued, 1, sent);
    CHECK (stats.bytes_queued > 0);
    CHECK (stats.memory > stats.bytes_queued);
    CHECK_EQ (zlink_socket_peer_count (f->s), 1);
    zt_put32 (id.data, f->peer);
    CHECK_OK (zlink_socket_peer_info (f->s, &id, &info));
    CHECK_EQ (info.msgs_sent, sent);
    CHECK_EQ (zt_fast_try (f->s, f->peer, "x", 1, ZLINK_DONTWAIT), -1);
    CHECK_EQ (errno, EHOSTUNREACH);
}

static void counts_at_the_end (zt_fast_t *f, uint32_t abandoned)
{
    zlink_stream_stats_t stats = stats_of (f->s);
    CHECK_EQ (stats.connections, 0);
    CHECK_EQ (stats.closed, 1);
    CHECK_EQ (stats.msgs_queued, 0);
    CHECK_EQ (stats.bytes_queued, 0);
    CHECK_EQ (stats.abandoned, abandoned);
    CHECK_EQ (zlink_socket_peer_count (f->s), 0);
}

/* A peer that never reads is reset. What its system has not acknowledged is
 * abandoned, to the message. */
static void never_reads (void)
{
    zt_fast_t f = open_full (SHORT_MS, MANY);
    void *monitor = zlink_socket_monitor_open (f.s, ZLINK_EVENT_DISCONNECTED);
    zlink_monitor_event_t event;
    size_t fds = zt_fd_count ();

    CHECK (monitor != NULL);
    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    counts_while_closing (&f, MANY);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    counts_at_the_end (&f, MANY - arrived (f.fd));
    CHECK_OK (zlink_monitor_recv (monitor, &event, 0));
    CHECK_EQ (event.value, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    CHECK_EQ (zt_fd_count (), fds - 1);
    zt_close (monitor);
    zt_fast_close (&f);
}

/* Everything arrives at a peer that reads late, and goes on sending meanwhile. */
static void reads_late (void)
{
    static const uint8_t noise[FRAME_BYTES] = {0, 0, 0x27, 0x10};
    zt_fast_t f = open_full (NEVER, MANY);
    double start = zt_now_ms ();

    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    while (zt_now_ms () - start < LATE_MS) {
        send (f.fd, noise, sizeof noise, MSG_DONTWAIT | MSG_NOSIGNAL);
        zt_pause_ms (1);
    }
    read_many (f.fd, 0, MANY);
    zt_expect_eof (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    counts_at_the_end (&f, 0);
    zt_fast_close (&f);
}

/* A client that writes more than any buffer holds before it reads: it could not go
 * on if what it sends were not read and dropped. */
static void writes_before_it_reads (void)
{
    static const uint8_t noise[FRAME_BYTES] = {0, 0, 0x27, 0x10};
    zt_fast_t f = open_full (NEVER, MANY);

    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    for (int i = 0; i < 20 * MANY; i++)
        zt_write (f.fd, noise, sizeof noise);
    read_many (f.fd, 0, MANY);
    zt_expect_eof (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    counts_at_the_end (&f, 0);
    zt_fast_close (&f);
}

/* A peer that takes something, if little, is not given up. */
static void reads_now_and_then (void)
{
    zt_fast_t f = open_full (SHORT_MS, MANY);
    uint32_t done = 0;

    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    for (double start = zt_now_ms (); zt_now_ms () - start < 5 * SHORT_MS;
         zt_pause_ms (SHORT_MS / 10)) {
        read_many (f.fd, done, done + 2);
        done += 2;
    }
    CHECK (done < MANY);
    CHECK_EQ (stats_of (f.s).connections, 1);
    read_many (f.fd, done, MANY);
    zt_expect_eof (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    counts_at_the_end (&f, 0);
    zt_fast_close (&f);
}

/* 0 does not wait at all. What is on its way then counts as abandoned, although
 * some of it may still arrive. */
static void without_patience (void)
{
    zt_fast_t f = open_full (0, MANY);

    CHECK_OK (zlink_stream_close_peer (f.s, f.peer));
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_RANGE (stats_of (f.s).abandoned, MANY - arrived (f.fd), MANY);
    CHECK_EQ (stats_of (f.s).connections, 0);
    zt_fast_close (&f);
}

/* zlink_close and zlink_ctx_term end although LINGER is -1. */
static void term_is_bounded (void)
{
    zt_fast_t f = open_full (SHORT_MS, MANY);

    CHECK_EQ (zt_get_int (f.s, ZLINK_LINGER), -1);
    zt_close (f.s);
    zt_term (f.ctx);
    close (f.fd);
}

/* The client has ended its side, and reads nothing. */
static void half_closed_never_reads (void)
{
    zt_fast_t f = open_full (SHORT_MS, MANY);

    CHECK_OK (shutdown (f.fd, SHUT_WR));
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    ZT_UNTIL (stats_of (f.s).connections == 0);
    counts_at_the_end (&f, MANY - arrived (f.fd));
    zt_fast_close (&f);
}

/* A client that asks, ends its side and reads its answers: they can be sent until
 * the event is received, also when questions come in a batch. */
static void answers_after_the_end (void)
{
    enum
    {
        questions = 200,
        batch = 64
    };
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[batch];
    int left = questions;

    for (uint32_t i = 0; i < questions; i++)
        zt_write_frame (f.fd, "question", 8);
    CHECK_OK (shutdown (f.fd, SHUT_WR));
    zt_pause_ms (50); /* the end is there, too */
    zt_fast_init_all (msgs, batch);
    while (left > 0) {
        int n = zlink_stream_recv_batch (f.s, msgs, batch, 0);
        CHECK_RANGE (n, 1, left);
        CHECK_EQ (zlink_stream_send_batch (f.s, msgs, (size_t) n, 0), n);
        left -= n;
    }
    zt_fast_close_all (msgs, batch);
    zt_fast_send (f.s, f.peer, "bye", 3);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    CHECK_EQ (zt_fast_try (f.s, f.peer, "x", 1, 0), -1);
    CHECK_EQ (errno, EHOSTUNREACH);
    for (uint32_t i = 0; i < questions; i++) {
        uint8_t body[16];
        CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 8);
    }
    uint8_t body[16];
    CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), 3);
    zt_expect_eof (f.fd);
    ZT_UNTIL (stats_of (f.s).connections == 0);
    counts_at_the_end (&f, 0);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (never_reads),
  ZT_CASE (reads_late),
  ZT_CASE (writes_before_it_reads),
  ZT_CASE (reads_now_and_then),
  ZT_CASE (without_patience),
  ZT_CASE (term_is_bounded),
  ZT_CASE (half_closed_never_reads),
  ZT_CASE (answers_after_the_end),
};

ZT_MAIN (cases)

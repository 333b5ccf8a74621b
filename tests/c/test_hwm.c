/* SPDX-License-Identifier: MPL-2.0 */
/* SNDHWM, RCVHWM and sends that wait. */
#include "ztest.h"

#include <sys/socket.h>

#define HWM_MESSAGES 10
#define BODY_BYTES 10000
#define SMALL_BUFFER_BYTES 65536
#define TIMEOUT_MS 200
/* Far above what high-water mark and kernel buffers hold together. */
#define MAX_ACCEPTED 1000
#define FAST_BODY_BYTES 1000
#define MAX_WRITTEN_BYTES (16u << 20)

static zt_pair_t open_pair (void)
{
    zt_pair_t f = zt_pair_begin ();
    zt_set_int (f.server, ZLINK_SNDHWM, HWM_MESSAGES);
    zt_set_int (f.server, ZLINK_RCVHWM, HWM_MESSAGES);
    zt_set_int (f.server, ZLINK_SNDBUF, SMALL_BUFFER_BYTES);
    zt_set_int (f.server, ZLINK_RCVBUF, SMALL_BUFFER_BYTES);
    zt_pair_join (&f, zt_small_client);
    return f;
}

/* Sends message number f->sent. */
static bool send_next (zt_pair_t *f, int flags)
{
    uint8_t body[BODY_BYTES];
    zt_fill (body, sizeof body, f->sent);
    if (!zt_try_send (f->server, &f->id, body, sizeof body, flags))
        return false;
    f->sent++;
    return true;
}

/* Sends until every try is refused with EAGAIN. */
static void send_until_refused (zt_pair_t *f, int flags)
{
    while (send_next (f, flags))
        CHECK (f->sent < MAX_ACCEPTED);
    CHECK_EQ (errno, EAGAIN);
}

/* Sends until the peer that does not read has stopped everything: the queue
 * is full, and the kernel has taken nothing for five time-outs, longer than its
 * timers for small windows. */
static void fill_queue (zt_pair_t *f)
{
    int refused = 0;
    zt_set_int (f->server, ZLINK_SNDTIMEO, TIMEOUT_MS);
    while (refused < 5) {
        double start = zt_now_ms ();
        if (send_next (f, 0)) {
            CHECK (f->sent < MAX_ACCEPTED);
            refused = 0;
            continue;
        }
        CHECK_EQ (errno, EAGAIN);
        CHECK_WAITED (start, TIMEOUT_MS - 10);
        refused++;
    }
    CHECK_RANGE (f->sent, HWM_MESSAGES, MAX_ACCEPTED);
    zt_set_int (f->server, ZLINK_SNDTIMEO, -1);
}

static void read_accepted (zt_pair_t *f, uint32_t first, uint32_t end)
{
    uint8_t body[BODY_BYTES];
    for (uint32_t i = first; i < end; i++) {
        CHECK_EQ (zt_read_frame (f->fd, body, sizeof body), BODY_BYTES);
        CHECK (zt_filled (body, sizeof body, i));
    }
}

/* Ends the connection after what is queued: nothing may come but that. */
static void finish (zt_pair_t *f)
{
    static const uint8_t close_peer = 0;
    zt_send (f->server, &f->id, &close_peer, 1);
    zt_expect_eof (f->fd);
    zt_expect_disconnect (f->server, &f->id);
    zt_pair_end (f);
}

static void sndhwm_refuses (void)
{
    zt_pair_t f = open_pair ();

    send_until_refused (&f, ZLINK_DONTWAIT);
    fill_queue (&f);
    zt_set_int (f.server, ZLINK_SNDTIMEO, ZT_TOO_LONG_MS);
    send_until_refused (&f, ZLINK_DONTWAIT);
    zt_set_int (f.server, ZLINK_SNDTIMEO, 0);
    send_until_refused (&f, 0);

    uint32_t refused_at = f.sent;
    read_accepted (&f, 0, refused_at);
    zt_set_int (f.server, ZLINK_SNDTIMEO, 30000);
    CHECK (send_next (&f, 0));
    read_accepted (&f, refused_at, f.sent);
    finish (&f);
}

/* A full peer does not stop sends to another one. */
static void full_queue_of_one_peer (void)
{
    zt_pair_t f = open_pair ();
    zlink_routing_id_t other;
    uint8_t body[16];
    int fd = zt_client (zt_bind (f.server));

    zt_expect_connect (f.server, &other);
    fill_queue (&f);
    zt_send (f.server, &other, "not you", 7);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 7);
    CHECK_MEM (body, "not you", 7);
    read_accepted (&f, 0, f.sent);
    close (fd);
    zt_expect_disconnect (f.server, &other);
    finish (&f);
}

typedef struct sender_t
{
    zt_pair_t *fixture;
    atomic_bool done;
} sender_t;

static void *send_one (void *arg)
{
    sender_t *sender = arg;
    CHECK (send_next (sender->fixture, 0));
    atomic_store (&sender->done, true);
    return NULL;
}

/* Starts a send that blocks, and returns the number of its message. The kernel
 * may still take a little after the queue was filled, and let a send pass. */
static uint32_t start_blocked_send (sender_t *sender, pthread_t *thread)
{
    for (;;) {
        uint32_t number = sender->fixture->sent;
        CHECK (number < MAX_ACCEPTED);
        atomic_store (&sender->done, false);
        *thread = zt_thread (send_one, sender);
        zt_pause_ms (100);
        if (!atomic_load (&sender->done))
            return number;
        zt_join (*thread);
    }
}

static void blocked_send_is_released (void)
{
    zt_pair_t f = open_pair ();
    sender_t sender = {&f, false};
    pthread_t thread;

    fill_queue (&f);
    uint32_t number = start_blocked_send (&sender, &thread);
    read_accepted (&f, 0, number);
    zt_join (thread);
    CHECK_EQ (f.sent, number + 1);
    read_accepted (&f, number, f.sent);
    finish (&f);
}

/* A blocked send to a peer that vanishes fails instead of waiting on. */
static void blocked_send_to_vanishing_peer (void)
{
    zt_pair_t f = open_pair ();

    fill_queue (&f);
    zt_reset (f.fd);
    while (send_next (&f, 0)) {
    }
    CHECK_EQ (errno, EHOSTUNREACH);
    zt_expect_disconnect (f.server, &f.id);
    zt_close (f.server);
    zt_term (f.ctx);
}

/* The stream of frames a fast writer writes: frame n has seed n. */
static void stream_bytes (uint8_t *buf, size_t size, uint64_t offset)
{
    enum
    {
        frame_bytes = 4 + FAST_BODY_BYTES
    };
    uint8_t frame[frame_bytes];
    size_t done = 0;
    while (done < size) {
        size_t within = (size_t) ((offset + done) % frame_bytes);
        size_t part = frame_bytes - within;
        if (part > size - done)
            part = size - done;
        zt_put32 (frame, FAST_BODY_BYTES);
        zt_fill (frame + 4, FAST_BODY_BYTES,
                 (uint32_t) ((offset + done) / frame_bytes));
        memcpy (buf + done, frame + within, part);
        done += part;
    }
}

/* Writes until every try for 300 ms was refused; returns the bytes written. */
static uint64_t write_until_pushed_back (int fd)
{
    uint64_t written = 0;
    double taken_ms = zt_now_ms ();
    uint8_t buf[5000];
    while (zt_now_ms () - taken_ms < 300) {
        stream_bytes (buf, sizeof buf, written);
        ssize_t n = send (fd, buf, sizeof buf, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == -1) {
            CHECK_EQ (errno, EAGAIN);
            zt_pause_ms (1);
            continue;
        }
        written += (uint64_t) n;
        taken_ms = zt_now_ms ();
        CHECK (written < MAX_WRITTEN_BYTES);
    }
    return written;
}

typedef struct rest_t
{
    int fd;
    uint64_t offset;
} rest_t;

/* Completes the frame at the offset, and ends the stream. */
static void *write_rest (void *arg)
{
    const rest_t *rest = arg;
    uint8_t buf[4 + FAST_BODY_BYTES];
    size_t size = sizeof buf - (size_t) (rest->offset % sizeof buf);
    stream_bytes (buf, size, rest->offset);
    zt_write (rest->fd, buf, size);
    CHECK_OK (shutdown (rest->fd, SHUT_WR));
    return NULL;
}

static void rcvhwm_pushes_back (void)
{
    zt_pair_t f = open_pair ();
    uint8_t body[FAST_BODY_BYTES];
    rest_t rest = {f.fd, write_until_pushed_back (f.fd)};
    uint64_t frames = rest.offset / (4 + FAST_BODY_BYTES) + 1;

    CHECK (frames > HWM_MESSAGES);
    pthread_t thread = zt_thread (write_rest, &rest);
    for (uint64_t i = 0; i < frames; i++) {
        zt_fill (body, sizeof body, (uint32_t) i);
        zt_expect (f.server, &f.id, body, sizeof body);
    }
    zt_expect_disconnect (f.server, &f.id);
    zt_join (thread);
    zt_pair_end (&f);
}

/* A connection that waits at RCVHWM and is then reset loses nothing that the
 * socket already holds, and ends with its event. */
static void reset_while_pushed_back (void)
{
    zt_pair_t f = open_pair ();
    zlink_routing_id_t id;
    uint8_t body[FAST_BODY_BYTES];
    uint32_t received = 0;

    write_until_pushed_back (f.fd);
    zt_reset (f.fd);
    while (zt_recv (f.server, &id, body, sizeof body) == sizeof body) {
        CHECK (zt_same_id (&id, &f.id));
        CHECK (zt_filled (body, sizeof body, received));
        received++;
    }
    CHECK_EQ (body[0], ZT_EVENT_DISCONNECT);
    CHECK (received >= 1);
    zt_expect_silence (f.server, 20);
    zt_close (f.server);
    zt_term (f.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (sndhwm_refuses),
  ZT_CASE (full_queue_of_one_peer),
  ZT_CASE (blocked_send_is_released),
  ZT_CASE (blocked_send_to_vanishing_peer),
  ZT_CASE (rcvhwm_pushes_back),
  ZT_CASE (reset_while_pushed_back),
};

ZT_MAIN (cases)

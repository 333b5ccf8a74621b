/* SPDX-License-Identifier: MPL-2.0 */
/* STREAM_RECV_BYTES_TOTAL and messages that the application keeps. */
#include "ztest.h"
#include "zfast.h"

#define STREAM_BYTES (48u << 20)
#define QUIET_MS 300
/* Read buffers that are being filled, and what waits unread in the socket beside them. */
#define SLACK_BYTES (6 << 20)

typedef struct flood_t
{
    int fd;
    size_t size;
    uint32_t count;
} flood_t;

static void *write_all (void *arg)
{
    const flood_t *f = arg;
    uint8_t *body = malloc (f->size);
    for (uint32_t i = 0; i < f->count; i++) {
        zt_fill (body, f->size, i);
        zt_write_frame (f->fd, body, f->size);
    }
    free (body);
    return NULL;
}

/* The application keeps all that it gets until no more comes. That is bounded; once it gives
 * back, the rest comes, and nothing is missing. */
static void keep (int mode, size_t size, int64_t total)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_MODE, mode);
    CHECK_OK (zlink_setsockopt (s, ZLINK_STREAM_RECV_BYTES_TOTAL, &total, sizeof total));
    flood_t flood = {zt_client (zt_bind (s)), size, (uint32_t) (STREAM_BYTES / (size + 4))};
    zlink_msg_t *kept = malloc (flood.count * sizeof *kept), msg;
    const int frames = mode == ZLINK_STREAM_MODE_FAST ? 1 : 2;
    uint32_t received = 0, times = 0;

    CHECK_OK (zlink_msg_init (&msg));
    for (int i = 0; i < frames; i++) /* the connect event */
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0);
    pthread_t writer = zt_thread (write_all, &flood);
    while (received < flood.count) {
        uint32_t n = 0;
        zt_set_int (s, ZLINK_RCVTIMEO, times == 0 ? QUIET_MS : ZT_TOO_LONG_MS);
        for (; received < flood.count; n++) {
            CHECK_OK (zlink_msg_init (&kept[n]));
            if (frames == 2 && zlink_msg_recv (&msg, s, 0) < 0)
                break;
            if (zlink_msg_recv (&kept[n], s, 0) < 0)
                break;
            CHECK_EQ (zlink_msg_size (&kept[n]), size);
            CHECK (zt_filled (zlink_msg_data (&kept[n]), size, received));
            received++;
            zt_set_int (s, ZLINK_RCVTIMEO, QUIET_MS);
        }
        CHECK ((int64_t) n * (int64_t) size <= total + SLACK_BYTES);
        for (uint32_t i = 0; i < n; i++)
            CHECK_OK (zlink_msg_close (&kept[i]));
        times++;
    }
    CHECK (times > 1);
    zt_join (writer);
    free (kept);
    CHECK_OK (zlink_msg_close (&msg));
    close (flood.fd);
    zt_close (s);
    zt_term (ctx);
}

static void in_read_buffers (void)
{
    keep (ZLINK_STREAM_MODE_FAST, 1000, 4 << 20);
}

/* After 32 read buffers. */
static void in_copies (void)
{
    keep (ZLINK_STREAM_MODE_FAST, 1000, 16 << 20);
}

static void long_messages (void)
{
    keep (ZLINK_STREAM_MODE_FAST, 300000, 8 << 20);
}

static void two_frames (void)
{
    keep (ZLINK_STREAM_MODE_COMPAT, 20000, 16 << 20);
}

/* Kept messages outlive their socket, and no other socket pays for them. */
static void outlives_the_socket (void)
{
    int64_t total = 1 << 20;
    zlink_msg_t first;
    for (int i = 0; i < 3; i++) {
        void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
        CHECK_OK (zlink_setsockopt (s, ZLINK_STREAM_RECV_BYTES_TOTAL, &total, sizeof total));
        int fd = zt_client (zt_bind (s));
        uint8_t *body = malloc (900000);
        zlink_msg_t msg;

        zt_fast_event (s, ZLINK_STREAM_CONNECTED);
        zt_fill (body, 900000, 1);
        zt_write_frame (fd, body, 900000);
        CHECK_OK (zlink_msg_init (&msg));
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), 900000);
        CHECK (zt_filled (zlink_msg_data (&msg), 900000, 1));
        if (i == 0)
            first = msg;
        else
            CHECK_OK (zlink_msg_close (&msg));
        free (body);
        close (fd);
        zt_close (s);
        zt_term (ctx);
    }
    CHECK (zt_filled (zlink_msg_data (&first), 900000, 1));
    CHECK_OK (zlink_msg_close (&first));
}

/* Messages longer than a read buffer that are sent on are not kept: a peer that does not read its
 * echoes stops nobody. */
static void echoes_that_nobody_reads (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int64_t total = 4 << 20;
    CHECK_OK (zlink_setsockopt (s, ZLINK_STREAM_RECV_BYTES_TOTAL, &total, sizeof total));
    int port = zt_bind (s), greedy = zt_client (port);
    flood_t flood = {greedy, 400000, 40};
    zlink_msg_t msg;

    zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    CHECK_OK (zlink_msg_init (&msg));
    pthread_t writer = zt_thread (write_all, &flood);
    for (uint32_t i = 0; i < flood.count; i++) {
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), flood.size);
        if (zlink_msg_send (&msg, s, ZLINK_DONTWAIT) < 0)
            CHECK_EQ (errno, EAGAIN); /* a bound of the queue: the message goes */
    }
    zt_join (writer);
    CHECK_OK (zlink_msg_close (&msg));
    close (greedy);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (in_read_buffers),
  ZT_CASE (in_copies),
  ZT_CASE (long_messages),
  ZT_CASE (two_frames),
  ZT_CASE (outlives_the_socket),
  ZT_CASE (echoes_that_nobody_reads),
};

ZT_MAIN (cases)

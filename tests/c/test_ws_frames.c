/* SPDX-License-Identifier: MPL-2.0 */
/* WebSocket frames that a server has to take, and those that it writes. */
#include "ztest.h"
#include "zfast.h"
#include "zws.h"

#include <stdio.h>

#define NO_LIMIT (-1)

/* A message as the stream has it: its length and its body. */
static const uint8_t stream[] = "\0\0\0\x10hello, fragments";
#define STREAM_SIZE (sizeof stream - 1)
#define BODY (stream + 4)
#define BODY_SIZE (STREAM_SIZE - 4)

/* The server echoes what the client sends. */
static void expect_echo (zws_t *w, const void *body, size_t size)
{
    zt_fast_expect (w->s, w->peer, body, size);
    zt_fast_send (w->s, w->peer, body, size);
    zws_expect_msg (w->fd, body, size);
}

static void end (zws_t *w)
{
    close (w->fd);
    CHECK_EQ (zt_fast_event (w->s, ZLINK_STREAM_DISCONNECTED), w->peer);
    zws_end (w);
}

/* ------------------------------------------------------------ fragmentation */

/* In two frames of a message, and in two messages, cut at every place: also
 * inside the length field, and with an empty part. */
static void split_at_every_place (void)
{
    zws_t w = zws_open (NO_LIMIT);
    for (size_t at = 0; at <= STREAM_SIZE; at++) {
        zws_write (w.fd, ZWS_BINARY, stream, at);
        zws_write (w.fd, ZWS_FIN | ZWS_CONTINUATION, stream + at,
                   STREAM_SIZE - at);
        expect_echo (&w, BODY, BODY_SIZE);
        zws_write (w.fd, ZWS_FIN | ZWS_BINARY, stream, at);
        zws_write (w.fd, ZWS_FIN | ZWS_BINARY, stream + at, STREAM_SIZE - at);
        expect_echo (&w, BODY, BODY_SIZE);
    }
    end (&w);
}

/* A byte a frame, with pings in between, which are answered in between. */
static void one_byte_frames_between_pings (void)
{
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < STREAM_SIZE; i++) {
        zws_write (w.fd, i == 0 ? ZWS_BINARY : ZWS_CONTINUATION, stream + i, 1);
        zws_write (w.fd, ZWS_FIN | ZWS_PING, stream, i);
        zws_write (w.fd, ZWS_FIN | ZWS_PONG, "unasked", 7);
        zws_expect (w.fd, ZWS_FIN | ZWS_PONG, stream, i);
    }
    zws_write (w.fd, ZWS_FIN | ZWS_CONTINUATION, NULL, 0);
    expect_echo (&w, BODY, BODY_SIZE);
    end (&w);
}

/* The message counts, not the end of the WebSocket message. */
static void messages_inside_an_endless_one (void)
{
    zws_t w = zws_open (NO_LIMIT);
    for (int i = 0; i < 20; i++) {
        zws_write (w.fd, i == 0 ? ZWS_BINARY : ZWS_CONTINUATION, stream,
                   STREAM_SIZE);
        expect_echo (&w, BODY, BODY_SIZE);
    }
    end (&w);
}

static void bytes_one_by_one (void)
{
    uint8_t bytes[128];
    static const uint8_t mask[] = {0x80, 0, 0xFF, 0x7F};
    zws_t w = zws_open (NO_LIMIT);
    size_t size = zws_put (bytes, ZWS_BINARY, mask, stream, 9);
    size += zws_put (bytes + size, ZWS_FIN | ZWS_PING, mask, "ping", 4);
    size += zws_put (bytes + size, ZWS_FIN | ZWS_CONTINUATION, mask, stream + 9,
                     STREAM_SIZE - 9);
    for (size_t i = 0; i < size; i++) {
        zt_write (w.fd, bytes + i, 1);
        zt_pause_ms (2); /* a segment each */
    }
    zws_expect (w.fd, ZWS_FIN | ZWS_PONG, "ping", 4);
    expect_echo (&w, BODY, BODY_SIZE);
    end (&w);
}

/* ------------------------------------------------------------------- sizes */

/* Around every change of the length's encoding, both ways. */
static void every_encoding_of_the_length (void)
{
    static const size_t sizes[] = {0, 1, 2, 121, 122,
                                   123, 125, 126, 65530, 65531,
                                   65532, 65535, 65536, 300000, 5000000};
    uint8_t *body = malloc (5000000);
    CHECK (body != NULL);
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zt_fill (body, sizes[i], (uint32_t) i);
        zws_write_msg (w.fd, body, sizes[i]);
        expect_echo (&w, body, sizes[i]);
    }
    free (body);
    end (&w);
}

static void masks_of_all_kinds (void)
{
    static const uint8_t masks[][4] = {
      {0, 0, 0, 0}, {0xFF, 0xFF, 0xFF, 0xFF}, {1, 2, 3, 4}, {0x80, 0, 0, 1}};
    uint8_t bytes[128];
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        zt_write (w.fd, bytes,
                  zws_put (bytes, ZWS_FIN | ZWS_BINARY, masks[i], stream,
                           STREAM_SIZE));
        expect_echo (&w, BODY, BODY_SIZE);
    }
    end (&w);
}

static void many_messages_in_one_frame (void)
{
    enum
    {
        count = 10000,
        size = 4 + 4
    };
    uint8_t *payload = malloc (count * size);
    CHECK (payload != NULL);
    zws_t w = zws_open (NO_LIMIT);
    for (uint32_t i = 0; i < count; i++) {
        zt_put32 (payload + i * size, 4);
        zt_put32 (payload + i * size + 4, i);
    }
    zws_write (w.fd, ZWS_FIN | ZWS_BINARY, payload, count * size);
    for (uint32_t i = 0; i < count; i++)
        zt_fast_expect (w.s, w.peer, payload + i * size + 4, 4);
    free (payload);
    end (&w);
}

static void one_message_over_many_frames (void)
{
    enum
    {
        count = 10000,
        part = 11
    };
    uint8_t *payload = malloc (count * part);
    CHECK (payload != NULL);
    zws_t w = zws_open (NO_LIMIT);
    zt_fill (payload, count * part, 7);
    zt_put32 (payload, count * part - 4);
    for (int i = 0; i < count; i++) {
        uint8_t flags = i == count - 1 ? ZWS_FIN : 0;
        zws_write (w.fd, flags | (i == 0 ? ZWS_BINARY : ZWS_CONTINUATION),
                   payload + i * part, part);
    }
    expect_echo (&w, payload + 4, count * part - 4);
    free (payload);
    end (&w);
}

/* ------------------------------------------------------------------ control */

static void pings_of_every_size (void)
{
    uint8_t payload[125];
    zws_t w = zws_open (NO_LIMIT);
    zt_fill (payload, sizeof payload, 3);
    for (size_t size = 0; size <= sizeof payload; size++) {
        zws_write (w.fd, ZWS_FIN | ZWS_PING, payload, size);
        zws_expect (w.fd, ZWS_FIN | ZWS_PONG, payload, size);
    }
    zws_write (w.fd, ZWS_FIN | ZWS_PONG, payload, sizeof payload);
    zws_write (w.fd, ZWS_FIN | ZWS_PONG, NULL, 0);
    zws_write_msg (w.fd, BODY, BODY_SIZE);
    expect_echo (&w, BODY, BODY_SIZE);
    end (&w);
}

/* Of pings that come together, the last one is answered, and others in their
 * order or not (RFC 6455, 5.5.3). */
static void many_pings_at_once (void)
{
    enum
    {
        count = 1000
    };
    uint8_t number[4];
    zws_t w = zws_open (NO_LIMIT);
    for (uint32_t i = 1; i <= count; i++) {
        zt_put32 (number, i);
        zws_write (w.fd, ZWS_FIN | ZWS_PING, number, sizeof number);
    }
    for (uint32_t last = 0; last < count;) {
        zws_frame_t frame = zws_read (w.fd);
        CHECK_EQ (frame.first, ZWS_FIN | ZWS_PONG);
        CHECK_EQ (frame.size, sizeof number);
        CHECK (zt_get32 (frame.payload) > last);
        last = zt_get32 (frame.payload);
        free (frame.payload);
    }
    end (&w);
}

/* Frames without a message, and the end directly behind them. */
static void end_behind_a_control_frame (void)
{
    zws_t w = zws_open (NO_LIMIT);
    for (int i = 0; i < 50; i++) {
        int fd = zws_client (w.port, "/");
        uint32_t peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
        zws_write (fd, ZWS_FIN | ZWS_PONG, "unasked", 7);
        close (fd);
        CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), peer);
    }
    end (&w);
}

/* ------------------------------------------------------------------- random */

/* Appends the next part of a payload as a frame, and a ping now and then.
 * Returns the part's size. */
static size_t random_frame (uint8_t *out, size_t *size, const uint8_t *payload,
                            size_t left, bool *inside, uint32_t *state)
{
    uint8_t mask[4];
    size_t most = zt_random (state) % 5 == 0 ? 3000 : 20;
    size_t part = zt_random (state) % (most + 1);
    if (part > left)
        part = left;
    bool fin = zt_random (state) % 3 == 0 || part == left;
    zt_put32 (mask, zt_random (state));
    if (zt_random (state) % 10 == 0)
        *size += zws_put (out + *size, ZWS_FIN | ZWS_PONG, mask, payload,
                          part < 125 ? part : 125);
    *size += zws_put (out + *size,
                      (fin ? ZWS_FIN : 0)
                        | (*inside ? ZWS_CONTINUATION : ZWS_BINARY),
                      mask, payload, part);
    *inside = !fin;
    return part;
}

/* Messages of random sizes in random frames in random writes. */
static void random_streams (void)
{
    enum
    {
        rounds = 20,
        count = 50,
        most = 4000,
        cap = count * (most + 4)
    };
    uint8_t *plain = malloc (cap), *out = malloc (40 * cap);
    uint32_t state = (uint32_t) zt_now_ms ();
    CHECK (plain != NULL && out != NULL);
    printf ("seed %u\n", state);
    zws_t w = zws_open (NO_LIMIT);
    for (int round = 0; round < rounds; round++) {
        size_t sizes[count], size = 0, out_size = 0;
        bool inside = false;
        for (uint32_t i = 0; i < count; i++) {
            sizes[i] = zt_random (&state) % (i % 7 == 0 ? most : 100);
            zt_put32 (plain + size, (uint32_t) sizes[i]);
            zt_fill (plain + size + 4, sizes[i], i);
            size += 4 + sizes[i];
        }
        for (size_t at = 0; at < size;)
            at += random_frame (out, &out_size, plain + at, size - at, &inside,
                                &state);
        for (size_t at = 0; at < out_size;) {
            size_t part = 1 + zt_random (&state) % 2000;
            if (part > out_size - at)
                part = out_size - at;
            zt_write (w.fd, out + at, part);
            at += part;
        }
        size = 0;
        for (int i = 0; i < count; i++) {
            zt_fast_expect (w.s, w.peer, plain + size + 4, sizes[i]);
            size += 4 + sizes[i];
        }
    }
    free (out);
    free (plain);
    end (&w);
}

/* ------------------------------------------------------------------ writing */

/* Whatever the messages' sizes, every frame that comes is a binary message
 * without a mask, with whole messages inside, in the shortest encoding. */
static void whole_messages_are_written (void)
{
    enum
    {
        count = 3000,
        most = 1000
    };
    uint8_t body[most];
    uint32_t state = 99, i = 0;
    zws_t w = zws_open (NO_LIMIT);
    for (i = 0; i < count; i++) {
        zt_put32 (body, i);
        zt_fast_send (w.s, w.peer, body, 4 + zt_random (&state) % (most - 4));
    }
    for (i = 0; i < count;) {
        zws_frame_t frame = zws_read (w.fd);
        CHECK_EQ (frame.first, ZWS_FIN | ZWS_BINARY);
        CHECK_EQ (frame.masked, false);
        CHECK_EQ (frame.header, frame.size < 126      ? 2
                                : frame.size <= 65535 ? 4
                                                      : 10);
        size_t at = 0;
        while (at < frame.size) {
            CHECK (at + 8 <= frame.size);
            CHECK_EQ (zt_get32 (frame.payload + at + 4), i);
            at += 4 + zt_get32 (frame.payload + at);
            i++;
        }
        CHECK_EQ (at, frame.size);
        free (frame.payload);
    }
    end (&w);
}

/* At RCVHWM the connection is not read on, and nothing is lost. */
static void high_water_mark (void)
{
    enum
    {
        count = 2000,
        size = 100
    };
    uint8_t body[size];
    zws_t w = zws_open (NO_LIMIT);
    zt_set_int (w.s, ZLINK_RCVHWM, 10);
    int port = zt_bind_to (w.s, "ws://127.0.0.1:*");
    int fd = zws_client (port, "/");
    uint32_t peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, size, i);
        zws_write_msg (fd, body, size);
    }
    for (uint32_t i = 0; i < count; i++) {
        zt_fill (body, size, i);
        zt_fast_expect (w.s, peer, body, size);
    }
    close (fd);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), peer);
    end (&w);
}

static const zt_case_t cases[] = {
  ZT_CASE (split_at_every_place),
  ZT_CASE (one_byte_frames_between_pings),
  ZT_CASE (messages_inside_an_endless_one),
  ZT_CASE (bytes_one_by_one),
  ZT_CASE (every_encoding_of_the_length),
  ZT_CASE (masks_of_all_kinds),
  ZT_CASE (many_messages_in_one_frame),
  ZT_CASE (one_message_over_many_frames),
  ZT_CASE (pings_of_every_size),
  ZT_CASE (many_pings_at_once),
  ZT_CASE (end_behind_a_control_frame),
  ZT_CASE (random_streams),
  ZT_CASE (whole_messages_are_written),
  ZT_CASE (high_water_mark),
};

ZT_MAIN (cases)

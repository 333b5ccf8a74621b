/* SPDX-License-Identifier: MPL-2.0 */
/* WebSocket frames that a server must not take, and the closing handshake. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>

#define NO_LIMIT (-1)

/* ------------------------------------------------------------- wrong frames */

/* What a client writes, and the close code that answers it. */
typedef struct wrong_t
{
    const char *name;
    const char *bytes;
    size_t size;
    int code;
} wrong_t;

#define WRONG(name, bytes, code) {name, bytes, sizeof (bytes) - 1, code}
#define ZERO_MASK "\0\0\0\0"
#define LENGTH_5 "\0\0\0\5"

static void expect_refused (const wrong_t *wrong)
{
    zws_t w = zws_open (NO_LIMIT);
    printf ("%s\n", wrong->name);
    /* A message in front of it is delivered. */
    zws_write_msg (w.fd, "before", 6);
    zt_write (w.fd, wrong->bytes, wrong->size);
    zt_fast_expect (w.s, w.peer, "before", 6);
    zws_expect_refused (&w, wrong->code);
    zws_end (&w);
}

static void expect_all_refused (const wrong_t *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_refused (&table[i]);
}

#define EXPECT_ALL_REFUSED(table)                                \
    expect_all_refused (table, sizeof (table) / sizeof *(table))

static void reserved_bits (void)
{
    static const wrong_t table[] = {
      WRONG ("RSV1 of data", "\xC2\x81" ZERO_MASK "x", 1002),
      WRONG ("RSV2 of data", "\xA2\x81" ZERO_MASK "x", 1002),
      WRONG ("RSV3 of data", "\x92\x81" ZERO_MASK "x", 1002),
      WRONG ("RSV1 of a ping", "\xC9\x80" ZERO_MASK, 1002),
      WRONG ("all bits of a close", "\xF8\x80" ZERO_MASK, 1002),
      WRONG ("RSV1 of a continuation",
             "\x02\x81" ZERO_MASK "x"
             "\xC0\x81" ZERO_MASK "x",
             1002),
    };
    EXPECT_ALL_REFUSED (table);
}

static void reserved_opcodes (void)
{
    static const uint8_t opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < sizeof opcodes; i++) {
        char bytes[] = "?\x81" ZERO_MASK "x", name[32];
        bytes[0] = (char) (ZWS_FIN | opcodes[i]);
        snprintf (name, sizeof name, "opcode %d", opcodes[i]);
        wrong_t wrong = WRONG (name, bytes, 1002);
        expect_refused (&wrong);
    }
}

static void unmasked_frames (void)
{
    static const wrong_t table[] = {
      WRONG ("data", "\x82\x05" LENGTH_5 "x", 1002),
      WRONG ("empty data", "\x82\0", 1002),
      WRONG ("a ping", "\x89\0", 1002),
      WRONG ("a close", "\x88\x02\x03\xE8", 1002),
      WRONG ("a continuation", "\x02\x81" ZERO_MASK "x\x80\x01x", 1002),
    };
    EXPECT_ALL_REFUSED (table);
}

static void wrong_control_frames (void)
{
    static const wrong_t table[] = {
      WRONG ("a fragmented ping", "\x09\x81" ZERO_MASK "x", 1002),
      WRONG ("a fragmented pong", "\x0A\x81" ZERO_MASK "x", 1002),
      WRONG ("a fragmented close", "\x08\x82" ZERO_MASK "\x03\xE8", 1002),
      WRONG ("a ping of 126 bytes", "\x89\xFE\0\x7E" ZERO_MASK, 1002),
      WRONG ("a pong of 126 bytes", "\x8A\xFE\0\x7E" ZERO_MASK, 1002),
      WRONG ("a close of 126 bytes", "\x88\xFE\0\x7E" ZERO_MASK, 1002),
      WRONG ("a ping of 64 bits", "\x89\xFF\0\0\0\0\0\0\0\1" ZERO_MASK "x",
             1002),
      WRONG ("a close of 1 byte", "\x88\x81" ZERO_MASK "\x03", 1002),
    };
    EXPECT_ALL_REFUSED (table);
}

static void wrong_fragmentation (void)
{
    static const wrong_t table[] = {
      WRONG ("a continuation of nothing", "\x80\x81" ZERO_MASK "x", 1002),
      WRONG ("an unfinished continuation of nothing", "\x00\x81" ZERO_MASK "x",
             1002),
      WRONG ("a continuation behind a whole message",
             "\x82\x84" ZERO_MASK "\0\0\1\0"
             "\x80\x81" ZERO_MASK "x",
             1002),
      WRONG ("a message inside a message",
             "\x02\x84" ZERO_MASK "\0\0\1\0"
             "\x82\x81" ZERO_MASK "x",
             1002),
      WRONG ("a fragment inside a message",
             "\x02\x84" ZERO_MASK "\0\0\1\0"
             "\x02\x81" ZERO_MASK "x",
             1002),
    };
    EXPECT_ALL_REFUSED (table);
}

static void text_frames (void)
{
    static const wrong_t table[] = {
      WRONG ("text", "\x81\x85" ZERO_MASK "\0\0\0\1x", 1003),
      WRONG ("empty text", "\x81\x80" ZERO_MASK, 1003),
      WRONG ("fragmented text", "\x01\x81" ZERO_MASK "x", 1003),
    };
    EXPECT_ALL_REFUSED (table);
}

static void wrong_lengths (void)
{
    static const wrong_t table[] = {
      WRONG ("16 bits for 125", "\x82\xFE\0\x7D" ZERO_MASK, 1002),
      WRONG ("64 bits for 65535", "\x82\xFF\0\0\0\0\0\0\xFF\xFF" ZERO_MASK,
             1002),
      WRONG ("the highest bit", "\x82\xFF\x80\0\0\0\0\0\0\0" ZERO_MASK, 1002),
      WRONG ("4 GiB + 4", "\x82\xFF\0\0\0\1\0\0\0\4" ZERO_MASK, 1009),
      WRONG ("all bits but the highest",
             "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" ZERO_MASK, 1009),
    };
    EXPECT_ALL_REFUSED (table);
}

static uint64_t oversize (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats.oversize;
}

/* As soon as the length is read, wherever its bytes are. */
static void body_above_the_limit (void)
{
    static const uint8_t length[] = {0, 0, 0, 101};
    for (size_t at = 1; at <= sizeof length; at++) {
        zws_t w = zws_open (100);
        uint8_t body[100];
        zt_fill (body, sizeof body, 1);
        zws_write_msg (w.fd, body, sizeof body);
        zt_fast_expect (w.s, w.peer, body, sizeof body);
        zws_write (w.fd, ZWS_BINARY, length, at);
        zws_write (w.fd, ZWS_CONTINUATION, length + at, sizeof length - at);
        zws_expect_refused (&w, ZWS_TOO_BIG);
        ZT_UNTIL (oversize (w.s) == 1);
        zws_end (&w);
    }
}

/* ------------------------------------------------------------------ closing */

static void expect_code (int code, int answer, uint64_t reason)
{
    zws_t w = zws_open (NO_LIMIT);
    printf ("code %d\n", code);
    zws_write_close (w.fd, code);
    zws_expect_cut (&w, answer, reason);
    zws_end (&w);
}

static void valid_codes_are_answered_alike (void)
{
    static const int codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                1010, 1011, 3000, 3999, 4000, 4999};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        expect_code (codes[i], codes[i], ZLINK_DISCONNECT_REMOTE);
}

static void invalid_codes_are_errors (void)
{
    static const int codes[] = {0, 1, 999, 1004, 1005, 1006,
                                1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        expect_code (codes[i], 1002, ZLINK_DISCONNECT_TRANSPORT_ERROR);
}

static void close_without_a_code (void)
{
    zws_t w = zws_open (NO_LIMIT);
    zws_write (w.fd, ZWS_FIN | ZWS_CLOSE, NULL, 0);
    zws_expect_cut (&w, 0, ZLINK_DISCONNECT_REMOTE);
    zws_end (&w);
}

/* A reason of the longest size, and one that is not UTF-8. */
static void close_with_a_reason (void)
{
    uint8_t payload[125];
    zws_t w = zws_open (NO_LIMIT);
    memset (payload, 'r', sizeof payload);
    memcpy (payload, "\x03\xE8", 2);
    zws_write (w.fd, ZWS_FIN | ZWS_CLOSE, payload, sizeof payload);
    zws_expect_cut (&w, ZWS_NORMAL, ZLINK_DISCONNECT_REMOTE);
    zws_end (&w);
    static const wrong_t table[] = {
      WRONG ("half a character", "\x88\x83" ZERO_MASK "\x03\xE8\xC3", 1007),
    };
    EXPECT_ALL_REFUSED (table);
}

/* What came in front of a close is delivered; what follows it is not, nor are
 * pings answered. */
static void data_around_a_close (void)
{
    zws_t w = zws_open (NO_LIMIT);
    uint8_t bytes[128];
    static const uint8_t mask[4] = {9, 8, 7, 6};
    size_t size = zws_put (bytes, ZWS_FIN | ZWS_BINARY, mask, "\0\0\0\2in", 6);
    size += zws_put (bytes + size, ZWS_FIN | ZWS_CLOSE, mask, "\x03\xE8", 2);
    size += zws_put (bytes + size, ZWS_FIN | ZWS_PING, mask, "ping", 4);
    size +=
      zws_put (bytes + size, ZWS_FIN | ZWS_BINARY, mask, "\0\0\0\3out", 7);
    zt_write (w.fd, bytes, size);
    zt_fast_expect (w.s, w.peer, "in", 2);
    zws_expect_cut (&w, ZWS_NORMAL, ZLINK_DISCONNECT_REMOTE);
    zt_fast_silence (w.s, 50);
    zws_end (&w);
}

/* Inside a fragmented message: what was whole is delivered. */
static void close_inside_a_message (void)
{
    zws_t w = zws_open (NO_LIMIT);
    zws_write (w.fd, ZWS_BINARY, "\0\0\0\5whole\0\0\0\5par", 16);
    zws_write_close (w.fd, 1001);
    zt_fast_expect (w.s, w.peer, "whole", 5);
    zws_expect_cut (&w, 1001, ZLINK_DISCONNECT_REMOTE);
    zws_end (&w);
}

/* A client that goes without a close frame. */
static void end_without_a_close (void)
{
    zws_t w = zws_open (NO_LIMIT);
    zws_write_msg (w.fd, "last words", 10);
    zws_write (w.fd, ZWS_FIN | ZWS_BINARY, "\0\0", 2);
    close (w.fd);
    zt_fast_expect (w.s, w.peer, "last words", 10);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), w.peer);
    CHECK_EQ (zt_event (w.monitor, ZLINK_EVENT_DISCONNECTED).value,
              ZLINK_DISCONNECT_REMOTE);
    zws_end (&w);
}

/* The server closes: what is queued, a close frame, the client's answer. */
static void server_closes_a_peer (void)
{
    zws_t w = zws_open (NO_LIMIT);
    zt_fast_send (w.s, w.peer, "bye", 3);
    CHECK_OK (zlink_stream_close_peer (w.s, w.peer));
    zws_expect_msg (w.fd, "bye", 3);
    zws_frame_t frame = zws_read (w.fd);
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_CLOSE);
    CHECK_EQ (frame.size, 2);
    CHECK_MEM (frame.payload, "\x03\xE8", 2);
    free (frame.payload);
    zws_write_close (w.fd, ZWS_NORMAL);
    zt_expect_eof (w.fd);
    close (w.fd);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), w.peer);
    zt_event_value (w.monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_LOCAL);
    zws_end (&w);
}

/* A client that does not answer the close frame is not waited for without
 * end. */
static void silent_client_is_left (void)
{
    zws_t w = zws_open (NO_LIMIT);
    CHECK_OK (zlink_stream_close_peer (w.s, w.peer));
    zws_expect_close (w.fd, ZWS_NORMAL);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), w.peer);
    zt_event_value (w.monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_LOCAL);
    close (w.fd);
    zws_end (&w);
}

static void server_closes_its_socket (void)
{
    zws_t w = zws_open (NO_LIMIT);
    zt_fast_send (w.s, w.peer, "bye", 3);
    zt_close (w.s);
    zws_expect_msg (w.fd, "bye", 3);
    zws_frame_t frame = zws_read (w.fd);
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_CLOSE);
    CHECK_EQ (frame.size, 2);
    CHECK_EQ (frame.payload[0] << 8 | frame.payload[1], ZWS_GOING_AWAY);
    free (frame.payload);
    zws_write_close (w.fd, ZWS_GOING_AWAY);
    zt_expect_eof (w.fd);
    close (w.fd);
    close (w.other);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (reserved_bits),
  ZT_CASE (reserved_opcodes),
  ZT_CASE (unmasked_frames),
  ZT_CASE (wrong_control_frames),
  ZT_CASE (wrong_fragmentation),
  ZT_CASE (text_frames),
  ZT_CASE (wrong_lengths),
  ZT_CASE (body_above_the_limit),
  ZT_CASE (valid_codes_are_answered_alike),
  ZT_CASE (invalid_codes_are_errors),
  ZT_CASE (close_without_a_code),
  ZT_CASE (close_with_a_reason),
  ZT_CASE (data_around_a_close),
  ZT_CASE (close_inside_a_message),
  ZT_CASE (end_without_a_close),
  ZT_CASE (server_closes_a_peer),
  ZT_CASE (silent_client_is_left),
  ZT_CASE (server_closes_its_socket),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* What the two sides of a WebSocket connection say at its end. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>

#define NO_LIMIT (-1)

/* The next message is the disconnect event of the peer, which said this; NULL: there
 * is no reason to ask for. */
static void
expect_farewell (void *s, uint32_t peer, int code, const char *reason)
{
    zlink_msg_t msg, copy;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_EQ (zlink_msg_get (&copy, ZLINK_STREAM_EVENT),
              ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (zlink_msg_routing_id (&copy), peer);
    CHECK_EQ (zlink_msg_size (&copy), 0);
    CHECK_EQ (zlink_msg_get (&copy, ZLINK_STREAM_CLOSE_CODE), code);
    const char *found = zlink_msg_gets (&copy, "Close-Reason");
    CHECK ((found == NULL) == (reason == NULL));
    if (reason)
        CHECK_STR (found, reason);
    CHECK_STR (zlink_msg_gets (&copy, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_close (&copy));
}

/* The client reads a Close frame with this code and reason. */
static void expect_close (int fd, int code, const char *reason)
{
    zws_frame_t frame = zws_read (fd);
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_CLOSE);
    CHECK_EQ (frame.size, 2 + strlen (reason));
    CHECK_EQ (frame.payload[0] << 8 | frame.payload[1], code);
    CHECK_MEM (frame.payload + 2, reason, strlen (reason));
    free (frame.payload);
}

/* A Close frame of the client. */
static void write_close (int fd, int code, const char *reason)
{
    uint8_t bytes[128] = {(uint8_t) (code >> 8), (uint8_t) code};
    memcpy (bytes + 2, reason, strlen (reason));
    zws_write (fd, ZWS_FIN | ZWS_CLOSE, bytes, 2 + strlen (reason));
}

/* ---------------------------------------------------------------- the peer's */

static void what_the_peer_says (void)
{
    char longest[124];
    memset (longest, 'r', 123);
    longest[123] = '\0';
    const char *const reasons[] = {"", "tired", "m\xC3\xBC"
                                                "de",
                                   longest};
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        write_close (w.fd, 4000 + (int) i, reasons[i]);
        zws_expect_close (w.fd, 4000 + (int) i);
        close (w.fd);
        expect_farewell (w.s, w.peer, 4000 + (int) i, reasons[i]);
        w.fd = zws_client (w.port, "/");
        w.peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    }
    zws_write (w.fd, ZWS_FIN | ZWS_CLOSE, "", 0);
    zws_expect_close (w.fd, 0);
    close (w.fd);
    expect_farewell (w.s, w.peer, 1005, "");

    w.fd = zws_client (w.port, "/");
    w.peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    close (w.fd);
    expect_farewell (w.s, w.peer, 1006, "");
    zws_end (&w);
}

/* Many reasons wait, are received in batches, or never. */
static void reasons_that_wait (void)
{
    enum
    {
        count = 50
    };
    zws_t w = zws_open (NO_LIMIT);
    zlink_msg_t msgs[count];
    zt_fast_init_all (msgs, count);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < count; i++) {
            char reason[40];
            snprintf (reason, sizeof reason, "round %d, %d", round, i);
            int fd = zws_client (w.port, "/");
            write_close (fd, 4000 + i, reason);
            zws_expect_close (fd, 4000 + i);
            close (fd);
        }
        for (int ended = 0, got; round == 0 && ended < count;) {
            CHECK ((got = zlink_stream_recv_batch (w.s, msgs, count, 0)) > 0);
            for (int i = 0; i < got; i++) {
                if (zlink_msg_get (&msgs[i], ZLINK_STREAM_EVENT)
                    != ZLINK_STREAM_DISCONNECTED) {
                    CHECK_EQ (zlink_msg_get (&msgs[i], ZLINK_STREAM_CLOSE_CODE), 0);
                    CHECK (zlink_msg_gets (&msgs[i], "Close-Reason") == NULL);
                    continue;
                }
                char reason[40];
                snprintf (reason, sizeof reason, "round 0, %d",
                          zlink_msg_get (&msgs[i], ZLINK_STREAM_CLOSE_CODE) - 4000);
                CHECK_STR (zlink_msg_gets (&msgs[i], "Close-Reason"), reason);
                ended++;
            }
        }
    }
    zt_fast_close_all (msgs, count);
    close (w.fd);
    close (w.other);
    zt_close (w.s);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

/* On tcp nobody says anything. */
static void nothing_over_tcp (void)
{
    zt_fast_t f = zt_fast_open ();
    close (f.fd);
    expect_farewell (f.s, f.peer, 0, NULL);
    f.fd = zt_client (f.port);
    f.peer = zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    CHECK_OK (zlink_stream_close_peer_with (f.s, f.peer, 4000, "bye"));
    zt_expect_eof (f.fd);
    close (f.fd);
    expect_farewell (f.s, f.peer, 0, NULL);
    zt_fast_close (&f);
}

/* ------------------------------------------------------------------- its own */

static void what_the_application_says (void)
{
    static const int codes[] = {1000, 1001, 1003, 1008, 1014, 3000, 4001, 4999};
    char longest[124];
    memset (longest, 'r', 123);
    longest[123] = '\0';
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const char *reason = i % 3 == 0 ? NULL : i % 3 == 1 ? "no login"
                                                            : longest;
        zt_fast_send (w.s, w.peer, "bye", 3);
        CHECK_OK (zlink_stream_close_peer_with (w.s, w.peer, codes[i], reason));
        CHECK_FAIL (zlink_stream_close_peer_with (w.s, w.peer, 4000, NULL),
                    EHOSTUNREACH);
        zws_expect_msg (w.fd, "bye", 3);
        expect_close (w.fd, codes[i], reason ? reason : "");
        write_close (w.fd, 4444, "all right");
        zt_expect_eof (w.fd);
        close (w.fd);
        expect_farewell (w.s, w.peer, 4444, "all right");
        w.fd = zws_client (w.port, "/");
        w.peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    }
    zws_end (&w);
}

static void arguments (void)
{
    static const int codes[] = {-1, 0, 999, 1004, 1005, 1006, 1015,
                                1016, 2999, 5000, 65536 + 1000};
    char too_long[125];
    memset (too_long, 'r', 124);
    too_long[124] = '\0';
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK_FAIL (zlink_stream_close_peer_with (w.s, w.peer, codes[i], NULL),
                    EINVAL);
    CHECK_FAIL (zlink_stream_close_peer_with (w.s, w.peer, 1000, too_long), EINVAL);
    CHECK_FAIL (zlink_stream_close_peer_with (w.s, w.peer, 1000, "\xFF"), EINVAL);
    CHECK_FAIL (zlink_stream_close_peer_with (w.s, 0, 1000, NULL), EINVAL);
    CHECK_FAIL (zlink_stream_close_peer_with (w.s, w.peer + 9, 1000, NULL),
                EHOSTUNREACH);
    CHECK_FAIL (zlink_stream_close_peer_with (NULL, w.peer, 1000, NULL), ENOTSOCK);
    close (w.fd);
    expect_farewell (w.s, w.peer, 1006, "");
    zws_end (&w);
}

/* close_peer says 1000, also when the socket is closed behind it. */
static void one_peer_and_all (void)
{
    zws_t w = zws_open (NO_LIMIT);
    CHECK_OK (zlink_stream_close_peer (w.s, w.peer));
    zt_close (w.s);
    expect_close (w.fd, ZWS_NORMAL, "");
    expect_close (w.other, ZWS_GOING_AWAY, "");
    close (w.fd);
    close (w.other);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

/* A context that ends. */
static void the_context_ends (void)
{
    zws_t w = zws_open (NO_LIMIT);
    CHECK_OK (zlink_ctx_shutdown (w.ctx));
    zt_close (w.s);
    expect_close (w.fd, ZWS_GOING_AWAY, "");
    expect_close (w.other, ZWS_GOING_AWAY, "");
    close (w.fd);
    close (w.other);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

/* zlink on both sides: each learns what the other said. */
static void between_two_sockets (void)
{
    char endpoint[64];
    void *ctx = zt_ctx (), *server = zt_fast_socket (ctx),
         *client = zt_fast_socket (ctx);
    snprintf (endpoint, sizeof endpoint, "ws://127.0.0.1:%d",
              zt_bind_to (server, "ws://127.0.0.1:*"));
    CHECK_OK (zlink_connect (client, endpoint));
    uint32_t at_server = zt_fast_event (server, ZLINK_STREAM_CONNECTED);
    uint32_t at_client = zt_fast_event (client, ZLINK_STREAM_CONNECTED);
    CHECK_OK (zlink_stream_close_peer_with (client, at_client, 4002, "enough"));
    expect_farewell (server, at_server, 4002, "enough");
    expect_farewell (client, at_client, 4002, "");
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

/* ------------------------------------------------- without the four bytes */

static void text_without_a_length (void)
{
    static const char *const texts[] = {
      "hello", "{\"type\":\"login\"}", "{\n  \"a\": 1\n}\r\n", "h\xC3\xA4llo"};
    zws_t w = zws_open (1 << 20);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        zws_write (w.fd, ZWS_FIN | ZWS_BINARY, texts[i], strlen (texts[i]));
        expect_close (w.fd, 1007,
                      "text without the 4 bytes of zlink's length, big endian, "
                      "in front of each body");
        write_close (w.fd, 1007, "");
        zt_expect_eof (w.fd);
        close (w.fd);
        expect_farewell (w.s, w.peer, 1006, "");
        w.fd = zws_client (w.port, "/");
        w.peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    }
    /* Not in the first message: it is a length. */
    zws_write_msg (w.fd, "first", 5);
    zt_fast_expect (w.s, w.peer, "first", 5);
    zws_write (w.fd, ZWS_FIN | ZWS_BINARY, "hello", 5);
    zws_expect_told (w.fd, ZWS_TOO_BIG);
    close (w.fd);
    expect_farewell (w.s, w.peer, 1006, "");
    zws_end (&w);
}

static const zt_case_t cases[] = {
  ZT_CASE (what_the_peer_says),
  ZT_CASE (reasons_that_wait),
  ZT_CASE (nothing_over_tcp),
  ZT_CASE (what_the_application_says),
  ZT_CASE (arguments),
  ZT_CASE (one_peer_and_all),
  ZT_CASE (the_context_ends),
  ZT_CASE (between_two_sockets),
  ZT_CASE (text_without_a_length),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* ZLINK_STREAM_FRAMING: messages of WebSocket, text and bytes, and raw bytes. */
#include "ztest.h"
#include "zfast.h"
#include "zws.h"

#define LONG_SIZE 100000

static void *framed_socket (void *ctx, int mode, int framing)
{
    void *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_STREAM_MODE, mode);
    zt_set_int (s, ZLINK_STREAM_FRAMING, framing);
    return s;
}

/* The next message is this, text or not. The caller has to end it. */
static zlink_msg_t expect_kind (void *s, int text, const void *body, size_t size)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zt_fast_recv (s, &msg, ZLINK_STREAM_DATA), size);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_TEXT), text);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DATA);
    CHECK_MEM (zlink_msg_data (&msg), body, size);
    return msg;
}

/* What came is sent on as it came, short or long. */
static void text_and_bytes (void)
{
    static uint8_t body[LONG_SIZE];
    const size_t sizes[] = {0, 5, 39, 40, 126, 5000, 40000, LONG_SIZE};
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_FAST, ZLINK_STREAM_FRAMING_MESSAGES);
    int fd = zws_client (zt_bind_to (s, "ws://127.0.0.1:*/"), "/");
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    memset (body, 'x', sizeof body);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int text = 0; text <= 1; text++) {
            const uint8_t first = ZWS_FIN | (text ? ZWS_TEXT : ZWS_BINARY);
            zws_write (fd, first, body, sizes[i]);
            zlink_msg_t msg = expect_kind (s, text, body, sizes[i]), copy;
            CHECK_OK (zlink_msg_init (&copy));
            CHECK_OK (zlink_msg_copy (&copy, &msg));
            CHECK_EQ (zlink_msg_get (&copy, ZLINK_STREAM_TEXT), text);
            CHECK_EQ (zlink_msg_send (&msg, s, 0), sizes[i]);
            zws_expect (fd, first, body, sizes[i]);
            CHECK_EQ (zlink_stream_send_batch (s, &copy, 1, 0), 1);
            zws_expect (fd, first, body, sizes[i]);
        }
    zws_write (fd, ZWS_TEXT, "a", 1); /* in fragments */
    zws_write (fd, ZWS_CONTINUATION, "\xC3", 1);
    zws_write (fd, ZWS_FIN | ZWS_CONTINUATION, "\xA4", 1);
    zlink_msg_t msg = expect_kind (s, 1, "a\xC3\xA4", 3);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 0));
    CHECK_EQ (zlink_stream_multicast (s, &peer, 1, &msg, 0, NULL), 1);
    zws_expect (fd, ZWS_FIN | ZWS_BINARY, "a\xC3\xA4", 3);
    zt_fast_init (&msg, peer, "many", 4);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 1));
    CHECK_EQ (zlink_stream_multicast (s, &peer, 1, &msg, 0, NULL), 1);
    zws_expect (fd, ZWS_FIN | ZWS_TEXT, "many", 4);
    close (fd);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_close (s);
    zt_term (ctx);
}

/* A batch has both kinds, and is sent on in order. */
static void batches (void)
{
    enum
    {
        count = 50
    };
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_FAST, ZLINK_STREAM_FRAMING_MESSAGES);
    int fd = zws_client (zt_bind_to (s, "ws://127.0.0.1:*/"), "/");
    (void) zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zlink_msg_t msgs[count];
    for (int i = 0; i < count; i++) {
        CHECK_OK (zlink_msg_init (&msgs[i]));
        zws_write (fd, ZWS_FIN | (i % 3 ? ZWS_TEXT : ZWS_BINARY), "0123456789", (size_t) i % 11);
    }
    for (int got = 0; got < count;) {
        int more = zlink_stream_recv_batch (s, msgs + got, (size_t) (count - got), 0);
        CHECK (more > 0);
        got += more;
    }
    CHECK_EQ (zlink_stream_send_batch (s, msgs, count, 0), count);
    for (int i = 0; i < count; i++)
        zws_expect (fd, ZWS_FIN | (i % 3 ? ZWS_TEXT : ZWS_BINARY), "0123456789", (size_t) i % 11);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

/* In the mode COMPAT the body tells; zlink_send sends bytes. */
static void text_in_frames (void)
{
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_COMPAT, ZLINK_STREAM_FRAMING_MESSAGES);
    int fd = zws_client (zt_bind_to (s, "ws://127.0.0.1:*/"), "/");
    zlink_routing_id_t id;
    zlink_msg_t frame, body;
    zt_expect_connect (s, &id);
    zws_write (fd, ZWS_FIN | ZWS_TEXT, "text", 4);
    CHECK_OK (zlink_msg_init (&frame));
    CHECK_OK (zlink_msg_init (&body));
    CHECK_EQ (zlink_msg_recv (&frame, s, 0), id.size);
    CHECK_EQ (zlink_msg_get (&frame, ZLINK_STREAM_TEXT), 0);
    CHECK_EQ (zlink_msg_recv (&body, s, 0), 4);
    CHECK_EQ (zlink_msg_get (&body, ZLINK_STREAM_TEXT), 1);
    CHECK_EQ (zlink_msg_send (&frame, s, ZLINK_SNDMORE), id.size);
    CHECK_EQ (zlink_msg_send (&body, s, 0), 4);
    zws_expect (fd, ZWS_FIN | ZWS_TEXT, "text", 4);
    zt_send (s, &id, "bytes", 5);
    zws_expect (fd, ZWS_FIN | ZWS_BINARY, "bytes", 5);
    close (fd);
    zt_expect_disconnect (s, &id);
    zt_close (s);
    zt_term (ctx);
}

/* One client breaks a rule, gets its code, and nothing of what it broke the rule with. */
static void expect_code (uint8_t first, const char *payload, size_t size, int code)
{
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_FAST, ZLINK_STREAM_FRAMING_MESSAGES);
    int64_t most = 10;
    CHECK_OK (zlink_setsockopt (s, ZLINK_MAXMSGSIZE, &most, sizeof most));
    int fd = zws_client (zt_bind_to (s, "ws://127.0.0.1:*/"), "/");
    (void) zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zws_write (fd, ZWS_FIN | ZWS_TEXT, "good", 4);
    zlink_msg_t msg = expect_kind (s, 1, "good", 4);
    CHECK_OK (zlink_msg_close (&msg));
    zws_write (fd, first, payload, size);
    zws_expect_told (fd, code);
    (void) zt_fast_event (s, ZLINK_STREAM_DISCONNECTED);
    zt_close (s);
    zt_term (ctx);
}

static void refused (void)
{
    expect_code (ZWS_FIN | ZWS_TEXT, "\xFF", 1, 1007);
    expect_code (ZWS_FIN | ZWS_TEXT, "\xE2\x82", 2, 1007);
    expect_code (ZWS_TEXT, "\xC0\xAF", 2, 1007);
    expect_code (ZWS_FIN | ZWS_TEXT, "12345678901", 11, ZWS_TOO_BIG);
    expect_code (ZWS_BINARY, "12345678901", 11, ZWS_TOO_BIG);
    expect_code (ZWS_FIN | ZWS_CONTINUATION, "x", 1, ZWS_PROTOCOL_ERROR);
    expect_code (ZWS_FIN | ZWS_RSV1 | ZWS_PING, "x", 1, ZWS_PROTOCOL_ERROR);
}

/* The example of RFC 7692, 7.2.3.1, and what is sent to a client that offers compression. */
static void compressed (void)
{
    static const char hello[] = "\xF2\x48\xCD\xC9\xC9\x07\x00";
    static const char request[] =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " ZWS_KEY "\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    char header[ZWS_HEADER_CAP], body[1000];
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_FAST, ZLINK_STREAM_FRAMING_MESSAGES);
    zt_set_int (s, ZLINK_STREAM_WS_DEFLATE, 1);
    CHECK_FAIL (zlink_bind (s, "ws://127.0.0.1:*/"), EINVAL);
    CHECK (strstr (zlink_error_detail (), "MAXMSGSIZE") != NULL);
    int64_t most = sizeof body;
    CHECK_OK (zlink_setsockopt (s, ZLINK_MAXMSGSIZE, &most, sizeof most));
    int fd = zt_client (zt_bind_to (s, "ws://127.0.0.1:*/"));
    zt_write (fd, request, sizeof request - 1);
    zws_read_header (fd, header);
    CHECK (strstr (header, "Sec-WebSocket-Extensions: permessage-deflate;") != NULL);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zws_write (fd, ZWS_FIN | ZWS_RSV1 | ZWS_TEXT, hello, sizeof hello - 1);
    zlink_msg_t msg = expect_kind (s, 1, "Hello", 5);
    CHECK_EQ (zlink_msg_send (&msg, s, 0), 5);
    zws_expect (fd, ZWS_FIN | ZWS_TEXT, "Hello", 5); /* too short to gain anything */
    memset (body, 'x', sizeof body);
    zt_fast_send (s, peer, body, sizeof body);
    zws_frame_t f = zws_read (fd);
    CHECK_EQ (f.first, ZWS_FIN | ZWS_RSV1 | ZWS_BINARY);
    CHECK (f.size < sizeof body / 10);
    zws_write (fd, ZWS_FIN | ZWS_RSV1 | ZWS_BINARY, f.payload, f.size);
    free (f.payload);
    zt_fast_expect (s, peer, body, sizeof body);
    zws_write (fd, ZWS_FIN | ZWS_RSV1 | ZWS_PING, "x", 1);
    zws_expect_told (fd, ZWS_PROTOCOL_ERROR);
    CHECK_EQ (zt_fast_event (s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_close (s);
    zt_term (ctx);
}

/* Bytes pass as they are. */
static void raw_bytes (void)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n", answer[] = "HTTP/1.0 200 OK\r\n\r\n";
    static uint8_t body[LONG_SIZE], got[LONG_SIZE];
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_FAST, ZLINK_STREAM_FRAMING_RAW);
    int fd = zt_client (zt_bind (s));
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_write (fd, request, sizeof request - 1);
    zt_fast_expect (s, peer, request, sizeof request - 1);
    zt_fast_send (s, peer, answer, sizeof answer - 1);
    zt_fast_send (s, peer, "", 0);
    zt_fill (body, sizeof body, 7);
    zt_fast_send (s, peer, body, sizeof body);
    zt_read (fd, got, sizeof answer - 1);
    CHECK_MEM (got, answer, sizeof answer - 1);
    zt_read (fd, got, sizeof got);
    CHECK_MEM (got, body, sizeof body);
    CHECK_OK (zlink_stream_close_peer (s, peer));
    CHECK_EQ (read (fd, got, 1), 0);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

static void options (void)
{
    void *ctx = zt_ctx ();
    void *s = framed_socket (ctx, ZLINK_STREAM_MODE_FAST, ZLINK_STREAM_FRAMING_MESSAGES);
    CHECK_FAIL (zlink_bind (s, "tcp://127.0.0.1:*"), ENOCOMPATPROTO);
    CHECK (strstr (zlink_error_detail (), "STREAM_FRAMING 1") != NULL);
    CHECK_FAIL (zlink_connect (s, "ipc://@nobody"), ENOCOMPATPROTO);
    zt_set_int (s, ZLINK_STREAM_FRAMING, ZLINK_STREAM_FRAMING_RAW);
    CHECK_FAIL (zlink_bind (s, "ws://127.0.0.1:*"), ENOCOMPATPROTO);
    (void) zt_bind (s);
    const int length = ZLINK_STREAM_FRAMING_LENGTH;
    CHECK_FAIL (zlink_setsockopt (s, ZLINK_STREAM_FRAMING, &length, sizeof length), EINVAL);
    CHECK_EQ (zt_get_int (s, ZLINK_STREAM_FRAMING), ZLINK_STREAM_FRAMING_RAW);
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_FAIL (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 2), EINVAL);
    CHECK (strstr (zlink_error_detail (), "0 or 1"));
    CHECK_FAIL (zlink_msg_get (&msg, 12345), EINVAL);
    CHECK (strstr (zlink_error_detail (), "no property"));
    CHECK_FAIL (zlink_msg_set (&msg, ZLINK_STREAM_EVENT, 1), EINVAL);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 1));
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_TEXT), 1);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 0));
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_TEXT), 0);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (s);
    zt_term (ctx);
}

/* Where there is no text, the property changes nothing. */
static void text_without_websocket (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;
    zt_fast_init (&msg, f.peer, "text", 4);
    CHECK_OK (zlink_msg_set (&msg, ZLINK_STREAM_TEXT, 1));
    CHECK_EQ (zlink_msg_send (&msg, f.s, 0), 4);
    uint8_t got[8];
    zt_read (f.fd, got, sizeof got);
    CHECK_MEM (got, "\0\0\0\4text", sizeof got);
    close (f.fd);
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    zt_close (f.s);
    zt_term (f.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (text_and_bytes),
  ZT_CASE (batches),
  ZT_CASE (text_in_frames),
  ZT_CASE (refused),
  ZT_CASE (compressed),
  ZT_CASE (raw_bytes),
  ZT_CASE (options),
  ZT_CASE (text_without_websocket),
};

ZT_MAIN (cases)

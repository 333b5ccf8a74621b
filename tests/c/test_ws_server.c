/* SPDX-License-Identifier: MPL-2.0 */
/* The WebSocket handshake as a server has to take it, or not. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>
#include <sys/socket.h>

#define NO_LIMIT (-1)

#define START "GET / HTTP/1.1\r\n"
#define HOST "Host: 127.0.0.1\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: " ZWS_KEY "\r\n"

/* ----------------------------------------------------------------- accepted */

/* The header leads to a connection that carries messages. */
static void expect_accepted (zws_t *w, const char *request)
{
    char header[ZWS_HEADER_CAP];
    int fd = zt_client (w->port);
    zt_write (fd, request, strlen (request));
    zws_read_header (fd, header);
    CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
    CHECK_STR (zws_field (header, "Sec-WebSocket-Accept"), ZWS_ACCEPT);
    uint32_t peer = zt_fast_event (w->s, ZLINK_STREAM_CONNECTED);
    zt_event_shaken (w->monitor, ZLINK_EVENT_ACCEPTED);
    zws_write_msg (fd, "hello", 5);
    zt_fast_expect (w->s, peer, "hello", 5);
    zws_write_close (fd, ZWS_NORMAL);
    zws_expect_close (fd, ZWS_NORMAL);
    close (fd);
    CHECK_EQ (zt_fast_event (w->s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_REMOTE);
}

static void close_all (zws_t *w)
{
    close (w->fd);
    CHECK_EQ (zt_fast_event (w->s, ZLINK_STREAM_DISCONNECTED), w->peer);
    zt_fast_silence (w->s, 0);
    zws_end (w);
}

static void requests_of_many_kinds (void)
{
    static const char *const requests[] = {
      START HOST CONNECTION UPGRADE VERSION KEY "\r\n",
      START KEY VERSION UPGRADE CONNECTION HOST "\r\n",
      START "host: 127.0.0.1\r\nCONNECTION: upgrade\r\nupgrade: WebSocket\r\n"
            "sec-websocket-version: 13\r\nSEC-WEBSOCKET-KEY: " ZWS_KEY "\r\n"
            "\r\n",
      START HOST "Connection: keep-alive, Upgrade\r\n" UPGRADE VERSION KEY
                 "\r\n",
      START HOST "Connection:\t close , UPGRADE\r\n" UPGRADE VERSION KEY
                 "\r\n",
      START HOST CONNECTION UPGRADE VERSION KEY
      "Cookie: a=b; c=d\r\nUser-Agent: none: (of it)\r\nX-Empty:\r\n\r\n",
      START HOST CONNECTION UPGRADE VERSION KEY
      "Sec-WebSocket-Protocol: chat, superchat\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
      START HOST "Connection: keep-alive\r\nConnection: upgrade\r\n"
                 "Upgrade: h2c\r\n" UPGRADE VERSION KEY "\r\n",
      "GET http://a:8080/?b HTTP/1.1\r\n" HOST CONNECTION UPGRADE VERSION KEY
      "Content-Length: 0\r\n\r\n",
      "\r\n" START HOST CONNECTION UPGRADE VERSION KEY "\r\n",
    };
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        printf ("request %zu\n", i);
        expect_accepted (&w, requests[i]);
    }
    close_all (&w);
}

/* A header of nearly 16 KiB. */
static void long_header (void)
{
    enum
    {
        filler = 16300
    };
    char request[ZWS_HEADER_CAP] = START HOST CONNECTION UPGRADE VERSION KEY
      "Cookie: ";
    size_t size = strlen (request);
    zws_t w = zws_open (NO_LIMIT);
    memset (request + size, 'c', filler - size);
    strcpy (request + filler, "\r\n\r\n");
    expect_accepted (&w, request);
    close_all (&w);
}

/* With a message directly behind it, all byte by byte. */
static void request_byte_by_byte (void)
{
    uint8_t bytes[2048], msg[] = "\0\0\0\2hi";
    static const uint8_t mask[4] = {1, 2, 3, 4};
    char header[ZWS_HEADER_CAP];
    zws_t w = zws_open (NO_LIMIT);
    size_t size = strlen (zws_request ("/"));
    memcpy (bytes, zws_request ("/"), size);
    size +=
      zws_put (bytes + size, ZWS_FIN | ZWS_BINARY, mask, msg, sizeof msg - 1);
    int fd = zt_client (w.port);
    for (size_t i = 0; i < size; i++) {
        zt_write (fd, bytes + i, 1);
        if (i % 8 == 0)
            zt_pause_ms (1);
    }
    zws_read_header (fd, header);
    uint32_t peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    zt_fast_expect (w.s, peer, "hi", 2);
    zt_fast_send (w.s, peer, "ho", 2);
    zws_expect_msg (fd, "ho", 2);
    close (fd);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), peer);
    close_all (&w);
}

/* Request and messages in one segment. */
static void messages_behind_the_request (void)
{
    enum
    {
        count = 100
    };
    uint8_t bytes[8192], msg[8];
    static const uint8_t mask[4] = {5, 6, 7, 8};
    char header[ZWS_HEADER_CAP];
    zws_t w = zws_open (NO_LIMIT);
    size_t size = strlen (zws_request ("/"));
    memcpy (bytes, zws_request ("/"), size);
    for (uint32_t i = 0; i < count; i++) {
        zt_put32 (msg, 4);
        zt_put32 (msg + 4, i);
        size += zws_put (bytes + size, ZWS_FIN | ZWS_BINARY, mask, msg, 8);
    }
    int fd = zt_client (w.port);
    zt_write (fd, bytes, size);
    uint32_t peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    for (uint32_t i = 0; i < count; i++) {
        zt_put32 (msg + 4, i);
        zt_fast_expect (w.s, peer, msg + 4, 4);
    }
    zws_read_header (fd, header);
    close (fd);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), peer);
    close_all (&w);
}

/* ------------------------------------------------------------------ refused */

typedef struct refused_t
{
    const char *name;
    const char *request;
    int status;
} refused_t;

/* The monitor tells of a handshake that failed, and the application of
 * nothing. */
static void
expect_failed (zws_t *w, uint64_t event, uint64_t value, bool any_value)
{
    zlink_monitor_event_t accepted = zt_event (w->monitor, ZLINK_EVENT_ACCEPTED);
    zlink_monitor_event_t failed = zt_event (w->monitor, event);
    printf ("value 0x%llx\n", (unsigned long long) failed.value);
    if (!any_value)
        CHECK_EQ (failed.value, value);
    CHECK_STR (failed.remote_addr, accepted.remote_addr);
    CHECK (strncmp (accepted.remote_addr, "ws://127.0.0.1:", 15) == 0);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
}

static void expect_bad_upgrade (zws_t *w)
{
    expect_failed (w, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                   ZLINK_PROTOCOL_ERROR_WS_UNSPECIFIED, false);
}

/* An answer in HTTP, with this status, and the end of the connection. */
static void expect_status (int fd, int status, char header[ZWS_HEADER_CAP])
{
    int found = 0;
    zws_read_header (fd, header);
    CHECK_EQ (sscanf (header, "HTTP/1.%*d %d ", &found), 1);
    CHECK_EQ (found, status);
    /* A client knows where the body ends: by its length or by the end. */
    const char *length = zws_field (header, "Content-Length");
    for (int left = length ? atoi (length) : 0; left > 0; left--) {
        char byte;
        zt_read (fd, &byte, 1);
    }
    if (!length) {
        char byte;
        while (read (fd, &byte, 1) == 1) {
        }
    } else
        zt_expect_eof (fd);
    close (fd);
}

/* The fields that belong to the status. */
static void expect_whole (const char *header, int status)
{
    CHECK (zws_field (header, "Content-Length") != NULL);
    CHECK (zws_field (header, "Date") != NULL);
    CHECK (strncmp (zws_field (header, "Connection"), "close", 5) == 0);
    if (status == 405)
        CHECK_STR (zws_field (header, "Allow"), "GET, HEAD");
    if (status == 426) {
        CHECK_STR (zws_field (header, "Sec-WebSocket-Version"), "13");
        CHECK_STR (zws_field (header, "Upgrade"), "websocket");
        CHECK_STR (zws_field (header, "Connection"), "close, Upgrade");
    }
}

static void refused_requests (void)
{
    static const refused_t table[] = {
      {"no upgrade", START HOST "\r\n", 426},
      {"no Upgrade field", START HOST CONNECTION VERSION KEY "\r\n", 400},
      {"another Upgrade",
       START HOST CONNECTION "Upgrade: h2c\r\n" VERSION KEY "\r\n", 400},
      {"no Connection field", START HOST UPGRADE VERSION KEY "\r\n", 400},
      {"another Connection",
       START HOST "Connection: keep-alive\r\n" UPGRADE VERSION KEY "\r\n", 400},
      {"Connection with a longer word",
       START HOST "Connection: Upgraded\r\n" UPGRADE VERSION KEY "\r\n", 400},
      {"no version", START HOST CONNECTION UPGRADE KEY "\r\n", 400},
      {"version 8",
       START HOST CONNECTION UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY "\r\n",
       426},
      {"version 130",
       START HOST CONNECTION UPGRADE "Sec-WebSocket-Version: 130\r\n" KEY
                                     "\r\n",
       426},
      {"no key", START HOST CONNECTION UPGRADE VERSION "\r\n", 400},
      {"an empty key",
       START HOST CONNECTION UPGRADE VERSION "Sec-WebSocket-Key:\r\n\r\n", 400},
      {"a short key",
       START HOST CONNECTION UPGRADE VERSION
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n\r\n",
       400},
      {"a long key",
       START HOST CONNECTION UPGRADE VERSION
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBub25j\r\n\r\n",
       400},
      {"no host", START CONNECTION UPGRADE VERSION KEY "\r\n", 400},
      {"POST", "POST / HTTP/1.1\r\n" HOST CONNECTION UPGRADE VERSION KEY "\r\n",
       405},
      {"HTTP/1.0",
       "GET / HTTP/1.0\r\n" HOST CONNECTION UPGRADE VERSION KEY "\r\n", 426},
      {"a health check of HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 426},
      {"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"two hosts", START HOST HOST CONNECTION UPGRADE VERSION KEY "\r\n", 400},
      {"a blank in front of a colon",
       START "Host : a\r\n" CONNECTION UPGRADE VERSION KEY "\r\n", 400},
      {"a folded line",
       START HOST CONNECTION UPGRADE VERSION KEY "X: a\r\n b\r\n\r\n", 400},
      {"a body",
       START HOST CONNECTION UPGRADE VERSION KEY
       "Content-Length: 5\r\n\r\nhello",
       400},
      {"a body in chunks",
       START HOST CONNECTION UPGRADE VERSION KEY
       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"two keys", START HOST CONNECTION UPGRADE VERSION KEY KEY "\r\n", 400},
      {"a key that is no base64",
       START HOST CONNECTION UPGRADE VERSION
       "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!\r\n\r\n",
       400},
      {"another path",
       "GET /other HTTP/1.1\r\n" HOST CONNECTION UPGRADE VERSION KEY "\r\n",
       404},
      {"a field without a colon", START HOST "nonsense\r\n\r\n", 400},
    };
    char header[ZWS_HEADER_CAP];
    zws_t w = zws_open (NO_LIMIT);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        printf ("%s\n", table[i].name);
        int fd = zt_client (w.port);
        zt_write (fd, table[i].request, strlen (table[i].request));
        expect_status (fd, table[i].status, header);
        expect_bad_upgrade (&w);
        expect_whole (header, table[i].status);
    }
    close_all (&w);
}

/* Only the path that was bound, with or without a query. */
static void paths (void)
{
    char header[ZWS_HEADER_CAP], text[256];
    size_t size = sizeof text;
    zws_t w = zws_open (NO_LIMIT);
    int port = zt_bind_to (w.s, "ws://127.0.0.1:*/chat/room");
    CHECK_OK (zlink_getsockopt (w.s, ZLINK_LAST_ENDPOINT, text, &size));
    snprintf (header, sizeof header, "ws://127.0.0.1:%d/chat/room", port);
    CHECK_STR (text, header);
    int fd = zws_client (port, "/chat/room");
    uint32_t peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    zt_event_shaken (w.monitor, ZLINK_EVENT_ACCEPTED);
    zws_write_msg (fd, "in here", 7);
    zt_fast_expect (w.s, peer, "in here", 7);

    static const char *const wrong[] = {"/", "/chat", "/chat/room/",
                                        "/chat/roommate", "/CHAT/room"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        printf ("%s\n", wrong[i]);
        int other = zt_client (port);
        zt_write (other, zws_request (wrong[i]),
                  strlen (zws_request (wrong[i])));
        expect_status (other, 404, header);
        expect_bad_upgrade (&w);
    }
    close (fd);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), peer);
    zt_event (w.monitor, ZLINK_EVENT_DISCONNECTED);
    CHECK_OK (zlink_unbind (w.s, text));
    CHECK_EQ (zt_try_client (port), -1);
    close_all (&w);
}

/* A client that writes lines of 1,026 bytes without an end, and is answered. */
static void expect_too_long (zws_t *w, int port, int lines)
{
    char line[1026], header[ZWS_HEADER_CAP];
    int fd = zt_client (port);
    zt_write (fd, START HOST, strlen (START HOST));
    memset (line, 'x', sizeof line);
    memcpy (line, "X-Line:", 7);
    memcpy (line + 1024, "\r\n", 2);
    for (int i = 0; i < lines; i++)
        zt_write (fd, line, sizeof line);
    expect_status (fd, 431, header);
    expect_whole (header, 431);
    expect_bad_upgrade (w);
}

/* More than 16 KiB, or STREAM_HEADER_MAX, of which the server does not wait for the
 * end. */
static void endless_header (void)
{
    zws_t w = zws_open (NO_LIMIT);
    expect_too_long (&w, w.port, 16);
    for (int wrong = 1023; wrong < 100000; wrong += 65537 - 1023)
        CHECK_FAIL (zlink_setsockopt (w.s, ZLINK_STREAM_HEADER_MAX, &wrong,
                                      sizeof wrong),
                    EINVAL);
    zt_set_int (w.s, ZLINK_STREAM_HEADER_MAX, 1024);
    expect_too_long (&w, zt_bind_to (w.s, "ws://127.0.0.1:*"), 1);
    zt_set_int (w.s, ZLINK_STREAM_HEADER_MAX, 65536);
    expect_too_long (&w, zt_bind_to (w.s, "ws://127.0.0.1:*"), 64);
    close_all (&w);
}

/* Bytes that are no HTTP at all: a word, the start of a TLS session, zeros. */
static void not_http (void)
{
    static const uint8_t hello[64] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3};
    static uint8_t zeros[9000];
    zws_t w = zws_open (NO_LIMIT);
    int fd = zt_client (w.port);
    zt_write (fd, "hello\r\n\r\n", 9);
    for (char byte; read (fd, &byte, 1) == 1;) {
    }
    close (fd);
    expect_bad_upgrade (&w);
    fd = zt_client (w.port);
    zt_write (fd, zeros, sizeof zeros);
    for (char byte; read (fd, &byte, 1) == 1;) {
    }
    close (fd);
    expect_bad_upgrade (&w);
    fd = zt_client (w.port);
    zt_write (fd, hello, sizeof hello);
    zt_write (fd, "\r\n\r\n", 4);
    for (char byte; read (fd, &byte, 1) == 1;) {
    }
    close (fd);
    expect_bad_upgrade (&w);
    close_all (&w);
}

/* --------------------------------------------------------------------- time */

/* A server with a limit of its own, beside the one of w. */
static int bind_hasty (zws_t *w, int limit_ms)
{
    zt_set_int (w->s, ZLINK_HANDSHAKE_IVL, limit_ms);
    return zt_bind_to (w->s, "ws://127.0.0.1:*");
}

static void silent_client_is_cut (void)
{
    zws_t w = zws_open (NO_LIMIT);
    int port = bind_hasty (&w, 150);
    double start = zt_now_ms ();
    int fd = zt_client (port);
    for (char byte; read (fd, &byte, 1) == 1;) {
    }
    CHECK_WAITED (start, 140);
    expect_failed (&w, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ETIMEDOUT,
                   false);
    close (fd);
    close_all (&w);
}

/* Bytes that keep coming do not prolong the time. */
static void slow_client_is_cut (void)
{
    zws_t w = zws_open (NO_LIMIT);
    int port = bind_hasty (&w, 200);
    int fd = zt_client (port);
    zt_write (fd, START HOST "X: ", strlen (START HOST "X: "));
    while (send (fd, "x", 1, MSG_NOSIGNAL) == 1) {
        zt_pause_ms (20);
    }
    expect_failed (&w, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ETIMEDOUT,
                   false);
    close (fd);
    close_all (&w);
}

/* The limit is the handshake's, not the connection's. */
static void limit_ends_with_the_handshake (void)
{
    zws_t w = zws_open (NO_LIMIT);
    int port = bind_hasty (&w, 150);
    int fd = zws_client (port, "/");
    uint32_t peer = zt_fast_event (w.s, ZLINK_STREAM_CONNECTED);
    zt_fast_silence (w.s, 400);
    zws_write_msg (fd, "late", 4);
    zt_fast_expect (w.s, peer, "late", 4);
    close (fd);
    CHECK_EQ (zt_fast_event (w.s, ZLINK_STREAM_DISCONNECTED), peer);
    close_all (&w);
}

static void client_goes_in_between (void)
{
    zws_t w = zws_open (NO_LIMIT);
    int fd = zt_client (w.port);
    zt_write (fd, START HOST, strlen (START HOST));
    zt_reset (fd);
    expect_failed (&w, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, true);
    fd = zt_client (w.port);
    zt_write (fd, START HOST, strlen (START HOST));
    close (fd);
    expect_failed (&w, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, true);
    close_all (&w);
}

/* Clients in the middle of a handshake do not keep a socket from closing. */
static void socket_closes_in_between (void)
{
    enum
    {
        count = 20
    };
    int fds[count];
    zws_t w = zws_open (NO_LIMIT);
    for (int i = 0; i < count; i++) {
        fds[i] = zt_client (w.port);
        zt_write (fds[i], START, strlen (START));
        zt_event (w.monitor, ZLINK_EVENT_ACCEPTED);
    }
    zt_fast_silence (w.s, 0);
    zt_close (w.s);
    for (int i = 0; i < count; i++) {
        zt_expect_eof (fds[i]);
        close (fds[i]);
    }
    close (w.fd);
    close (w.other);
    zt_close (w.monitor);
    zt_term (w.ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (requests_of_many_kinds),
  ZT_CASE (long_header),
  ZT_CASE (request_byte_by_byte),
  ZT_CASE (messages_behind_the_request),
  ZT_CASE (refused_requests),
  ZT_CASE (paths),
  ZT_CASE (endless_header),
  ZT_CASE (not_http),
  ZT_CASE (silent_client_is_cut),
  ZT_CASE (slow_client_is_cut),
  ZT_CASE (limit_ends_with_the_handshake),
  ZT_CASE (client_goes_in_between),
  ZT_CASE (socket_closes_in_between),
};

ZT_MAIN (cases)

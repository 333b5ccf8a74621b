/* SPDX-License-Identifier: MPL-2.0 */
/* zlink as a WebSocket client, seen from a server made by hand. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>
#include <strings.h>

#define PAUSE_MS 20

/* A client that dials a plain listener. */
typedef struct dial_t
{
    void *ctx, *s, *monitor;
    int listener, port;
    int fd;
    uint32_t peer;
    char key[64];
} dial_t;

static dial_t dial (const char *path, int handshake_ms)
{
    dial_t d;
    char endpoint[128];
    d.ctx = zt_ctx ();
    d.s = zt_fast_socket (d.ctx);
    zt_set_int (d.s, ZLINK_RECONNECT_IVL, PAUSE_MS);
    zt_set_int (d.s, ZLINK_HANDSHAKE_IVL, handshake_ms);
    d.monitor = zt_monitor (d.s, ZLINK_EVENT_ALL);
    d.listener = zt_listen (&d.port);
    snprintf (endpoint, sizeof endpoint, "ws://127.0.0.1:%d%s", d.port, path);
    CHECK_OK (zlink_connect (d.s, endpoint));
    return d;
}

/* Takes the next connection and its request, which is as it has to be. */
static void take_request (dial_t *d, const char *path)
{
    char header[ZWS_HEADER_CAP], line[256], host[64];
    d->fd = zt_accept (d->listener);
    zws_read_header (d->fd, header);
    snprintf (line, sizeof line, "GET %s HTTP/1.1\r\n", path);
    CHECK (strncmp (header, line, strlen (line)) == 0);
    snprintf (host, sizeof host, "127.0.0.1:%d", d->port);
    CHECK_STR (zws_field (header, "Host"), host);
    CHECK (strcasecmp (zws_field (header, "Upgrade"), "websocket") == 0);
    CHECK (strcasecmp (zws_field (header, "Connection"), "upgrade") == 0);
    CHECK_STR (zws_field (header, "Sec-WebSocket-Version"), "13");
    CHECK (zws_field (header, "Sec-WebSocket-Extensions") == NULL);
    CHECK (zws_field (header, "Sec-WebSocket-Protocol") == NULL);
    CHECK (zws_field (header, "Sec-WebSocket-Key") != NULL);
    snprintf (d->key, sizeof d->key, "%s",
              zws_field (header, "Sec-WebSocket-Key"));
    CHECK_EQ (strlen (d->key), 24); /* 16 bytes in base64 */
    CHECK_STR (d->key + 22, "==");
}

/* The answer to the request, with more behind it. */
static size_t answer (const dial_t *d, char *out, const void *more, size_t size)
{
    char accept[32];
    websocket_accept (d->key, accept);
    size_t used = (size_t) sprintf (out,
                                    "HTTP/1.1 101 Switching Protocols\r\n"
                                    "Upgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n"
                                    "Sec-WebSocket-Accept: %s\r\n\r\n",
                                    accept);
    memcpy (out + used, more, size);
    return used + size;
}

static void expect_up (dial_t *d)
{
    d->peer = zt_fast_event (d->s, ZLINK_STREAM_CONNECTED);
    zlink_monitor_event_t e;
    do
        CHECK_OK (zlink_monitor_recv (d->monitor, &e, 0));
    while (e.event != ZLINK_EVENT_CONNECTED);
    zt_event (d->monitor, ZLINK_EVENT_CONNECTION_READY);
}

static void take (dial_t *d, const char *path)
{
    char text[512];
    take_request (d, path);
    zt_write (d->fd, text, answer (d, text, "", 0));
    expect_up (d);
}

static void end (dial_t *d)
{
    close (d->fd);
    close (d->listener);
    zt_close (d->s);
    zt_close (d->monitor);
    zt_term (d->ctx);
}

/* Writes a server's frame: it has no mask. */
static void write_plain (int fd, uint8_t first, const void *payload,
                         size_t size)
{
    uint8_t *frame = malloc (size + 14);
    CHECK (frame != NULL);
    zt_write (fd, frame, zws_put (frame, first, NULL, payload, size));
    free (frame);
}

/* A frame of the client, which has a mask. */
static zws_frame_t read_masked (int fd, uint8_t first)
{
    zws_frame_t frame = zws_read (fd);
    CHECK_EQ (frame.first, first);
    CHECK_EQ (frame.masked, true);
    return frame;
}

/* ----------------------------------------------------------------- exchange */

static void exchange (void)
{
    dial_t d = dial ("/game?of=life", 30000);
    take (&d, "/game?of=life");
    zt_fast_send (d.s, d.peer, "to the server", 13);
    zws_frame_t frame = read_masked (d.fd, ZWS_FIN | ZWS_BINARY);
    CHECK_EQ (frame.size, 17);
    CHECK_MEM (frame.payload, "\0\0\0\x0Dto the server", 17);
    free (frame.payload);
    write_plain (d.fd, ZWS_BINARY, "\0\0\0", 3);
    write_plain (d.fd, ZWS_FIN | ZWS_PING, "are you there", 13);
    write_plain (d.fd, ZWS_FIN | ZWS_CONTINUATION, "\2hi", 3);
    zt_fast_expect (d.s, d.peer, "hi", 2);
    frame = read_masked (d.fd, ZWS_FIN | ZWS_PONG);
    CHECK_EQ (frame.size, 13);
    CHECK_MEM (frame.payload, "are you there", 13);
    free (frame.payload);
    end (&d);
}

/* The path of an endpoint without one. */
static void default_path (void)
{
    dial_t d = dial ("", 30000);
    take (&d, "/");
    end (&d);
}

/* Every size in every encoding, masked. */
static void sizes (void)
{
    static const size_t table[] = {0, 121, 122, 65531, 65532, 100000, 3000000};
    uint8_t *body = malloc (3000000);
    CHECK (body != NULL);
    dial_t d = dial ("/", 30000);
    take (&d, "/");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        zt_fill (body, table[i], (uint32_t) i);
        zt_fast_send (d.s, d.peer, body, table[i]);
        zws_frame_t frame = read_masked (d.fd, ZWS_FIN | ZWS_BINARY);
        CHECK_EQ (frame.size, table[i] + 4);
        CHECK_EQ (zt_get32 (frame.payload), table[i]);
        CHECK (zt_filled (frame.payload + 4, table[i], (uint32_t) i));
        write_plain (d.fd, ZWS_FIN | ZWS_BINARY, frame.payload, frame.size);
        zt_fast_expect (d.s, d.peer, body, table[i]);
        free (frame.payload);
    }
    free (body);
    end (&d);
}

/* A mask for each frame, each bit of which is now 0 and now 1, and no two
 * frames in a row alike. */
static void masks_are_random (void)
{
    enum
    {
        count = 200
    };
    uint32_t ones = 0, zeros = 0, last = 0;
    int repeated = 0;
    dial_t d = dial ("/", 30000);
    take (&d, "/");
    for (int i = 0; i < count; i++) {
        zt_fast_send (d.s, d.peer, "x", 1);
        zws_frame_t frame = read_masked (d.fd, ZWS_FIN | ZWS_BINARY);
        uint32_t mask = zt_get32 (frame.mask);
        ones |= mask;
        zeros |= ~mask;
        repeated += i > 0 && mask == last;
        last = mask;
        free (frame.payload);
    }
    CHECK_EQ (ones, 0xFFFFFFFF);
    CHECK_EQ (zeros, 0xFFFFFFFF);
    CHECK_EQ (repeated, 0);
    end (&d);
}

/* Another key for every connection. A server that goes is dialled again. */
static void keys_are_random (void)
{
    char keys[5][64];
    dial_t d = dial ("/", 30000);
    for (int i = 0; i < 5; i++) {
        take (&d, "/");
        strcpy (keys[i], d.key);
        for (int j = 0; j < i; j++)
            CHECK (strcmp (keys[i], keys[j]) != 0);
        write_plain (d.fd, ZWS_FIN | ZWS_CLOSE, "\x03\xE9", 2);
        zws_frame_t frame = read_masked (d.fd, ZWS_FIN | ZWS_CLOSE);
        CHECK_EQ (frame.size, 2);
        CHECK_MEM (frame.payload, "\x03\xE9", 2);
        free (frame.payload);
        close (d.fd);
        CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), d.peer);
        zt_event_value (d.monitor, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_REMOTE);
        zt_event_value (d.monitor, ZLINK_EVENT_CONNECT_RETRIED, PAUSE_MS);
    }
    take (&d, "/");
    end (&d);
}

/* zlink_disconnect closes with 1000, and it is not dialled again. */
static void disconnect (void)
{
    char endpoint[64];
    dial_t d = dial ("/a", 30000);
    take (&d, "/a");
    snprintf (endpoint, sizeof endpoint, "ws://127.0.0.1:%d/a", d.port);
    zt_fast_send (d.s, d.peer, "bye", 3);
    CHECK_OK (zlink_disconnect (d.s, endpoint));
    free (read_masked (d.fd, ZWS_FIN | ZWS_BINARY).payload);
    zws_frame_t frame = read_masked (d.fd, ZWS_FIN | ZWS_CLOSE);
    CHECK_EQ (frame.size, 2);
    CHECK_MEM (frame.payload, "\x03\xE8", 2);
    free (frame.payload);
    write_plain (d.fd, ZWS_FIN | ZWS_CLOSE, "\x03\xE8", 2);
    zt_expect_eof (d.fd);
    CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), d.peer);
    zt_event_value (d.monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_LOCAL);
    CHECK_FAIL (zlink_disconnect (d.s, endpoint), ENOENT);
    end (&d);
}

/* A server's frame with a mask, and text, end the connection. */
static void wrong_frames (void)
{
    static const struct
    {
        const char *bytes;
        size_t size;
        int code;
    } table[] = {{"\x82\x81\0\0\0\0x", 7, 1002},
                 {"\x81\x01x", 3, 1003},
                 {"\x83\0", 2, 1002},
                 {"\x88\x02\x03\xED", 4, 1002}};
    dial_t d = dial ("/", 30000);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        take (&d, "/");
        zt_write (d.fd, table[i].bytes, table[i].size);
        zws_frame_t frame = read_masked (d.fd, ZWS_FIN | ZWS_CLOSE);
        CHECK (frame.size > 2); /* it says why */
        CHECK_EQ (frame.payload[0] << 8 | frame.payload[1], table[i].code);
        free (frame.payload);
        write_plain (d.fd, ZWS_FIN | ZWS_CLOSE, "", 0);
        zt_expect_eof (d.fd);
        close (d.fd);
        CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), d.peer);
        zt_event_value (d.monitor, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_TRANSPORT_ERROR);
        zt_event (d.monitor, ZLINK_EVENT_CONNECT_RETRIED);
    }
    take (&d, "/");
    end (&d);
}

/* ---------------------------------------------------------------- handshake */

/* The answer with the server's first messages, byte by byte or at once. */
static void messages_behind_the_answer (void)
{
    char text[512];
    dial_t d = dial ("/", 30000);
    for (int slow = 0; slow < 2; slow++) {
        take_request (&d, "/");
        size_t size =
          answer (&d, text, "\x82\x06\0\0\0\2hi\x82\x05\0\0\0\1!", 15);
        for (size_t i = 0; i < size; i += slow ? 1 : size) {
            zt_write (d.fd, text + i, slow ? 1 : size);
            if (slow)
                zt_pause_ms (1);
        }
        expect_up (&d);
        zt_fast_expect (d.s, d.peer, "hi", 2);
        zt_fast_expect (d.s, d.peer, "!", 1);
        close (d.fd);
        CHECK_EQ (zt_fast_event (d.s, ZLINK_STREAM_DISCONNECTED), d.peer);
    }
    take (&d, "/");
    end (&d);
}

/* The handshake failed; it is dialled again. */
static void expect_failed (dial_t *d, uint64_t event, uint64_t value)
{
    zlink_monitor_event_t e;
    do
        CHECK_OK (zlink_monitor_recv (d->monitor, &e, 0));
    while (e.event != ZLINK_EVENT_CONNECTED);
    e = zt_event (d->monitor, event);
    printf ("value 0x%llx\n", (unsigned long long) e.value);
    if (value != 0)
        CHECK_EQ (e.value, value);
    zt_event_value (d->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
    zt_event (d->monitor, ZLINK_EVENT_CONNECT_RETRIED);
}

/* A right answer, in which one thing is replaced by another. */
static void write_changed (const dial_t *d, const char *from, const char *to)
{
    char text[1024], changed[2048];
    text[answer (d, text, "", 0)] = '\0';
    char *at = strstr (text, from);
    CHECK (at != NULL);
    snprintf (changed, sizeof changed, "%.*s%s%s", (int) (at - text), text, to,
              at + strlen (from));
    zt_write (d->fd, changed, strlen (changed));
}

static void wrong_answers (void)
{
    static const char *const changes[][2] = {
      {"101", "200"},
      {"101 Switching Protocols", "404 Not Found"},
      {"101 Switching Protocols", "302 Found\r\nLocation: /elsewhere"},
      {"HTTP/1.1", "HTTP/1.0"},
      {"HTTP/1.1 101", "nonsense"},
      {"Upgrade: websocket\r\n", ""},
      {"Upgrade: websocket", "Upgrade: h2c"},
      {"Connection: Upgrade\r\n", ""},
      {"Connection: Upgrade", "Connection: close"},
      {"Sec-WebSocket-Accept", "Sec-WebSocket-Key"},
      {"Accept: ", "Accept: A"},
      {"Upgrade: websocket",
       "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: websocket"},
      {"Upgrade: websocket",
       "Sec-WebSocket-Protocol: chat\r\nUpgrade: websocket"},
    };
    dial_t d = dial ("/", 30000);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        printf ("%s -> %s\n", changes[i][0], changes[i][1]);
        take_request (&d, "/");
        write_changed (&d, changes[i][0], changes[i][1]);
        for (char byte; read (d.fd, &byte, 1) == 1;) {
        }
        close (d.fd);
        /* The status of a refusal is told. */
        expect_failed (&d, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                       ZLINK_PROTOCOL_ERROR_WS_UNSPECIFIED
                         + (uint64_t) atoi (changes[i][1]));
    }
    zt_fast_silence (d.s, 0);
    take (&d, "/");
    end (&d);
}

static void endless_answer (void)
{
    char line[1026];
    dial_t d = dial ("/", 30000);
    take_request (&d, "/");
    zt_write (d.fd, "HTTP/1.1 101 OK\r\n", 17);
    memset (line, 'x', sizeof line);
    memcpy (line, "X-Line:", 7);
    memcpy (line + 1024, "\r\n", 2);
    for (int i = 0; i < 16; i++)
        zt_write (d.fd, line, sizeof line);
    expect_failed (&d, ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                   ZLINK_PROTOCOL_ERROR_WS_UNSPECIFIED);
    close (d.fd);
    take (&d, "/");
    end (&d);
}

static void silent_server (void)
{
    dial_t d = dial ("/", 150);
    for (int i = 0; i < 2; i++) {
        take_request (&d, "/");
        expect_failed (&d, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, ETIMEDOUT);
        close (d.fd);
    }
    take (&d, "/");
    /* The limit was the handshake's. */
    zt_fast_silence (d.s, 400);
    zt_fast_send (d.s, d.peer, "late", 4);
    free (read_masked (d.fd, ZWS_FIN | ZWS_BINARY).payload);
    end (&d);
}

static void server_goes_in_between (void)
{
    dial_t d = dial ("/", 30000);
    take_request (&d, "/");
    zt_write (d.fd, "HTTP/1.1 101 OK\r\n", 17);
    close (d.fd);
    expect_failed (&d, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0);
    take_request (&d, "/");
    zt_reset (d.fd);
    expect_failed (&d, ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0);
    take (&d, "/");
    end (&d);
}

/* A dialler in the middle of a handshake ends with its socket. */
static void closed_in_between (void)
{
    dial_t d = dial ("/", 30000);
    take_request (&d, "/");
    zt_close (d.s);
    zt_expect_eof (d.fd);
    close (d.fd);
    close (d.listener);
    zt_close (d.monitor);
    zt_term (d.ctx);
}

/* zlink to zlink, in the mode COMPAT. */
static void stream_to_stream (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    zlink_routing_id_t at_server, at_client;
    char endpoint[64];
    snprintf (endpoint, sizeof endpoint, "ws://127.0.0.1:%d/x",
              zt_bind_to (server, "ws://127.0.0.1:*/x"));
    CHECK_OK (zlink_connect (client, endpoint));
    zt_expect_connect (server, &at_server);
    zt_expect_connect (client, &at_client);
    zt_send (client, &at_client, "question", 8);
    zt_expect (server, &at_server, "question", 8);
    zt_send (server, &at_server, "answer", 6);
    zt_expect (client, &at_client, "answer", 6);
    zt_send (server, &at_server, "\0", 1);
    zt_expect_disconnect (server, &at_server);
    zt_expect_disconnect (client, &at_client);
    zt_close (server);
    zt_close (client);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (exchange),
  ZT_CASE (default_path),
  ZT_CASE (sizes),
  ZT_CASE (masks_are_random),
  ZT_CASE (keys_are_random),
  ZT_CASE (disconnect),
  ZT_CASE (wrong_frames),
  ZT_CASE (messages_behind_the_answer),
  ZT_CASE (wrong_answers),
  ZT_CASE (endless_answer),
  ZT_CASE (silent_server),
  ZT_CASE (server_goes_in_between),
  ZT_CASE (closed_in_between),
  ZT_CASE (stream_to_stream),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* The WebSocket handshake by hand, and the fixture. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <stdio.h>
#include <strings.h>

#define CONNECTION_EVENTS                                            \
    (ZLINK_EVENT_ACCEPTED | ZLINK_EVENT_CONNECTION_READY             \
     | ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL                        \
     | ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL                         \
     | ZLINK_EVENT_HANDSHAKE_FAILED_AUTH | ZLINK_EVENT_DISCONNECTED)

/* ------------------------------------------------- SHA-1 of up to 119 bytes */

static uint32_t rotated (uint32_t word, int by)
{
    return word << by | word >> (32 - by);
}

static void sha1_block (uint32_t h[5], const uint8_t *block)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = zt_get32 (block + 4 * i);
    for (int i = 16; i < 80; i++)
        w[i] = rotated (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5A827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ED9EBA1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
        else
            f = b ^ c ^ d, k = 0xCA62C1D6;
        uint32_t next = rotated (a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotated (b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void sha1 (const char *text, uint8_t digest[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476,
                     0xC3D2E1F0};
    uint8_t blocks[128] = {0};
    size_t size = strlen (text), used = size + 9 <= 64 ? 64 : 128;
    CHECK (size + 9 <= sizeof blocks);
    memcpy (blocks, text, size);
    blocks[size] = 0x80;
    zt_put32 (blocks + used - 4, (uint32_t) size * 8);
    for (size_t at = 0; at < used; at += 64)
        sha1_block (h, blocks + at);
    for (int i = 0; i < 5; i++)
        zt_put32 (digest + 4 * i, h[i]);
}

void zws_accept (const char *key, char accept[32])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t digest[21] = {0};
    char text[128];
    snprintf (text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1 (text, digest);
    for (int i = 0; i < 28; i++) {
        uint32_t three = (uint32_t) digest[i / 4 * 3] << 16
                         | (uint32_t) digest[i / 4 * 3 + 1] << 8
                         | digest[i / 4 * 3 + 2];
        accept[i] = digits[three >> (18 - i % 4 * 6) & 63];
    }
    memcpy (accept + 27, "=", 2);
}

/* ----------------------------------------------------------------- headers */

const char *zws_request (const char *path)
{
    static _Thread_local char text[1024];
    snprintf (text, sizeof text,
              "GET %s HTTP/1.1\r\n"
              "Host: 127.0.0.1\r\n"
              "Connection: keep-alive, Upgrade\r\n"
              "Upgrade: websocket\r\n"
              "Origin: null\r\n"
              "Sec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: " ZWS_KEY "\r\n"
              "Sec-WebSocket-Extensions: permessage-deflate; "
              "client_max_window_bits\r\n"
              "\r\n",
              path);
    return text;
}

void zws_read_header (int fd, char header[ZWS_HEADER_CAP])
{
    size_t size = 0;
    header[0] = '\0';
    while (!strstr (header, "\r\n\r\n")) {
        CHECK (size + 1 < ZWS_HEADER_CAP);
        zt_read (fd, header + size, 1);
        header[++size] = '\0';
        if (size > 4) /* look at the end only */
            if (strcmp (header + size - 4, "\r\n\r\n") == 0)
                break;
    }
}

const char *zws_field (const char *header, const char *name)
{
    static _Thread_local char value[512];
    size_t size = strlen (name);
    for (const char *line = header; (line = strstr (line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp (line, name, size) == 0 && line[size] == ':') {
            sscanf (line + size + 1, " %511[^\r]", value);
            return value;
        }
    }
    return NULL;
}

int zws_client (int port, const char *path)
{
    char header[ZWS_HEADER_CAP];
    const char *request = zws_request (path);
    int fd = zt_client (port);
    zt_write (fd, request, strlen (request));
    zws_read_header (fd, header);
    CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
    CHECK_STR (zws_field (header, "Sec-WebSocket-Accept"), ZWS_ACCEPT);
    CHECK (strcasecmp (zws_field (header, "Upgrade"), "websocket") == 0);
    CHECK (strcasecmp (zws_field (header, "Connection"), "upgrade") == 0);
    CHECK (zws_field (header, "Sec-WebSocket-Extensions") == NULL);
    CHECK (zws_field (header, "Sec-WebSocket-Protocol") == NULL);
    return fd;
}

/* ----------------------------------------------------------------- fixture */

int zt_bind_to (void *s, const char *endpoint)
{
    char text[256];
    size_t size = sizeof text;
    int port = 0;
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_OK (zlink_getsockopt (s, ZLINK_LAST_ENDPOINT, text, &size));
    CHECK_EQ (sscanf (text, "%*[a-z]://127.0.0.1:%d", &port), 1);
    return port;
}

const char *zt_endpoint_of (const char *transport, int port)
{
    static _Thread_local char text[64];
    snprintf (text, sizeof text, "%s://127.0.0.1:%d", transport, port);
    return text;
}

static int enter (zws_t *w, uint32_t *peer)
{
    int fd = zws_client (w->port, "/");
    *peer = zt_fast_event (w->s, ZLINK_STREAM_CONNECTED);
    zt_event_shaken (w->monitor, ZLINK_EVENT_ACCEPTED);
    return fd;
}

static zws_t begin (void)
{
    zws_t w;
    memset (&w, 0, sizeof w);
    w.ctx = zt_ctx ();
    w.s = zt_fast_socket (w.ctx);
    return w;
}

static zws_t enter_both (zws_t w)
{
    w.monitor = zt_monitor (w.s, CONNECTION_EVENTS);
    w.port = zt_bind_to (w.s, "ws://127.0.0.1:*");
    w.other = enter (&w, &w.other_peer);
    w.fd = enter (&w, &w.peer);
    return w;
}

zws_t zws_open (int64_t max_size)
{
    zws_t w = begin ();
    CHECK_OK (
      zlink_setsockopt (w.s, ZLINK_MAXMSGSIZE, &max_size, sizeof max_size));
    return enter_both (w);
}

zws_t zws_open_pinging (int interval_ms, int timeout_ms)
{
    zws_t w = begin ();
    zt_set_int (w.s, ZLINK_HEARTBEAT_IVL, interval_ms);
    zt_set_int (w.s, ZLINK_HEARTBEAT_TIMEOUT, timeout_ms);
    return enter_both (w);
}

void zws_end (zws_t *w)
{
    zws_write_msg (w->other, "still here", 10);
    zt_fast_expect (w->s, w->other_peer, "still here", 10);
    zt_fast_send (w->s, w->other_peer, "so am I", 7);
    zws_expect_msg (w->other, "so am I", 7);
    close (w->other);
    zt_close (w->s);
    zt_close (w->monitor);
    zt_term (w->ctx);
}

void zws_expect_cut (zws_t *w, int code, uint64_t reason)
{
    zws_expect_close (w->fd, code);
    close (w->fd);
    CHECK_EQ (zt_fast_event (w->s, ZLINK_STREAM_DISCONNECTED), w->peer);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED, reason);
}

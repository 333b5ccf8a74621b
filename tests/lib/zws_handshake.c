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
    size_t size;
    const char *found = websocket_http_field (header, name, &size);
    if (!found)
        return NULL;
    CHECK (size < sizeof value);
    memcpy (value, found, size);
    value[size] = '\0';
    return value;
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

static void expect_gone (zws_t *w, uint64_t reason)
{
    close (w->fd);
    CHECK_EQ (zt_fast_event (w->s, ZLINK_STREAM_DISCONNECTED), w->peer);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED, reason);
}

void zws_expect_cut (zws_t *w, int code, uint64_t reason)
{
    zws_expect_close (w->fd, code);
    expect_gone (w, reason);
}

void zws_expect_refused (zws_t *w, int code)
{
    zws_expect_told (w->fd, code);
    expect_gone (w, ZLINK_DISCONNECT_TRANSPORT_ERROR);
}

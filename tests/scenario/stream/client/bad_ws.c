/* SPDX-License-Identifier: MPL-2.0 */
#include "bad_ws.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_REQUEST 2048
/* A client that has answered no ping by then answers none. */
#define PINGS_UNANSWERED 50

static const uint8_t ping_payload[] = "ping";

static bool read_all (int fd, void *bytes, size_t len)
{
    return recv (fd, bytes, len, MSG_WAITALL) == (ssize_t) len;
}

static void write_all (int fd, const void *bytes, size_t len)
{
    /* A client that has seen enough may be gone. */
    (void) !send (fd, bytes, len, MSG_NOSIGNAL);
}

/* ---------------------------------------------------------------- handshake */

static bool read_request (int fd, char request[MAX_REQUEST + 1])
{
    for (size_t len = 0; len < MAX_REQUEST;) {
        if (!read_all (fd, request + len, 1))
            return false;
        request[++len] = '\0';
        if (len >= 4 && strcmp (request + len - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

/* What the client has to ask for. */
static bool is_right (const char *request)
{
    size_t len;
    const char *version =
      websocket_http_field (request, "Sec-WebSocket-Version", &len);
    return strncmp (request, "GET / HTTP/1.1\r\n", 16) == 0 && version
           && len == 2 && strncmp (version, "13", 2) == 0
           && websocket_http_field (request, "Host", &len);
}

bool bad_ws_accept (struct bad_ws *ws, enum ws_fault fault)
{
    char request[MAX_REQUEST + 1], answer[256];
    char key[WEBSOCKET_KEY_TEXT] = "", accept[WEBSOCKET_ACCEPT_TEXT];
    size_t len;
    if (!read_request (ws->fd, request))
        return false;
    const char *field =
      websocket_http_field (request, "Sec-WebSocket-Key", &len);
    if (!is_right (request) || !field || len != sizeof key - 1)
        fault = WS_FAULT_REFUSES;
    else
        memcpy (key, field, len);
    websocket_accept (key, accept);
    if (fault == WS_FAULT_ACCEPT)
        accept[0] ^= 1;
    int size =
      fault == WS_FAULT_REFUSES
        ? snprintf (answer, sizeof answer,
                    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        : snprintf (answer, sizeof answer,
                    "HTTP/1.1 101 Switching Protocols\r\n"
                    "upgrade: %s\r\nConnection: upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n\r\n",
                    fault == WS_FAULT_UPGRADE ? "h2c" : "WebSocket", accept);
    if (fault != WS_FAULT_MUTE)
        write_all (ws->fd, answer, (size_t) size);
    return fault != WS_FAULT_REFUSES;
}

/* ------------------------------------------------------------------ reading */

/* Reads a control frame's payload. False: it is over. */
static bool obey (struct bad_ws *ws)
{
    uint8_t payload[WEBSOCKET_MAX_CONTROL];
    size_t len = (size_t) ws->frame.len;
    if (len > sizeof payload || !read_all (ws->fd, payload, len))
        return false;
    websocket_mask (payload, len, ws->frame.mask);
    ws->done = len;
    if (ws->frame.opcode == WEBSOCKET_PONG && len == sizeof ping_payload
        && memcmp (payload, ping_payload, len) == 0)
        ws->pongs++;
    return ws->frame.opcode != WEBSOCKET_CLOSE;
}

/* Goes on to the next frame with a payload of the stream. */
static bool next_frame (struct bad_ws *ws)
{
    uint8_t bytes[WEBSOCKET_MAX_HEADER];
    while (ws->done == ws->frame.len) {
        size_t size = 2;
        if (!read_all (ws->fd, bytes, size))
            return false;
        size = websocket_header_size (bytes, size);
        if (!read_all (ws->fd, bytes + 2, size - 2))
            return false;
        websocket_header_read (&ws->frame, bytes);
        ws->done = 0;
        if (!ws->frame.masked || ws->frame.reserved)
            return false;
        if (ws->frame.opcode >= WEBSOCKET_CLOSE ? !obey (ws)
                                                : ws->frame.opcode
                                                    != WEBSOCKET_BINARY)
            return false;
    }
    return true;
}

bool bad_ws_read (struct bad_ws *ws, void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len > 0) {
        if (!next_frame (ws))
            return false;
        uint64_t left = ws->frame.len - ws->done;
        size_t part = len < left ? len : (size_t) left;
        if (!read_all (ws->fd, at, part))
            return false;
        for (size_t i = 0; i < part; i++)
            at[i] ^= ws->frame.mask[(ws->done + i) % WEBSOCKET_MASK_SIZE];
        at += part;
        len -= part;
        ws->done += part;
    }
    return true;
}

/* ------------------------------------------------------------------ writing */

static void write_frame (int fd,
                         const struct websocket_header *header,
                         const void *bytes)
{
    uint8_t start[WEBSOCKET_MAX_HEADER];
    write_all (fd, start, websocket_header_write (header, start));
    write_all (fd, bytes, (size_t) header->len);
}

static void write_split (struct bad_ws *ws, const uint8_t *bytes, size_t len)
{
    const struct websocket_header first = {.opcode = WEBSOCKET_BINARY,
                                           .len = 1};
    const struct websocket_header ping = {.final = true,
                                          .opcode = WEBSOCKET_PING,
                                          .len = sizeof ping_payload};
    const struct websocket_header empty = {.opcode = WEBSOCKET_CONTINUATION};
    const struct websocket_header last = {.final = true,
                                          .opcode = WEBSOCKET_CONTINUATION,
                                          .len = len - 1};
    if (ws->pings > PINGS_UNANSWERED && ws->pongs == 0)
        return;
    write_frame (ws->fd, &first, bytes);
    write_frame (ws->fd, &ping, ping_payload);
    write_frame (ws->fd, &empty, bytes);
    write_frame (ws->fd, &last, bytes + 1);
    ws->pings++;
}

void bad_ws_write (struct bad_ws *ws,
                   enum ws_fault fault,
                   const void *bytes,
                   size_t len)
{
    struct websocket_header header = {
      .final = true, .opcode = WEBSOCKET_BINARY, .len = len};
    switch (fault) {
        case WS_FAULT_SPLIT:
            write_split (ws, bytes, len);
            return;
        case WS_FAULT_MASKED:
            header.masked = true; /* with a mask of zeros */
            break;
        case WS_FAULT_TEXT:
            header.opcode = WEBSOCKET_TEXT;
            break;
        case WS_FAULT_OPCODE:
            header.opcode = 3;
            break;
        case WS_FAULT_STRAY:
            header.opcode = WEBSOCKET_CONTINUATION;
            break;
        case WS_FAULT_RESERVED:
            header.reserved = 4;
            break;
        case WS_FAULT_LONG_PING:
            header.opcode = WEBSOCKET_PING;
            header.len = WEBSOCKET_MAX_CONTROL + 1;
            break;
        case WS_FAULT_PART_PING:
            header = (struct websocket_header) {.opcode = WEBSOCKET_PING,
                                                .len = 1};
            break;
        case WS_FAULT_CLOSE:
            header.opcode = WEBSOCKET_CLOSE;
            header.len = 0;
            break;
        default:
            break;
    }
    write_frame (ws->fd, &header, bytes);
}

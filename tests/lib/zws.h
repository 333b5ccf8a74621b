/* SPDX-License-Identifier: MPL-2.0 */
/*
 * WebSocket by hand (RFC 6455): requests, frames, and a server with two plain
 * clients, one of which nothing that a case does may touch. Include it after
 * ztest.h.
 */
#ifndef ZWS_H_INCLUDED
#define ZWS_H_INCLUDED

#include "websocket.h"

/* The first byte of a frame: flags and opcode. */
#define ZWS_FIN 0x80
#define ZWS_RSV1 0x40
#define ZWS_RSV2 0x20
#define ZWS_RSV3 0x10
#define ZWS_CONTINUATION 0x0
#define ZWS_TEXT 0x1
#define ZWS_BINARY 0x2
#define ZWS_CLOSE 0x8
#define ZWS_PING 0x9
#define ZWS_PONG 0xA

/* Close codes. */
#define ZWS_NORMAL 1000
#define ZWS_GOING_AWAY 1001
#define ZWS_PROTOCOL_ERROR 1002
#define ZWS_UNSUPPORTED 1003
#define ZWS_TOO_BIG 1009
#define ZWS_INTERNAL_ERROR 1011

/* The key and its answer that RFC 6455 has for an example. */
#define ZWS_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ZWS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define ZWS_HEADER_CAP 17000

/* ---------------------------------------------------------- the handshake */

/* A request for the path as a browser makes it, in a buffer of the thread. */
const char *zws_request (const char *path);
/* Reads a header up to its empty line, byte by byte, as a text. */
void zws_read_header (int fd, char header[ZWS_HEADER_CAP]);
/* The value of a header's field, in a buffer of the thread; NULL: none. */
const char *zws_field (const char *header, const char *name);
/* Connects and shakes hands. */
int zws_client (int port, const char *path);

/* ----------------------------------------------------------------- frames */

/* Lays a frame out with the shortest length and returns its size; mask NULL:
 * none. out has room for 14 bytes more than the payload. */
size_t zws_put (uint8_t *out, uint8_t first, const uint8_t *mask,
                const void *payload, size_t size);
/* Writes a client's frame. */
void zws_write (int fd, uint8_t first, const void *payload, size_t size);
/* Writes a message of zlink, length and body, as one binary message. */
void zws_write_msg (int fd, const void *body, size_t size);

typedef struct zws_frame_t
{
    uint8_t first;
    bool masked;
    uint8_t mask[4];
    size_t header; /* bytes in front of the payload */
    size_t size;
    uint8_t *payload; /* unmasked, to be freed */
} zws_frame_t;

zws_frame_t zws_read (int fd);
/* The next frame is exactly this one, without a mask. */
void zws_expect (int fd, uint8_t first, const void *payload, size_t size);
/* The next frame is a message of zlink, exactly this one. */
void zws_expect_msg (int fd, const void *body, size_t size);
/* The next frame closes, with this code (0: none) and any reason, and then the stream
 * ends. */
void zws_expect_close (int fd, int code);
/* The next frame closes, with this code; the stream ends once the client has ended its
 * own. */
void zws_expect_told (int fd, int code);
void zws_write_close (int fd, int code);

/* ---------------------------------------------------------------- fixture */

/* Binds to an endpoint with port "*" and returns the port. */
int zt_bind_to (void *s, const char *endpoint);
/* "transport://127.0.0.1:port", in a buffer of the thread. */
const char *zt_endpoint_of (const char *transport, int port);

typedef struct zws_t
{
    void *ctx, *s; /* mode FAST */
    void *monitor; /* of connections; what the clients' beginning was is read */
    int port;
    int fd, other;
    uint32_t peer, other_peer;
} zws_t;

/* max_size: MAXMSGSIZE; -1: none. */
zws_t zws_open (int64_t max_size);
/* With a server that pings. */
zws_t zws_open_pinging (int interval_ms, int timeout_ms);
/* The bystander is as it was; then ends everything. fd is closed already. */
void zws_end (zws_t *w);
/* The server has cut fd, with a close code, and tells the application and the
 * monitor; closes fd. zws_expect_refused: the client has not closed before. */
void zws_expect_refused (zws_t *w, int code);
void zws_expect_cut (zws_t *w, int code, uint64_t reason);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* WebSocket frames by hand. */
#include "ztest.h"
#include "zws.h"

#include <stdio.h>
#include <sys/socket.h>

static uint32_t random_state = 0x5EED;

size_t zws_put (uint8_t *out, uint8_t first, const uint8_t *mask,
                const void *payload, size_t size)
{
    struct websocket_header header = {.final = first >> 7,
                                      .reserved = first >> 4 & 7,
                                      .opcode = first & 15,
                                      .masked = mask != NULL,
                                      .len = size};
    if (mask)
        memcpy (header.mask, mask, sizeof header.mask);
    size_t at = websocket_header_write (&header, out);
    if (size > 0)
        memcpy (out + at, payload, size);
    if (mask)
        websocket_mask (out + at, size, mask);
    return at + size;
}

void zws_write (int fd, uint8_t first, const void *payload, size_t size)
{
    uint8_t *frame = malloc (size + 14), mask[4];
    CHECK (frame != NULL);
    zt_put32 (mask, zt_random (&random_state));
    zt_write (fd, frame, zws_put (frame, first, mask, payload, size));
    free (frame);
}

/* length + body, to be freed. */
static uint8_t *message (const void *body, size_t size)
{
    uint8_t *msg = malloc (4 + size);
    CHECK (msg != NULL);
    zt_put32 (msg, (uint32_t) size);
    if (size > 0)
        memcpy (msg + 4, body, size);
    return msg;
}

void zws_write_msg (int fd, const void *body, size_t size)
{
    uint8_t *msg = message (body, size);
    zws_write (fd, ZWS_FIN | ZWS_BINARY, msg, 4 + size);
    free (msg);
}

void zws_write_close (int fd, int code)
{
    uint8_t bytes[2] = {(uint8_t) (code >> 8), (uint8_t) code};
    zws_write (fd, ZWS_FIN | ZWS_CLOSE, bytes, sizeof bytes);
}

zws_frame_t zws_read (int fd)
{
    struct websocket_header header;
    uint8_t head[WEBSOCKET_MAX_HEADER];
    zt_read (fd, head, 2);
    size_t size = websocket_header_size (head, 2);
    zt_read (fd, head + 2, size - 2);
    websocket_header_read (&header, head);
    zws_frame_t frame = {.first = head[0], .masked = header.masked, .header = size, .size = header.len};
    memcpy (frame.mask, header.mask, sizeof frame.mask);
    frame.payload = malloc (frame.size + 1);
    CHECK (frame.payload != NULL);
    zt_read (fd, frame.payload, frame.size);
    if (frame.masked)
        websocket_mask (frame.payload, frame.size, frame.mask);
    return frame;
}

void zws_expect (int fd, uint8_t first, const void *payload, size_t size)
{
    zws_frame_t frame = zws_read (fd);
    CHECK_EQ (frame.first, first);
    CHECK_EQ (frame.masked, false);
    CHECK_EQ (frame.size, size);
    CHECK_MEM (frame.payload, payload, size);
    free (frame.payload);
}

void zws_expect_msg (int fd, const void *body, size_t size)
{
    uint8_t *msg = message (body, size);
    zws_expect (fd, ZWS_FIN | ZWS_BINARY, msg, 4 + size);
    free (msg);
}

static void expect_close_frame (int fd, int code)
{
    zws_frame_t frame = zws_read (fd);
    CHECK_EQ (frame.first, ZWS_FIN | ZWS_CLOSE);
    CHECK_EQ (frame.masked, false);
    if (code == 0)
        CHECK_EQ (frame.size, 0);
    else {
        CHECK (frame.size >= 2);
        CHECK_EQ (frame.payload[0] << 8 | frame.payload[1], code);
    }
    free (frame.payload);
}

void zws_expect_close (int fd, int code)
{
    expect_close_frame (fd, code);
    zt_expect_eof (fd);
}

void zws_expect_told (int fd, int code)
{
    expect_close_frame (fd, code);
    CHECK_OK (shutdown (fd, SHUT_WR));
    zt_expect_eof (fd);
}

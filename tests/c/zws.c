/* SPDX-License-Identifier: MPL-2.0 */
/* WebSocket frames by hand. */
#include "ztest.h"
#include "zws.h"

#include <stdio.h>

static uint32_t random_state = 0x5EED;

/* Stores size as big endian in width bytes. */
static void put_number (uint8_t *out, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t) (value >> 8 * (width - 1 - i));
}

static size_t put_length (uint8_t *out, size_t size)
{
    if (size < 126) {
        out[0] = (uint8_t) size;
        return 1;
    }
    size_t width = size <= 0xFFFF ? 2 : 8;
    out[0] = width == 2 ? 126 : 127;
    put_number (out + 1, width, size);
    return 1 + width;
}

size_t zws_put (uint8_t *out, uint8_t first, const uint8_t *mask,
                const void *payload, size_t size)
{
    const uint8_t *bytes = payload;
    out[0] = first;
    size_t at = 1 + put_length (out + 1, size);
    if (mask) {
        out[1] |= 0x80;
        memcpy (out + at, mask, 4);
        at += 4;
    }
    for (size_t i = 0; i < size; i++)
        out[at + i] = mask ? bytes[i] ^ mask[i % 4] : bytes[i];
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
    uint8_t bytes[2];
    put_number (bytes, sizeof bytes, (uint64_t) code);
    zws_write (fd, ZWS_FIN | ZWS_CLOSE, bytes, sizeof bytes);
}

static size_t read_length (int fd, uint8_t second, size_t *header)
{
    uint8_t bytes[8];
    size_t width = second == 126 ? 2 : 8, size = 0;
    if (second < 126)
        return second;
    zt_read (fd, bytes, width);
    *header += width;
    for (size_t i = 0; i < width; i++)
        size = size << 8 | bytes[i];
    return size;
}

zws_frame_t zws_read (int fd)
{
    zws_frame_t frame;
    uint8_t head[2];
    zt_read (fd, head, sizeof head);
    frame.first = head[0];
    frame.masked = head[1] >> 7;
    frame.header = 2;
    frame.size = read_length (fd, head[1] & 0x7F, &frame.header);
    if (frame.masked) {
        zt_read (fd, frame.mask, sizeof frame.mask);
        frame.header += sizeof frame.mask;
    }
    frame.payload = malloc (frame.size + 1);
    CHECK (frame.payload != NULL);
    zt_read (fd, frame.payload, frame.size);
    for (size_t i = 0; frame.masked && i < frame.size; i++)
        frame.payload[i] ^= frame.mask[i % 4];
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

void zws_expect_close (int fd, int code)
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
    zt_expect_eof (fd);
}

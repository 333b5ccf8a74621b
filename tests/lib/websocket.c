/* SPDX-License-Identifier: MPL-2.0 */
#include "websocket.h"

#include "sha1.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define LEN_16 126 /* the length follows in 2 bytes */
#define LEN_64 127 /* … in 8 bytes */

static size_t len_bytes (uint8_t second)
{
    uint8_t len = second & 0x7f;
    return len == LEN_64 ? 8 : len == LEN_16 ? 2
                                             : 0;
}

size_t websocket_header_size (const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 2;
    return 2 + len_bytes (bytes[1])
           + (bytes[1] & 0x80 ? WEBSOCKET_MASK_SIZE : 0);
}

void websocket_header_read (struct websocket_header *header,
                            const uint8_t *bytes)
{
    size_t extra = len_bytes (bytes[1]);
    *header = (struct websocket_header) {.final = bytes[0] & 0x80,
                                         .reserved = bytes[0] >> 4 & 7,
                                         .opcode = bytes[0] & 15,
                                         .masked = bytes[1] & 0x80,
                                         .len = bytes[1] & 0x7f};
    if (extra > 0)
        header->len = 0;
    for (size_t i = 0; i < extra; i++)
        header->len = header->len << 8 | bytes[2 + i];
    if (header->masked)
        memcpy (header->mask, bytes + 2 + extra, WEBSOCKET_MASK_SIZE);
}

size_t websocket_header_write (const struct websocket_header *header,
                               uint8_t *bytes)
{
    uint8_t small = header->len < LEN_16  ? (uint8_t) header->len
                    : header->len < 65536 ? LEN_16
                                          : LEN_64;
    bytes[0] = (uint8_t) ((header->final ? 0x80 : 0) | header->reserved << 4
                          | header->opcode);
    bytes[1] = (uint8_t) ((header->masked ? 0x80 : 0) | small);
    size_t extra = len_bytes (small), size = 2;
    for (size_t i = extra; i > 0; i--)
        bytes[size++] = (uint8_t) (header->len >> (8 * (i - 1)));
    if (header->masked) {
        memcpy (bytes + size, header->mask, WEBSOCKET_MASK_SIZE);
        size += WEBSOCKET_MASK_SIZE;
    }
    return size;
}

void websocket_mask (uint8_t *bytes,
                     size_t len,
                     const uint8_t mask[WEBSOCKET_MASK_SIZE])
{
    uint8_t twice[8];
    uint64_t word, mask_word;
    memcpy (twice, mask, 4);
    memcpy (twice + 4, mask, 4);
    memcpy (&mask_word, twice, 8);
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy (&word, bytes + i, 8);
        word ^= mask_word;
        memcpy (bytes + i, &word, 8);
    }
    for (; i < len; i++)
        bytes[i] ^= mask[i & 3];
}

/* Writes the base64 of len bytes, with a NUL behind it. */
static void base64 (const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t count = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t) bytes[i] << 16;
        if (count > 1)
            bits |= (uint32_t) bytes[i + 1] << 8;
        if (count > 2)
            bits |= bytes[i + 2];
        for (size_t d = 0; d < 4; d++)
            *text++ = d <= count ? digits[bits >> (18 - 6 * d) & 63] : '=';
    }
    *text = '\0';
}

void websocket_key (const uint8_t random[WEBSOCKET_KEY_SIZE],
                    char text[WEBSOCKET_KEY_TEXT])
{
    base64 (random, WEBSOCKET_KEY_SIZE, text);
}

void websocket_accept (const char *key, char text[WEBSOCKET_ACCEPT_TEXT])
{
    char input[SHA1_MAX_INPUT + 1];
    uint8_t digest[SHA1_SIZE];
    int len = snprintf (input, sizeof input, "%.64s" GUID, key);
    sha1 ((const uint8_t *) input, (size_t) len, digest);
    base64 (digest, sizeof digest, text);
}

const char *
websocket_http_field (const char *head, const char *name, size_t *len)
{
    size_t name_len = strlen (name);
    for (const char *line = strstr (head, "\r\n"); line;
         line = strstr (line, "\r\n")) {
        line += 2;
        if (strncasecmp (line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        value += strspn (value, " \t");
        *len = strcspn (value, "\r");
        while (*len > 0 && strchr (" \t", value[*len - 1]))
            --*len;
        return value;
    }
    return NULL;
}

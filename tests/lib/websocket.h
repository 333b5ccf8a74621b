/* SPDX-License-Identifier: MPL-2.0 */
/* The bytes of RFC 6455: frame headers, masks, and the key of the handshake.
 * It keeps no state. */
#ifndef WEBSOCKET_H_INCLUDED
#define WEBSOCKET_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_MAX_HEADER 14
#define WEBSOCKET_MAX_CONTROL 125 /* bytes of a control frame's payload */
#define WEBSOCKET_MASK_SIZE 4
#define WEBSOCKET_KEY_SIZE 16
#define WEBSOCKET_KEY_TEXT 25    /* base64, with its NUL */
#define WEBSOCKET_ACCEPT_TEXT 29 /* the same */

enum websocket_opcode
{
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

struct websocket_header
{
    bool final, masked;
    uint8_t reserved; /* the three bits */
    uint8_t opcode;
    uint64_t len; /* bytes of the payload */
    uint8_t mask[WEBSOCKET_MASK_SIZE];
};

/* Bytes of the header that begins with these len bytes: at least 2. Not final
 * before 2 bytes are there. */
size_t websocket_header_size (const uint8_t *bytes, size_t len);

/* Reads a whole header. */
void websocket_header_read (struct websocket_header *header,
                            const uint8_t *bytes);

/* Writes a header and returns its size. */
size_t websocket_header_write (const struct websocket_header *header,
                               uint8_t *bytes);

/* Masks or unmasks bytes that begin at a multiple of 4 of a payload. */
void websocket_mask (uint8_t *bytes,
                     size_t len,
                     const uint8_t mask[WEBSOCKET_MASK_SIZE]);

/* The text of a key, and what the server has to answer to it. */
void websocket_key (const uint8_t random[WEBSOCKET_KEY_SIZE],
                    char text[WEBSOCKET_KEY_TEXT]);
void websocket_accept (const char *key, char text[WEBSOCKET_ACCEPT_TEXT]);

/* Finds a header field of an HTTP head, which ends with a NUL: its value
 * without blanks around it, up to len bytes long. NULL: it is not there. */
const char *
websocket_http_field (const char *head, const char *name, size_t *len);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
#include "crowd.h"

#include <stdio.h>
#include <string.h>

static size_t copy (uint8_t *to, const void *bytes, size_t size)
{
    memcpy (to, bytes, size);
    return size;
}

/* Frames of zlink */

#define FLOOD_SIZE 1000

static size_t flood (uint8_t *to)
{
    size_t size = 0;
    for (; size + 4 + FLOOD_SIZE <= BLOCK_MAX; size += 4 + FLOOD_SIZE) {
        copy (to + size, "\0\0\x03\xe8", 4);
        memset (to + size + 4, 'f', FLOOD_SIZE);
    }
    return size;
}

static size_t push (uint8_t *to) { return copy (to, "\0\0\0\4" PUSH_ORDER, 8); }

static size_t length (uint8_t *to) { return copy (to, "\xff\xff\xff\xff", 4); }

/* The first 150 bytes of a ClientHello of 508, in one record. */
static size_t half_hello (uint8_t *to)
{
    static const uint8_t start[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    for (size_t i = 0; i < 150; i++)
        to[i] = (uint8_t) (i * 37 + 11); /* the random bytes, and what comes then */
    copy (to, start, sizeof start);
    to[43] = 32; /* a session id */
    copy (to + 76, "\0\x20", 2);
    return 150;
}

/* WebSocket */

static size_t upgrade (uint8_t *to)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n";
    return copy (to, text, sizeof text - 1);
}

#define PING_SIZE 125 /* the most that there may be */

static size_t pings (uint8_t *to)
{
    size_t size = 0;
    for (; size + 6 + PING_SIZE <= BLOCK_MAX; size += 6 + PING_SIZE) {
        copy (to + size, "\x89\xfd\0\0\0\0", 6); /* masked with zeros */
        memset (to + size + 6, 'p', PING_SIZE);
    }
    return size;
}

const struct kind *kind_of (const char *name)
{
    static const struct kind kinds[] = {
      {"flood", CONDUCT_FLOOD, NETWORK_ATTACK, false, 0, NULL, flood},
      {"unread", CONDUCT_SAY, NETWORK_ATTACK, false, 0, push, NULL},
      {"stuck", CONDUCT_SAY, NETWORK_ATTACK, false, 0, push, NULL},
      {"length", CONDUCT_DRIP, NETWORK_ATTACK, false, 0, length, NULL},
      {"vanish", CONDUCT_VANISH, NETWORK_ATTACK, false, 0, NULL, NULL},
      {"silent", CONDUCT_SAY, NETWORK_ATTACK, false, 0, NULL, NULL},
      {"hello", CONDUCT_SAY, NETWORK_ATTACK, false, 0, half_hello, NULL},
      {"ping", CONDUCT_FLOOD, NETWORK_ATTACK, true, 0, upgrade, pings},
      {"rate", CONDUCT_LEAVE, NETWORK_ONE, false, 10000, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp (kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

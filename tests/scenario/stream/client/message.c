/* SPDX-License-Identifier: MPL-2.0 */
#include "message.h"

#include <stdlib.h>
#include <string.h>

/* Number of places in the table where a body may start: a power of two, and
 * small enough for the table to stay in the processor's first cache. */
#define PATTERN_PLACES 4096

/* The layout in a body, small enough for a message of 16 bytes. Only this
 * program reads it, so it is in host order. */
struct header
{
    uint64_t owner; /* from the lowest bit: connection, phase, sequence */
    uint64_t stamp; /* from the lowest bit: send time, hash */
};

#define PHASE_SHIFT 20
#define PHASE_MASK 15u
#define SEQUENCE_SHIFT 24
#define TIME_BITS 40
#define TIME_MASK ((UINT64_C (1) << TIME_BITS) - 1)

_Static_assert (sizeof (struct header) == MESSAGE_HEADER_SIZE, "no padding");

static uint64_t mix (uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C (0xd6e8feb86659fd93);
    x ^= x >> 32;
    return x;
}

static uint64_t header_hash (const struct header *header)
{
    return mix (mix (header->owner * UINT64_C (0x9e3779b97f4a7c15))
                ^ (header->stamp & TIME_MASK));
}

static const uint8_t *pattern_at (const struct message_format *format,
                                  uint64_t hash)
{
    return format->pattern + hash % PATTERN_PLACES;
}

int message_format_init (struct message_format *format, size_t size)
{
    size_t table_size = PATTERN_PLACES + size - MESSAGE_HEADER_SIZE;
    format->size = size;
    format->length[0] = (uint8_t) (size >> 24);
    format->length[1] = (uint8_t) (size >> 16);
    format->length[2] = (uint8_t) (size >> 8);
    format->length[3] = (uint8_t) size;
    format->pattern = malloc (table_size);
    if (!format->pattern)
        return -1;
    uint64_t state = 1;
    for (size_t i = 0; i < table_size; i++) {
        state = mix (state + UINT64_C (0x9e3779b97f4a7c15));
        format->pattern[i] = (uint8_t) state;
    }
    return 0;
}

void message_format_free (struct message_format *format)
{
    free (format->pattern);
    format->pattern = NULL;
}

void message_write (const struct message_format *format,
                    uint8_t *body,
                    const struct message *message)
{
    struct header header = {.owner = message->connection
                                     | (uint64_t) message->phase << PHASE_SHIFT
                                     | message->sequence << SEQUENCE_SHIFT,
                            .stamp = message->sent_ns & TIME_MASK};
    uint64_t hash = header_hash (&header);
    /* The hash's upper bits here; the lower ones choose the pattern. */
    header.stamp |= hash & ~TIME_MASK;
    memcpy (body, &header, sizeof header);
    memcpy (body + sizeof header, pattern_at (format, hash),
            format->size - sizeof header);
}

uint64_t message_age_ns (const struct message *message, uint64_t now_ns)
{
    return (now_ns - message->sent_ns) & TIME_MASK;
}

bool message_read (const struct message_format *format,
                   const uint8_t *body,
                   struct message *message)
{
    struct header header;
    memcpy (&header, body, sizeof header);
    uint64_t hash = header_hash (&header);
    message->connection = header.owner & (MESSAGE_MAX_CONNECTIONS - 1);
    message->phase = (enum phase) (header.owner >> PHASE_SHIFT & PHASE_MASK);
    message->sequence = header.owner >> SEQUENCE_SHIFT;
    message->sent_ns = header.stamp & TIME_MASK;
    if ((header.stamp & ~TIME_MASK) != (hash & ~TIME_MASK))
        return false;
    return memcmp (body + sizeof header, pattern_at (format, hash),
                   format->size - sizeof header)
           == 0;
}

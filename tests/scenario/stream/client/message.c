/* SPDX-License-Identifier: MPL-2.0 */
#include "message.h"

#include <stdlib.h>
#include <string.h>

/* Number of places in the table where a body may start: a power of two, and
 * small enough for the table to stay in the processor's first cache. */
#define PATTERN_PLACES 4096
#define CHECK_BITS 24
#define CHECK_MASK ((1u << CHECK_BITS) - 1)

/* The layout in a body. Only this program reads it, so it is in host order. */
struct header
{
    uint32_t connection;
    uint32_t phase_and_check; /* phase in the top byte, hash in the others */
    uint64_t sequence;
    uint64_t sent_ns;
};

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
    uint64_t owner = (uint64_t) header->connection << 8
                     | header->phase_and_check >> CHECK_BITS;
    return mix (mix (owner * UINT64_C (0x9e3779b97f4a7c15) ^ header->sequence)
                ^ header->sent_ns);
}

static const uint8_t *pattern_at (const struct message_format *format,
                                  uint64_t hash)
{
    return format->pattern + (hash >> CHECK_BITS) % PATTERN_PLACES;
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
    struct header header = {message->connection,
                            (uint32_t) message->phase << CHECK_BITS,
                            message->sequence, message->sent_ns};
    uint64_t hash = header_hash (&header);
    header.phase_and_check |= (uint32_t) hash & CHECK_MASK;
    memcpy (body, &header, sizeof header);
    memcpy (body + sizeof header, pattern_at (format, hash),
            format->size - sizeof header);
}

bool message_read (const struct message_format *format,
                   const uint8_t *body,
                   struct message *message)
{
    struct header header;
    memcpy (&header, body, sizeof header);
    uint64_t hash = header_hash (&header);
    message->connection = header.connection;
    message->phase = (enum phase) (header.phase_and_check >> CHECK_BITS);
    message->sequence = header.sequence;
    message->sent_ns = header.sent_ns;
    if ((header.phase_and_check & CHECK_MASK) != ((uint32_t) hash & CHECK_MASK))
        return false;
    return memcmp (body + sizeof header, pattern_at (format, hash),
                   format->size - sizeof header)
           == 0;
}

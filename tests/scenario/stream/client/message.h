/* SPDX-License-Identifier: MPL-2.0 */
/* The body of a message: a header that says whose it is, then bytes that
 * follow from the header. On the wire the body comes after its length, 4 bytes
 * big endian. Every byte of an echo is checked: the header carries a hash of
 * its own fields, and the rest is compared with a piece of a fixed table whose
 * place follows from that hash. */
#ifndef SCENARIO_MESSAGE_H
#define SCENARIO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_HEADER_SIZE 16
#define MESSAGE_LENGTH_SIZE 4
#define MESSAGE_MAX_CONNECTIONS (1u << 20)

enum phase
{
    PHASE_CONNECT,
    PHASE_IDLE, /* all connections open, nothing sent */
    PHASE_WARMUP,
    PHASE_MEASURE,
    PHASE_DRAIN, /* nothing more is sent, answers come in */
    PHASE_CLOSE
};

struct message
{
    uint32_t connection; /* index */
    enum phase phase;    /* when it was sent */
    uint64_t sequence;   /* within the connection, from 0 */
    uint64_t sent_ns;    /* monotonic clock; read: only its lowest 40 bits */
};

struct message_format
{
    size_t size; /* bytes of a body */
    uint8_t length[MESSAGE_LENGTH_SIZE];
    uint8_t *pattern;
};

int message_format_init (struct message_format *format, size_t size);
void message_format_free (struct message_format *format);

/* Writes format->size bytes. */
void message_write (const struct message_format *format,
                    uint8_t *body,
                    const struct message *message);

/* Nanoseconds since a message that was read was sent, up to 18 minutes. */
uint64_t message_age_ns (const struct message *message, uint64_t now_ns);

/* Reads format->size bytes; false when any of them is not what was sent. */
bool message_read (const struct message_format *format,
                   const uint8_t *body,
                   struct message *message);

#endif

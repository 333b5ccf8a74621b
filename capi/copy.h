/* SPDX-License-Identifier: MPL-2.0 */
/* The copy of a message's bytes. Most messages are short, and to call memcpy for one takes
 * longer than to copy it. */
#ifndef ZLINK_COPY_H
#define ZLINK_COPY_H

#include <stdint.h>
#include <string.h>

typedef struct copied_16
{
    uint64_t words[2];
} copied_16;

/* Copies the first and the last bytes of size, as many as TYPE has. They may overlap. */
#define COPY_ENDS(TYPE, to, from, size)                                  \
    do {                                                                 \
        TYPE first_, last_;                                              \
        memcpy (&first_, (from), sizeof (TYPE));                         \
        memcpy (&last_, (from) + (size) - sizeof (TYPE), sizeof (TYPE)); \
        memcpy ((to), &first_, sizeof (TYPE));                           \
        memcpy ((to) + (size) - sizeof (TYPE), &last_, sizeof (TYPE));   \
    } while (0)

/* memcpy for the bytes of a message. */
static inline void copy_bytes (void *dst, const void *src, size_t size)
{
    uint8_t *to = dst;
    const uint8_t *from = src;
    if (size > 64)
        memcpy (to, from, size);
    else if (size > 32) {
        COPY_ENDS (copied_16, to, from, size);
        COPY_ENDS (copied_16, to + 16, from + 16, size - 32);
    } else if (size >= 16)
        COPY_ENDS (copied_16, to, from, size);
    else if (size >= 8)
        COPY_ENDS (uint64_t, to, from, size);
    else if (size >= 4)
        COPY_ENDS (uint32_t, to, from, size);
    else
        while (size-- > 0)
            to[size] = from[size];
}

#endif

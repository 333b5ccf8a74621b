/* SPDX-License-Identifier: MPL-2.0 */
/* The copy of a message's bytes: every size that it treats on its own, and longer ones. */
#include <stdio.h>
#include <string.h>

#include "../../capi/copy.h"

enum
{
    MOST = 200,
    GUARD = 64,
    UNTOUCHED = 0xEE
};

static int check (size_t size, size_t at)
{
    uint8_t from[MOST + GUARD], to[GUARD + MOST + GUARD], expected[sizeof to];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (uint8_t) (i * 7 + size);
    memset (to, UNTOUCHED, sizeof to);
    memset (expected, UNTOUCHED, sizeof expected);
    memcpy (expected + GUARD + at, from + at, size);
    copy_bytes (to + GUARD + at, from + at, size);
    if (memcmp (to, expected, sizeof to) == 0)
        return 0;
    printf ("%zu bytes from offset %zu on are not what was copied\n", size, at);
    return 1;
}

int main (void)
{
    int failed = 0;
    for (size_t size = 0; size <= MOST; size++)
        for (size_t at = 0; at < 16; at++)
            failed += check (size, at);
    copy_bytes (NULL, NULL, 0); /* a message without a body */
    return failed > 0;
}

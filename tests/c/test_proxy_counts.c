/* SPDX-License-Identifier: MPL-2.0 */
/* What a proxy counts of messages that no test could send: its own code, over
 * calls that are not the library's. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../capi/proxy.c"

#define BODY_BYTES ((size_t) UINT32_MAX)

static size_t next; /* frames that were received */

int zl_fail (int error)
{
    errno = error;
    return -1;
}

int zlink_msg_init (zlink_msg_t *msg)
{
    (void) msg;
    return 0;
}

int zlink_msg_close (zlink_msg_t *msg)
{
    (void) msg;
    return 0;
}

int zlink_msg_copy (zlink_msg_t *dst, zlink_msg_t *src)
{
    (void) dst;
    (void) src;
    return 0;
}

size_t zlink_msg_size (const zlink_msg_t *msg)
{
    (void) msg;
    return next % 2 ? 4 : BODY_BYTES;
}

int zlink_msg_more (const zlink_msg_t *msg)
{
    (void) msg;
    return next % 2;
}

int zlink_msg_recv (zlink_msg_t *msg, void *socket, int flags)
{
    (void) socket;
    (void) flags;
    next++;
    return zlink_msg_size (msg) > INT_MAX ? INT_MAX : 4;
}

int zlink_msg_send (zlink_msg_t *msg, void *socket, int flags)
{
    (void) socket;
    (void) flags;
    return zlink_msg_size (msg) > INT_MAX ? INT_MAX : 4;
}

/* The rest of what proxy.c calls; nothing here does. */
int zlink_recv (void *socket, void *buf, size_t len, int flags)
{
    (void) socket, (void) buf, (void) len, (void) flags;
    abort ();
}

int zlink_send (void *socket, const void *buf, size_t len, int flags)
{
    (void) socket, (void) buf, (void) len, (void) flags;
    abort ();
}

int zlink_getsockopt (void *socket, int option, void *value, size_t *size)
{
    (void) socket, (void) option, (void) value, (void) size;
    abort ();
}

int zlink_poll (zlink_pollitem_t *items, int nitems, long timeout_ms)
{
    (void) items, (void) nitems, (void) timeout_ms;
    abort ();
}

int main (void)
{
    side in = {0, 0, 0, 0}, out = {0, 0, 0, 0};
    for (uint64_t i = 1; i <= 5; i++) {
        int passed = forward_message (NULL, NULL, NULL, &in, &out);
        if (passed != 1 || in.msgs_in != i || out.msgs_out != i
            || in.bytes_in != i * (4 + BODY_BYTES)
            || out.bytes_out != in.bytes_in) {
            printf ("failed: %llu messages, %llu bytes\n",
                    (unsigned long long) in.msgs_in,
                    (unsigned long long) in.bytes_in);
            return 1;
        }
    }
    printf ("ok long_messages (0 ms)\n");
    return 0;
}

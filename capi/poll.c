/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_poll. C answers what is ready already; Go waits for the rest. */
#include "path.h"
#include "zlink.h"

/* Whether a receive would not block. */
static bool readable (zl_queues *k)
{
    return k->rx_run || k->rx_list || !inbox_empty (&k->rx_inbox);
}

int zlink_poll (zlink_pollitem_t *items, int nitems, long timeout_ms)
{
    if (nitems < 0)
        return zl_fail (EINVAL);
    if (nitems > 0 && !items)
        return zl_fail (EFAULT);
    ZL_ENTER (-1);
    int ready = 0;
    bool simple = true;
    for (int i = 0; i < nitems; i++) {
        zlink_pollitem_t *item = &items[i];
        zl_queues *k = item->socket ? lookup_socket (item->socket) : NULL;
        item->revents = 0;
        if (!k) { /* a descriptor, or a handle that Go will check */
            simple = false;
            continue;
        }
        item->revents = item->events & ZLINK_POLLOUT;
        if ((item->events & ZLINK_POLLIN) && readable (k))
            item->revents |= ZLINK_POLLIN;
        ready += item->revents != 0;
    }
    if (simple && ready > 0)
        return ready;
    return zl_result (ZL_GO (poll) (items, nitems, timeout_ms));
}

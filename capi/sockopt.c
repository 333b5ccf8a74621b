/* SPDX-License-Identifier: MPL-2.0 */
/* Socket options. Each is one call of Go, except RCVMORE, which a receiver of two frames
 * asks for with every message. */
#include <string.h>

#include "path.h"
#include "zlink.h"

int zlink_setsockopt (void *socket,
                      int option,
                      const void *optval,
                      size_t optvallen)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (setsockopt) ((uintptr_t) socket, option,
                                          (void *) optval, optvallen));
}

/* A caller that passes an int64_t for an int expects the other half to be 0. */
static void zero_rest (void *optval, size_t used, size_t size)
{
    size_t room = size < ZL_OPTION_MAX ? size : ZL_OPTION_MAX;
    memset ((char *) optval + used, 0, room - used);
}

int zlink_getsockopt (void *handle, int option, void *optval, size_t *optvallen)
{
    if (ZL_UNLIKELY (!optval || !optvallen)) {
        ZL_ENTER (-1);
        return zl_result (ZL_GO (getsockopt) ((uintptr_t) handle, option, NULL, 0));
    }
    if (option == ZLINK_RCVMORE && *optvallen >= sizeof (int)) {
        zl_queues *k = lookup_socket (handle);
        if (ZL_LIKELY (k != NULL)) {
            int more = (int) k->rx_more;
            memcpy (optval, &more, sizeof more);
            if (ZL_UNLIKELY (*optvallen > sizeof more))
                zero_rest (optval, sizeof more, *optvallen);
            *optvallen = sizeof more;
            return 0;
        }
    }
    ZL_ENTER (-1);
    size_t room = *optvallen < ZL_OPTION_MAX ? *optvallen : ZL_OPTION_MAX;
    int result = ZL_GO (getsockopt) ((uintptr_t) handle, option, optval, room);
    if (result < 0)
        return zl_result (result);
    *optvallen = (size_t) result;
    return 0;
}

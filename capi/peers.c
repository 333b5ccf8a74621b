/* SPDX-License-Identifier: MPL-2.0 */
/* What the application decides, asks and gives for its peers: each call is one of Go. */
#include <string.h>

#include "internal.h"
#include "types.h"
#include "zlink.h"

#include "_cgo_export.h"

int zlink_stream_close_peer (void *handle, uint32_t routing_id)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (close_peer) ((uintptr_t) handle, routing_id));
}

int zlink_stream_close_peer_with (void *handle, uint32_t routing_id, int code,
                                  const char *reason)
{
    size_t size = reason ? strnlen (reason, ZL_CLOSE_REASON_MAX + 1) : 0;
    ZL_ENTER (-1);
    return zl_result (ZL_GO (close_peer_with) (
      (uintptr_t) handle, routing_id, code, (void *) reason, size));
}

int zlink_stream_abort_peer (void *handle, uint32_t routing_id)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (abort_peer) ((uintptr_t) handle, routing_id));
}

int zlink_stream_peer_gets (void *handle, uint32_t routing_id, const char *property,
                            char *text, size_t room)
{
    if (room > 0 && !text)
        return zl_fail (EFAULT);
    if (!property)
        return zl_fail (EINVAL);
    ZL_ENTER (-1);
    return zl_result (
      ZL_GO (peer_gets) ((uintptr_t) handle, routing_id, (char *) property, text, room));
}

int zlink_stream_accept_peer (void *handle, uint32_t routing_id)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (accept_peer) ((uintptr_t) handle, routing_id));
}

int zlink_stream_accept_peer_with (void *handle, uint32_t routing_id, const char *protocol)
{
    if (!protocol)
        return zlink_stream_accept_peer (handle, routing_id);
    ZL_ENTER (-1);
    return zl_result (ZL_GO (accept_peer_with) ((uintptr_t) handle, routing_id, (void *) protocol,
                                                strnlen (protocol, ZL_OPTION_MAX)));
}

int zlink_stream_refuse_peer (void *handle, uint32_t routing_id, int status, const char *text)
{
    size_t size = text ? strnlen (text, ZL_REFUSAL_MOST + 1) : 0;
    ZL_ENTER (-1);
    return zl_result (
      ZL_GO (refuse_peer) ((uintptr_t) handle, routing_id, status, (void *) text, size));
}

int zlink_stream_set_peer_data (
  void *handle, uint32_t routing_id, void *data, zlink_free_fn *ffn, void *hint)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (set_peer_data) ((uintptr_t) handle, routing_id, (uintptr_t) data,
                                             (uintptr_t) ffn, (uintptr_t) hint));
}

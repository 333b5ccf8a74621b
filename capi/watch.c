/* SPDX-License-Identifier: MPL-2.0 */
/* Monitoring and peers: one call of Go each. */
#include "internal.h"
#include "zlink.h"
#include "_cgo_export.h"

void *zlink_socket_monitor_open (void *socket, int events)
{
    int error = 0;
    ZL_ENTER (NULL);
    uintptr_t monitor = ZL_GO (monitor_open) ((uintptr_t) socket, events, &error);
    if (!monitor)
        zl_result (error);
    return (void *) monitor;
}

int zlink_monitor_recv (void *monitor, zlink_monitor_event_t *event, int flags)
{
    ZL_ENTER (-1);
    if (!event)
        return zl_fail (EFAULT);
    return zl_result (ZL_GO (monitor_recv) ((uintptr_t) monitor, event, flags));
}

int zlink_monitor_reason (void *monitor)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (monitor_reason) ((uintptr_t) monitor));
}

int zlink_socket_monitor (void *socket, const char *addr, int events)
{
    (void) events;
    ZL_ENTER (-1);
    if (!addr)
        return zl_result (ZL_GO (monitors_stop) ((uintptr_t) socket));
    int count = ZL_GO (peer_count) ((uintptr_t) socket); /* is it a socket? */
    return count < 0 ? zl_result (count) : zl_fail (ENOTSUP);
}

int zlink_socket_peer_info (void *socket,
                            const zlink_routing_id_t *routing_id,
                            zlink_peer_info_t *info)
{
    ZL_ENTER (-1);
    if (!routing_id || !info)
        return zl_fail (EFAULT);
    return zl_result (ZL_GO (peer_info) ((uintptr_t) socket,
                                         (zlink_routing_id_t *) routing_id,
                                         info));
}

int zlink_socket_peer_routing_id (void *socket,
                                  int index,
                                  zlink_routing_id_t *routing_id)
{
    ZL_ENTER (-1);
    if (!routing_id)
        return zl_fail (EFAULT);
    return zl_result (
      ZL_GO (peer_id) ((uintptr_t) socket, index, routing_id));
}

int zlink_socket_peer_count (void *socket)
{
    ZL_ENTER (-1);
    return zl_result (ZL_GO (peer_count) ((uintptr_t) socket));
}

int zlink_socket_peers (void *socket, zlink_peer_info_t *peers, size_t *count)
{
    ZL_ENTER (-1);
    if (!count)
        return zl_fail (EFAULT);
    return zl_result (ZL_GO (peers) ((uintptr_t) socket, peers, *count, count));
}

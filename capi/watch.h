/* SPDX-License-Identifier: MPL-2.0 */
/* The structures of monitoring for Go, which cannot include zlink.h beside its
 * own declarations of the exported functions; watch.c compares them. */
#ifndef ZLINK_WATCH_H
#define ZLINK_WATCH_H

#include <stdint.h>

typedef struct zl_routing_id
{
    uint8_t size;
    uint8_t data[255];
} zl_routing_id;

typedef struct zl_monitor_event
{
    uint64_t event;
    uint64_t value;
    zl_routing_id routing_id;
    char local_addr[256];
    char remote_addr[256];
} zl_monitor_event;

typedef struct zl_peer_info
{
    zl_routing_id routing_id;
    char remote_addr[256];
    uint64_t connected_time;
    uint64_t msgs_sent;
    uint64_t msgs_received;
} zl_peer_info;

#endif

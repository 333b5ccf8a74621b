/* SPDX-License-Identifier: MPL-2.0 */
/* Monitors in tests. Include it after ztest.h. */
#ifndef ZMONITOR_H_INCLUDED
#define ZMONITOR_H_INCLUDED

#include <fcntl.h>

static inline void *zt_monitor (void *s, int events)
{
    void *monitor = zlink_socket_monitor_open (s, events);
    CHECK (monitor != NULL);
    return monitor;
}

/* The next event, which must be this one. */
static inline zlink_monitor_event_t zt_event (void *monitor, uint64_t event)
{
    zlink_monitor_event_t e;
    memset (&e, 0xAA, sizeof e);
    CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    CHECK_EQ (e.event, event);
    return e;
}

/* As zt_event, and its value must be this one. */
static inline zlink_monitor_event_t
zt_event_value (void *monitor, uint64_t event, uint64_t value)
{
    zlink_monitor_event_t e = zt_event (monitor, event);
    CHECK_EQ (e.value, value);
    return e;
}

/* The two events of a new connection: the same descriptor, id and addresses. */
static inline zlink_monitor_event_t zt_event_up (void *monitor, uint64_t event)
{
    zlink_monitor_event_t up = zt_event (monitor, event);
    zlink_monitor_event_t ready =
      zt_event_value (monitor, ZLINK_EVENT_CONNECTION_READY, up.value);
    CHECK (fcntl ((int) up.value, F_GETFD) != -1);
    CHECK (zt_same_id (&up.routing_id, &ready.routing_id));
    CHECK_STR (ready.local_addr, up.local_addr);
    CHECK_STR (ready.remote_addr, up.remote_addr);
    return up;
}

/* As zt_event_up with a transport that shakes hands: the routing id comes with
 * the end of the handshake, which this returns. */
static inline zlink_monitor_event_t
zt_event_shaken (void *monitor, uint64_t event)
{
    zlink_monitor_event_t up = zt_event (monitor, event);
    zlink_monitor_event_t ready =
      zt_event_value (monitor, ZLINK_EVENT_CONNECTION_READY, up.value);
    CHECK_EQ (up.routing_id.size, 0);
    CHECK (ready.routing_id.size > 0);
    CHECK_STR (ready.local_addr, up.local_addr);
    CHECK_STR (ready.remote_addr, up.remote_addr);
    return ready;
}

/* The monitor's socket is closed and all its other events were read. */
static inline void zt_monitor_end (void *monitor)
{
    zlink_monitor_event_t e = zt_event (monitor, ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_EQ (e.routing_id.size, 0);
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT), EAGAIN);
    CHECK_OK (zlink_close (monitor));
}

#endif

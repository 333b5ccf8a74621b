/* SPDX-License-Identifier: MPL-2.0 */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"
#include "ztls.h"
#include "zweb.h"

#include <stdio.h>

/* Takes one message and acts on it; false: the context is shut down. */
static bool serve_one (void *s)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    int size = zlink_msg_recv (&msg, s, 0);
    bool going = size >= 0;
    if (!going)
        CHECK_EQ (errno, ETERM);
    else if (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA)
        ;
    else if (size == 3 && memcmp (zlink_msg_data (&msg), "bye", 3) == 0)
        CHECK_OK (zlink_stream_close_peer (s, zlink_msg_routing_id (&msg)));
    else if (zlink_msg_send (&msg, s, 0) == -1)
        CHECK (errno == EHOSTUNREACH || errno == ETERM);
    CHECK_OK (zlink_msg_close (&msg));
    return going;
}

static void *serve (void *s)
{
    while (serve_one (s)) {
    }
    return NULL;
}

zweb_t zweb_open (void)
{
    zweb_t w;
    int64_t limit = ZWEB_MAX_BYTES;
    w.ctx = zt_ctx ();
    w.s = zt_fast_socket (w.ctx);
    CHECK_OK (zlink_setsockopt (w.s, ZLINK_MAXMSGSIZE, &limit, sizeof limit));
    zt_set_cert (w.s, "server");
    w.monitor = zt_monitor (
      w.s, ZLINK_EVENT_CONNECTION_READY | ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL
             | ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL
             | ZLINK_EVENT_HANDSHAKE_FAILED_AUTH | ZLINK_EVENT_DISCONNECTED);
    snprintf (w.ws, sizeof w.ws, "ws://127.0.0.1:%d/peer",
              zt_bind_to (w.s, "ws://127.0.0.1:*/peer"));
    snprintf (w.wss, sizeof w.wss, "wss://127.0.0.1:%d/peer",
              zt_bind_to (w.s, "wss://127.0.0.1:*/peer"));
    w.thread = zt_thread (serve, w.s);
    return w;
}

void zweb_close (zweb_t *w)
{
    zlink_monitor_event_t e;
    CHECK_FAIL (zlink_monitor_recv (w->monitor, &e, ZLINK_DONTWAIT), EAGAIN);
    CHECK_OK (zlink_ctx_shutdown (w->ctx));
    zt_join (w->thread);
    zt_close (w->s);
    zt_close (w->monitor);
    zt_term (w->ctx);
}

void zweb_expect_peer (zweb_t *w, uint64_t reason)
{
    zt_event (w->monitor, ZLINK_EVENT_CONNECTION_READY);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED, reason);
}

void zweb_expect_failed (zweb_t *w)
{
    zlink_monitor_event_t e;
    CHECK_OK (zlink_monitor_recv (w->monitor, &e, 0));
    printf ("event 0x%llx, value 0x%llx\n", (unsigned long long) e.event,
            (unsigned long long) e.value);
    CHECK (e.event == ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL
           || e.event == ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL
           || e.event == ZLINK_EVENT_HANDSHAKE_FAILED_AUTH);
    zt_event_value (w->monitor, ZLINK_EVENT_DISCONNECTED,
                    ZLINK_DISCONNECT_HANDSHAKE_FAILED);
}

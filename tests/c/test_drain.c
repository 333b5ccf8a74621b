/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_stream_drain: what peers, receivers and monitors hear of it. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"
#include "zws.h"

#include <limits.h>
#include <stdio.h>

#define MILLISECOND 1

/* The next message says that the drain is done, and nothing follows it. */
static void expect_drained (void *s)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init_size (&msg, 100));
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DRAINED);
    CHECK_EQ (zlink_msg_size (&msg), 0);
    CHECK_EQ (zlink_msg_routing_id (&msg), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_CLOSE_CODE), 0);
    CHECK (zlink_msg_gets (&msg, "Peer-Address") == NULL);
    CHECK_FAIL (zlink_msg_send (&msg, s, 0), EINVAL); /* it has no peer */
    CHECK_OK (zlink_msg_close (&msg));
    zt_fast_silence (s, 0);
}

/* The next message says that one of these peers has been ended by the drain. */
static void expect_end (void *s, uint32_t peer, uint32_t other)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_EVENT), ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_REASON), ZLINK_STREAM_REASON_DRAINED);
    CHECK (zlink_msg_routing_id (&msg) == peer || zlink_msg_routing_id (&msg) == other);
    CHECK_OK (zlink_msg_close (&msg));
}

static void ws_peers_are_told (void)
{
    static const int codes[] = {0, 1001, 1012, 4002};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        zws_t w = zws_open (-1);
        void *drained = zt_monitor (w.s, ZLINK_EVENT_STREAM_DRAINED);
        zws_write_msg (w.fd, "hello", 5);
        zt_fast_expect (w.s, w.peer, "hello", 5);
        zt_fast_send (w.s, w.peer, "last", 4);
        CHECK_OK (zlink_stream_drain (w.s, MILLISECOND, codes[i]));
        zws_expect_msg (w.fd, "last", 4);
        zws_expect_told (w.fd, codes[i] ? codes[i] : ZWS_GOING_AWAY);
        zws_expect_told (w.other, codes[i] ? codes[i] : ZWS_GOING_AWAY);
        close (w.fd);
        close (w.other);
        expect_end (w.s, w.peer, w.other_peer);
        expect_end (w.s, w.peer, w.other_peer);
        expect_drained (w.s);
        zlink_monitor_event_t e = zt_event_value (drained, ZLINK_EVENT_STREAM_DRAINED, 0);
        CHECK_EQ (e.routing_id.size, 0);
        CHECK_STR (e.local_addr, "");
        zt_close (w.s);
        zt_monitor_end (drained);
        zt_close (w.monitor);
        zt_term (w.ctx);
    }
}

/* Each end, and then that it is done, in one batch as well as one by one. */
static void in_a_batch (void)
{
    enum
    {
        count = 20
    };
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[2 * count];
    int fds[count];
    zt_fast_init_all (msgs, 2 * count);
    for (int i = 0; i < count; i++) {
        fds[i] = zt_client (f.port);
        zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    }
    CHECK_OK (zlink_stream_drain (f.s, 0, 0));
    int ended = 0, drained = 0;
    while (!drained) {
        int got = zlink_stream_recv_batch (f.s, msgs, 2 * count, 0);
        CHECK (got > 0);
        for (int i = 0; i < got; i++) {
            CHECK (!drained);
            drained = zlink_msg_get (&msgs[i], ZLINK_STREAM_EVENT) == ZLINK_STREAM_DRAINED;
            ended += !drained;
            CHECK_EQ (zlink_msg_routing_id (&msgs[i]) == 0, drained);
        }
    }
    CHECK_EQ (ended, count + 1);
    for (int i = 0; i < count; i++) {
        zt_expect_eof (fds[i]);
        close (fds[i]);
    }
    zt_fast_close_all (msgs, 2 * count);
    zt_fast_close (&f);
}

static void *drain_it (void *s)
{
    CHECK_OK (zlink_stream_drain (s, 0, 0));
    return NULL;
}

/* A receive that waits is woken by it; nobody was there. */
static void wakes_a_receiver (void)
{
    for (int i = 0; i < 200 / ZT_SCALE; i++) {
        void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
        if (i % 2)
            zt_bind (s);
        pthread_t thread = zt_thread (drain_it, s);
        expect_drained (s);
        zt_join (thread);
        zt_close (s);
        zt_term (ctx);
    }
}

/* COMPAT has no event; monitors have. ZLINK_EVENT_ALL is what it has always been. */
static void in_compat (void)
{
    zt_pair_t p = zt_pair ();
    void *all = zt_monitor (p.server, ZLINK_EVENT_ALL);
    void *one = zt_monitor (p.server, ZLINK_EVENT_STREAM_DRAINED);
    CHECK_OK (zlink_stream_drain (p.server, 0, 0));
    zt_expect_disconnect (p.server, &p.id);
    zt_event_value (one, ZLINK_EVENT_STREAM_DRAINED, 0);
    zt_expect_eof (p.fd);
    zt_expect_silence (p.server, 0);
    zt_close (p.server);
    zt_monitor_end (one);
    zlink_monitor_event_t e;
    do {
        CHECK_OK (zlink_monitor_recv (all, &e, 0));
        CHECK (e.event != ZLINK_EVENT_STREAM_DRAINED);
    } while (e.event != ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_OK (zlink_close (all));
    close (p.fd);
    zt_term (p.ctx);
}

/* Peers are served until their end begins; a second call hastens. */
static void serves_until_then (void)
{
    zt_fast_t f = zt_fast_open ();
    CHECK_OK (zlink_stream_drain (f.s, INT_MAX, 0));
    CHECK_EQ (zt_try_client (f.port), -1);
    for (int i = 0; i < 100; i++) {
        zt_write_frame (f.fd, "more", 4);
        zt_fast_expect (f.s, f.peer, "more", 4);
        zt_fast_send (f.s, f.peer, "yes", 3);
        char answer[3];
        CHECK_EQ (zt_read_frame (f.fd, answer, sizeof answer), 3);
    }
    CHECK_OK (zlink_stream_drain (f.s, INT_MAX, 0));
    CHECK_OK (zlink_stream_drain (f.s, 0, 0));
    CHECK_EQ (zt_fast_event (f.s, ZLINK_STREAM_DISCONNECTED), f.peer);
    expect_drained (f.s);
    zt_expect_eof (f.fd);
    CHECK_OK (zlink_stream_drain (f.s, 0, 0));
    zt_fast_silence (f.s, 0);
    CHECK_FAIL (zlink_bind (f.s, "tcp://127.0.0.1:*"), EFSM);
    CHECK_STR (zlink_error_detail (), "the socket drains, or has drained: it can only be closed");
    CHECK_FAIL (zlink_connect (f.s, "tcp://127.0.0.1:1"), EFSM);
    zt_fast_close (&f);
}

static void arguments (void)
{
    zt_fast_t f = zt_fast_open ();
    CHECK_FAIL (zlink_stream_drain (NULL, 0, 0), ENOTSOCK);
    CHECK_FAIL (zlink_stream_drain (f.s, -1, 0), EINVAL);
    CHECK_STR (zlink_error_detail (), "peers cannot be ended over -1ms");
    static const int codes[] = {-1, 999, 1004, 1005, 1006, 1015, 5000};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK_FAIL (zlink_stream_drain (f.s, 0, codes[i]), EINVAL);
    CHECK_NULL (zlink_socket_monitor_open (f.s, 0x40000000), EINVAL);
    int again = zt_client (f.port); /* nothing has changed */
    zt_fast_event (f.s, ZLINK_STREAM_CONNECTED);
    close (again);
    CHECK_OK (zlink_ctx_shutdown (f.ctx));
    CHECK_FAIL (zlink_stream_drain (f.s, 0, 0), ETERM);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (ws_peers_are_told),
  ZT_CASE (in_a_batch),
  ZT_CASE (wakes_a_receiver),
  ZT_CASE (in_compat),
  ZT_CASE (serves_until_then),
  ZT_CASE (arguments),
};

ZT_MAIN (cases)

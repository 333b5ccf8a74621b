/* SPDX-License-Identifier: MPL-2.0 */
/* Why a connection ended: what its event, monitors and statistics tell of that. */
#include "ztest.h"
#include "zfast.h"
#include "zmonitor.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CONNECTION_EVENTS                                \
    (ZLINK_EVENT_ACCEPTED | ZLINK_EVENT_CONNECTION_READY \
     | ZLINK_EVENT_DISCONNECTED)

typedef struct fixture_t
{
    void *ctx, *server, *monitor;
    int fd;
    zlink_routing_id_t id;
} fixture_t;

static fixture_t open_fixture (void)
{
    fixture_t f;
    int64_t limit = 100;
    f.ctx = zt_ctx ();
    f.server = zt_socket (f.ctx);
    CHECK_OK (
      zlink_setsockopt (f.server, ZLINK_MAXMSGSIZE, &limit, sizeof limit));
    f.monitor = zt_monitor (f.server, CONNECTION_EVENTS);
    f.fd = zt_client (zt_bind (f.server));
    zt_expect_connect (f.server, &f.id);
    zt_event_up (f.monitor, ZLINK_EVENT_ACCEPTED);
    return f;
}

static void expect_end (fixture_t *f, uint64_t reason)
{
    zlink_monitor_event_t e =
      zt_event_value (f->monitor, ZLINK_EVENT_DISCONNECTED, reason);
    CHECK (zt_same_id (&e.routing_id, &f->id));
    CHECK (strncmp (e.remote_addr, "tcp://127.0.0.1:", 16) == 0);
    CHECK (strncmp (e.local_addr, "tcp://127.0.0.1:", 16) == 0);
}

static void close_fixture (fixture_t *f)
{
    zt_close (f->server);
    zt_monitor_end (f->monitor);
    zt_term (f->ctx);
}

static void remote_end (void)
{
    fixture_t f = open_fixture ();
    close (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_REMOTE);
    close_fixture (&f);
}

static void remote_reset (void)
{
    fixture_t f = open_fixture ();
    zt_reset (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    close_fixture (&f);
}

static void message_too_long (void)
{
    fixture_t f = open_fixture ();
    zt_write (f.fd, "\0\0\0\x65", 4); /* 101 bytes follow */
    expect_end (&f, ZLINK_DISCONNECT_TRANSPORT_ERROR);
    zt_expect_eof (f.fd);
    close (f.fd);
    close_fixture (&f);
}

static void closed_by_a_zero_body (void)
{
    fixture_t f = open_fixture ();
    zt_send (f.server, &f.id, "\0", 1);
    zt_expect_eof (f.fd);
    close (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_LOCAL);
    close_fixture (&f);
}

static void closed_with_the_socket (void)
{
    fixture_t f = open_fixture ();
    zt_close (f.server);
    zt_expect_eof (f.fd);
    close (f.fd);
    expect_end (&f, ZLINK_DISCONNECT_LOCAL);
    zt_monitor_end (f.monitor);
    zt_term (f.ctx);
}

static void *term (void *ctx)
{
    zt_term (ctx);
    return NULL;
}

/* The events of the end are there although the context was shut down. */
static void closed_after_the_context (void)
{
    fixture_t f = open_fixture ();
    zlink_monitor_event_t e;
    char frame[8];
    pthread_t thread = zt_thread (term, f.ctx);

    CHECK_FAIL (zlink_recv (f.server, frame, sizeof frame, 0), ETERM);
    CHECK_FAIL (zlink_monitor_recv (f.monitor, &e, 0), ETERM);
    zt_close (f.server);
    zt_join (thread);
    expect_end (&f, ZLINK_DISCONNECT_CTX_TERM);
    zt_event (f.monitor, ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_FAIL (zlink_monitor_recv (f.monitor, &e, 0), ETERM);
    zt_close (f.monitor);
    close (f.fd);
}

/* The dialled end, by zlink_disconnect: not retried. With a name, which is the
 * routing id of every event of the connection. */
static void disconnected_by_name (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx);
    void *monitor = zt_monitor (client, ZLINK_EVENT_ALL);
    static const zlink_routing_id_t name = {4, "home"};
    zlink_routing_id_t id;
    zlink_monitor_event_t e;
    int port, listener = zt_listen (&port);

    CHECK_OK (zlink_setsockopt (client, ZLINK_CONNECT_ROUTING_ID, "home", 4));
    zt_connect (client, port);
    int fd = zt_accept (listener);
    zt_expect_connect (client, &id);
    CHECK (zt_same_id (&id, &name));
    zt_event (monitor, ZLINK_EVENT_CONNECT_DELAYED);
    e = zt_event_up (monitor, ZLINK_EVENT_CONNECTED);
    CHECK (zt_same_id (&e.routing_id, &name));
    CHECK_OK (zlink_disconnect (client, zt_endpoint (port)));
    zt_expect_disconnect (client, &name);
    e = zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_LOCAL);
    CHECK (zt_same_id (&e.routing_id, &name));
    close (fd);
    close (listener);
    zt_close (client);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

/* ------------------------------------------------------- the same in three places */

enum
{
    REASONS = sizeof ((zlink_stream_stats_t *) 0)->ended_by / sizeof (uint64_t),
    STALL_MS = 50,
    LIMIT = 100000,
    NO_LIMIT = -1
};

typedef struct ended_t
{
    zt_fast_t f;
    void *monitor;
} ended_t;

static ended_t open_ended (int close_timeout, int64_t limit)
{
    ended_t e = {.f = {.ctx = zt_ctx ()}};
    e.f.s = zt_fast_socket (e.f.ctx);
    CHECK_OK (zlink_setsockopt (e.f.s, ZLINK_MAXMSGSIZE, &limit, sizeof limit));
    zt_set_int (e.f.s, ZLINK_SNDBUF, 65536);
    zt_set_int (e.f.s, ZLINK_STREAM_CLOSE_TIMEOUT, close_timeout);
    e.monitor = zt_monitor (e.f.s, ZLINK_EVENT_DISCONNECTED);
    e.f.port = zt_bind (e.f.s);
    e.f.fd = zt_small_client (e.f.port);
    e.f.peer = zt_fast_event (e.f.s, ZLINK_STREAM_CONNECTED);
    CHECK_EQ (zlink_monitor_reason (e.monitor), 0);
    return e;
}

static void fill_queue (const ended_t *e)
{
    static const uint8_t body[60000];
    for (int i = 0; i < 50; i++) /* less than STREAM_SEND_BYTES */
        zt_fast_send (e->f.s, e->f.peer, body, sizeof body);
}

/* The statistics have one end, of this reason. */
static void counted (void *s, int reason, uint64_t turned_away)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    uint64_t sum = 0;
    ZT_UNTIL (zlink_stream_stats (s, &stats) == 0
              && stats.closed + stats.turned_away == 1);
    for (int i = 0; i < REASONS; i++)
        sum += stats.ended_by[i];
    CHECK_EQ (sum, 1);
    CHECK_EQ (stats.ended_by[reason], 1);
    CHECK_EQ (stats.turned_away, turned_away);
}

/* Of the event, also of its copy, of the monitor and of the statistics. */
static void expect_reason (ended_t *e, int reason)
{
    zlink_msg_t msg, copy;
    zlink_monitor_event_t event;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_OK (zlink_msg_init (&copy));
    CHECK_EQ (zlink_msg_recv (&msg, e->f.s, 0), 0);
    CHECK_OK (zlink_msg_copy (&copy, &msg));
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_EQ (zlink_msg_get (&copy, ZLINK_STREAM_EVENT),
              ZLINK_STREAM_DISCONNECTED);
    CHECK_EQ (zlink_msg_get (&copy, ZLINK_STREAM_REASON), reason);
    CHECK_EQ (zlink_msg_get (&copy, ZLINK_STREAM_CLOSE_CODE), 0);
    CHECK_EQ (zlink_msg_routing_id (&copy), e->f.peer);
    CHECK_STR (zlink_msg_gets (&copy, "Peer-Address"), "127.0.0.1");
    CHECK_OK (zlink_msg_close (&copy));

    CHECK_OK (zlink_monitor_recv (e->monitor, &event, 0));
    CHECK_EQ (zlink_monitor_reason (e->monitor), reason);
    CHECK (*zlink_error_detail () != '\0');
    counted (e->f.s, reason, 0);
}

static void close_ended (ended_t *e)
{
    zlink_monitor_event_t event;
    zt_fast_close (&e->f);
    CHECK_OK (zlink_monitor_recv (e->monitor, &event, 0));
    CHECK_EQ (event.event, ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_EQ (zlink_monitor_reason (e->monitor), 0);
    zt_close (e->monitor);
}

static void told_peer_closed (void)
{
    ended_t e = open_ended (-1, LIMIT);
    shutdown (e.f.fd, SHUT_RDWR);
    expect_reason (&e, ZLINK_STREAM_REASON_PEER_CLOSED);
    close_ended (&e);
}

static void told_reset (void)
{
    ended_t e = open_ended (-1, LIMIT);
    zt_reset (e.f.fd);
    expect_reason (&e, ZLINK_STREAM_REASON_RESET);
    e.f.fd = dup (0);
    close_ended (&e);
}

static void told_too_long (void)
{
    ended_t e = open_ended (-1, LIMIT);
    zt_write (e.f.fd, "\x00\x01\x86\xA1", 4); /* LIMIT + 1 bytes follow */
    expect_reason (&e, ZLINK_STREAM_REASON_TOO_LONG);
    close_ended (&e);
}

static void told_closed_here (void)
{
    ended_t e = open_ended (-1, LIMIT);
    CHECK_OK (zlink_stream_close_peer (e.f.s, e.f.peer));
    expect_reason (&e, ZLINK_STREAM_REASON_CLOSED_HERE);
    close_ended (&e);
}

/* Also a connection that was being closed. */
static void told_aborted_here (void)
{
    ended_t e = open_ended (-1, LIMIT);
    fill_queue (&e);
    CHECK_OK (zlink_stream_close_peer (e.f.s, e.f.peer));
    CHECK_OK (zlink_stream_abort_peer (e.f.s, e.f.peer));
    expect_reason (&e, ZLINK_STREAM_REASON_ABORTED_HERE);
    CHECK_FAIL (zlink_stream_abort_peer (e.f.s, e.f.peer), EHOSTUNREACH);
    CHECK (strstr (zlink_error_detail (), "routing id") != NULL);
    close_ended (&e);
}

static void told_stalled (void)
{
    ended_t e = open_ended (STALL_MS, LIMIT);
    fill_queue (&e);
    CHECK_OK (zlink_stream_close_peer (e.f.s, e.f.peer));
    expect_reason (&e, ZLINK_STREAM_REASON_STALLED);
    close_ended (&e);
}

enum
{
    MIB = 1 << 20,
    SPACE_MIB = 200, /* of which the library leaves 128 to Go */
    ANNOUNCED_MIB = 512
};

static void limit_address_space (rlim_t limit)
{
    struct rlimit space;
    CHECK_OK (getrlimit (RLIMIT_AS, &space));
    space.rlim_cur = limit;
    CHECK_OK (setrlimit (RLIMIT_AS, &space));
}

/* What the process has now, in bytes. */
static rlim_t address_space (void)
{
    unsigned long pages = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    CHECK (file && fscanf (file, "%lu", &pages) == 1);
    fclose (file);
    return (rlim_t) pages * (rlim_t) sysconf (_SC_PAGESIZE);
}

/* Writes a long message until the connection is over. */
static void *write_long (void *arg)
{
    static const uint8_t zeros[MIB];
    const ended_t *e = arg;
    zt_write (e->f.fd, "\x20\0\0\0", 4);
    for (int i = 0; i < ANNOUNCED_MIB; i++)
        if (send (e->f.fd, zeros, sizeof zeros, MSG_NOSIGNAL) < 0)
            break;
    return NULL;
}

/* A message is longer than the process may have memory for. */
static void told_no_memory (void)
{
#ifdef __SANITIZE_ADDRESS__
    zt_skip ("AddressSanitizer needs TiB of address space");
#endif
    ended_t e = open_ended (-1, NO_LIMIT);
    limit_address_space (address_space () + (rlim_t) SPACE_MIB * MIB);
    pthread_t writer = zt_thread (write_long, &e);
    expect_reason (&e, ZLINK_STREAM_REASON_NO_MEMORY);
    limit_address_space (RLIM_INFINITY);
    zt_join (writer);
    close_ended (&e);
}

/* Of messages that are no end, and of what is no monitor. */
static void none_told (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_REASON), 0);
    zt_write_frame (f.fd, "\xFF\xFF\xFF\xFF\xFF", 5);
    CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), 5);
    CHECK_EQ (zlink_msg_get (&msg, ZLINK_STREAM_REASON), 0);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_FAIL (zlink_msg_get (&msg, ZLINK_STREAM_REASON), EFAULT);
    CHECK_FAIL (zlink_monitor_reason (f.s), ENOTSOCK);
    CHECK_FAIL (zlink_monitor_reason (NULL), ENOTSOCK);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (remote_end),
  ZT_CASE (remote_reset),
  ZT_CASE (message_too_long),
  ZT_CASE (closed_by_a_zero_body),
  ZT_CASE (closed_with_the_socket),
  ZT_CASE (closed_after_the_context),
  ZT_CASE (disconnected_by_name),
  ZT_CASE (told_peer_closed),
  ZT_CASE (told_reset),
  ZT_CASE (told_too_long),
  ZT_CASE (told_closed_here),
  ZT_CASE (told_aborted_here),
  ZT_CASE (told_stalled),
  ZT_CASE (told_no_memory),
  ZT_CASE (none_told),
};

ZT_MAIN (cases)

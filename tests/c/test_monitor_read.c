/* SPDX-License-Identifier: MPL-2.0 */
/* Reading monitors: masks, several monitors, ways to wait, and what a monitor's
 * handle is not. */
#include "ztest.h"
#include "zmonitor.h"

#include <poll.h>

#include <signal.h>

/* Closes fd and waits for the server's disconnect event. */
static void drop (void *server, int fd, const zlink_routing_id_t *id)
{
    close (fd);
    zt_expect_disconnect (server, id);
}

static void masks (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *ups = zt_monitor (server, ZLINK_EVENT_CONNECTION_READY);
    void *ends = zt_monitor (server,
                             ZLINK_EVENT_LISTENING | ZLINK_EVENT_DISCONNECTED);
    void *stop = zt_monitor (server, ZLINK_EVENT_MONITOR_STOPPED);
    void *never = zt_monitor (server, ZLINK_EVENT_CLOSE_FAILED
                                        | ZLINK_EVENT_HANDSHAKE_FAILED_AUTH);
    zlink_routing_id_t id;
    int port = zt_bind (server);

    for (int i = 0; i < 2; i++) {
        int fd = zt_client (port);
        zt_expect_connect (server, &id);
        drop (server, fd, &id);
    }
    zt_close (server);
    zt_event (ups, ZLINK_EVENT_CONNECTION_READY);
    zt_event (ups, ZLINK_EVENT_CONNECTION_READY);
    zt_monitor_end (ups);
    zt_event (ends, ZLINK_EVENT_LISTENING);
    zt_event (ends, ZLINK_EVENT_DISCONNECTED);
    zt_event (ends, ZLINK_EVENT_DISCONNECTED);
    zt_monitor_end (ends);
    zt_monitor_end (stop);
    zt_monitor_end (never);
    zt_term (ctx);
}

static void *read_until_stopped (void *monitor)
{
    zt_monitor_end (monitor);
    return NULL;
}

/* zlink_socket_monitor (s, NULL, 0) ends the monitors that there are, also one that
 * is being read; the socket goes on, and can be watched again. */
static void stopped_by_the_socket (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *first = zt_monitor (server, ZLINK_EVENT_ALL);
    void *read = zt_monitor (server, ZLINK_EVENT_ALL);
    pthread_t reader = zt_thread (read_until_stopped, read);
    zlink_routing_id_t id;

    CHECK_OK (zlink_socket_monitor (server, NULL, 0));
    zt_event (first, ZLINK_EVENT_MONITOR_STOPPED);
    zt_close (first);
    first = zt_monitor (server, ZLINK_EVENT_ALL);

    int port = zt_bind (server);
    zt_event (first, ZLINK_EVENT_LISTENING);
    CHECK_OK (zlink_socket_monitor (server, NULL, 0));
    CHECK_OK (zlink_socket_monitor (server, NULL, 0)); /* there is none */
    int fd = zt_client (port);
    zt_expect_connect (server, &id);
    void *later = zt_monitor (server, ZLINK_EVENT_ALL);
    drop (server, fd, &id);
    zt_event (later, ZLINK_EVENT_DISCONNECTED);
    zt_monitor_end (first);
    zt_close (server);
    zt_event (later, ZLINK_EVENT_CLOSED);
    zt_monitor_end (later);
    zt_join (reader);
    zt_term (ctx);
}

/* Each has all events for itself, until it is closed. */
static void two_monitors (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *first = zt_monitor (server, ZLINK_EVENT_ALL);
    void *second = zt_monitor (server, ZLINK_EVENT_ALL);

    zt_bind (server);
    zt_event (first, ZLINK_EVENT_LISTENING);
    zt_close (first);
    zt_bind (server);
    zt_event (second, ZLINK_EVENT_LISTENING);
    zt_event (second, ZLINK_EVENT_LISTENING);
    zt_close (server);
    zt_event (second, ZLINK_EVENT_CLOSED);
    zt_event (second, ZLINK_EVENT_CLOSED);
    zt_monitor_end (second);
    zt_term (ctx);
}

/* The past is not told, the end of what there is already is. */
static void opened_late (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    zlink_routing_id_t id;
    zlink_monitor_event_t e;
    int fd = zt_client (zt_bind (server));

    zt_expect_connect (server, &id);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ALL);
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT), EAGAIN);
    drop (server, fd, &id);
    e = zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_REMOTE);
    CHECK (zt_same_id (&e.routing_id, &id));
    zt_close (server);
    zt_event (monitor, ZLINK_EVENT_CLOSED);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

static void outlives_socket_and_context (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    zlink_pollitem_t item = {monitor, 0, ZLINK_POLLIN, 0};
    zlink_monitor_event_t e;

    zt_bind (s);
    zt_close (s);
    zt_term (ctx);
    CHECK_EQ (zlink_poll (&item, 1, 0), 1);
    zt_event (monitor, ZLINK_EVENT_LISTENING);
    zt_event (monitor, ZLINK_EVENT_CLOSED);
    zt_event (monitor, ZLINK_EVENT_MONITOR_STOPPED);
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), ETERM);
    CHECK_FAIL (zlink_poll (&item, 1, -1), ETERM);
    zt_close (monitor);
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), ENOTSOCK);
    CHECK_FAIL (zlink_close (monitor), ENOTSOCK);
}

static void polled_with_others (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ACCEPTED);
    int port = zt_bind (server), ends[2];
    zlink_routing_id_t id;

    CHECK_OK (pipe (ends));
    zlink_pollitem_t items[] = {{server, 0, ZLINK_POLLIN, 0},
                                {monitor, 0, ZLINK_POLLIN | ZLINK_POLLOUT, 0},
                                {NULL, ends[0], ZLINK_POLLIN, 0}};
    CHECK_EQ (zlink_poll (items, 3, 0), 0);
    CHECK_EQ (write (ends[1], "x", 1), 1);
    CHECK_EQ (zlink_poll (items, 3, -1), 1);
    CHECK_EQ (items[2].revents, ZLINK_POLLIN);
    CHECK_EQ (items[1].revents, 0);

    int fd = zt_client (port);
    ZT_UNTIL (zlink_poll (items, 3, -1) == 3);
    CHECK_EQ (items[1].revents, ZLINK_POLLIN);
    zt_event (monitor, ZLINK_EVENT_ACCEPTED);
    CHECK_EQ (zlink_poll (items, 3, -1), 2);
    CHECK_EQ (items[1].revents, 0);
    zt_expect_connect (server, &id);

    /* A bit of the mask that no event has sets nothing off. */
    items[1].events = ZLINK_POLLOUT;
    drop (server, fd, &id);
    CHECK_EQ (zlink_poll (items + 1, 1, 0), 0);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_FAIL (zlink_poll (items + 1, 1, -1), ETERM);
    close (ends[0]);
    close (ends[1]);
    zt_close (monitor);
    CHECK_FAIL (zlink_poll (items + 1, 1, -1), ENOTSOCK);
    zt_close (server);
    zt_term (ctx);
}

static void *bind_later (void *s)
{
    zt_pause_ms (50);
    zt_bind (s);
    return NULL;
}

static void blocking_and_not (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    zlink_monitor_event_t e;

    CHECK_FAIL (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT), EAGAIN);
    pthread_t thread = zt_thread (bind_later, s);
    zt_event (monitor, ZLINK_EVENT_LISTENING);
    zt_join (thread);
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT), EAGAIN);
    /* What is refused takes no event. */
    zt_bind (s);
    CHECK_FAIL (zlink_monitor_recv (monitor, NULL, 0), EFAULT);
    zt_event (monitor, ZLINK_EVENT_LISTENING);
    zt_close (s);
    zt_close (monitor);
    zt_term (ctx);
}

static void *read_until_closed (void *monitor)
{
    zlink_monitor_event_t e;
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), ENOTSOCK);
    return NULL;
}

static void closed_under_a_reader (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    pthread_t thread = zt_thread (read_until_closed, monitor);

    zt_pause_ms (20);
    zt_close (monitor);
    zt_join (thread);
    zt_close (s);
    zt_term (ctx);
}

static void on_signal (int number)
{
    (void) number;
}

static void *read_until_interrupted (void *monitor)
{
    static int done = 1;
    zlink_monitor_event_t e;
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), EINTR);
    return &done;
}

static void interrupted (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *done = NULL;
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    struct sigaction action = {.sa_handler = on_signal}, before;

    CHECK_OK (sigaction (SIGUSR1, &action, &before));
    pthread_t thread = zt_thread (read_until_interrupted, monitor);
    while (pthread_tryjoin_np (thread, &done) == EBUSY) {
        pthread_kill (thread, SIGUSR1);
        zt_pause_ms (2);
    }
    CHECK (done != NULL);
    CHECK_OK (sigaction (SIGUSR1, &before, NULL));
    zt_close (s);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

/* A monitor is none of the things that other calls want, and keeps its events
 * when it is given to them. */
/* A monitor has a few of a socket's options, as where it is a socket. */
static void options (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_LISTENING);
    zlink_monitor_event_t e;
    int value = -2;

    CHECK_EQ (zt_get_int (monitor, ZLINK_TYPE), ZLINK_PAIR);
    CHECK_EQ (zt_get_int (monitor, ZLINK_RCVTIMEO), -1);
    CHECK_EQ (zt_get_int (monitor, ZLINK_LINGER), -1);
    zt_set_int (monitor, ZLINK_LINGER, 0);
    CHECK_EQ (zt_get_int (monitor, ZLINK_LINGER), 0);
    zt_set_int (monitor, ZLINK_RCVTIMEO, 50);
    CHECK_EQ (zt_get_int (monitor, ZLINK_RCVTIMEO), 50);
    double start = zt_now_ms ();
    CHECK_FAIL (zlink_monitor_recv (monitor, &e, 0), EAGAIN);
    CHECK_WAITED (start, 49);
    CHECK_FAIL (zlink_setsockopt (monitor, ZLINK_RCVTIMEO, &value, sizeof value),
                EINVAL);
    CHECK_FAIL (zlink_setsockopt (monitor, ZLINK_RCVTIMEO, &value, 3), EINVAL);
    CHECK_FAIL (zlink_setsockopt (monitor, ZLINK_SNDBUF, &value, sizeof value),
                EINVAL);
    CHECK_EQ (zt_get_int (monitor, ZLINK_RCVTIMEO), 50);

    struct pollfd fd = {zt_get_int (monitor, ZLINK_FD), POLLIN, 0};
    CHECK_EQ (zt_get_int (monitor, ZLINK_EVENTS), 0);
    CHECK_EQ (poll (&fd, 1, 0), 0);
    zt_bind (s);
    CHECK_EQ (poll (&fd, 1, -1), 1);
    CHECK_EQ (zt_get_int (monitor, ZLINK_EVENTS), ZLINK_POLLIN);
    zt_event (monitor, ZLINK_EVENT_LISTENING);
    CHECK_EQ (zt_get_int (monitor, ZLINK_EVENTS), 0);
    CHECK_EQ (poll (&fd, 1, 0), 0);
    zt_close (s);
    zt_close (monitor);
    zt_term (ctx);
}

static void wrong_handles (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    zlink_routing_id_t id = {4, "abcd"};
    zlink_monitor_event_t e;
    zlink_peer_info_t info;
    zlink_msg_t msg;
    char buf[8];
    size_t size = 0;

    CHECK_FAIL (zlink_recv (monitor, buf, sizeof buf, 0), ENOTSOCK);
    CHECK_FAIL (zlink_send (monitor, "abcd", 4, ZLINK_SNDMORE), ENOTSOCK);
    CHECK_OK (zlink_msg_init_size (&msg, 100000));
    CHECK_FAIL (zlink_msg_recv (&msg, monitor, 0), ENOTSOCK);
    CHECK_FAIL (zlink_msg_send (&msg, monitor, 0), ENOTSOCK);
    CHECK_OK (zlink_msg_close (&msg));
    CHECK_FAIL (zlink_bind (monitor, "tcp://127.0.0.1:*"), ENOTSOCK);
    CHECK_FAIL (zlink_connect (monitor, "tcp://127.0.0.1:9"), ENOTSOCK);
    CHECK_FAIL (zlink_unbind (monitor, "tcp://127.0.0.1:9"), ENOTSOCK);
    CHECK_FAIL (zlink_disconnect (monitor, "tcp://127.0.0.1:9"), ENOTSOCK);
    CHECK_FAIL (zlink_socket_peer_count (monitor), ENOTSOCK);
    CHECK_FAIL (zlink_socket_peers (monitor, NULL, &size), ENOTSOCK);
    CHECK_FAIL (zlink_socket_peer_info (monitor, &id, &info), ENOTSOCK);
    CHECK_FAIL (zlink_socket_peer_routing_id (monitor, 0, &id), ENOTSOCK);
    CHECK_NULL (zlink_socket_monitor_open (monitor, ZLINK_EVENT_ALL), ENOTSOCK);
    CHECK_FAIL (zlink_socket_monitor (monitor, "inproc://m", 1), ENOTSOCK);
    CHECK_FAIL (zlink_proxy (s, monitor, NULL), ENOTSOCK);
    CHECK_FAIL (zlink_ctx_term (monitor), EFAULT);

    CHECK_FAIL (zlink_monitor_recv (s, &e, 0), ENOTSOCK);
    CHECK_FAIL (zlink_monitor_recv (ctx, &e, 0), ENOTSOCK);
    CHECK_FAIL (zlink_monitor_recv (NULL, &e, 0), ENOTSOCK);
    CHECK_FAIL (zlink_monitor_recv (&e, &e, 0), ENOTSOCK);
    CHECK_NULL (zlink_socket_monitor_open (NULL, ZLINK_EVENT_ALL), ENOTSOCK);
    CHECK_NULL (zlink_socket_monitor_open (ctx, ZLINK_EVENT_ALL), ENOTSOCK);
    CHECK_NULL (zlink_socket_monitor_open (s, 0), EINVAL);
    CHECK_NULL (zlink_socket_monitor_open (s, 0x40000000), EINVAL);
    CHECK_FAIL (zlink_socket_monitor (s, "inproc://m", ZLINK_EVENT_ALL),
                ENOTSUP);
    CHECK_FAIL (zlink_socket_monitor (monitor, NULL, 0), ENOTSOCK);
    CHECK_FAIL (zlink_socket_monitor (NULL, NULL, 0), ENOTSOCK);
    CHECK_FAIL (zlink_socket_monitor (NULL, "inproc://m", 1), ENOTSOCK);

    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_NULL (zlink_socket_monitor_open (s, ZLINK_EVENT_ALL), ETERM);
    CHECK_FAIL (zlink_socket_monitor (s, NULL, 0), ETERM);
    zt_close (s);
    zt_event (monitor, ZLINK_EVENT_MONITOR_STOPPED);
    zt_close (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (masks),
  ZT_CASE (two_monitors),
  ZT_CASE (stopped_by_the_socket),
  ZT_CASE (opened_late),
  ZT_CASE (outlives_socket_and_context),
  ZT_CASE (polled_with_others),
  ZT_CASE (blocking_and_not),
  ZT_CASE (closed_under_a_reader),
  ZT_CASE (interrupted),
  ZT_CASE (options),
  ZT_CASE (wrong_handles),
};

ZT_MAIN (cases)

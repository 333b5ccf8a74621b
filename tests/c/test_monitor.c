/* SPDX-License-Identifier: MPL-2.0 */
/* The events of a monitor: their order, values, routing ids and addresses. */
#include "ztest.h"
#include "zmonitor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

static void accepted_and_dialled (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    void *at_server = zt_monitor (server, ZLINK_EVENT_ALL);
    void *at_client = zt_monitor (client, ZLINK_EVENT_ALL);
    zlink_routing_id_t id, back;
    zlink_monitor_event_t listening, accepted, connected, e;

    int port = zt_bind (server);
    listening = zt_event (at_server, ZLINK_EVENT_LISTENING);
    CHECK_STR (listening.local_addr, zt_endpoint (port));
    CHECK_STR (listening.remote_addr, "");
    CHECK_EQ (listening.routing_id.size, 0);
    CHECK (fcntl ((int) listening.value, F_GETFD) != -1);

    zt_connect (client, port);
    zt_expect_connect (server, &id);
    zt_expect_connect (client, &back);
    accepted = zt_event_up (at_server, ZLINK_EVENT_ACCEPTED);
    CHECK (zt_same_id (&accepted.routing_id, &id));
    CHECK_STR (accepted.local_addr, zt_endpoint (port));
    e = zt_event_value (at_client, ZLINK_EVENT_CONNECT_DELAYED, EINPROGRESS);
    CHECK_STR (e.remote_addr, zt_endpoint (port));
    connected = zt_event_up (at_client, ZLINK_EVENT_CONNECTED);
    CHECK (zt_same_id (&connected.routing_id, &back));
    CHECK_STR (connected.remote_addr, accepted.local_addr);
    CHECK_STR (connected.local_addr, accepted.remote_addr);

    zt_close (client);
    e = zt_event_value (at_client, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_LOCAL);
    CHECK (zt_same_id (&e.routing_id, &back));
    CHECK_STR (e.remote_addr, connected.remote_addr);
    CHECK_STR (e.local_addr, connected.local_addr);
    zt_monitor_end (at_client);
    e = zt_event_value (at_server, ZLINK_EVENT_DISCONNECTED,
                        ZLINK_DISCONNECT_REMOTE);
    CHECK (zt_same_id (&e.routing_id, &id));
    CHECK_STR (e.remote_addr, accepted.remote_addr);
    zt_close (server);
    e = zt_event_value (at_server, ZLINK_EVENT_CLOSED, listening.value);
    CHECK_STR (e.local_addr, zt_endpoint (port));
    zt_monitor_end (at_server);
    zt_term (ctx);
}

/* Refused three times, then somebody listens. */
static void refused_and_retried (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx), *server = zt_socket (ctx);
    void *monitor = zt_monitor (client, ZLINK_EVENT_ALL);
    static const int pauses[] = {20, 40, 50, 50};
    int port = zt_free_port ();

    zt_set_int (client, ZLINK_RECONNECT_IVL, 20);
    zt_set_int (client, ZLINK_RECONNECT_IVL_MAX, 50);
    zt_connect (client, port);
    for (int i = 0; i < 4; i++) {
        zlink_monitor_event_t e;
        zt_event_value (monitor, ZLINK_EVENT_CONNECT_DELAYED, EINPROGRESS);
        zt_event (monitor, ZLINK_EVENT_CLOSED);
        e = zt_event_value (monitor, ZLINK_EVENT_CONNECT_RETRIED,
                            (uint64_t) pauses[i]);
        CHECK_STR (e.remote_addr, zt_endpoint (port));
        CHECK_EQ (e.routing_id.size, 0);
    }
    CHECK_OK (zlink_bind (server, zt_endpoint (port)));
    zlink_monitor_event_t e;
    do
        CHECK_OK (zlink_monitor_recv (monitor, &e, 0));
    while (e.event != ZLINK_EVENT_CONNECTED);
    zt_event (monitor, ZLINK_EVENT_CONNECTION_READY);

    /* The pauses begin anew after a connection. */
    zt_close (server);
    zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED, ZLINK_DISCONNECT_REMOTE);
    zt_event_value (monitor, ZLINK_EVENT_CONNECT_RETRIED, 20);
    zt_close (client);
    zt_close (monitor);
    zt_term (ctx);
}

/* A listener whose queue is full, so that a further connect gets no answer. */
static int silent_listener (int *port, int *fillers, int most)
{
    int listener = zt_listen (port);
    CHECK_OK (listen (listener, 0));
    for (int i = 0; i < most; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons ((uint16_t) *port),
                                 .sin_addr = {htonl (INADDR_LOOPBACK)}};
        fillers[i] = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK (fillers[i] >= 0);
        (void) connect (fillers[i], (struct sockaddr *) &to, sizeof to);
        struct pollfd item = {fillers[i], POLLOUT, 0};
        if (poll (&item, 1, 300) == 0)
            return listener;
    }
    CHECK (!"a listener with a full queue");
    return -1;
}

static void timed_out (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx);
    void *monitor = zt_monitor (client, ZLINK_EVENT_ALL);
    int port, fillers[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    int listener = silent_listener (&port, fillers, 8);

    zt_set_int (client, ZLINK_CONNECT_TIMEOUT, 50);
    zt_set_int (client, ZLINK_RECONNECT_IVL, 10);
    zt_connect (client, port);
    for (int i = 0; i < 2; i++) {
        zt_event_value (monitor, ZLINK_EVENT_CONNECT_DELAYED, EINPROGRESS);
        zt_event (monitor, ZLINK_EVENT_CLOSED);
        zt_event_value (monitor, ZLINK_EVENT_CONNECT_RETRIED, 10);
    }
    zt_close (client);
    for (int i = 0; i < 8; i++)
        if (fillers[i] >= 0)
            close (fillers[i]);
    close (listener);
    zt_close (monitor);
    zt_term (ctx);
}

/* A name that nobody knows: the event has the endpoint as it was given. */
static void name_not_found (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx);
    void *monitor = zt_monitor (client, ZLINK_EVENT_ALL);

    zt_set_int (client, ZLINK_RECONNECT_IVL, 10);
    CHECK_OK (zlink_connect (client, "tcp://no..name:80"));
    CHECK_STR (zt_event_value (monitor, ZLINK_EVENT_CONNECT_RETRIED, 10)
                 .remote_addr,
               "tcp://no..name:80");
    zt_close (client);
    zt_close (monitor);
    zt_term (ctx);
}

static void never_retried (void)
{
    void *ctx = zt_ctx (), *client = zt_socket (ctx);
    void *monitor = zt_monitor (client, ZLINK_EVENT_ALL);

    zt_set_int (client, ZLINK_RECONNECT_IVL, -1);
    zt_connect (client, zt_free_port ());
    zt_event (monitor, ZLINK_EVENT_CONNECT_DELAYED);
    zt_event (monitor, ZLINK_EVENT_CLOSED);
    zt_close (client);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

static void bind_failed (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx), *other = zt_socket (ctx);
    void *monitor = zt_monitor (s, ZLINK_EVENT_ALL);
    const char *taken = zt_endpoint (zt_bind (other));
    char text[400] = "tcp://";

    CHECK_FAIL (zlink_bind (s, taken), EADDRINUSE);
    CHECK_STR (zt_event_value (monitor, ZLINK_EVENT_BIND_FAILED, EADDRINUSE)
                 .local_addr,
               taken);
    CHECK_FAIL (zlink_bind (s, "nonsense"), EINVAL);
    CHECK_STR (
      zt_event_value (monitor, ZLINK_EVENT_BIND_FAILED, EINVAL).local_addr,
      "nonsense");
    /* A text that does not fit is cut. */
    memset (text + 6, 'x', sizeof text - 7);
    CHECK_FAIL (zlink_bind (s, text), EINVAL);
    zlink_monitor_event_t e = zt_event (monitor, ZLINK_EVENT_BIND_FAILED);
    CHECK_EQ (strlen (e.local_addr), 255);
    CHECK_MEM (e.local_addr, text, 255);
    zt_close (s);
    zt_monitor_end (monitor);
    zt_close (other);
    zt_term (ctx);
}

/* CLOSED for the listener alone: its connections stay. */
static void unbound (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ALL);
    zlink_routing_id_t id;
    char body[8];
    int port = zt_bind (server), fd = zt_client (port);

    uint64_t listener = zt_event (monitor, ZLINK_EVENT_LISTENING).value;
    zt_expect_connect (server, &id);
    zt_event_up (monitor, ZLINK_EVENT_ACCEPTED);
    CHECK_OK (zlink_unbind (server, zt_endpoint (port)));
    zt_event_value (monitor, ZLINK_EVENT_CLOSED, listener);
    zt_send (server, &id, "here", 4);
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 4);
    close (fd);
    zt_event_value (monitor, ZLINK_EVENT_DISCONNECTED, ZLINK_DISCONNECT_REMOTE);
    zt_close (server);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

/* Out of descriptors: told with the errno, those that wait are reset in the place of a
 * spare one, a few times in a second; and accepted once there are some. */
static void accept_failed (void)
{
    static zt_full_t full;
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    void *monitor = zt_monitor (
      server, ZLINK_EVENT_ACCEPTED | ZLINK_EVENT_ACCEPT_FAILED);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr = {htonl (INADDR_LOOPBACK)}};
    zlink_monitor_event_t e;
    int port = zt_bind (server), fd = socket (AF_INET, SOCK_STREAM, 0);
    char byte;

    zt_fill_descriptors (&full);
    to.sin_port = htons ((uint16_t) port);
    CHECK_OK (connect (fd, (struct sockaddr *) &to, sizeof to));
    e = zt_event_value (monitor, ZLINK_EVENT_ACCEPT_FAILED, EMFILE);
    CHECK_STR (e.local_addr, zt_endpoint (port));
    CHECK_FAIL (recv (fd, &byte, 1, 0), ECONNRESET);
    zt_free_descriptors (&full);
    close (fd);
    fd = zt_client (port);
    do {
        if (recv (fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET) {
            close (fd); /* it waited while those before it were reset */
            fd = zt_client (port);
        }
        zt_pause_ms (1);
        e.event = ZLINK_EVENT_ACCEPT_FAILED; /* or nothing yet */
        (void) zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT);
    } while (e.event == ZLINK_EVENT_ACCEPT_FAILED);
    CHECK_EQ (e.event, ZLINK_EVENT_ACCEPTED);
    close (fd);
    zt_close (server);
    zt_monitor_end (monitor);
    zt_term (ctx);
}

static void ipv6_addresses (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    void *monitor = zt_monitor (server, ZLINK_EVENT_ALL);
    char endpoint[64];
    size_t size = sizeof endpoint;
    int port;

    zt_set_int (server, ZLINK_IPV6, 1);
    zt_set_int (client, ZLINK_IPV6, 1);
    if (zlink_bind (server, "tcp://[::1]:*") != 0) {
        zt_skip ("no IPv6 here (%s)", zlink_strerror (errno));
    } else {
        CHECK_OK (
          zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size));
        CHECK_EQ (sscanf (endpoint, "tcp://[::1]:%d", &port), 1);
        CHECK_STR (zt_event (monitor, ZLINK_EVENT_LISTENING).local_addr,
                   endpoint);
        CHECK_OK (zlink_connect (client, endpoint));
        zlink_monitor_event_t e = zt_event_up (monitor, ZLINK_EVENT_ACCEPTED);
        CHECK_STR (e.local_addr, endpoint);
        CHECK_EQ (sscanf (e.remote_addr, "tcp://[::1]:%d", &port), 1);
        CHECK (strchr (strrchr (e.remote_addr, ':'), ' ') == NULL);
    }
    zt_close (client);
    zt_close (server);
    zt_close (monitor);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (accepted_and_dialled),
  ZT_CASE (refused_and_retried),
  ZT_CASE (timed_out),
  ZT_CASE (name_not_found),
  ZT_CASE (never_retried),
  ZT_CASE (bind_failed),
  ZT_CASE (unbound),
  ZT_CASE (accept_failed),
  ZT_CASE (ipv6_addresses),
};

ZT_MAIN (cases)

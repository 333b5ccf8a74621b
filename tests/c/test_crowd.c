/* SPDX-License-Identifier: MPL-2.0 */
/* Connections that come and go while the application does not receive. */
#include "ztest.h"
#include "zfast.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum
{
    MOST_EVENTS = 16384, /* that wait in a socket, as doc/options.md says */
    CROWD = 3 * MOST_EVENTS / 2,
    IN_FLIGHT = 512 /* accepted and not yet announced, at the most */
};

static zlink_stream_stats_t stats_of (void *s)
{
    zlink_stream_stats_t stats;
    stats.size = sizeof stats;
    CHECK_OK (zlink_stream_stats (s, &stats));
    return stats;
}

/* Connects and closes; false: nobody accepts. */
static bool come_and_go (int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons ((uint16_t) port),
                             .sin_addr = {htonl (INADDR_LOOPBACK)}};
    const struct linger reset = {1, 0}; /* leaves no TIME_WAIT */
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK (fd >= 0);
    (void) connect (fd, (struct sockaddr *) &to, sizeof to);
    struct pollfd ready = {fd, POLLOUT, 0};
    bool up = poll (&ready, 1, 2500) == 1;
    CHECK_OK (setsockopt (fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
    close (fd);
    return up;
}

/* With as many events as may wait, the others stay in the kernel's backlog until
 * the application receives. */
static void events_wait_up_to_a_bound (void)
{
    void *ctx = zt_ctx (), *s = zt_fast_socket (ctx);
    int port = zt_bind (s), ups = 0, downs = 0;

    for (int i = 0; i < CROWD && come_and_go (port); i++)
        ;
    uint64_t accepted;
    do { /* until nobody is accepted any more */
        accepted = stats_of (s).accepted;
        zt_pause_ms (100);
    } while (accepted != stats_of (s).accepted);
    CHECK_RANGE (accepted, MOST_EVENTS / 2, MOST_EVENTS + IN_FLIGHT);

    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    zt_set_int (s, ZLINK_RCVTIMEO, 1000);
    while (zlink_msg_recv (&msg, s, 0) == 0) {
        int event = zlink_msg_get (&msg, ZLINK_STREAM_EVENT);
        ups += event == ZLINK_STREAM_CONNECTED;
        downs += event == ZLINK_STREAM_DISCONNECTED;
    }
    CHECK_EQ (errno, EAGAIN);
    CHECK_EQ (ups, downs);
    CHECK (ups >= (int) accepted);
    CHECK_EQ (ups, stats_of (s).accepted);

    int fd = zt_client (port);
    uint32_t peer = zt_fast_event (s, ZLINK_STREAM_CONNECTED);
    zt_fast_send (s, peer, "served", 6);
    char body[6];
    CHECK_EQ (zt_read_frame (fd, body, sizeof body), 6);
    close (fd);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (events_wait_up_to_a_bound),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_poll over sockets and descriptors. */
#include "ztest.h"

#include <limits.h>
#include <unistd.h>

#define POLLED_SOCKETS 1000
#define TIMEOUT_MS 200
#define TIMEOUT_LOW_MS 190

static void sockets_and_descriptors (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    int fd = zt_client (zt_bind (server));
    int ends[2];
    zlink_routing_id_t id;
    uint8_t buf[16];

    CHECK_OK (pipe (ends));
    zt_expect_connect (server, &id);
    zlink_pollitem_t items[] = {
      {server, 0, ZLINK_POLLIN, -1},
      {NULL, ends[0], ZLINK_POLLIN, -1},
      {NULL, fd, ZLINK_POLLIN, -1},
    };
    CHECK_EQ (zlink_poll (items, 3, 0), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ (items[i].revents, 0);

    CHECK_EQ (write (ends[1], "x", 1), 1);
    CHECK_EQ (zlink_poll (items, 3, -1), 1);
    CHECK_EQ (items[0].revents, 0);
    CHECK_EQ (items[1].revents, ZLINK_POLLIN);
    CHECK_EQ (items[2].revents, 0);

    CHECK_EQ (read (ends[0], buf, 1), 1);
    zt_write_frame (fd, "hello", 5);
    CHECK_EQ (zlink_poll (items, 3, -1), 1);
    CHECK_EQ (items[0].revents, ZLINK_POLLIN);
    CHECK_EQ (items[1].revents, 0);
    zt_expect (server, &id, "hello", 5);
    CHECK_EQ (zlink_poll (items, 3, 0), 0);

    zt_send (server, &id, "answer", 6);
    CHECK_EQ (zlink_poll (items, 3, -1), 1);
    CHECK_EQ (items[2].revents, ZLINK_POLLIN);
    CHECK_EQ (zt_read_frame (fd, buf, sizeof buf), 6);

    /* All three at once. */
    zt_send (server, &id, "answer", 6);
    zt_write_frame (fd, "hello", 5);
    CHECK_EQ (write (ends[1], "x", 1), 1);
    ZT_UNTIL (zlink_poll (items, 3, -1) == 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ (items[i].revents, ZLINK_POLLIN);
    close (ends[0]);
    close (ends[1]);
    close (fd);
    zt_close (server);
    zt_term (ctx);
}

static void timeouts (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int ends[2];

    CHECK_OK (pipe (ends));
    zlink_pollitem_t items[] = {
      {s, 0, ZLINK_POLLIN, 0},
      {NULL, ends[0], ZLINK_POLLIN, 0},
    };
    CHECK_EQ (zlink_poll (items, 2, 0), 0);
    double start = zt_now_ms ();
    CHECK_EQ (zlink_poll (items, 1, TIMEOUT_MS), 0);
    CHECK_WAITED (start, TIMEOUT_LOW_MS);
    start = zt_now_ms ();
    CHECK_EQ (zlink_poll (items + 1, 1, TIMEOUT_MS), 0);
    CHECK_WAITED (start, TIMEOUT_LOW_MS);
    start = zt_now_ms ();
    CHECK_EQ (zlink_poll (items, 2, TIMEOUT_MS), 0);
    CHECK_WAITED (start, TIMEOUT_LOW_MS);

    /* No items: a sleep. */
    start = zt_now_ms ();
    CHECK_EQ (zlink_poll (items, 0, TIMEOUT_MS), 0);
    CHECK_WAITED (start, TIMEOUT_LOW_MS);
    CHECK_EQ (zlink_poll (items, 0, 0), 0);
    close (ends[0]);
    close (ends[1]);
    zt_close (s);
    zt_term (ctx);
}

static void *write_after_100_ms (void *fd)
{
    zt_pause_ms (100);
    CHECK_EQ (write (*(int *) fd, "x", 1), 1);
    return NULL;
}

/* Times that no clock can tell, of any unit on the way, are long ones. */
static void long_timeouts (void)
{
    static const long timeouts_ms[] = {
      INT_MAX, (long) UINT_MAX + 1, 9223372036854L, 9223372036855L,
      18446744073710L /* 2^64 ns and a little */, LONG_MAX};
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int ends[2];
    char byte;

    CHECK_OK (pipe (ends));
    zlink_pollitem_t items[] = {
      {s, 0, ZLINK_POLLIN, 0},
      {NULL, ends[0], ZLINK_POLLIN, 0},
    };
    for (size_t i = 0; i < sizeof timeouts_ms / sizeof *timeouts_ms; i++) {
        pthread_t writer = zt_thread (write_after_100_ms, &ends[1]);
        CHECK_EQ (zlink_poll (items, 2, timeouts_ms[i]), 1);
        zt_join (writer);
        CHECK_EQ (read (ends[0], &byte, 1), 1);
    }
    close (ends[0]);
    close (ends[1]);
    zt_close (s);
    zt_term (ctx);
}

/* Connects, or writes, while another thread is in zlink_poll. */
typedef struct peer_t
{
    int port;
    int fd;
    int pipe_end;
} peer_t;

static void *connect_later (void *arg)
{
    peer_t *peer = arg;
    zt_pause_ms (50);
    peer->fd = zt_client (peer->port);
    return NULL;
}

static void *write_later (void *arg)
{
    const peer_t *peer = arg;
    zt_pause_ms (50);
    zt_write_frame (peer->fd, "hello", 5);
    return NULL;
}

static void *write_pipe_later (void *arg)
{
    const peer_t *peer = arg;
    zt_pause_ms (50);
    CHECK_EQ (write (peer->pipe_end, "x", 1), 1);
    return NULL;
}

static void woken_by_other_threads (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    peer_t peer = {zt_bind (server), -1, -1};
    int ends[2];
    zlink_routing_id_t id;

    CHECK_OK (pipe (ends));
    peer.pipe_end = ends[1];
    zlink_pollitem_t items[] = {
      {server, 0, ZLINK_POLLIN, 0},
      {NULL, ends[0], ZLINK_POLLIN, 0},
    };
    pthread_t thread = zt_thread (connect_later, &peer);
    CHECK_EQ (zlink_poll (items, 2, -1), 1);
    CHECK_EQ (items[0].revents, ZLINK_POLLIN);
    zt_expect_connect (server, &id);
    zt_join (thread);

    thread = zt_thread (write_later, &peer);
    CHECK_EQ (zlink_poll (items, 1, -1), 1);
    CHECK_EQ (items[0].revents, ZLINK_POLLIN);
    zt_expect (server, &id, "hello", 5);
    zt_join (thread);

    /* Data within a finite time-out. */
    thread = zt_thread (write_later, &peer);
    CHECK_EQ (zlink_poll (items, 2, ZT_TOO_LONG_MS), 1);
    zt_expect (server, &id, "hello", 5);
    zt_join (thread);

    thread = zt_thread (write_pipe_later, &peer);
    CHECK_EQ (zlink_poll (items, 2, -1), 1);
    CHECK_EQ (items[1].revents, ZLINK_POLLIN);
    zt_join (thread);
    close (peer.fd);
    close (ends[0]);
    close (ends[1]);
    zt_close (server);
    zt_term (ctx);
}

static void pollout (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int ends[2];
    int fd = zt_client (zt_bind (s));
    zlink_routing_id_t id;

    CHECK_OK (pipe (ends));
    zt_expect_connect (s, &id);
    zlink_pollitem_t items[] = {
      {s, 0, ZLINK_POLLIN | ZLINK_POLLOUT, 0},
      {NULL, ends[1], ZLINK_POLLOUT, 0},
      {NULL, ends[0], ZLINK_POLLIN | ZLINK_POLLOUT, 0},
      {s, 0, 0, 0},
    };
    CHECK_EQ (zlink_poll (items, 4, -1), 2);
    CHECK_EQ (items[0].revents, ZLINK_POLLOUT);
    CHECK_EQ (items[1].revents, ZLINK_POLLOUT);
    CHECK_EQ (items[2].revents, 0);
    CHECK_EQ (items[3].revents, 0);

    zt_write_frame (fd, "hello", 5);
    items[0].events = ZLINK_POLLIN;
    CHECK_EQ (zlink_poll (items, 1, -1), 1);
    items[0].events = ZLINK_POLLIN | ZLINK_POLLOUT;
    CHECK_EQ (zlink_poll (items, 1, 0), 1);
    CHECK_EQ (items[0].revents, ZLINK_POLLIN | ZLINK_POLLOUT);

    /* The same socket twice is reported twice. */
    zlink_pollitem_t twice[] = {{s, 0, ZLINK_POLLIN, 0},
                                {s, 0, ZLINK_POLLOUT, 0}};
    CHECK_EQ (zlink_poll (twice, 2, -1), 2);
    CHECK_EQ (twice[0].revents, ZLINK_POLLIN);
    CHECK_EQ (twice[1].revents, ZLINK_POLLOUT);
    close (fd);
    close (ends[0]);
    close (ends[1]);
    zt_close (s);
    zt_term (ctx);
}

/* Readable also when one frame of a message was taken. */
static void between_two_frames (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int fd = zt_client (zt_bind (s));
    zlink_pollitem_t item = {s, 0, ZLINK_POLLIN, 0};
    uint8_t buf[16];

    CHECK_EQ (zlink_poll (&item, 1, -1), 1);
    CHECK_EQ (zlink_recv (s, buf, sizeof buf, ZLINK_DONTWAIT), 4);
    CHECK_EQ (zlink_poll (&item, 1, 0), 1);
    CHECK_EQ (zlink_recv (s, buf, sizeof buf, ZLINK_DONTWAIT), 1);
    CHECK_EQ (zlink_poll (&item, 1, 0), 0);
    close (fd);
    zt_close (s);
    zt_term (ctx);
}

static void closed_descriptor_peer (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int ends[2];

    CHECK_OK (pipe (ends));
    zlink_pollitem_t items[] = {
      {s, 0, ZLINK_POLLIN, 0},
      {NULL, ends[0], ZLINK_POLLIN, 0},
    };
    close (ends[1]);
    CHECK_EQ (zlink_poll (items, 2, -1), 1);
    CHECK (items[1].revents != 0);
    close (ends[0]);
    zt_close (s);
    zt_term (ctx);
}

/* A closed descriptor is told, also when its number is the next free one. */
static void closed_descriptors (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    int ends[2];

    zt_bind (s);
    CHECK_OK (pipe (ends));
    close (ends[0]);
    close (ends[1]);
    for (int i = 0; i < 2; i++) {
        zlink_pollitem_t items[] = {{NULL, ends[i], ZLINK_POLLIN, 0},
                                    {s, 0, ZLINK_POLLIN, 0}};
        CHECK_EQ (zlink_poll (items, 1, -1), 1);
        CHECK_EQ (items[0].revents, ZLINK_POLLERR);
        CHECK_EQ (zlink_poll (items, 2, -1), 1);
        CHECK_EQ (items[0].revents, ZLINK_POLLERR);
        CHECK_EQ (items[1].revents, 0);
    }
    zt_close (s);
    zt_term (ctx);
}

static void thousand_sockets (void)
{
    static void *sockets[POLLED_SOCKETS];
    static zlink_pollitem_t items[POLLED_SOCKETS];
    static zlink_routing_id_t at_server[POLLED_SOCKETS];
    static const int active[] = {0, 1, 499, 998, 999};
    void *ctx = zt_ctx ();
    zlink_routing_id_t id;

    zt_raise_nofile ();
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, POLLED_SOCKETS + 1));
    void *server = zt_socket (ctx);
    int port = zt_bind (server);
    for (int i = 0; i < POLLED_SOCKETS; i++) {
        sockets[i] = zt_socket (ctx);
        zt_connect (sockets[i], port);
        zt_expect_connect (server, &at_server[i]);
        zt_expect_connect (sockets[i], &id);
        items[i] = (zlink_pollitem_t) {sockets[i], 0, ZLINK_POLLIN, 0};
    }
    CHECK_EQ (zlink_poll (items, POLLED_SOCKETS, 20), 0);
    for (size_t i = 0; i < sizeof active / sizeof *active; i++) {
        int index = active[i];
        zt_send (server, &at_server[index], "you", 3);
        CHECK_EQ (zlink_poll (items, POLLED_SOCKETS, -1), 1);
        for (int j = 0; j < POLLED_SOCKETS; j++)
            CHECK_EQ (items[j].revents, j == index ? ZLINK_POLLIN : 0);
        char body[8];
        CHECK_EQ (zt_recv (sockets[index], &id, body, sizeof body), 3);
    }
    for (int i = 0; i < POLLED_SOCKETS; i++)
        zt_close (sockets[i]);
    zt_close (server);
    zt_term (ctx);
}

static void errors (void)
{
    void *ctx = zt_ctx ();
    void *s = zt_socket (ctx);
    int on_stack = 0;
    zlink_pollitem_t items[] = {
      {s, 0, ZLINK_POLLIN, 0},
      {&on_stack, 0, ZLINK_POLLIN, 0},
    };

    CHECK_FAIL (zlink_poll (NULL, 1, 0), EFAULT);
    CHECK_FAIL (zlink_poll (items, -1, 0), EINVAL);
    CHECK_FAIL (zlink_poll (items, 2, 0), ENOTSOCK);
    CHECK_FAIL (zlink_poll (items, 2, -1), ENOTSOCK);
    items[1].socket = ctx;
    CHECK_FAIL (zlink_poll (items, 2, -1), ENOTSOCK);
    zt_close (s);
    CHECK_FAIL (zlink_poll (items, 1, -1), ENOTSOCK);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (sockets_and_descriptors),
  ZT_CASE (timeouts),
  ZT_CASE (long_timeouts),
  ZT_CASE (woken_by_other_threads),
  ZT_CASE (pollout),
  ZT_CASE (between_two_frames),
  ZT_CASE (closed_descriptor_peer),
  ZT_CASE (closed_descriptors),
  ZT_CASE (thousand_sockets),
  ZT_CASE (errors),
};

ZT_MAIN (cases)

/* SPDX-License-Identifier: MPL-2.0 */
/* ZLINK_FD in plain event loops. Every lost wake-up would stop a client. */
#include "zloop.h"

#include <poll.h>
#include <sys/epoll.h>

#define MESSAGES 2000

static void run_epoll (uint32_t triggering, int limit)
{
    void *ctx = zt_ctx ();
    zt_loop_t loop;
    zt_loop_start (&loop, ctx, MESSAGES);

    int poller = epoll_create1 (EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | triggering};
    CHECK_OK (epoll_ctl (poller, EPOLL_CTL_ADD, loop.fd, &event));
    do
        CHECK_EQ (epoll_wait (poller, &event, 1, -1), 1);
    while (!zt_loop_ready (&loop, limit));

    close (poller);
    zt_loop_stop (&loop);
    zt_term (ctx);
}

static void epoll_level_triggered (void)
{
    run_epoll (0, 0);
}

static void epoll_edge_triggered (void)
{
    run_epoll (EPOLLET, 0);
}

/* A level-triggered loop may leave messages for its next round. */
static void epoll_one_message_a_round (void)
{
    run_epoll (0, 1);
}

/* Two sockets of one context, each with its descriptor, in poll(2). */
static void poll_two_sockets (void)
{
    void *ctx = zt_ctx ();
    zt_loop_t loops[2];
    bool done[2] = {false, false};
    struct pollfd fds[2];

    for (int i = 0; i < 2; i++) {
        zt_loop_start (&loops[i], ctx, MESSAGES / 2);
        fds[i] = (struct pollfd) {loops[i].fd, POLLIN, 0};
    }
    while (!done[0] || !done[1]) {
        CHECK (poll (fds, 2, -1) > 0);
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                done[i] = zt_loop_ready (&loops[i], 0);
    }
    zt_loop_stop (&loops[0]);
    zt_loop_stop (&loops[1]);
    zt_term (ctx);
}

/* Messages that came before the descriptor was asked for are told at once. */
static void asked_late (void)
{
    void *ctx = zt_ctx (), *server = zt_socket (ctx);
    int client = zt_client (zt_bind (server));
    zlink_pollitem_t item = {server, 0, ZLINK_POLLIN, 0};
    CHECK_EQ (zlink_poll (&item, 1, -1), 1);

    struct pollfd fd = {zt_get_int (server, ZLINK_FD), POLLIN, 0};
    CHECK_EQ (poll (&fd, 1, 0), 1);
    zt_expect_connect (server, &(zlink_routing_id_t) {0});
    CHECK_EQ (zt_get_int (server, ZLINK_EVENTS), ZLINK_POLLOUT);
    CHECK_EQ (poll (&fd, 1, 0), 0);
    CHECK_EQ (zt_get_int (server, ZLINK_FD), fd.fd);
    close (client);
    zt_close (server);
    zt_term (ctx);
}

/* A socket that is never asked has none; closing the socket closes it. */
static void made_on_request (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    zt_bind (s);
    size_t before = zt_fd_count ();
    zt_get_int (s, ZLINK_EVENTS);
    CHECK_EQ (zt_fd_count (), before);
    zt_get_int (s, ZLINK_FD);
    CHECK_EQ (zt_fd_count (), before + 1);
    zt_get_int (s, ZLINK_FD);
    CHECK_EQ (zt_fd_count (), before + 1);
    zt_close (s);
    zt_term (ctx);
    CHECK (zt_fd_count () < before);
}

/* The loop learns of the end of the context, too. */
static void shut_down (void)
{
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    struct pollfd fd = {zt_get_int (s, ZLINK_FD), POLLIN, 0};
    char buf[4];
    zt_get_int (s, ZLINK_EVENTS);
    CHECK_EQ (poll (&fd, 1, 0), 0);
    CHECK_OK (zlink_ctx_shutdown (ctx));
    CHECK_EQ (poll (&fd, 1, -1), 1);
    CHECK_FAIL (zlink_recv (s, buf, sizeof buf, ZLINK_DONTWAIT), ETERM);
    zt_close (s);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (epoll_level_triggered), ZT_CASE (epoll_edge_triggered),
  ZT_CASE (epoll_one_message_a_round), ZT_CASE (poll_two_sockets),
  ZT_CASE (asked_late), ZT_CASE (made_on_request), ZT_CASE (shut_down)};

ZT_MAIN (cases)

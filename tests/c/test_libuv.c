/* SPDX-License-Identifier: MPL-2.0 */
/* ZLINK_FD in libuv's loop, beside a timer of the loop's own. */
#include "zloop.h"

#include <uv.h>

#define MESSAGES 2000

typedef struct uv_echo_t
{
    zt_loop_t loop;
    uv_poll_t poll;
    uv_timer_t timer;
    int ticks;
} uv_echo_t;

static void on_readable (uv_poll_t *poll, int status, int events)
{
    uv_echo_t *echo = poll->data;
    CHECK_OK (status);
    CHECK (events & UV_READABLE);
    if (zt_loop_ready (&echo->loop, 0)) {
        CHECK_OK (uv_poll_stop (poll));
        CHECK_OK (uv_timer_stop (&echo->timer));
    }
}

static void on_tick (uv_timer_t *timer)
{
    ((uv_echo_t *) timer->data)->ticks++;
}

static void echo_server (void)
{
    void *ctx = zt_ctx ();
    uv_loop_t uv;
    uv_echo_t echo;

    memset (&echo, 0, sizeof echo);
    CHECK_OK (uv_loop_init (&uv));
    zt_loop_start (&echo.loop, ctx, MESSAGES);
    CHECK_OK (uv_poll_init (&uv, &echo.poll, echo.loop.fd));
    CHECK_OK (uv_timer_init (&uv, &echo.timer));
    echo.poll.data = echo.timer.data = &echo;
    CHECK_OK (uv_poll_start (&echo.poll, UV_READABLE, on_readable));
    CHECK_OK (uv_timer_start (&echo.timer, on_tick, 0, 1));
    CHECK_OK (uv_run (&uv, UV_RUN_DEFAULT)); /* until both are stopped */
    CHECK (echo.ticks > 0);

    uv_close ((uv_handle_t *) &echo.poll, NULL);
    uv_close ((uv_handle_t *) &echo.timer, NULL);
    CHECK_OK (uv_run (&uv, UV_RUN_DEFAULT));
    CHECK_OK (uv_loop_close (&uv));
    zt_loop_stop (&echo.loop);
    zt_term (ctx);
}

static const zt_case_t cases[] = {ZT_CASE (echo_server)};

ZT_MAIN (cases)

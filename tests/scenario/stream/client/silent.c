/* SPDX-License-Identifier: MPL-2.0 */
#include "silent.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64
#define TICK_MS 5 /* between two looks at whose time is over */
#define TICK UINT32_MAX /* in epoll's data */

struct line
{
    int fd; /* -1: could not be opened */
    bool open;
};

struct silent
{
    struct dial *dial;
    int epoll;
    int timer; /* -1: they stay */
    uint32_t count, open;
    uint32_t oldest;        /* index; they take turns */
    double due, due_a_tick; /* lines whose time is over */
    uint64_t ended, replaced;
    struct line *lines;
};

/* Makes the timer tick. */
static bool start_timer (struct silent *silent, double stay_s)
{
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000};
    const struct itimerspec ticks = {tick, tick};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = TICK};
    silent->due_a_tick = silent->count * TICK_MS / (stay_s * 1000);
    silent->timer =
      timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return silent->timer >= 0
           && timerfd_settime (silent->timer, 0, &ticks, NULL) == 0
           && epoll_ctl (silent->epoll, EPOLL_CTL_ADD, silent->timer, &event)
                == 0;
}

struct silent *
silent_new (struct dial *dial, uint32_t count, double stay_s)
{
    struct silent *silent = calloc (1, sizeof *silent);
    if (!silent)
        return NULL;
    silent->dial = dial;
    silent->count = count;
    silent->timer = -1;
    silent->lines = calloc (count, sizeof *silent->lines);
    silent->epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (!silent->lines || silent->epoll < 0
        || (stay_s > 0 && !start_timer (silent, stay_s))) {
        perror ("cannot prepare the silent connections");
        silent_free (silent);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        silent->lines[i].fd = -1;
    return silent;
}

void silent_free (struct silent *silent)
{
    for (uint32_t i = 0; silent->lines && i < silent->count; i++)
        if (silent->lines[i].fd >= 0)
            close (silent->lines[i].fd);
    if (silent->timer >= 0)
        close (silent->timer);
    if (silent->epoll >= 0)
        close (silent->epoll);
    free (silent->lines);
    free (silent);
}

static void start (struct silent *silent, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    struct line *line = &silent->lines[index];
    *line = (struct line) {.fd = dial_start (silent->dial)};
    if (line->fd >= 0
        && epoll_ctl (silent->epoll, EPOLL_CTL_ADD, line->fd, &event) != 0) {
        close (line->fd);
        line->fd = -1;
    }
}

static void serve_line (struct silent *silent, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.u32 = index};
    struct line *line = &silent->lines[index];
    if (!line->open && dial_result (line->fd) == 0
        && epoll_ctl (silent->epoll, EPOLL_CTL_MOD, line->fd, &event) == 0) {
        line->open = true;
        silent->open++;
        return;
    }
    close (line->fd);
    line->fd = -1;
    if (!line->open)
        return; /* refused: another try would be refused, too */
    silent->open--;
    silent->ended++;
    start (silent, index);
}

static void replace_oldest (struct silent *silent)
{
    uint32_t index = silent->oldest;
    struct line *line = &silent->lines[index];
    silent->oldest = (index + 1) % silent->count;
    if (line->fd >= 0)
        close (line->fd);
    if (line->open) {
        silent->open--;
        silent->replaced++;
    }
    start (silent, index);
}

static void on_tick (struct silent *silent)
{
    uint64_t ticks = 0;
    (void) !read (silent->timer, &ticks, sizeof ticks);
    silent->due += silent->due_a_tick * (double) ticks;
    for (; silent->due >= 1; silent->due--)
        replace_oldest (silent);
}

static void wait_for_events (struct silent *silent, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait (silent->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++)
        if (events[i].data.u32 != TICK)
            serve_line (silent, events[i].data.u32);
    /* Last: it closes descriptors that events may be about. */
    for (int i = 0; i < count; i++)
        if (events[i].data.u32 == TICK)
            on_tick (silent);
}

static long now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void silent_open (struct silent *silent, int timeout_ms)
{
    long until = now_ms () + timeout_ms;
    for (uint32_t i = 0; i < silent->count; i++)
        start (silent, i);
    while (silent->open < silent->count && now_ms () < until)
        wait_for_events (silent, 10);
}

int silent_descriptor (const struct silent *silent)
{
    return silent->epoll;
}

void silent_serve (struct silent *silent)
{
    wait_for_events (silent, 0);
}

uint32_t silent_count (const struct silent *silent)
{
    return silent->open;
}

uint64_t silent_replaced (const struct silent *silent)
{
    return silent->replaced;
}

uint64_t silent_ended (const struct silent *silent)
{
    return silent->ended;
}

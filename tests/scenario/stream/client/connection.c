/* SPDX-License-Identifier: MPL-2.0 */
#include "connection.h"

#include "flow.h"
#include "silent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 128
#define BUFFER_SIZE (256 * 1024)
#define RETRY_NS 1000000 /* until a full backlog is tried again */
#define SILENT UINT32_MAX /* the silent connections, in epoll's data */
#define SILENT_MS 5000    /* that they may take to open */

/* --------------------------------------------------------------- connecting */

static int start_connect (void *state, uint32_t index)
{
    struct connections *all = state;
    struct connection *connection = &all->table[index];
    connection->fd = dial_start (&all->dial);
    if (connection->fd < 0) {
        if (errno != EAGAIN)
            return errno;
        all->retries[all->retry_count++] = index;
        return 0;
    }
    if (flow_watch (all, index, EPOLL_CTL_ADD, EPOLLOUT) != 0) {
        int error = errno;
        flow_release (all, index);
        return error;
    }
    return 0;
}

/* Those that find the backlog full again come back into the list. */
static void retry_connects (struct connections *all)
{
    uint32_t count = all->retry_count;
    all->retry_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = all->retries[i];
        if (all->run->links[index].state != LINK_CONNECTING)
            continue;
        int error = start_connect (all, index);
        if (error)
            run_connect_failed (all->run, index, error);
    }
}

static void end_connect (struct connections *all, uint32_t index)
{
    struct connection *connection = &all->table[index];
    int error = dial_result (connection->fd);
    if (error == 0 && flow_watch (all, index, EPOLL_CTL_MOD, EPOLLIN) != 0)
        error = errno;
    if (error == 0 && all->layers.count > 0) {
        connection->channel = channel_new (&all->layers);
        error = connection->channel ? 0 : ENOMEM;
    }
    if (error)
        flow_lose (all, index, error);
    else if (connection->channel)
        flow_greet (all, index);
    else
        run_connected (all->run, index);
}

/* ---------------------------------------------------------------- transport */

static void start_sending (void *state, uint32_t index)
{
    flow_fill (state, index);
}

static void serve_silent (struct connections *all)
{
    silent_serve (all->silent);
    all->run->measures.silent = silent_count (all->silent);
    all->run->measures.silent_replaced = (long) silent_replaced (all->silent);
    all->run->measures.silent_ended = (long) silent_ended (all->silent);
}

static void open_silent (void *state)
{
    struct connections *all = state;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = SILENT};
    const struct options *options = all->run->options;
    all->silent = silent_new (&all->dial, (uint32_t) options->silent,
                              options->silent_stay);
    if (!all->silent)
        return;
    silent_open (all->silent, SILENT_MS);
    epoll_ctl (all->epoll, EPOLL_CTL_ADD, silent_descriptor (all->silent),
               &event);
    serve_silent (all);
}

static void serve (void *state, uint64_t timeout_ns)
{
    struct connections *all = state;
    struct epoll_event events[EVENTS];
    if (all->retry_count > 0) {
        retry_connects (all);
        timeout_ns = timeout_ns < RETRY_NS ? timeout_ns : RETRY_NS;
    }
    const struct timespec timeout = {
      .tv_sec = (time_t) (timeout_ns / NS_PER_S),
      .tv_nsec = (long) (timeout_ns % NS_PER_S),
    };
    int count = epoll_pwait2 (all->epoll, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        uint32_t index = events[i].data.u32;
        if (index == SILENT) {
            serve_silent (all);
            continue;
        }
        struct connection *connection = &all->table[index];
        if (all->run->links[index].state == LINK_CONNECTING
            && !connection->channel) {
            end_connect (all, index);
            continue;
        }
        if (connection->unsent && events[i].events & EPOLLOUT)
            flow_writable (all, index);
        if (connection->fd >= 0
            && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            flow_readable (all, index);
    }
}

static void close_one (void *state, uint32_t index)
{
    flow_leave (state, index);
    flow_release (state, index);
}

struct connections *connections_new (struct run *run)
{
    const struct options *options = run->options;
    struct connections *all = calloc (1, sizeof *all);
    if (!all)
        return NULL;
    all->run = run;
    all->frame_size = MESSAGE_LENGTH_SIZE + (size_t) options->size;
    all->buffer_size =
      all->frame_size > BUFFER_SIZE ? all->frame_size : BUFFER_SIZE;
    all->in = malloc (all->buffer_size);
    all->counts = options_counts (options);
    if (!all->counts)
        all->out_start = malloc (LAYER_HEADROOM + all->buffer_size);
    all->out = all->out_start + LAYER_HEADROOM;
    all->table = calloc ((size_t) options->ccu, sizeof *all->table);
    all->retries = calloc ((size_t) options->ccu, sizeof *all->retries);
    all->epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (!all->in || (!all->counts && !all->out_start) || !all->table || !all->retries
        || all->epoll < 0) {
        perror ("cannot prepare the connections");
        connections_free (all);
        return NULL;
    }
    for (long i = 0; i < options->ccu; i++)
        all->table[i].fd = -1;
    if (dial_init (&all->dial, options) != 0
        || layers_init (&all->layers, options, all->buffer_size) != 0
        || (all->counts
            && prebuilt_init (&all->prebuilt, &run->traffic.format,
                              run->traffic.inflight,
                              layers_web (&all->layers))
                 != 0)) {
        connections_free (all);
        return NULL;
    }
    run->transport = (struct transport) {
      .state = all,
      .connect = start_connect,
      .serve = serve,
      .send = start_sending,
      .close = close_one,
      .open_silent = open_silent,
    };
    return all;
}

void connections_free (struct connections *all)
{
    if (all->silent)
        silent_free (all->silent);
    if (all->epoll >= 0)
        close (all->epoll);
    layers_free (&all->layers);
    prebuilt_free (&all->prebuilt);
    free (all->in);
    free (all->out_start);
    free (all->table);
    free (all->retries);
    free (all);
}

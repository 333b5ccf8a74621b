/* SPDX-License-Identifier: MPL-2.0 */
/* The bytes of a connection: between its window, its layers and its descriptor. */
#ifndef SCENARIO_FLOW_H
#define SCENARIO_FLOW_H

#include "dial.h"
#include "frames.h"
#include "layer.h"
#include "prebuilt.h"
#include "run.h"

/* The buffers are NULL while they hold nothing, which is nearly always: a
 * connection that waits costs this struct and no more. */
struct connection
{
    int fd;            /* -1: closed, or waiting for room in a backlog */
    uint32_t part_len; /* bytes in part */
    uint8_t *part;     /* the beginning of a frame whose rest is to come */
    const uint8_t *unsent; /* what the kernel did not take of the last write … */
    size_t unsent_len;
    uint8_t *kept; /* … and its memory, unless it is prebuilt */
    struct channel *channel; /* NULL: frames are what goes over the wire */
    struct frames frames;    /* where echoes are counted: as far as they came */
};

/* A connection, for what a channel sends or takes in. */
struct place
{
    struct connections *all;
    uint32_t index;
};

struct silent;

struct connections
{
    struct run *run;
    struct connection *table;
    struct dial dial;
    struct layers layers;
    int epoll;
    size_t frame_size;
    size_t buffer_size; /* of each of the two below, at least one frame */
    uint8_t *in, *out;  /* shared by all connections */
    uint8_t *out_start; /* of out's memory, LAYER_HEADROOM before it */
    bool counts;        /* echoes are counted; then prebuilt is what is sent */
    struct prebuilt prebuilt;
    uint32_t *retries; /* connections that found a backlog full */
    uint32_t retry_count;
    struct silent *silent; /* NULL: there are none */
};

/* What epoll watches a connection's descriptor for. 0, or -1 and an errno. */
int flow_watch (struct connections *all, uint32_t index, int op, uint32_t events);

/* Closes a connection without a word. */
void flow_release (struct connections *all, uint32_t index);

/* … and tells the run. error: an errno, a protocol error, or 0: end of file. */
void flow_lose (struct connections *all, uint32_t index, int error);

/* Writes bytes, and keeps what the kernel does not take: where it is, if that is not
 * before lasting, which may be NULL. Returns an errno. */
int flow_write (struct connections *all,
                uint32_t index,
                struct span bytes,
                const uint8_t *lasting);

/* Writes behind what is unsent. For a channel, whose owner is a struct place. */
int flow_send_behind (void *owner, const uint8_t *bytes, size_t len);

/* Tells the run when the handshakes of a connection are done. */
void flow_opened (struct connections *all, uint32_t index);

/* Sends what the window has room for. */
void flow_fill (struct connections *all, uint32_t index);

/* Serves a descriptor that is writable or readable. */
void flow_writable (struct connections *all, uint32_t index);
void flow_readable (struct connections *all, uint32_t index);

/* Begins the handshakes of a connection that has layers. */
void flow_greet (struct connections *all, uint32_t index);

/* Says goodbye where layers do that; it is to be released then. */
void flow_leave (struct connections *all, uint32_t index);

#endif

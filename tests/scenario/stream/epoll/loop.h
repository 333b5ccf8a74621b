/* SPDX-License-Identifier: MPL-2.0 */
/* The event loop of the bare echo, which is the limit for all others: threads, each
 * with a listener of its own on the same port (SO_REUSEPORT), an epoll
 * (edge-triggered, so that it is told once of each descriptor) and one buffer.
 * Nothing is allocated or copied: while the kernel does not take what is to be sent,
 * the connection keeps the buffer, is not read, and the loop goes on with another
 * one of its pool. */
#ifndef STREAM_LOOP_H
#define STREAM_LOOP_H

#include "listener.h"
#include "protocol.h"

struct loop_settings
{
    struct listener listener;
    const struct protocol *protocol; /* NULL: bytes go back as they came */
    long io_threads, buffer_size, max_descriptors;
};

/* Serves until SIGTERM and returns the program's exit code. */
int loop_serve (const struct loop_settings *settings);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* Descriptors that connect to the server, over TCP or a Unix socket. */
#ifndef SCENARIO_DIAL_H
#define SCENARIO_DIAL_H

#include "options.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct dial
{
    union
    {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } address;
    socklen_t address_len;
    int sndbuf, rcvbuf; /* bytes; 0: the system's */
    uint32_t sources;   /* addresses to connect from, in turn; 0: the system's choice */
    uint32_t next;
};

/* 0, or -1 when the reason was printed. */
int dial_init (struct dial *dial, const struct options *options);

/* Returns a non-blocking descriptor that is connecting, or -1 and an errno.
 * EAGAIN: a Unix socket's backlog is full, and a later try may find room. */
int dial_start (struct dial *dial);

/* What became of it, once it is writable: 0, or an errno. */
int dial_result (int fd);

#endif

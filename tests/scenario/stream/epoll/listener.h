/* SPDX-License-Identifier: MPL-2.0 */
/* Where the bare echo servers listen. */
#ifndef STREAM_LISTENER_H
#define STREAM_LISTENER_H

struct listener
{
    long port; /* 0: any free one */
    long backlog, sndbuf, rcvbuf;
};

#define LISTENER_DEFAULTS {.backlog = 32768, .sndbuf = 262144, .rcvbuf = 262144}

/* The rows of a table of settings (settings.h). */
#define LISTENER_SETTINGS(l)                                        \
    {"PORT", SETTING_INTEGER, true, &(l).port, 0, 65535,            \
     "port to listen on, 0: any free one"},                         \
      {"BACKLOG", SETTING_INTEGER, false, &(l).backlog, 0, 1 << 30, \
       "listen backlog"},                                           \
      {"SNDBUF", SETTING_INTEGER, false, &(l).sndbuf, 0, 1 << 30,   \
       "socket send buffer in bytes, 0: system's"},                 \
      {"RCVBUF", SETTING_INTEGER, false, &(l).rcvbuf, 0, 1 << 30,   \
       "socket receive buffer in bytes, 0: system's"}

/* A listening descriptor, which blocks if type_flags have no SOCK_NONBLOCK;
 * several may share a port. Stores the port that the system gave for 0. Accepted
 * sockets inherit its options. -1 with errno. */
int listener_open (struct listener *listener, int type_flags);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* The settings of a load client. */
#ifndef SCENARIO_OPTIONS_H
#define SCENARIO_OPTIONS_H

#include "settings.h"

#include <stdbool.h>

struct options
{
    const char *scenario;  /* "s0", "s1" or "s2" */
    const char *stack;     /* what the server is; names the row */
    const char *host;      /* IPv4 literal */
    const char *transport; /* "tcp", "tls", "ws", "wss" or "ipc" */
    const char *check;     /* of the echoes: "all" or "frames" */
    const char *path;      /* ipc: where the server listens */
    const char *tls_ca;    /* PEM file, or NULL */
    const char *tls_cipher;
    const char *csv;       /* file to append the row to, or NULL */
    const char *not_run;   /* "SKIP" or "FAIL": only report this … */
    const char *reason;    /* … and why; or NULL */
    const char *label;     /* what the row is called behind the stack's name */
    const char *syscalls;  /* "perf" or "strace" counts the server's calls */
    const char *progress;  /* in front of the progress line */
    long round;
    long port;
    long server_pid; /* 0: the server's memory and CPU are not measured */
    long ccu;        /* connections */
    long sources;    /* addresses that they come from; 0: one */
    long size;       /* bytes of a message's body */
    long inflight;   /* window of a connection, messages */
    long rate;  /* messages per second of all; 0: what the windows allow */
    long burst; /* messages of a connection that a rate sends at a time */
    long connect_concurrency;
    long sndbuf, rcvbuf;      /* bytes */
    long hwm;                 /* messages; for a client made of zlink sockets */
    long io_threads;          /* the same */
    long latency_sample_rate; /* one message in so many */
    long silent;        /* further connections that say nothing */
    double silent_stay; /* seconds that each stays; 0: all the time */
    double warmup, measure, drain_timeout, hold; /* seconds */
    double connect_timeout; /* seconds that one connection may take */
    double deadline;        /* seconds that everything may take; 0: computed */
};

/* Reads environment and flags; prints what is wrong. */
enum settings_result
options_read (struct options *options, int argc, char **argv);

/* Whether the scenario sends messages: s1 only connects. */
bool options_has_traffic (const struct options *options);

/* Whether echoes are counted and their lengths checked, and no more. */
bool options_counts (const struct options *options);

#endif

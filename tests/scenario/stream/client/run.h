/* SPDX-License-Identifier: MPL-2.0 */
/* A run of one scenario: connect, idle, warm-up, measure, drain, close. It
 * knows the phases and their deadlines; how bytes move is the transport's. */
#ifndef SCENARIO_RUN_H
#define SCENARIO_RUN_H

#include "options.h"
#include "process.h"
#include "progress.h"
#include "window.h"

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS UINT64_C (1000000)
#define NS_PER_S UINT64_C (1000000000)

enum link_state
{
    LINK_NEW,
    LINK_CONNECTING,
    LINK_OPEN,
    LINK_CLOSED
};

/* One connection as the run sees it. */
struct link
{
    struct window window;
    uint64_t connect_started_ns;
    enum link_state state;
};

/* How connections are made and messages moved. Connections are named by their
 * index, 0 to ccu - 1. */
struct transport
{
    void *state;
    /* Starts a connection, whose outcome run_connected or run_connect_failed
     * tells later. Returns 0, or an errno when it failed at once. */
    int (*connect) (void *state, uint32_t index);
    /* Waits for up to timeout_ns and serves what is ready. */
    void (*serve) (void *state, uint64_t timeout_ns);
    /* Sends what the connection's window has room for. */
    void (*send) (void *state, uint32_t index);
    void (*close) (void *state, uint32_t index);
    /* Opens the silent connections; may be NULL where options->silent is 0. */
    void (*open_silent) (void *state);
};

/* Figures that are not counts; -1: not known. */
struct measures
{
    double connect_ms;   /* first connect to last connection open */
    double measured_s;   /* length of the measured phase as it was */
    uint64_t throughput; /* echoes per second of the measured phase */
    uint64_t echoes;     /* in the measured phase */
    double server_cpu_s, client_cpu_s; /* used in the measured phase */
    struct process_switches server_switches; /* the same */
    double server_syscalls;                  /* the same */
    long server_rss_peak_kb;           /* of its whole life so far */
    long server_rss_kb;                /* peak while messages flow */
    long server_rss_idle_kb; /* all connections open, nothing sent yet */
    long client_rss_kb;      /* peak */
    double client_conn_rss_kb; /* growth from none to all open, for each */
    long client_fds;           /* descriptors while all are open */
    long silent;          /* silent connections that were open at the end */
    long silent_replaced; /* how often one gave way to another */
    long silent_ended;    /* how often the server ended one */
};

struct run
{
    const struct options *options;
    struct transport transport;
    struct traffic traffic;
    struct measures measures;
    struct link *links; /* options->ccu of them */
    uint32_t open, connecting;
    uint64_t started_ns, deadline_ns;
    uint64_t next_sample_ns; /* when the server's memory is read again */
    struct progress progress;
};

uint64_t clock_ns (void);

/* 0, or -1 when there is no memory. The transport may be set afterwards. */
int run_init (struct run *run, const struct options *options);
void run_free (struct run *run);

/* Runs all phases. What happened is in traffic.tally and measures. */
void run_scenario (struct run *run);

/* The transport reports what became of a connection. error: an errno, or 0
 * when the peer closed it. The transport has released it already. */
void run_connected (struct run *run, uint32_t index);
void run_connect_failed (struct run *run, uint32_t index, int error);
void run_lost (struct run *run, uint32_t index, int error);

#endif

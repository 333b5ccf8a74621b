/* SPDX-License-Identifier: MPL-2.0 */
/* Counts the system calls of another process for a while, with perf or strace.
 * strace stops the process at every call, so nothing else that is measured
 * meanwhile means anything. */
#ifndef SCENARIO_TRACER_H
#define SCENARIO_TRACER_H

#include <stdbool.h>
#include <sys/types.h>

struct tracer
{
    bool strace;
    pid_t pid;
    int output;       /* what the tool prints */
    int control, ack; /* of perf: commands to it, its answers */
};

/* tool: "perf" or "strace". Returns when it counts; false, with a message on
 * stderr, when it does not. */
bool tracer_start (struct tracer *tracer, const char *tool, long pid);

/* Returns the number of calls, -1 when it is not known. */
double tracer_stop (struct tracer *tracer);

#endif

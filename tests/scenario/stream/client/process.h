/* SPDX-License-Identifier: MPL-2.0 */
/* What the system says about a process. A pid of 0 is this process. */
#ifndef SCENARIO_PROCESS_H
#define SCENARIO_PROCESS_H

#include <stdbool.h>

/* Raises the soft limit of descriptors to the hard one and returns it. */
long process_raise_descriptor_limit (void);

/* A field of /proc/PID/status in kB, such as "VmRSS:" (resident memory) or
 * "VmHWM:" (its peak); -1 when it cannot be read. */
long process_status_kb (long pid, const char *field);

/* User and system CPU time of all its threads in seconds; -1 when it cannot be
 * read. */
double process_cpu_seconds (long pid);

/* How often its threads gave up the processor (voluntary) or were made to;
 * -1 when it cannot be read. A thread that has ended is not counted. */
struct process_switches
{
    long voluntary, involuntary;
};

struct process_switches process_context_switches (long pid);

/* Whether it has ended: gone, or a zombie that its parent has not seen yet. */
bool process_ended (long pid);

/* Number of descriptors this process holds; -1 when it cannot be read. */
long process_descriptors (void);

#endif

/* SPDX-License-Identifier: MPL-2.0 */
/* What the system says about a process. A pid of 0 is this process. */
#ifndef SCENARIO_PROCESS_H
#define SCENARIO_PROCESS_H

/* Raises the soft limit of descriptors to the hard one and returns it. */
long process_raise_descriptor_limit (void);

/* A field of /proc/PID/status in kB, such as "VmRSS:" (resident memory) or
 * "VmHWM:" (its peak); -1 when it cannot be read. */
long process_status_kb (long pid, const char *field);

/* User and system CPU time of all its threads in seconds; -1 when it cannot be
 * read. */
double process_cpu_seconds (long pid);

/* Number of descriptors this process holds; -1 when it cannot be read. */
long process_descriptors (void);

#endif

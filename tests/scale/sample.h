/* SPDX-License-Identifier: MPL-2.0 */
/* What million.c looks at: memory of processes and of the kernel, and times of pings. */
#ifndef SAMPLE_H_INCLUDED
#define SAMPLE_H_INCLUDED

#include "scale.h"

/* Resident memory of a process in KB; 0: there is none. */
static inline int64_t resident_kb (int pid)
{
    char path[64];
    long pages = 0;
    snprintf (path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = pid > 0 ? fopen (path, "re") : NULL;
    if (!f)
        return 0;
    if (fscanf (f, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose (f);
    return pages * (sysconf (_SC_PAGESIZE) / 1024);
}

/* The same, with pages that several processes have shared among them: all processes together have no more. */
static inline int64_t proportional_kb (int pid)
{
    char path[64], line[256];
    int64_t kb = 0;
    snprintf (path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *f = pid > 0 ? fopen (path, "re") : NULL;
    while (f && fgets (line, sizeof line, f))
        if (strncmp (line, "Pss:", 4) == 0)
            kb = atol (line + 4);
    if (f)
        fclose (f);
    return kb;
}

/* Processor time that a process has used, with all its threads, in ns; 0: there is none. What the kernel does for a packet
 * counts for the process that sends it. */
static inline int64_t cpu_ns (int pid)
{
    clockid_t clock;
    struct timespec t = {0};
    if (pid > 0 && clock_getcpuclockid (pid, &clock) == 0)
        clock_gettime (clock, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t servers_kb (void)
{
    int64_t all = 0;
    for (int i = 0; i < MOST_PROCESSES; i++)
        all += proportional_kb (shared->server[i].pid);
    return all;
}

/* What the kernel has for sockets and what belongs to them, in KB: its slabs, page tables, stacks of
 * threads, and the buffers of TCP. Slabs that it could give back count, because dentries are among them. */
static inline int64_t kernel_kb (void)
{
    static const char *const names[] = {"Slab:", "PageTables:", "KernelStack:"};
    char line[256];
    int64_t all = 0;
    long value;
    FILE *f = fopen ("/proc/meminfo", "re");
    while (f && fgets (line, sizeof line, f))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strncmp (line, names[i], strlen (names[i])) == 0)
                all += atol (line + strlen (names[i]));
    if (f)
        fclose (f);
    f = fopen ("/proc/net/sockstat", "re");
    while (f && fgets (line, sizeof line, f))
        if (sscanf (line, "TCP: inuse %*d orphan %*d tw %*d alloc %*d mem %ld", &value) == 1)
            all += value * (sysconf (_SC_PAGESIZE) / 1024);
    if (f)
        fclose (f);
    return all;
}

/* The number in a file of /proc/sys: the last one of its line; -1: there is no such file. */
static inline long setting (const char *path)
{
    char line[128] = "";
    FILE *f = fopen (path, "re");
    if (!f)
        return -1;
    char *got = fgets (line, sizeof line, f);
    fclose (f);
    if (!got)
        return -1;
    char *end = line + strlen (line);
    while (end > line && (end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
        *--end = 0;
    while (end > line && end[-1] >= '0' && end[-1] <= '9')
        end--;
    return atol (end);
}

typedef struct
{
    int64_t up, peers, read, twice, took, pings, pongs, lost, ended, cut, broken, back;
    int64_t server_kb, client_kb, kernel_kb;
    int64_t server_ns, client_ns; /* processor time */
    uint64_t times[BUCKETS];
} totals_t;

static inline totals_t totals (void)
{
    totals_t t = {.kernel_kb = kernel_kb ()};
    for (int i = 0; i < MOST_PROCESSES; i++) {
        server_t *s = &shared->server[i];
        client_t *c = &shared->client[i];
        t.peers += s->peers;
        t.took += s->took;
        t.server_kb += resident_kb (s->pid);
        t.client_kb += resident_kb (c->pid);
        t.server_ns += cpu_ns (s->pid);
        t.client_ns += cpu_ns (c->pid);
        t.up += c->up;
        t.read += c->read;
        t.twice += c->twice;
        t.pings += c->pings;
        t.pongs += c->pongs;
        t.lost += c->lost;
        t.ended += c->ended;
        t.cut += c->cut;
        t.broken += c->broken;
        t.back += c->back;
        for (int b = 0; b < BUCKETS; b++)
            t.times[b] += c->times[b];
    }
    return t;
}

/* A percentile of the pings between two samples in us; 0: there were none. */
static inline double percentile (const totals_t *before, const totals_t *now, double part)
{
    uint64_t all = 0, seen = 0;
    for (int b = 0; b < BUCKETS; b++)
        all += now->times[b] - before->times[b];
    for (int b = 0; b < BUCKETS && all > 0; b++) {
        seen += now->times[b] - before->times[b];
        if ((double) seen >= part * (double) all)
            return bucket_end (b);
    }
    return 0;
}

#endif

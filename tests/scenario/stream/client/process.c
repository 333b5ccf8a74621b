/* SPDX-License-Identifier: MPL-2.0 */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

long process_raise_descriptor_limit (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
        return -1;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit (RLIMIT_NOFILE, &limit) != 0)
        return -1;
    return (long) limit.rlim_cur;
}

static FILE *open_proc (long pid, const char *name)
{
    char path[320];
    snprintf (path, sizeof path, "/proc/%ld/%s", pid ? pid : (long) getpid (),
              name);
    return fopen (path, "re");
}

/* The number behind a field of a status file; -1 when there is none. */
static long status_number (FILE *file, const char *field)
{
    char line[256];
    long number = -1;
    size_t len = strlen (field);
    rewind (file);
    while (number < 0 && fgets (line, sizeof line, file))
        if (strncmp (line, field, len) == 0)
            sscanf (line + len, "%ld", &number);
    return number;
}

long process_status_kb (long pid, const char *field)
{
    FILE *file = open_proc (pid, "status");
    if (!file)
        return -1;
    long kb = status_number (file, field);
    fclose (file);
    return kb;
}

struct process_switches process_context_switches (long pid)
{
    struct process_switches sum = {-1, -1};
    char path[64];
    snprintf (path, sizeof path, "/proc/%ld/task",
              pid ? pid : (long) getpid ());
    DIR *dir = opendir (path);
    if (!dir)
        return sum;
    sum = (struct process_switches) {0, 0};
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;) {
        char name[300];
        snprintf (name, sizeof name, "task/%s/status", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : open_proc (pid, name);
        if (!file)
            continue;
        sum.voluntary += status_number (file, "voluntary_ctxt_switches:");
        sum.involuntary += status_number (file, "nonvoluntary_ctxt_switches:");
        fclose (file);
    }
    closedir (dir);
    return sum;
}

bool process_ended (long pid)
{
    FILE *file = open_proc (pid, "stat");
    if (!file)
        return true;
    char line[1024];
    char *got = fgets (line, sizeof line, file);
    fclose (file);
    char *name_end = got ? strrchr (line, ')') : NULL;
    return !name_end || strchr ("ZX", name_end[2]) != NULL;
}

double process_cpu_seconds (long pid)
{
    FILE *file = open_proc (pid, "stat");
    if (!file)
        return -1;
    char line[1024];
    char *got = fgets (line, sizeof line, file);
    fclose (file);
    /* The program's name is in parentheses and may hold anything, so count
     * fields from the last one. */
    char *fields = got ? strrchr (line, ')') : NULL;
    unsigned long user, system;
    if (!fields
        || sscanf (fields + 1,
                   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                   &user, &system)
             != 2)
        return -1;
    return (double) (user + system) / (double) sysconf (_SC_CLK_TCK);
}

long process_descriptors (void)
{
    DIR *dir = opendir ("/proc/self/fd");
    if (!dir)
        return -1;
    long count = -1; /* the directory's own descriptor is one of the entries */
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;)
        if (entry->d_name[0] != '.')
            count++;
    closedir (dir);
    return count;
}
